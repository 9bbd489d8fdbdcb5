//! Resource quantities, written the way the API server writes them back.

/// What a text that is no quantity gets.
pub(super) const MESSAGE: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const NANO: i128 = 1_000_000_000;

/// A quantity that has been read.
struct Number {
    /// In billionths; `None` where that does not fit.
    nanos: Option<i128>,
    is_binary: bool,
    has_exponent: bool,
}

/// How much a quantity is, in billionths; `None` where it is no quantity, or too large.
pub(super) fn nanos(text: &str) -> Option<i128> {
    parse(text)?.nanos
}

/// Whether a quantity is a whole number.
pub(super) fn is_whole(text: &str) -> bool {
    nanos(text).is_none_or(|nanos| nanos % NANO == 0)
}

fn parse(text: &str) -> Option<Number> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let binary = BINARY.iter().position(|known| *known == suffix);
    let decimal = DECIMAL.iter().find(|(known, _)| *known == suffix).map(|(_, power)| *power);
    let exponent: Option<i32> = match suffix.strip_prefix(['e', 'E']) {
        Some(power) if !power.is_empty() => power.parse().ok(),
        _ => None,
    };
    let power = match (binary, decimal, exponent) {
        (Some(_), _, _) => 0,
        (_, Some(power), _) | (_, None, Some(power)) => power,
        _ => return None,
    };
    let nanos = scale(whole, fraction, power, binary.map_or(0, |at| 10 * (at as u32 + 1)));
    Some(Number {
        nanos: nanos.map(|nanos| if negative { -nanos } else { nanos }),
        is_binary: binary.is_some(),
        has_exponent: exponent.is_some(),
    })
}

/// The canonical text of a quantity: no fraction, the largest suffix that allows that; `None` where it is no quantity.
///
/// What is finer than a billionth is rounded up, and what does not fit is taken as it is, as in Kubernetes.
pub(super) fn canonical(text: &str) -> Option<String> {
    let number = parse(text)?;
    let Some(nanos) = number.nanos else { return Some(text.to_owned()) };
    if nanos == 0 {
        return Some("0".into());
    }
    if number.is_binary && nanos % NANO == 0 && (nanos / NANO).abs() >= 1024 {
        let mut value = nanos / NANO;
        let mut at = 0;
        while at < BINARY.len() && value % 1024 == 0 {
            value /= 1024;
            at += 1;
        }
        let suffix = if at == 0 { "" } else { BINARY[at - 1] };
        return Some(format!("{value}{suffix}"));
    }
    let mut value = nanos;
    let mut at = 0;
    while at + 1 < DECIMAL.len() && value % 1000 == 0 {
        value /= 1000;
        at += 1;
    }
    let (suffix, power) = DECIMAL[at];
    Some(if number.has_exponent && power != 0 {
        format!("{value}e{power}")
    } else {
        format!("{value}{suffix}")
    })
}

/// The number in billionths, rounded away from zero; `None` where that does not fit.
fn scale(whole: &str, fraction: &str, power: i32, shift: u32) -> Option<i128> {
    let mut digits: i128 = 0;
    let fraction = fraction.trim_end_matches('0');
    for digit in whole.bytes().chain(fraction.bytes()) {
        digits = digits.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    digits = digits.checked_mul(1_i128.checked_shl(shift)?)?;
    let power = power.checked_add(9)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if power >= 0 {
        return digits.checked_mul(10_i128.checked_pow(power.unsigned_abs())?);
    }
    match 10_i128.checked_pow(power.unsigned_abs()) {
        Some(divisor) => Some(digits / divisor + i128::from(digits % divisor != 0)),
        None => Some(i128::from(digits != 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_canonically() {
        for (text, want) in [
            ("1", Some("1")),
            ("1000m", Some("1")),
            ("0.5", Some("500m")),
            ("1.5", Some("1500m")),
            ("1500m", Some("1500m")),
            ("1000", Some("1k")),
            ("1024", Some("1024")),
            ("1024Mi", Some("1Gi")),
            ("1.5Gi", Some("1536Mi")),
            ("2000Mi", Some("2000Mi")),
            ("0.5Mi", Some("512Ki")),
            ("100M", Some("100M")),
            ("1e3", Some("1e3")),
            ("0", Some("0")),
            ("-5m", Some("-5m")),
            ("+1", Some("1")),
            ("0.1n", Some("1n")),
            ("010", Some("10")),
            ("", None),
            ("x", None),
            ("1.2.3", None),
            ("1mi", None),
            ("1e", None),
            ("1 ", None),
        ] {
            assert_eq!(canonical(text).as_deref(), want, "{text:?}");
        }
    }
}
