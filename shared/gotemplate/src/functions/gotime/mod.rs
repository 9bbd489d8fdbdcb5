//! Times, zones, layouts and durations as Go's package `time` understands them.
//!
//! `jiff` supplies the zones. Layouts (`Jan 2, 2006`), their parse errors, and the text of durations are Go's own and have
//! no counterpart in a crate.

mod civil;
pub mod duration;
mod format;
mod layout;
mod parse;
mod zone;

pub use civil::Date;
pub use parse::{ParseError, parse};
pub use zone::Zone;

/// Seconds from the year 1 to 1970: Go's zero time is the first instant of the year 1.
const ZERO_SECONDS: i64 = -62_135_596_800;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// An instant, and the zone in which it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Time {
    /// Seconds since 1970, in UTC.
    pub seconds: i64,
    /// Nanoseconds within the second: below 10⁹.
    pub nanos: u32,
    /// Where it is shown.
    pub zone: Zone,
}

impl Time {
    /// Go's zero value: the first instant of the year 1, in UTC.
    #[must_use]
    pub fn zero() -> Self {
        Self { seconds: ZERO_SECONDS, nanos: 0, zone: Zone::Utc }
    }

    /// The same instant in another zone.
    #[must_use]
    pub fn in_zone(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// The instant `nanos` later; none if it leaves what 64 bits of seconds hold.
    #[must_use]
    pub fn plus(&self, nanos: i64) -> Option<Self> {
        let sum = i64::from(self.nanos) + nanos % NANOS_PER_SECOND;
        let carry = nanos / NANOS_PER_SECOND + sum.div_euclid(NANOS_PER_SECOND);
        let seconds = self.seconds.checked_add(carry)?;
        let nanos = u32::try_from(sum.rem_euclid(NANOS_PER_SECOND)).ok()?;
        Some(Self { seconds, nanos, zone: self.zone.clone() })
    }

    /// Nanoseconds from `earlier` to this instant, cut at the limits of Go's durations (292 years).
    #[must_use]
    pub fn since(&self, earlier: &Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanos =
            seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos) - i128::from(earlier.nanos);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// The time a number of years, months and days later on the calendar; what is beyond a month's end rolls over.
    #[must_use]
    pub fn plus_date(&self, years: i64, months: i64, days: i64) -> Self {
        let date = self.date();
        let day = civil::day_of(
            date.year.saturating_add(years),
            date.month.saturating_add(months),
            date.day.saturating_add(days),
        );
        let of_day = self.wall_seconds().rem_euclid(civil::DAY);
        let wall = day.saturating_mul(civil::DAY).saturating_add(of_day);
        Self { seconds: self.zone.instant_of(wall), ..self.clone() }
    }

    /// Nanoseconds since the last multiple of `unit`, counted from the zero time; 0 if the unit is not positive.
    #[must_use]
    pub fn remainder(&self, unit: i64) -> i64 {
        if unit <= 0 {
            return 0;
        }
        let seconds = i128::from(self.seconds) - i128::from(ZERO_SECONDS);
        let nanos = seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos);
        i64::try_from(nanos.rem_euclid(i128::from(unit))).unwrap_or(0)
    }

    /// Seconds since 1970 of the clock on the wall in the time's zone.
    fn wall_seconds(&self) -> i64 {
        self.seconds.saturating_add(i64::from(self.zone.offset_at(self.seconds)))
    }

    /// The date that the calendar in the time's zone shows.
    #[must_use]
    pub fn date(&self) -> Date {
        Date::of_day(self.wall_seconds().div_euclid(civil::DAY))
    }

    /// Hour, minute and second that the clock in the time's zone shows.
    #[must_use]
    pub fn clock(&self) -> (i64, i64, i64) {
        let second = self.wall_seconds().rem_euclid(civil::DAY);
        (second / 3600, second / 60 % 60, second % 60)
    }

    /// The text that Go prints for a time: `2020-01-01 00:00:00 +0900 JST`.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.format(b"2006-01-02 15:04:05.999999999 -0700 MST")).into_owned()
    }

    /// RFC 3339 with as many digits of a second as needed: the form in JSON and YAML.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        String::from_utf8_lossy(&self.format(b"2006-01-02T15:04:05.999999999Z07:00")).into_owned()
    }
}

/// The form in which this package's errors show a text: quoted, with everything beyond ASCII as bytes.
fn quoted(text: &[u8]) -> String {
    let mut out = String::from('"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=0x7f => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}
