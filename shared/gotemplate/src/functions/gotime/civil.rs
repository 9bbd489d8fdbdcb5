//! The calendar: days since 1970 to dates and back, for any year.

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// Days of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// A date of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The year; 0 is the year before 1.
    pub year: i64,
    /// The month, from 1.
    pub month: i64,
    /// The day of the month, from 1.
    pub day: i64,
    /// The day of the year, from 1.
    pub year_day: i64,
    /// The day of the week; 0 is Sunday.
    pub weekday: i64,
}

impl Date {
    /// The date of a day counted from 1970-01-01.
    pub(super) fn of_day(days: i64) -> Self {
        // Years are counted from March, so that a leap day ends them.
        let shifted = days.saturating_add(719_468);
        let era = shifted.div_euclid(ERA);
        let of_era = shifted.rem_euclid(ERA);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
        let march_day = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * march_day + 2) / 153;
        let day = march_day - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let year_day = days - day_of(year, 1, 1) + 1;
        Self { year, month, day, year_day, weekday: (days % 7 + 11) % 7 }
    }
}

/// The day of a date, counted from 1970-01-01. Months beyond 12 and days beyond the month's end roll over.
pub(super) fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year.saturating_add((month - 1).div_euclid(12));
    let month = (month - 1).rem_euclid(12) + 1;
    let march_year = if month <= 2 { year.saturating_sub(1) } else { year };
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let march_day = (153 * march_month + 2) / 5;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + march_day;
    era.saturating_mul(ERA).saturating_add(of_era).saturating_sub(719_468).saturating_add(day - 1)
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The number of days in a month from 1 to 12.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_over_a_whole_cycle_and_beyond() {
        let (mut year, mut month, mut day) = (-1, 1, 1);
        let start = day_of(-1, 1, 1);
        for count in start..start + ERA + 800 {
            let date = Date::of_day(count);
            assert_eq!((date.year, date.month, date.day), (year, month, day), "day {count}");
            assert_eq!(day_of(year, month, day), count);
            assert_eq!(date.weekday, (count + 4).rem_euclid(7));
            day += 1;
            if day > days_in(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!(Date::of_day(0).year_day, 1);
        assert_eq!(Date::of_day(19_782).year_day, 60); // 29 February 2024
        assert_eq!(day_of(2024, 14, 31), day_of(2025, 3, 3));
    }
}
