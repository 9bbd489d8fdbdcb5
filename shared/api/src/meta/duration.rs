//! Durations as Go writes them (`4m30s`), which is how Flux's API spells them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// The longest duration of Go: what does not fit is cut to this.
const MAX_NANOS: u128 = i64::MAX as u128;

/// A duration that remembers how the user spelled it.
///
/// The spelling goes back onto the wire unchanged (`60s` stays `60s`); [`Display`](fmt::Display) writes the form that Go
/// prints (`1m0s`), as messages and tables do. Two durations are equal when they last equally long.
///
/// Whatever is longer than Go's 290 years counts as that long, so that no text accepted by the CRD's pattern is an error.
#[derive(Clone)]
pub struct Duration {
    spelling: String,
    value: std::time::Duration,
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration {text:?}: expected a number and a unit, such as \"30s\", \"5m\" or \"1h30m\"")]
pub struct DurationError {
    text: String,
}

impl Duration {
    /// A duration of whole seconds.
    pub fn from_secs(seconds: u64) -> Self {
        std::time::Duration::from_secs(seconds).into()
    }

    /// The same length as the standard library's type.
    pub const fn to_std(&self) -> std::time::Duration {
        self.value
    }

    /// The text as the user spelled it.
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// Writes a duration as Go does: `1h0m0s`, `4m30s`, `1.5s`, `250ms`, `0s`.
    pub fn format(value: std::time::Duration) -> String {
        let nanos = value.as_nanos();
        if nanos == 0 {
            return "0s".to_owned();
        }
        if nanos < NANOS_PER_SECOND {
            let (unit, scale) = match nanos {
                0..1_000 => ("ns", 1),
                1_000..1_000_000 => ("µs", 1_000),
                _ => ("ms", 1_000_000),
            };
            return format!("{}{unit}", decimal(nanos, scale));
        }
        let minutes = nanos / (60 * NANOS_PER_SECOND);
        let seconds = decimal(nanos % (60 * NANOS_PER_SECOND), NANOS_PER_SECOND);
        match (minutes / 60, minutes % 60) {
            (0, 0) => format!("{seconds}s"),
            (0, minutes) => format!("{minutes}m{seconds}s"),
            (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
        }
    }
}

/// `nanos / scale` with as many decimals as it needs.
fn decimal(nanos: u128, scale: u128) -> String {
    let (whole, rest) = (nanos / scale, nanos % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Parses Go's grammar: `([0-9]*(\.[0-9]*)?unit)+` or `0`, with an optional plus sign. `None` if the text is not that.
fn parse(text: &str) -> Option<u128> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3600 * NANOS_PER_SECOND,
            _ => return None,
        };
        total = total.saturating_add(scaled(whole, fraction, scale)).min(MAX_NANOS);
        rest = after;
    }
    Some(total)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `whole.fraction * scale`, cut at the longest duration and, below one nanosecond, towards zero.
fn scaled(whole: &str, fraction: &str, scale: u128) -> u128 {
    let number = |digits: &str| {
        digits.bytes().fold(0u128, |sum, digit| (sum * 10 + u128::from(digit - b'0')).min(MAX_NANOS))
    };
    // 18 decimals are far below a nanosecond of an hour; the product stays below 10^18 * 3.6 * 10^12.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = match u32::try_from(fraction.len()) {
        Ok(decimals) => number(fraction) * scale / 10u128.pow(decimals),
        Err(_) => 0,
    };
    number(whole).saturating_mul(scale).saturating_add(part)
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nanos = parse(text).ok_or_else(|| DurationError { text: text.chars().take(100).collect() })?;
        let value = std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(i64::MAX as u64));
        Ok(Self { spelling: text.to_owned(), value })
    }
}

impl From<std::time::Duration> for Duration {
    fn from(value: std::time::Duration) -> Self {
        Self { spelling: Self::format(value), value }
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.value
    }
}

impl Default for Duration {
    fn default() -> Self {
        std::time::Duration::ZERO.into()
    }
}

impl PartialEq for Duration {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Duration {}

impl PartialOrd for Duration {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Duration {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl std::hash::Hash for Duration {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Self::format(self.value))
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.spelling)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": crate::schema::DURATION})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads_and_prints_what_go_prints() {
        for (text, printed, nanos) in [
            ("60s", "1m0s", 60_000_000_000u128),
            ("1m", "1m0s", 60_000_000_000),
            ("4m30s", "4m30s", 270_000_000_000),
            ("1h", "1h0m0s", 3_600_000_000_000),
            ("1.5h", "1h30m0s", 5_400_000_000_000),
            ("0.5s", "500ms", 500_000_000),
            (".5s", "500ms", 500_000_000),
            ("1.s", "1s", 1_000_000_000),
            ("1500ms", "1.5s", 1_500_000_000),
            ("1h1ms", "1h0m0.001s", 3_600_001_000_000),
            ("1us", "1µs", 1_000),
            ("1.5µs", "1.5µs", 1_500),
            ("12ns", "12ns", 12),
            ("0", "0s", 0),
            ("0s", "0s", 0),
            ("+2m", "2m0s", 120_000_000_000),
            ("1h1h", "2h0m0s", 7_200_000_000_000),
            ("0.1234567890123456789012h", "7m24.444440444s", 444_444_440_444),
            ("99999999999999999999999999999999999999999999h", "2562047h47m16.854775807s", i64::MAX as u128),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.to_string(), printed, "{text}");
            assert_eq!(duration.to_std().as_nanos(), nanos, "{text}");
            assert_eq!(duration.as_str(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "+", "1", "s", "1x", "-1s", "1m s", " 1m", "1m ", "1,5s", "1..5s", ".s", "١s", "1d"]
        {
            let error = text.parse::<Duration>().unwrap_err();
            assert!(error.to_string().starts_with("invalid duration"), "{text}: {error}");
        }
    }

    #[test]
    fn keeps_the_spelling_on_the_wire_and_compares_by_length() {
        let duration: Duration = serde_json::from_str("\"60s\"").unwrap();
        assert_eq!(serde_json::to_string(&duration).unwrap(), "\"60s\"");
        assert_eq!(duration, "1m".parse().unwrap());
        assert_eq!(Duration::from(std::time::Duration::from_secs(270)).as_str(), "4m30s");
    }
}
