//! Digits of floats, as Go's `strconv.FormatFloat` chooses them.

/// No float64 has more decimal digits; those that a larger precision asks for are zeros.
const MAX_DIGITS: usize = 1100;

/// Formats a float with the verb `e E f g G b x X`; without a precision the shortest digits that read back the same.
/// No sign for positive numbers.
pub(crate) fn float(x: f64, verb: u8, precision: Option<usize>) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match verb {
        b'f' | b'F' => match precision {
            Some(precision) => {
                let exact = precision.min(MAX_DIGITS);
                format!("{x:.exact$}{}", "0".repeat(precision - exact))
            }
            None => format!("{x}"),
        },
        b'e' | b'E' => exponent(&scientific(x, precision), verb),
        b'b' => binary(x),
        b'x' | b'X' => hex(x, verb, precision),
        _ => general(x, verb, precision),
    }
}

/// Rust's `1.5e-7`.
fn scientific(x: f64, precision: Option<usize>) -> String {
    match precision {
        Some(precision) => {
            let exact = precision.min(MAX_DIGITS);
            let text = format!("{x:.exact$e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{mantissa}{}e{exponent}", "0".repeat(precision - exact))
        }
        None => format!("{x:e}"),
    }
}

/// `1.5e-7` with a sign and at least two digits of exponent.
fn exponent(text: &str, verb: u8) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    let e = char::from(if verb.is_ascii_uppercase() { b'E' } else { b'e' });
    format!("{mantissa}{e}{sign}{digits:0>2}")
}

/// `%g`: digits without trailing zeros, an exponent only for the very small and very large.
fn general(x: f64, verb: u8, precision: Option<usize>) -> String {
    let significant = precision.map(|p| p.max(1));
    let text = scientific(x, significant.map(|p| p - 1));
    let Some((mantissa, exp)) = text.split_once('e') else { return text };
    let exp: i32 = exp.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    // From this exponent on the number is written with one; 6 if the precision is whatever it takes.
    let limit = match significant {
        None => 6,
        Some(p) if p > digits && digits as i32 > exp => digits as i32,
        Some(p) => i32::try_from(p).unwrap_or(i32::MAX),
    };
    if exp < -4 || exp >= limit {
        let e = if verb == b'G' { b'E' } else { b'e' };
        return exponent(&format!("{mantissa}e{exp}"), e);
    }
    let decimals = usize::try_from(digits as i32 - 1 - exp).unwrap_or(0);
    plain(mantissa, exp, decimals)
}

/// `1.25` and exponent 1 to `12.5`.
fn plain(mantissa: &str, exp: i32, decimals: usize) -> String {
    let negative = mantissa.starts_with('-');
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let mut out = String::new();
    if negative {
        out.push('-');
    }
    match usize::try_from(exp) {
        Ok(exp) => {
            let whole = exp + 1;
            for i in 0..whole {
                out.push(digits.as_bytes().get(i).map_or('0', |b| char::from(*b)));
            }
            if decimals > 0 {
                out.push('.');
                out.push_str(digits.get(whole..).unwrap_or_default());
            }
        }
        Err(_) => {
            out.push_str("0.");
            for _ in 0..(-exp - 1) {
                out.push('0');
            }
            out.push_str(&digits);
        }
    }
    out
}

/// The parts of a float: negative, mantissa, exponent of two.
fn parts(x: f64) -> (bool, u64, i64) {
    let bits = x.to_bits();
    let raw = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if raw == 0 { (fraction, 1) } else { (fraction | (1 << 52), raw) };
    (x.is_sign_negative(), mantissa, i64::try_from(exponent).unwrap_or(0) - 1075)
}

/// `%b`: `6755399441055744p-52`.
fn binary(x: f64) -> String {
    let (negative, mantissa, exponent) = parts(x);
    format!("{}{mantissa}p{exponent:+}", if negative { "-" } else { "" })
}

/// `%x`: `0x1.8p+01`.
fn hex(x: f64, verb: u8, precision: Option<usize>) -> String {
    let (negative, mut mantissa, mut exponent) = parts(x);
    if mantissa == 0 {
        exponent = 0;
    } else {
        exponent += 52;
        // The leading 1 goes to bit 60, with 15 digits below it.
        mantissa <<= 8;
        while mantissa & (1 << 60) == 0 {
            mantissa <<= 1;
            exponent -= 1;
        }
        if let Some(precision) = precision.filter(|p| *p < 15) {
            let shift = precision * 4;
            let extra = (mantissa << shift) & ((1 << 60) - 1);
            mantissa >>= 60 - shift;
            if extra | (mantissa & 1) > 1 << 59 {
                mantissa += 1;
            }
            mantissa <<= 60 - shift;
            if mantissa & (1 << 61) != 0 {
                mantissa >>= 1;
                exponent += 1;
            }
        }
    }
    let mut digits = String::new();
    let mut rest = mantissa & ((1 << 60) - 1);
    let count = precision.unwrap_or(15);
    for _ in 0..count {
        if precision.is_none() && rest == 0 {
            break;
        }
        digits.push(char::from_digit(((rest >> 56) & 15) as u32, 16).unwrap_or('0'));
        rest = (rest << 4) & ((1 << 60) - 1);
    }
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let lead = (mantissa >> 60) & 1;
    let text =
        format!("{}0x{lead}{point}{digits}p{sign}{:02}", if negative { "-" } else { "" }, exponent.abs());
    if verb == b'X' { text.to_uppercase() } else { text }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_are_written_as_in_go() {
        for (x, verb, precision, want) in [
            (999_999.0, b'g', None, "999999"),
            (1e6, b'g', None, "1e+06"),
            (12_345_678.0, b'g', None, "1.2345678e+07"),
            (1_234_567.5, b'g', None, "1.2345675e+06"),
            (0.0001, b'g', None, "0.0001"),
            (0.00001, b'g', None, "1e-05"),
            (1e21, b'G', None, "1E+21"),
            (-0.0, b'g', None, "-0"),
            (1234.5, b'g', Some(3), "1.23e+03"),
            (100_000.0, b'g', Some(6), "100000"),
            (1e20, b'g', Some(3), "1e+20"),
            (100.0, b'g', Some(3), "100"),
            (100.0, b'g', Some(10), "100"),
            (0.0, b'g', Some(0), "0"),
            (1.5, b'b', None, "6755399441055744p-52"),
            (1.5, b'x', None, "0x1.8p+00"),
            (-3.0, b'X', None, "-0X1.8P+01"),
            (0.1, b'x', Some(2), "0x1.9ap-04"),
            (1.0, b'x', Some(3), "0x1.000p+00"),
            (2.5, b'f', Some(0), "2"),
            (12_345.678, b'e', Some(6), "1.234568e+04"),
        ] {
            assert_eq!(float(x, verb, precision), want, "{x} with {}", char::from(verb));
        }
    }
}
