//! Go's layouts: an example of the reference time, `Mon Jan 2 15:04:05 MST 2006`, cut into its elements.

/// What stands at one place of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// `2006`
    Year,
    /// `06`
    ShortYear,
    /// `January`
    MonthName,
    /// `Jan`
    ShortMonthName,
    /// `1`, `01`
    Month(Pad),
    /// `Monday`
    WeekdayName,
    /// `Mon`
    ShortWeekdayName,
    /// `2`, `_2`, `02`
    Day(Pad),
    /// `__2`, `002`
    YearDay(Pad),
    /// `15`
    Hour,
    /// `3`, `03`
    Hour12(Pad),
    /// `4`, `04`
    Minute(Pad),
    /// `5`, `05`
    Second(Pad),
    /// `PM` or `pm`
    HalfDay { upper: bool },
    /// `MST`
    ZoneName,
    /// `-0700`, `Z07:00` and the like
    Offset(Offset),
    /// `.000` (all digits) or `,999` (zeros dropped)
    Fraction { digits: usize, trim: bool, mark: u8 },
}

/// How a number fills its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pad {
    None,
    Space,
    Zero,
}

/// How a distance from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    /// Whether UTC itself is a `Z`.
    pub(super) z: bool,
    /// Whether colons divide the parts.
    pub(super) colon: bool,
    /// 1: hours; 2: minutes too; 3: seconds too.
    pub(super) parts: u8,
}

/// Longer forms first, as a prefix must not win.
const OFFSETS: [(&[u8], bool, u8); 5] = [
    (b"070000", false, 3),
    (b"07:00:00", true, 3),
    (b"0700", false, 2),
    (b"07:00", true, 2),
    (b"07", false, 1),
];

/// The first element of a layout.
pub(super) struct Chunk<'a> {
    /// The literal text before it.
    pub(super) before: &'a [u8],
    /// The element; none if the layout has no more.
    pub(super) element: Option<Element>,
    /// The element as written.
    pub(super) written: &'a [u8],
    /// What follows.
    pub(super) rest: &'a [u8],
}

/// Finds the first element of a layout.
pub(super) fn next_chunk(layout: &[u8]) -> Chunk<'_> {
    for at in 0..layout.len() {
        let Some((skip, length, element)) = element_at(&layout[at..]) else { continue };
        let (before, rest) = layout.split_at(at + skip);
        let (written, rest) = rest.split_at(length);
        return Chunk { before, element: Some(element), written, rest };
    }
    Chunk { before: layout, element: None, written: &[], rest: &[] }
}

/// The element that a text begins with: bytes to skip, its length, itself.
fn element_at(text: &[u8]) -> Option<(usize, usize, Element)> {
    use Element::*;
    let is = |word: &[u8]| text.starts_with(word);
    // `Jan` is not meant in `Janet`, nor `Mon` in `Month`.
    let is_word = |word: &[u8]| is(word) && !text.get(word.len()).is_some_and(u8::is_ascii_lowercase);
    let found = |length: usize, element: Element| Some((0, length, element));
    match *text.first()? {
        b'J' if is(b"January") => found(7, MonthName),
        b'J' if is_word(b"Jan") => found(3, ShortMonthName),
        b'M' if is(b"Monday") => found(6, WeekdayName),
        b'M' if is_word(b"Mon") => found(3, ShortWeekdayName),
        b'M' if is(b"MST") => found(3, ZoneName),
        b'0' if is(b"002") => found(3, YearDay(Pad::Zero)),
        b'0' => match text.get(1)? {
            b'1' => found(2, Month(Pad::Zero)),
            b'2' => found(2, Day(Pad::Zero)),
            b'3' => found(2, Hour12(Pad::Zero)),
            b'4' => found(2, Minute(Pad::Zero)),
            b'5' => found(2, Second(Pad::Zero)),
            b'6' => found(2, ShortYear),
            _ => None,
        },
        b'1' if is(b"15") => found(2, Hour),
        b'1' => found(1, Month(Pad::None)),
        b'2' if is(b"2006") => found(4, Year),
        b'2' => found(1, Day(Pad::None)),
        b'_' if is(b"_2006") => Some((1, 4, Year)), // the underscore is literal
        b'_' if is(b"_2") => found(2, Day(Pad::Space)),
        b'_' if is(b"__2") => found(3, YearDay(Pad::Space)),
        b'3' => found(1, Hour12(Pad::None)),
        b'4' => found(1, Minute(Pad::None)),
        b'5' => found(1, Second(Pad::None)),
        b'P' if is(b"PM") => found(2, HalfDay { upper: true }),
        b'p' if is(b"pm") => found(2, HalfDay { upper: false }),
        first @ (b'-' | b'Z') => {
            OFFSETS.iter().find(|(form, ..)| text[1..].starts_with(form)).map(|(form, colon, parts)| {
                (0, 1 + form.len(), Offset(self::Offset { z: first == b'Z', colon: *colon, parts: *parts }))
            })
        }
        mark @ (b'.' | b',') => {
            let digit = *text.get(1).filter(|d| matches!(d, b'0' | b'9'))?;
            let digits = text[1..].iter().take_while(|d| **d == digit).count();
            let ends = !text.get(1 + digits).is_some_and(u8::is_ascii_digit);
            ends.then_some((0, 1 + digits, Fraction { digits, trim: digit == b'9', mark }))
        }
        _ => None,
    }
}
