//! Schedules of CronJobs, as robfig/cron reads them: five fields, `@daily` and its like, `@every 1h`.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// A schedule that never fires within so many years has no next time.
const YEARS: i16 = 5;

/// When something happens again and again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// After so much time.
    Every(Duration),
    /// When all fields fit.
    Fields(Fields),
}

/// A bit for each value that fits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Days of the month and of the week both have to fit where one of them is any; otherwise one of the two suffices.
    any_day: bool,
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads a schedule; a zone in front of it is skipped.
    ///
    /// # Errors
    /// In the words of robfig/cron.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            Some(rest) => rest.split_once(' ').ok_or("invalid schedule: parse panic")?.1.trim(),
            None => text,
        };
        if let Some(name) = text.strip_prefix('@') {
            return Self::named(text, name);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            let list = fields.join(" ");
            return Err(format!("expected exactly 5 fields, found {}: [{list}]", fields.len()));
        };
        let (minutes, _) = field(minutes, 0, 59, &[])?;
        let (hours, _) = field(hours, 0, 23, &[])?;
        let (days, any_date) = field(days, 1, 31, &[])?;
        let (months, _) = field(months, 1, 12, MONTHS)?;
        let (weekdays, any_weekday) = field(weekdays, 0, 6, WEEKDAYS)?;
        Ok(Self::Fields(Fields { minutes, hours, days, months, weekdays, any_day: any_date || any_weekday }))
    }

    fn named(text: &str, name: &str) -> Result<Self, String> {
        if let Some(every) = name.strip_prefix("every ") {
            let span: Result<Span, _> = every.parse();
            let duration = span.ok().and_then(|span| Duration::try_from(span).ok());
            let failed = || format!("failed to parse duration {text}: time: invalid duration {every:?}");
            return duration.filter(|_| !every.contains(' ')).map(Self::Every).ok_or_else(failed);
        }
        let fields = match name {
            "yearly" | "annually" => "0 0 1 1 *",
            "monthly" => "0 0 1 * *",
            "weekly" => "0 0 * * 0",
            "daily" | "midnight" => "0 0 * * *",
            "hourly" => "0 * * * *",
            _ => return Err(format!("unrecognized descriptor: {text}")),
        };
        Self::parse(fields)
    }

    /// The first time after `after`; `None` where the schedule asks for days that do not exist.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(duration) => after.checked_add(Span::try_from(*duration).ok()?).ok(),
            Self::Fields(fields) => {
                let mut at = fields.next(zone.to_datetime(after))?;
                loop {
                    // Where clocks are put back, a time comes twice.
                    let found = zone.to_timestamp(at).ok()?;
                    if found > after {
                        return Some(found);
                    }
                    at = fields.next(at)?;
                }
            }
        }
    }
}

impl Fields {
    fn next(&self, after: DateTime) -> Option<DateTime> {
        let has = |bits: u64, value: i8| u32::try_from(value).is_ok_and(|value| bits >> value & 1 == 1);
        let minute = after.with().second(0).subsec_nanosecond(0).build().ok()?;
        let mut at = minute.checked_add(1.minute()).ok()?;
        while at.year() <= after.year().checked_add(YEARS)? {
            let (date, weekday) =
                (has(self.days, at.day()), has(self.weekdays, at.weekday().to_sunday_zero_offset()));
            let is_day = if self.any_day { date && weekday } else { date || weekday };
            let midnight = || at.with().hour(0).minute(0).build().ok();
            at = if !has(self.months, at.month()) {
                midnight()?.with().day(1).build().ok()?.checked_add(1.month()).ok()?
            } else if !is_day {
                midnight()?.checked_add(1.day()).ok()?
            } else if !has(self.hours, at.hour()) {
                at.with().minute(0).build().ok()?.checked_add(1.hour()).ok()?
            } else if !has(self.minutes, at.minute()) {
                at.checked_add(1.minute()).ok()?
            } else {
                return Some(at);
            };
        }
        None
    }
}

/// The values of a field, and whether it is `*`.
fn field(text: &str, min: u32, max: u32, names: &[&str]) -> Result<(u64, bool), String> {
    let (mut bits, mut is_any) = (0, false);
    for expression in text.split(',').filter(|part| !part.is_empty()) {
        let (range, any) = range(expression, min, max, names)?;
        bits |= range;
        is_any |= any;
    }
    Ok((bits, is_any))
}

fn range(expression: &str, min: u32, max: u32, names: &[&str]) -> Result<(u64, bool), String> {
    let parts: Vec<&str> = expression.split('/').collect();
    let ends: Vec<&str> = parts.first().copied().unwrap_or_default().split('-').collect();
    let number = |text: &str| -> Result<u32, String> {
        let name = text.to_lowercase();
        match names.iter().position(|known| *known == name) {
            Some(at) => Ok(min + u32::try_from(at).unwrap_or(0)),
            None => integer(text),
        }
    };
    let is_any = matches!(ends[..], ["*" | "?", ..]);
    let (start, mut end) = match ends[..] {
        _ if is_any => (min, max),
        [one] => (number(one)?, number(one)?),
        [start, end] => (number(start)?, number(end)?),
        _ => return Err(format!("too many hyphens: {expression}")),
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => {
            let step = integer(step)?;
            if ends.len() == 1 {
                end = max;
            }
            step
        }
        _ => return Err(format!("too many slashes: {expression}")),
    };
    if start < min {
        return Err(format!("beginning of range ({start}) below minimum ({min}): {expression}"));
    }
    if end > max {
        return Err(format!("end of range ({end}) above maximum ({max}): {expression}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {expression}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {expression}"));
    }
    let bits = (start..=end).step_by(step as usize).fold(0, |bits, value| bits | 1_u64 << value);
    Ok((bits, is_any && step == 1))
}

fn integer(text: &str) -> Result<u32, String> {
    let failed =
        |why: &str| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(failed("invalid syntax"));
    }
    let number: i64 = text.parse().map_err(|_| failed("value out of range"))?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_fire_next_when_their_fields_fit() {
        for (schedule, after, want) in [
            ("* * * * *", "2024-02-28T10:00:30Z", Some("2024-02-28T10:01:00Z")),
            ("*/15 * * * *", "2024-02-28T10:50:00Z", Some("2024-02-28T11:00:00Z")),
            ("0 0 29 2 *", "2024-03-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("0 9 * * mon-fri", "2024-03-01T09:00:00Z", Some("2024-03-04T09:00:00Z")),
            // Either day suffices where both are given.
            ("0 0 13 * 5", "2024-03-02T00:00:00Z", Some("2024-03-08T00:00:00Z")),
            ("0 0 31 2 *", "2024-03-02T00:00:00Z", None),
            ("@weekly", "2024-03-02T00:00:00Z", Some("2024-03-03T00:00:00Z")),
            ("@every 90s", "2024-03-02T00:00:00Z", Some("2024-03-02T00:01:30Z")),
        ] {
            let parsed = Schedule::parse(schedule).expect(schedule);
            let next = parsed.next(after.parse().expect(after), &TimeZone::UTC);
            assert_eq!(next.map(|time| time.to_string()).as_deref(), want, "{schedule}");
        }
    }

    #[test]
    fn schedules_that_are_none_are_refused_in_upstreams_words() {
        for (schedule, why) in [
            ("nonsense", "expected exactly 5 fields, found 1: [nonsense]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("@never", "unrecognized descriptor: @never"),
        ] {
            assert_eq!(Schedule::parse(schedule), Err(why.to_owned()), "{schedule}");
        }
    }
}
