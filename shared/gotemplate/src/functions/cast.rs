//! Numbers out of any value, by the rules of Go's `spf13/cast`, which Sprig uses for all arithmetic.

use crate::Value;

/// The int64 in a value; 0 if there is none.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Bool(yes) => i64::from(*yes),
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Uint8(n) => i64::from(*n),
        Value::Uint32(n) => i64::from(*n),
        Value::Uint64(n) => n.cast_signed(),
        Value::Float(x) => truncate(*x),
        Value::String(text) => parse_int(trim_zero_fraction(text)).unwrap_or(0),
        Value::Object(object) => super::dates::named_number(object.as_ref()).unwrap_or(0),
        Value::Absent
        | Value::Nil
        | Value::Complex(..)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Map(_) => 0,
    }
}

/// The float64 in a value; 0 if there is none.
#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
pub(super) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Float(x) => *x,
        Value::Uint64(n) => *n as f64,
        Value::String(text) => parse_float(text).unwrap_or(0.0),
        other => to_int64(other) as f64,
    }
}

/// A float as an integer, cut toward zero. What does not fit is the smallest one, as on amd64.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn truncate(x: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&x) { x as i64 } else { i64::MIN }
}

/// `1.00` without its fraction of zeros.
fn trim_zero_fraction(text: &[u8]) -> &[u8] {
    let zeros = text.iter().rev().take_while(|b| **b == b'0').count();
    let head = &text[..text.len() - zeros];
    match head {
        [whole @ .., b'.'] if zeros > 0 => whole,
        _ => text,
    }
}

/// An integer in Go's syntax: `10`, `-0x1F`, `0b1`, `0o17`, `017`, `1_000`. None if it does not fit or is malformed.
pub(super) fn parse_int(text: &[u8]) -> Option<i64> {
    let (negative, body) = split_sign(text);
    let (radix, digits) = match body {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', b'b' | b'B', rest @ ..] => (2, rest),
        [b'0', b'o' | b'O', rest @ ..] => (8, rest),
        [b'0', rest @ ..] if !rest.is_empty() => (8, rest),
        _ => (10, body),
    };
    if digits.is_empty() || !underscores_ok(body) {
        return None;
    }
    let mut magnitude: u64 = 0;
    for byte in digits.iter().filter(|b| **b != b'_') {
        let digit = char::from(*byte).to_digit(radix)?;
        magnitude = magnitude.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))?;
    }
    signed(magnitude, negative)
}

/// An integer in plain digits of one base, as Go's `ParseInt` with an explicit base.
pub(super) fn parse_plain(text: &[u8], radix: u32) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0_u64, |n, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        n.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })?;
    signed(magnitude, negative)
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn signed(magnitude: u64, negative: bool) -> Option<i64> {
    let value = i128::from(magnitude);
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Underscores stand between digits, or between a prefix and a digit.
fn underscores_ok(body: &[u8]) -> bool {
    let prefixed = matches!(body, [b'0', b'x' | b'X' | b'b' | b'B' | b'o' | b'O', ..]);
    let (mut before, digits) = if prefixed { (b'0', &body[2..]) } else { (b'_', body) };
    for (index, byte) in digits.iter().enumerate() {
        let first = index == 0 && !prefixed;
        let is_digit = |b: u8| b.is_ascii_hexdigit();
        match byte {
            b'_' if first || !is_digit(before) => return false,
            b if before == b'_' && !first && !is_digit(*b) => return false,
            _ => {}
        }
        before = *byte;
    }
    digits.last() != Some(&b'_')
}

/// A float in Go's syntax: also `inf`, `NaN`, `1_0`, `0x1p-2`. None if it is malformed or too large.
pub(super) fn parse_float(text: &[u8]) -> Option<f64> {
    let (negative, body) = split_sign(text);
    let lower = body.to_ascii_lowercase();
    let magnitude = match lower.as_slice() {
        b"inf" | b"infinity" => f64::INFINITY,
        b"nan" if body.len() == text.len() => return Some(f64::NAN),
        [b'0', b'x', digits @ ..] if underscores_ok(&lower) => parse_hex_float(digits)?,
        decimal => parse_decimal(decimal)?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn parse_decimal(text: &[u8]) -> Option<f64> {
    let form = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-' | b'_');
    if matches!(text, [b'+' | b'-', ..])
        || !text.iter().all(form)
        || (text.contains(&b'_') && !underscores_ok(text))
    {
        return None;
    }
    let plain: String = text.iter().filter(|b| **b != b'_').map(|b| char::from(*b)).collect();
    plain.parse::<f64>().ok().filter(|x| x.is_finite())
}

/// What follows `0x`: digits, perhaps a point, and an exponent of two, which is required.
fn parse_hex_float(text: &[u8]) -> Option<f64> {
    let at = text.iter().position(|b| *b == b'p')?;
    let exponent = i32::try_from(parse_plain(&text[at + 1..], 10)?.clamp(-9999, 9999)).ok()?;
    let (mut mantissa, mut shift, mut seen, mut after_point) = (0_u64, 0_i32, false, false);
    for byte in &text[..at] {
        match byte {
            b'_' => continue,
            b'.' if !after_point => {
                after_point = true;
                continue;
            }
            _ => {}
        }
        let digit = u64::from(char::from(*byte).to_digit(16)?);
        seen = true;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            shift -= if after_point { 4 } else { 0 };
        } else {
            // Digits beyond 64 bits only decide how halves are rounded.
            mantissa |= u64::from(digit != 0);
            shift += if after_point { 0 } else { 4 };
        }
    }
    if !seen {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "rounds to nearest, as wanted")]
    let mut value = mantissa as f64;
    // In steps, because 2^exponent alone may be out of range.
    let mut power = exponent.saturating_add(shift);
    while power != 0 && value != 0.0 && value.is_finite() {
        let step = power.clamp(-1000, 1000);
        value *= 2.0_f64.powi(step);
        power -= step;
    }
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_gos_syntax() {
        for (text, want) in [
            ("08", 0),
            ("017", 15),
            ("0x1F", 31),
            ("-0x10", -16),
            ("0b11", 3),
            ("0o17", 15),
            ("1_000", 1000),
            ("0x_1", 1),
            ("0_1", 1),
            ("1__0", 0),
            ("_1", 0),
            ("1_", 0),
            ("1.5", 0),
            ("1.0", 1),
            ("12.00", 12),
            (".0", 0),
            ("1e3", 0),
            (" 1", 0),
            ("", 0),
            ("-", 0),
            ("+5", 5),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775808", 0),
        ] {
            assert_eq!(to_int64(&Value::from(text)), want, "{text:?}");
        }
    }

    #[test]
    fn floats_are_read_in_gos_syntax() {
        for (text, want) in [
            ("1.5", Some(1.5)),
            ("1e3", Some(1000.0)),
            ("1_0", Some(10.0)),
            ("1_0.5", Some(10.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1e400", None),
            ("0x10", None),
            ("0x1p4", Some(16.0)),
            ("0x1.8p1", Some(3.0)),
            ("0x1p-1074", Some(5e-324)),
            ("1e", None),
            ("", None),
            ("-+5", None),
            (".", None),
            ("_1", None),
        ] {
            assert_eq!(parse_float(text.as_bytes()), want, "{text:?}");
        }
        assert!(parse_float(b"NaN").is_some_and(f64::is_nan));
        assert_eq!(parse_float(b"+nan"), None);
    }
}
