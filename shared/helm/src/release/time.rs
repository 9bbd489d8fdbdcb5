//! Points in time as Go writes them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::Offset;

/// A point in time with the offset of the clock that told it, because digests are made of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    at: Timestamp,
    offset: Offset,
}

impl Time {
    /// A point in time, in UTC.
    #[must_use]
    pub fn utc(at: Timestamp) -> Self {
        Self { at, offset: Offset::UTC }
    }

    /// The point itself.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.at
    }

    /// Reads RFC 3339; Go's zero time and the empty text are no time at all.
    ///
    /// # Errors
    /// The text, if it is neither.
    pub(super) fn read(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() || text == ZERO {
            return Ok(None);
        }
        text.parse().map(Some)
    }
}

/// Go's zero time.
pub(super) const ZERO: &str = "0001-01-01T00:00:00Z";

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time in RFC 3339");
        let at: Timestamp = text.parse().map_err(|_| wrong())?;
        let zone = text.get(text.len().saturating_sub(6)..).filter(|zone| zone.starts_with(['+', '-']));
        let Some(zone) = zone else { return Ok(Self::utc(at)) };
        let number = |range| zone.get(range).and_then(|digits: &str| digits.parse::<i32>().ok());
        let (Some(hours), Some(minutes)) = (number(1..3), number(4..6)) else { return Err(wrong()) };
        let seconds = (hours * 60 + minutes) * 60;
        let seconds = if zone.starts_with('-') { -seconds } else { seconds };
        Ok(Self { at, offset: Offset::from_seconds(seconds).map_err(|_| wrong())? })
    }
}

/// RFC 3339 with as many digits of a second as it takes.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset == Offset::UTC {
            write!(f, "{}", self.at)
        } else {
            write!(f, "{}", self.at.display_with_offset(self.offset))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_what_it_read() {
        for (text, want) in [
            ("2026-11-28T05:21:33.160013643Z", "2026-11-28T05:21:33.160013643Z"),
            ("2026-11-28T05:21:33.500000000Z", "2026-11-28T05:21:33.5Z"),
            ("2026-11-28T05:21:33.000Z", "2026-11-28T05:21:33Z"),
            ("2026-11-28T05:21:33.25+02:00", "2026-11-28T05:21:33.25+02:00"),
            ("2026-11-28T05:21:33-09:30", "2026-11-28T05:21:33-09:30"),
            ("2026-11-28T05:21:33+00:00", "2026-11-28T05:21:33Z"),
        ] {
            assert_eq!(text.parse::<Time>().map(|time| time.to_string()), Ok(want.to_owned()), "{text}");
        }
        for none in ["", ZERO] {
            assert_eq!(Time::read(none), Ok(None), "{none:?}");
        }
        for wrong in ["yesterday", "2026-11-28", "2026-11-28T05:21:33", "+1é:00"] {
            assert!(Time::read(wrong).is_err(), "{wrong:?}");
        }
    }
}
