//! Times to text.

use super::{
    Time,
    layout::{Element, Offset, Pad, next_chunk},
};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Time {
    /// Writes the time in a Go layout.
    #[must_use]
    pub fn format(&self, layout: &[u8]) -> Vec<u8> {
        let (date, (hour, minute, second)) = (self.date(), self.clock());
        let half_day_hour = if hour % 12 == 0 { 12 } else { hour % 12 };
        let mut out = Vec::with_capacity(layout.len() + 10);
        let mut rest = layout;
        loop {
            let chunk = next_chunk(rest);
            out.extend_from_slice(chunk.before);
            let Some(element) = chunk.element else { return out };
            rest = chunk.rest;
            let text = match element {
                Element::Year if date.year < 0 => format!("-{:04}", -date.year),
                Element::Year => format!("{:04}", date.year),
                Element::ShortYear => format!("{:02}", date.year.abs() % 100),
                Element::MonthName => self.month_name().to_owned(),
                Element::ShortMonthName => self.month_name()[..3].to_owned(),
                Element::Month(pad) => padded(date.month, pad, 2),
                Element::WeekdayName => self.weekday_name().to_owned(),
                Element::ShortWeekdayName => self.weekday_name()[..3].to_owned(),
                Element::Day(pad) => padded(date.day, pad, 2),
                Element::YearDay(pad) => padded(date.year_day, pad, 3),
                Element::Hour => padded(hour, Pad::Zero, 2),
                Element::Hour12(pad) => padded(half_day_hour, pad, 2),
                Element::Minute(pad) => padded(minute, pad, 2),
                Element::Second(pad) => padded(second, pad, 2),
                Element::HalfDay { upper: true } => if hour >= 12 { "PM" } else { "AM" }.to_owned(),
                Element::HalfDay { upper: false } => if hour >= 12 { "pm" } else { "am" }.to_owned(),
                Element::ZoneName => self.zone_name(),
                Element::Offset(form) => offset_text(self.zone.offset_at(self.seconds), form),
                Element::Fraction { digits, trim, mark } => self.fraction_text(digits, trim, mark),
            };
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// The English name of the month.
    #[must_use]
    pub fn month_name(&self) -> &'static str {
        usize::try_from(self.date().month - 1).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or(MONTHS[0])
    }

    /// The English name of the day of the week.
    #[must_use]
    pub fn weekday_name(&self) -> &'static str {
        usize::try_from(self.date().weekday)
            .ok()
            .and_then(|d| WEEKDAYS.get(d))
            .copied()
            .unwrap_or(WEEKDAYS[0])
    }

    fn zone_name(&self) -> String {
        let name = self.zone.abbreviation_at(self.seconds);
        if name.is_empty() {
            let form = Offset { z: false, colon: false, parts: 2 };
            return offset_text(self.zone.offset_at(self.seconds), form);
        }
        name
    }

    fn fraction_text(&self, digits: usize, trim: bool, mark: u8) -> String {
        let nanos = format!("{:09}", self.nanos);
        let cut = &nanos[..digits.min(9)];
        let kept = if trim { cut.trim_end_matches('0') } else { cut };
        if kept.is_empty() && trim {
            return String::new();
        }
        format!("{}{kept}", char::from(mark))
    }
}

fn padded(number: i64, pad: Pad, width: usize) -> String {
    match pad {
        Pad::None => number.to_string(),
        Pad::Space => format!("{number:width$}"),
        Pad::Zero => format!("{number:0width$}"),
    }
}

fn offset_text(offset: i32, form: Offset) -> String {
    if offset == 0 && form.z {
        return "Z".to_owned();
    }
    // Go cuts to minutes before it takes the sign.
    let sign = if offset / 60 < 0 { '-' } else { '+' };
    let minutes = (offset / 60).abs();
    let colon = if form.colon { ":" } else { "" };
    let mut text = format!("{sign}{:02}", minutes / 60);
    if form.parts > 1 {
        text.push_str(&format!("{colon}{:02}", minutes % 60));
    }
    if form.parts > 2 {
        text.push_str(&format!("{colon}{:02}", offset.abs() % 60));
    }
    text
}
