//! What a plain scalar means: the rules of Go's YAML packages, in both dialects.

use serde_json::Number;

use crate::{Schema, Tag, timestamp};

/// The meaning of a plain scalar.
pub(crate) fn classify(text: &str, schema: Schema) -> Tag {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Tag::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Tag::Bool,
        _ if schema == Schema::Yaml11 && is_old_bool(text) => Tag::Bool,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan"
        | ".NaN" | ".NAN" => Tag::Float,
        _ => classify_number(text),
    }
}

fn classify_number(text: &str) -> Tag {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Tag::Str;
    }
    if timestamp::is_timestamp(text) {
        return Tag::Timestamp;
    }
    let digits = without_underscores(text);
    if !text.starts_with('.') && parse_int(&digits).is_some() {
        Tag::Int
    } else if parse_float(&digits).is_some() {
        Tag::Float
    } else {
        Tag::Str
    }
}

/// The words that only YAML 1.1 reads as booleans.
pub(crate) fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// The boolean that any dialect reads in `text`.
pub(crate) fn bool_of(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The number in `text`; `Err` for infinities and NaN, which JSON cannot hold. Integral floats become integers.
pub(crate) fn number_of(text: &str) -> Option<Result<Number, &'static str>> {
    match text.trim_start_matches(['+', '-']) {
        ".inf" | ".Inf" | ".INF" => {
            let negative = text.starts_with('-');
            return Some(Err(if negative {
                "json: unsupported value: -Inf"
            } else {
                "json: unsupported value: +Inf"
            }));
        }
        ".nan" | ".NaN" | ".NAN" => return Some(Err("json: unsupported value: NaN")),
        _ => {}
    }
    let digits = without_underscores(text);
    parse_int(&digits).or_else(|| parse_float(&digits).and_then(float_number)).map(Ok)
}

/// The finite float in `text`.
pub(crate) fn float_of(text: &str) -> Option<f64> {
    parse_float(&without_underscores(text))
}

/// A float as JSON's number: an integer where it is one. There is no negative zero among those.
pub(crate) fn float_number(float: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    if float.fract() == 0.0 && !(float == 0.0 && float.is_sign_negative()) {
        if float > -9.223_372_036_854_775_e18 && float < 9.223_372_036_854_775_e18 {
            return Some(Number::from(float as i64));
        }
        if float > 0.0 && float < 1.844_674_407_370_955e19 {
            return Some(Number::from(float as u64));
        }
    }
    Number::from_f64(float)
}

fn without_underscores(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('_') { text.replace('_', "").into() } else { text.into() }
}

/// An integer with Go's prefixes: `0x`, `0b`, `0o`, and a leading `0` for octal.
fn parse_int(text: &str) -> Option<Number> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, body) = match body.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &body[2..]),
        [b'0', b'b' | b'B', ..] => (2, &body[2..]),
        [b'0', b'o' | b'O', ..] => (8, &body[2..]),
        [b'0', _, ..] => (8, &body[1..]),
        _ => (10, body),
    };
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(body, radix).ok()?;
    if !negative {
        return Some(Number::from(magnitude));
    }
    let value = i128::from(magnitude).checked_neg()?;
    i64::try_from(value).ok().map(Number::from)
}

/// A decimal float as YAML writes it; none if it does not fit.
fn parse_float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    if !mantissa_ok || !exponent_ok {
        return None;
    }
    text.parse::<f64>().ok().filter(|f| f.is_finite())
}

/// A float as Go's `%g` writes it with the shortest digits: exponent form below 1e-4 and from 1e+21 for whole numbers,
/// from 1e+06 for others.
#[must_use]
pub fn format_float(float: f64) -> String {
    if float == 0.0 {
        return "0".to_owned(); // negative zero, too
    }
    if let Some(number) = float_number(float).filter(|n| !n.is_f64()) {
        return number.to_string();
    }
    // Rust's `{:e}` gives the shortest digits: `1.2345675e6`.
    go_exponent(&format!("{float:e}")).unwrap_or_else(|| float.to_string())
}

/// `1.2345675e6` as Go writes it where it writes an exponent: `1.2345675e+06`.
pub(crate) fn go_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    if (-4..6).contains(&exponent) {
        return None;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Some(format!("{mantissa}e{sign}{:02}", exponent.abs()))
}
