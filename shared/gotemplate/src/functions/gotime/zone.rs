//! Where a time is shown: UTC, a place, or a fixed distance from UTC.

use std::sync::Arc;

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

/// A time zone.
#[derive(Debug, Clone, PartialEq)]
pub enum Zone {
    /// Coordinated universal time.
    Utc,
    /// A place with its history of clock changes.
    Place(TimeZone),
    /// A distance from UTC in seconds, with a name that may be empty.
    Fixed(Arc<str>, i32),
}

impl Zone {
    /// The zone of an IANA name; `UTC` and the empty name are UTC. None if there is no such zone.
    ///
    /// The data are part of the program, so that every machine gives the same times.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name.is_empty() || name == "UTC" {
            return Some(Self::Utc);
        }
        let place = TimeZoneDatabase::bundled().get(name).ok()?;
        // Go's names are file names: `europe/berlin` is none.
        (place.iana_name() == Some(name)).then_some(Self::Place(place))
    }

    /// The seconds that clocks in the zone are ahead of UTC at an instant.
    pub(super) fn offset_at(&self, seconds: i64) -> i32 {
        match self {
            Self::Utc => 0,
            Self::Place(place) => place.to_offset(timestamp(seconds)).seconds(),
            Self::Fixed(_, offset) => *offset,
        }
    }

    /// The abbreviation in use at an instant, like `CET`; empty if it has none.
    pub(super) fn abbreviation_at(&self, seconds: i64) -> String {
        match self {
            Self::Utc => "UTC".to_owned(),
            Self::Place(place) => place.to_offset_info(timestamp(seconds)).abbreviation().to_owned(),
            Self::Fixed(name, _) => name.to_string(),
        }
    }

    /// The instant at which clocks in the zone show `wall` (seconds since 1970 as if in UTC).
    pub(super) fn instant_of(&self, wall: i64) -> i64 {
        let guess = wall.saturating_sub(i64::from(self.offset_at(wall)));
        wall.saturating_sub(i64::from(self.offset_at(guess)))
    }

    /// The offset that the zone gives to an abbreviation, near a wall time.
    pub(super) fn offset_of(&self, abbreviation: &str, wall: i64) -> Option<i32> {
        const HALF_YEAR: i64 = 183 * 86_400;
        [0, HALF_YEAR, -HALF_YEAR].into_iter().find_map(|shift| {
            let near = wall.saturating_add(shift);
            (self.abbreviation_at(near) == abbreviation).then(|| self.offset_at(near))
        })
    }
}

/// An instant within the years that the zone data cover (to ±9999); others take the rules at the end.
fn timestamp(seconds: i64) -> Timestamp {
    let clamped = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(clamped).unwrap_or(Timestamp::UNIX_EPOCH)
}
