//! Durations: nanoseconds in 64 bits, written `1h2m3.5s`.

use super::quoted;

/// Nanoseconds of a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Nanoseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text has another form, or does not fit 64 bits of nanoseconds.
    #[error("time: invalid duration {}", quoted(.0))]
    Invalid(Vec<u8>),
    /// A number stands without its unit.
    #[error("time: missing unit in duration {}", quoted(.0))]
    MissingUnit(Vec<u8>),
    /// There is no such unit.
    #[error("time: unknown unit {} in duration {}", quoted(.unit), quoted(.text))]
    UnknownUnit {
        /// The unit as written.
        unit: Vec<u8>,
        /// The whole text.
        text: Vec<u8>,
    },
}

/// Reads a duration such as `-1.5h`, `300ms` or `1h15m30.918s`; `0` needs no unit.
///
/// # Errors
/// [`DurationError`] with the texts of Go's `time.ParseDuration`.
pub fn parse(text: &[u8]) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_vec());
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    const LIMIT: u64 = 1 << 63;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_while(rest, |b| b.is_ascii_digit());
        let (fraction, after) = match after {
            [b'.', tail @ ..] => split_while(tail, |b| b.is_ascii_digit()),
            _ => (&[][..], after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let (unit, after) = split_while(after, |b| b != b'.' && !b.is_ascii_digit());
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_vec()));
        }
        let scale = unit_nanos(unit)
            .ok_or_else(|| DurationError::UnknownUnit { unit: unit.to_vec(), text: text.to_vec() })?;
        let count = decimal(whole).filter(|n| *n <= LIMIT / scale).ok_or_else(invalid)?;
        let part = count * scale + fraction_nanos(fraction, scale);
        total = total.checked_add(part).filter(|sum| part <= LIMIT && *sum <= LIMIT).ok_or_else(invalid)?;
        rest = after;
    }
    if negative {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn unit_nanos(unit: &[u8]) -> Option<u64> {
    Some(match unit {
        b"ns" => 1,
        b"us" | [0xc2, 0xb5, b's'] | [0xce, 0xbc, b's'] => 1_000,
        b"ms" => 1_000_000,
        b"s" => SECOND.unsigned_abs(),
        b"m" => MINUTE.unsigned_abs(),
        b"h" => HOUR.unsigned_abs(),
        _ => return None,
    })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d - b'0')))
}

/// The part of a unit that digits after the point stand for, cut to whole nanoseconds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as Go computes it"
)]
fn fraction_nanos(digits: &[u8], unit: u64) -> u64 {
    // Digits beyond 63 bits change nothing.
    let (mut value, mut scale) = (0_u64, 1.0_f64);
    for digit in digits {
        let next = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0')));
        match next.filter(|v| *v < 1 << 63) {
            Some(next) => (value, scale) = (next, scale * 10.0),
            None => break,
        }
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

fn split_while(text: &[u8], accept: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|b| !accept(*b)).unwrap_or(text.len()))
}

/// Writes a duration as Go does: `1h30m0s`, `1.5s`, `2ms`, `0s`.
#[must_use]
pub fn format(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let value = nanos.unsigned_abs();
    let second = SECOND.unsigned_abs();
    if value == 0 {
        return "0s".to_owned();
    }
    if value < second {
        let (unit, scale) = match value {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", with_fraction(value, scale));
    }
    let (minutes, rest) = (value / (60 * second), value % (60 * second));
    let seconds = with_fraction(rest, second);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / scale` with as many digits after the point as needed.
fn with_fraction(value: u64, scale: u64) -> String {
    let width = scale.ilog10() as usize;
    let text = format!("{}.{:0width$}", value / scale, value % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Rounds to the nearest multiple of `unit`, halves away from zero. A unit that is not positive changes nothing.
#[must_use]
pub fn round(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanos;
    }
    let rest = (nanos % unit).abs();
    let down = nanos - nanos % unit;
    if rest < unit - rest {
        down
    } else if nanos < 0 {
        down.saturating_sub(unit)
    } else {
        down.saturating_add(unit)
    }
}

/// Rounds toward zero to a multiple of `unit`. A unit that is not positive changes nothing.
#[must_use]
pub fn truncate(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 { nanos } else { nanos - nanos % unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        for (text, want) in [
            ("0", "0s"),
            ("-0", "0s"),
            ("1h", "1h0m0s"),
            ("1.5h", "1h30m0s"),
            ("-1.5s", "-1.5s"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("1ns", "1ns"),
            ("1500us", "1.5ms"),
            ("1µs", "1µs"),
            ("90m", "1h30m0s"),
            ("1h1ms", "1h0m0.001s"),
            ("0.100000000000000000000h", "6m0s"),
            ("9223372036854775807ns", "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(parse(text.as_bytes()).map(format), Ok(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_duration_is_said_as_go_does() {
        for (text, want) in [
            ("", "time: invalid duration \"\""),
            ("x", "time: invalid duration \"x\""),
            (".s", "time: invalid duration \".s\""),
            ("3", "time: missing unit in duration \"3\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("1é", "time: unknown unit \"\\xc3\\xa9\" in duration \"1\\xc3\\xa9\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
        ] {
            assert_eq!(parse(text.as_bytes()).map_err(|e| e.to_string()), Err(want.to_owned()));
        }
    }

    #[test]
    fn rounding_keeps_within_the_limits() {
        assert_eq!(round(i64::MAX, HOUR), i64::MAX);
        assert_eq!(round(i64::MIN, HOUR), i64::MIN);
        assert_eq!(round(-90 * SECOND, MINUTE), -2 * MINUTE);
        assert_eq!(round(89 * SECOND, MINUTE), MINUTE);
        assert_eq!(round(5, 0), 5);
        assert_eq!(truncate(-90 * SECOND, MINUTE), -MINUTE);
    }
}
