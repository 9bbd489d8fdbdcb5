//! Number literals: Go's syntax of integers, floats, characters and complex numbers, and every type that fits.

use super::{lex::Kind, quote::unquote_char};

/// A number literal and all that it can be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Number {
    /// Its value as a signed integer, if it has one.
    pub(crate) int: Option<i64>,
    /// Its value as an unsigned integer, if it has one.
    pub(crate) uint: Option<u64>,
    /// Its value as a float, if it has one.
    pub(crate) float: Option<f64>,
    /// Its value as a complex number, if it is written as one.
    pub(crate) complex: Option<(f64, f64)>,
    /// Whether the way it is written makes it a float where any type is wanted.
    pub(crate) written_as_float: bool,
}

/// The value of a literal.
pub(super) fn parse(text: &[u8], kind: Kind) -> Result<Number, String> {
    match kind {
        Kind::CharConstant => return character(text),
        Kind::Complex => return complex(text),
        _ => {}
    }
    let source = std::str::from_utf8(text).unwrap_or_default();
    if let Some(imaginary) = source.strip_suffix('i').and_then(parse_float) {
        return Ok(from_complex(0.0, imaginary));
    }
    let mut number = Number { int: parse_int(source), uint: parse_uint(source), ..Number::default() };
    if number.int == Some(0) && number.uint.is_none() {
        number.uint = Some(0); // -0
    }
    number.float = match (number.int, number.uint) {
        (Some(n), _) => Some(n as f64),
        (None, Some(n)) => Some(n as f64),
        (None, None) => parse_float(source),
    };
    if let (None, None, Some(x)) = (number.int, number.uint, number.float) {
        if !source.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", crate::fmt::quoted(text)));
        }
        number.int = integral(x);
        number.uint = integral_unsigned(x);
    }
    if number.float.is_none() {
        return Err(format!("illegal number syntax: {}", crate::fmt::quoted(text)));
    }
    let hex_integer = source.starts_with("0x") || source.starts_with("0X");
    number.written_as_float = if hex_integer && source.len() > 2 {
        source.contains(['p', 'P'])
    } else {
        source.contains(['.', 'e', 'E', 'p', 'P'])
    };
    Ok(number)
}

fn character(text: &[u8]) -> Result<Number, String> {
    let inner = text.get(1..).unwrap_or_default();
    let (unit, tail) = unquote_char(inner, b'\'').ok_or("invalid syntax")?;
    if tail != b"'" {
        return Err(format!("malformed character constant: {}", String::from_utf8_lossy(text)));
    }
    let code = unit.code();
    Ok(Number {
        int: Some(i64::from(code)),
        uint: Some(u64::from(code)),
        float: Some(f64::from(code)),
        ..Number::default()
    })
}

fn complex(text: &[u8]) -> Result<Number, String> {
    let source = std::str::from_utf8(text).unwrap_or_default();
    const SYNTAX: &str = "syntax error scanning complex number";
    let (re, rest) = scan_float(source);
    if !rest.starts_with(['+', '-']) {
        return Err(SYNTAX.to_owned());
    }
    let (im, rest) = scan_float(rest);
    if !rest.starts_with('i') {
        return Err(SYNTAX.to_owned());
    }
    let part = |token: &str| {
        parse_float(token).ok_or_else(|| {
            let token = crate::fmt::quoted(token.as_bytes());
            format!("strconv.ParseFloat: parsing {token}: invalid syntax")
        })
    };
    Ok(from_complex(part(re)?, part(im)?))
}

/// What Go's `fmt.Sscan` takes for a float at the beginning of a text, and the rest.
fn scan_float(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    let take = |at: &mut usize, set: &[u8]| {
        let found = bytes.get(*at).is_some_and(|b| set.contains(b));
        *at += usize::from(found);
        found
    };
    take(&mut at, b"+-");
    take(&mut at, b"i"); // it could be the first letter of "inf"
    let mut digits: &[u8] = b"0123456789_";
    let mut exponent: &[u8] = b"eEpP";
    if take(&mut at, b"0") && take(&mut at, b"xX") {
        digits = b"0123456789aAbBcCdDeEfF_";
        exponent = b"pP";
    }
    while take(&mut at, digits) {}
    if take(&mut at, b".") {
        while take(&mut at, digits) {}
    }
    if take(&mut at, exponent) {
        take(&mut at, b"+-");
        while take(&mut at, b"0123456789_") {}
    }
    text.split_at(at)
}

/// A complex number without an imaginary part is also a float, and an integer if it has no fraction.
fn from_complex(re: f64, im: f64) -> Number {
    let mut number = Number { complex: Some((re, im)), ..Number::default() };
    if im == 0.0 {
        number.float = Some(re);
        number.int = integral(re);
        number.uint = integral_unsigned(re);
    }
    number
}

fn integral(x: f64) -> Option<i64> {
    let n = x as i64;
    // 2^63 saturates to i64::MAX, which reads as 2^63 again.
    (n as f64 == x && x < 9_223_372_036_854_775_808.0).then_some(n)
}

fn integral_unsigned(x: f64) -> Option<u64> {
    let n = x as u64;
    (n as f64 == x && x < 18_446_744_073_709_551_616.0).then_some(n)
}

/// Go's `strconv.ParseInt(text, 0, 64)`.
fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let magnitude = parse_uint(digits)?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Go's `strconv.ParseUint(text, 0, 64)`: prefixes `0x 0o 0b 0`, underscores between digits.
fn parse_uint(text: &str) -> Option<u64> {
    let lower = |i: usize| text.as_bytes().get(i).map(u8::to_ascii_lowercase);
    let (base, digits) = match (lower(0)?, lower(1), lower(2)) {
        (b'0', Some(b'x'), Some(_)) => (16, text.get(2..)?),
        (b'0', Some(b'o'), Some(_)) => (8, text.get(2..)?),
        (b'0', Some(b'b'), Some(_)) => (2, text.get(2..)?),
        (b'0', Some(_), _) => (8, text.get(1..)?),
        _ => (10, text),
    };
    if !underscores_ok(text) {
        return None;
    }
    let mut value: u64 = 0;
    let mut any = false;
    for c in digits.chars().filter(|c| *c != '_') {
        any = true;
        value = value.checked_mul(base)?.checked_add(u64::from(c.to_digit(base as u32)?))?;
    }
    any.then_some(value)
}

/// Whether every underscore stands between two digits, or between the prefix and a digit.
fn underscores_ok(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    let mut before = b'^'; // '0' for a digit or a prefix, '_', or '!' for anything else
    let mut rest = body;
    let mut hex = false;
    if let [b'0', prefix, tail @ ..] = body
        && matches!(prefix.to_ascii_lowercase(), b'b' | b'o' | b'x')
    {
        before = b'0';
        rest = tail;
        hex = prefix.eq_ignore_ascii_case(&b'x');
    }
    for &b in rest {
        if b.is_ascii_digit() || (hex && b.is_ascii_hexdigit()) {
            before = b'0';
        } else if b == b'_' {
            if before != b'0' {
                return false;
            }
            before = b'_';
        } else {
            if before == b'_' {
                return false;
            }
            before = b'!';
        }
    }
    before != b'_'
}

/// Go's `strconv.ParseFloat(text, 64)`, None where it reports an error (also for what is out of range).
fn parse_float(text: &str) -> Option<f64> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    match body.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" if body.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    if body.contains('_') && !underscores_ok(text) {
        return None;
    }
    let digits: String = body.chars().filter(|c| *c != '_').collect();
    let value = if digits.starts_with("0x") || digits.starts_with("0X") {
        hex_float(digits.get(2..)?)?
    } else {
        let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        if !digits.chars().all(plain) || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        digits.parse::<f64>().ok()?
    };
    value.is_finite().then_some(sign * value)
}

/// `1.8p3` with a mandatory exponent. Rounds to nearest, ties to even.
fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut exponent: i64 =
        exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { -100_000 } else { 100_000 });
    exponent = exponent.clamp(-100_000, 100_000);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut bits: u64 = 0;
    let mut sticky = false;
    for (i, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        let in_fraction = i >= whole.len();
        if bits >> 60 == 0 {
            bits = (bits << 4) | digit;
            exponent -= if in_fraction { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if in_fraction { 0 } else { 4 };
        }
    }
    if bits == 0 {
        return Some(0.0);
    }
    Some(compose(bits, sticky, exponent))
}

/// `bits · 2^exponent`, correctly rounded; `sticky` says that non-zero digits were cut off below.
fn compose(bits: u64, sticky: bool, exponent: i64) -> f64 {
    let lead = 63 - i64::from(bits.leading_zeros());
    let top = lead + exponent; // the value is 1.x · 2^top
    if top > 1023 {
        return f64::INFINITY;
    }
    // Keep 53 bits, fewer for a subnormal.
    let keep = if top < -1022 { 53 - (-1022 - top) } else { 53 };
    if keep < 0 {
        return 0.0;
    }
    let drop = lead + 1 - keep;
    let (mantissa, scale) = if drop <= 0 {
        (bits, exponent)
    } else {
        let kept = if drop > 63 { 0 } else { bits >> drop };
        let cut = if drop > 63 { bits } else { bits & ((1 << drop) - 1) };
        let half = 1u64 << (drop - 1).min(63);
        let up = cut > half || (cut == half && (sticky || kept & 1 == 1));
        (kept + u64::from(up), exponent + drop)
    };
    // 2^scale may itself be too small while the product is not: go in two steps.
    if scale < -1000 {
        return mantissa as f64 * 2f64.powi(-1000) * 2f64.powi((scale + 1000) as i32);
    }
    mantissa as f64 * 2f64.powi(scale as i32)
}
