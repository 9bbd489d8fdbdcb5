//! The texts of violations, as the validator behind Helm writes them: Go's quoting, and numbers in English.

use serde_json::Value;

/// Single-quoted: Go's `%q` with other quotes outside.
pub(super) fn quote(text: &str) -> String {
    let quoted = crate::text::quoted(text);
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted);
    format!("'{}'", inner.replace("\\\"", "\"").replace('\'', "\\'"))
}

/// Quoted texts with commas between.
pub(super) fn quoted<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// A value inside of a message.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(_) | Value::Object(_) => "value".into(),
        Value::Null => "<nil>".into(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => number.to_string(),
    }
}

/// A count in English: `1,234`.
pub(super) fn count(number: usize) -> String {
    grouped(&number.to_string())
}

/// A float in English: `1,234.5`, from a million on `1.5×10⁰⁶`.
pub(super) fn float(number: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let mut out = format!("{mantissa}×10");
        if exponent < 0 {
            out.push('⁻');
        }
        out.extend(format!("{:02}", exponent.unsigned_abs()).chars().map(superscript));
        return out;
    }
    let plain = number.to_string();
    match plain.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(&plain),
    }
}

fn superscript(digit: char) -> char {
    match digit {
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    }
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_english() {
        for (number, want) in [
            (0.0, "0"),
            (1000.0, "1,000"),
            (-1234.5, "-1,234.5"),
            (0.1, "0.1"),
            (100_000.0, "100,000"),
            (1_000_000.0, "1×10⁰⁶"),
            (12_345_678.0, "1.2345678×10⁰⁷"),
            (1e-5, "1×10⁻⁰⁵"),
            (1e300, "1×10³⁰⁰"),
        ] {
            assert_eq!(float(number), want);
        }
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn quotes_are_gos_with_single_marks() {
        for (text, want) in [
            ("a\"b", "'a\"b'"),
            ("it's", "'it\\'s'"),
            ("a\nb\\", "'a\\nb\\\\'"),
            ("é\u{1}\u{200b}", "'é\\x01\\u200b'"),
        ] {
            assert_eq!(quote(text), want);
        }
    }
}
