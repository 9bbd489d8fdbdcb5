//! Text to times, by a layout.

use super::{
    Time, Zone, civil,
    format::{MONTHS, WEEKDAYS},
    layout::{Element, Offset, Pad, next_chunk},
    quoted,
};

/// Why a text is no time in a layout. The texts are those of Go's `time.Parse`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A part of the text is not what an element of the layout asks for.
    #[error(
        "parsing time {} as {}: cannot parse {} as {}",
        quoted(.value), quoted(.layout), quoted(.value_part), quoted(.layout_part)
    )]
    Element {
        /// The whole text.
        value: Vec<u8>,
        /// The whole layout.
        layout: Vec<u8>,
        /// The rest of the text at the failure.
        value_part: Vec<u8>,
        /// The element of the layout.
        layout_part: Vec<u8>,
    },
    /// The text goes on after the layout has ended.
    #[error("parsing time {}: extra text: {}", quoted(.value), quoted(.extra))]
    Extra {
        /// The whole text.
        value: Vec<u8>,
        /// What is too much.
        extra: Vec<u8>,
    },
    /// A number is out of its range, or contradicts another one.
    #[error("parsing time {}: {what}", quoted(.value))]
    Range {
        /// The whole text.
        value: Vec<u8>,
        /// Which number, and what is wrong with it.
        what: String,
    },
}

/// Reads a time. A text without a zone is taken as the clock in `local`.
///
/// # Errors
/// [`ParseError`], with the text and layout in full.
pub fn parse(layout: &[u8], value: &[u8], local: &Zone) -> Result<Time, ParseError> {
    let range = |what: &str| ParseError::Range { value: value.to_vec(), what: what.to_owned() };
    let mut fields = Fields::default();
    let (mut layout_rest, mut rest) = (layout, value);
    loop {
        let chunk = next_chunk(layout_rest);
        let failed = |at: &[u8], part: &[u8]| ParseError::Element {
            value: value.to_vec(),
            layout: layout.to_vec(),
            value_part: at.to_vec(),
            layout_part: part.to_vec(),
        };
        rest = skip(rest, chunk.before).map_err(|at| failed(at, chunk.before))?;
        let Some(element) = chunk.element else { break };
        layout_rest = chunk.rest;
        rest = match fields.read(element, rest, layout_rest) {
            Ok(rest) => rest,
            Err(Wrong::Form) => return Err(failed(rest, chunk.written)),
            Err(Wrong::Range(what)) => return Err(range(&format!("{what} out of range"))),
        };
    }
    if !rest.is_empty() {
        return Err(ParseError::Extra { value: value.to_vec(), extra: rest.to_vec() });
    }
    fields.time(local).map_err(range)
}

/// Why an element could not be read.
enum Wrong {
    Form,
    Range(&'static str),
}

/// What has been read so far.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: u32,
    /// Whether `AM` (false) or `PM` (true) was read.
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    zone: String,
}

impl Fields {
    /// Reads one element and returns what follows it. `layout` is what follows the element in the layout.
    fn read<'a>(&mut self, element: Element, text: &'a [u8], layout: &[u8]) -> Result<&'a [u8], Wrong> {
        let rest;
        match element {
            Element::Year => {
                let digits = text.get(..4).filter(|d| d[0].is_ascii_digit()).ok_or(Wrong::Form)?;
                self.year = decimal(digits)?;
                rest = &text[4..];
            }
            Element::ShortYear => {
                let digits = text.get(..2).ok_or(Wrong::Form)?;
                let year = signed(digits)?;
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
                rest = &text[2..];
            }
            Element::MonthName | Element::ShortMonthName => {
                let index;
                (index, rest) = name(&MONTHS, element == Element::ShortMonthName, text)?;
                self.month = Some(index + 1);
            }
            Element::WeekdayName | Element::ShortWeekdayName => {
                (_, rest) = name(&WEEKDAYS, element == Element::ShortWeekdayName, text)?;
            }
            Element::Month(pad) => {
                let month;
                (month, rest) = number(text, 2, pad == Pad::Zero)?;
                self.month = Some(within(month, 1..13, "month")?);
            }
            Element::Day(pad) => {
                let day;
                (day, rest) = number(skip_blanks(text, pad, 1), 2, pad == Pad::Zero)?;
                self.day = Some(day);
            }
            Element::YearDay(pad) => {
                let day;
                (day, rest) = number(skip_blanks(text, pad, 2), 3, pad == Pad::Zero)?;
                self.year_day = Some(day);
            }
            Element::Hour => {
                (self.hour, rest) = number(text, 2, false)?;
                within(self.hour, 0..24, "hour")?;
            }
            Element::Hour12(pad) => {
                (self.hour, rest) = number(text, 2, pad == Pad::Zero)?;
                within(self.hour, 0..13, "hour")?;
            }
            Element::Minute(pad) => {
                (self.minute, rest) = number(text, 2, pad == Pad::Zero)?;
                within(self.minute, 0..60, "minute")?;
            }
            Element::Second(pad) => {
                let after;
                (self.second, after) = number(text, 2, pad == Pad::Zero)?;
                within(self.second, 0..60, "second")?;
                // A fraction is welcome even where the layout has none.
                let next = next_chunk(layout).element;
                let announced = matches!(next, Some(Element::Fraction { .. }));
                rest = if announced { after } else { self.fraction(after) };
            }
            Element::HalfDay { upper } => {
                let (am, pm): (&[u8], &[u8]) = if upper { (b"AM", b"PM") } else { (b"am", b"pm") };
                let word = text.get(..2).filter(|w| *w == am || *w == pm).ok_or(Wrong::Form)?;
                self.afternoon = Some(word == pm);
                rest = &text[2..];
            }
            Element::ZoneName => {
                if let Some(after) = text.strip_prefix(b"UTC") {
                    self.utc = true;
                    return Ok(after);
                }
                let length = zone_name_length(text).ok_or(Wrong::Form)?;
                self.zone = String::from_utf8_lossy(&text[..length]).into_owned();
                rest = &text[length..];
            }
            Element::Offset(form) => {
                if form.z
                    && let Some(after) = text.strip_prefix(b"Z")
                {
                    self.utc = true;
                    return Ok(after);
                }
                let offset;
                (offset, rest) = read_offset(text, form)?;
                self.offset = Some(offset);
            }
            Element::Fraction { digits, trim: false, .. } => {
                let part = text.get(..=digits).ok_or(Wrong::Form)?;
                if !matches!(part[0], b'.' | b',') || !part[1..].iter().all(u8::is_ascii_digit) {
                    return Err(Wrong::Form);
                }
                self.nanos = nanos_of(&part[1..]);
                rest = &text[digits + 1..];
            }
            Element::Fraction { trim: true, .. } => rest = self.fraction(text),
        }
        Ok(rest)
    }

    /// Takes a fraction of a second, if the text begins with one.
    fn fraction<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let [b'.' | b',', tail @ ..] = text else { return text };
        let digits = tail.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return text;
        }
        self.nanos = nanos_of(&tail[..digits]);
        &tail[digits..]
    }

    /// Puts the time together, or says what contradicts itself.
    fn time(self, local: &Zone) -> Result<Time, &'static str> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let (month, day) = self.month_and_day()?;
        if !(1..=civil::days_in(self.year, month)).contains(&day) {
            return Err("day out of range");
        }
        let days = civil::day_of(self.year, month, day);
        let wall = days * civil::DAY + hour * 3600 + self.minute * 60 + self.second;
        let (seconds, zone) = if self.utc {
            (wall, Zone::Utc)
        } else if let Some(offset) = self.offset {
            let seconds = wall - i64::from(offset);
            let is_local = local.offset_at(seconds) == offset
                && (self.zone.is_empty() || local.abbreviation_at(seconds) == self.zone);
            (seconds, if is_local { local.clone() } else { Zone::Fixed(self.zone.into(), offset) })
        } else if self.zone.is_empty() {
            (local.instant_of(wall), local.clone())
        } else if let Some(offset) = local.offset_of(&self.zone, wall) {
            (wall - i64::from(offset), local.clone())
        } else {
            // An unknown abbreviation is kept for show; only `GMT+3` tells its distance, which Go does not apply.
            let hours = self.zone.strip_prefix("GMT").and_then(|n| n.parse::<i32>().ok()).unwrap_or(0);
            (wall, Zone::Fixed(self.zone.into(), hours * 3600))
        };
        Ok(Time { seconds, nanos: self.nanos, zone })
    }

    /// The month and day, from themselves or from the day of the year.
    fn month_and_day(&self) -> Result<(i64, i64), &'static str> {
        let Some(year_day) = self.year_day else {
            return Ok((self.month.unwrap_or(1), self.day.unwrap_or(1)));
        };
        let length = if civil::is_leap(self.year) { 366 } else { 365 };
        if !(1..=length).contains(&year_day) {
            return Err("day-of-year out of range");
        }
        let date = super::Date::of_day(civil::day_of(self.year, 1, year_day));
        if self.month.is_some_and(|month| month != date.month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|day| day != date.day) {
            return Err("day-of-year does not match day");
        }
        Ok((date.month, date.day))
    }
}

/// Takes the literal text of a layout; runs of blanks count as one. On a mismatch gives where it is.
fn skip<'a>(mut text: &'a [u8], mut literal: &[u8]) -> Result<&'a [u8], &'a [u8]> {
    while let Some(first) = literal.first() {
        if *first == b' ' {
            if text.first().is_some_and(|b| *b != b' ') {
                return Err(text);
            }
            literal = without_blanks(literal);
            text = without_blanks(text);
        } else if text.first() == Some(first) {
            (text, literal) = (&text[1..], &literal[1..]);
        } else {
            return Err(text);
        }
    }
    Ok(text)
}

fn without_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| **b == b' ').count()..]
}

fn skip_blanks(text: &[u8], pad: Pad, most: usize) -> &[u8] {
    let blanks = text.iter().take(most).take_while(|b| **b == b' ').count();
    if pad == Pad::Space { &text[blanks..] } else { text }
}

/// A number of up to `width` digits, or exactly so many.
fn number(text: &[u8], width: usize, exact: bool) -> Result<(i64, &[u8]), Wrong> {
    let digits = text.iter().take(width).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || (exact && digits < width) {
        return Err(Wrong::Form);
    }
    Ok((decimal(&text[..digits])?, &text[digits..]))
}

fn decimal(digits: &[u8]) -> Result<i64, Wrong> {
    let digit = |b: &u8| if b.is_ascii_digit() { Ok(i64::from(b - b'0')) } else { Err(Wrong::Form) };
    digits.iter().try_fold(0, |n, b| Ok(n * 10 + digit(b)?))
}

/// Two characters that may be a sign and a digit: Go reads a short year so.
fn signed(text: &[u8]) -> Result<i64, Wrong> {
    match text {
        [b'-', digits @ ..] => Ok(-decimal(digits)?),
        [b'+', digits @ ..] => decimal(digits),
        digits => decimal(digits),
    }
}

fn within(number: i64, range: std::ops::Range<i64>, what: &'static str) -> Result<i64, Wrong> {
    if range.contains(&number) { Ok(number) } else { Err(Wrong::Range(what)) }
}

/// One of the names, in any case; gives its index.
fn name<'a>(names: &[&str], short: bool, text: &'a [u8]) -> Result<(i64, &'a [u8]), Wrong> {
    for (index, name) in (0..).zip(names) {
        let name = if short { &name[..3] } else { name };
        if text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes())) {
            return Ok((index, &text[name.len()..]));
        }
    }
    Err(Wrong::Form)
}

fn nanos_of(digits: &[u8]) -> u32 {
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    padded.fold(0, |n, b| n * 10 + u32::from(b - b'0'))
}

fn read_offset(text: &[u8], form: Offset) -> Result<(i32, &[u8]), Wrong> {
    let width = if form.colon { 3 } else { 2 };
    let length = 1 + 2 + width * (usize::from(form.parts) - 1);
    let digits = text.get(1..length).ok_or(Wrong::Form)?;
    if form.colon && digits.iter().skip(2).step_by(3).any(|b| *b != b':') {
        return Err(Wrong::Form);
    }
    let limits =
        [(25, "time zone offset hour"), (61, "time zone offset minute"), (61, "time zone offset second")];
    // Numbers are read up to the first that is none; of those that are too large the last is reported.
    let (mut offset, mut scale, mut well_formed) = (0, 3600, true);
    let mut range_error = None;
    for (part, (limit, what)) in digits.chunks(width).zip(limits) {
        let Ok(number) = decimal(&part[..2]) else {
            well_formed = false;
            break;
        };
        range_error = within(number, 0..limit, what).err().or(range_error);
        offset += number * scale;
        scale /= 60;
    }
    if let Some(error) = range_error {
        return Err(error);
    }
    let sign = match text[0] {
        b'+' if well_formed => 1,
        b'-' if well_formed => -1,
        _ => return Err(Wrong::Form),
    };
    Ok((i32::try_from(sign * offset).map_err(|_| Wrong::Form)?, &text[length..]))
}

/// The length of the zone abbreviation that a text begins with, if it looks like one.
fn zone_name_length(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_hours_length(rest).unwrap_or(0));
    }
    if matches!(text[0], b'+' | b'-') {
        return signed_hours_length(text);
    }
    let upper = text.iter().take(6).take_while(|b| b.is_ascii_uppercase()).count();
    match upper {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// The length of a sign and a number up to 23.
fn signed_hours_length(text: &[u8]) -> Option<usize> {
    let [b'+' | b'-', digits @ ..] = text else { return None };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let value =
        digits[..length].iter().fold(0_u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')));
    (length > 0 && value <= 23).then_some(length + 1)
}
