//! Timestamps: which texts Go's YAML packages take for one, and their RFC 3339 form.

struct Stamp<'a> {
    year: u32,
    month: u32,
    day: u32,
    /// Hour, minute, second, digits after the point, zone as written (`Z`, `+02:00` or nothing).
    time: Option<(u32, u32, u32, &'a str, &'a str)>,
}

/// Whether a plain scalar is a timestamp.
pub(crate) fn is_timestamp(text: &str) -> bool {
    parse(text).is_some()
}

/// The RFC 3339 form, as Go writes a time.
pub(crate) fn to_rfc3339(text: &str) -> Option<String> {
    let stamp = parse(text)?;
    let (hour, minute, second, fraction, zone) = stamp.time.unwrap_or((0, 0, 0, "", ""));
    let fraction: String = fraction.chars().take(9).collect();
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = if matches!(zone, "" | "+00:00" | "-00:00") { "Z" } else { zone };
    Some(format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}",
        stamp.year, stamp.month, stamp.day
    ))
}

fn parse(text: &str) -> Option<Stamp<'_>> {
    if !text.is_ascii() {
        return None;
    }
    let (year, rest) = number(text, 4, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 1, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 1, 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > days {
        return None;
    }
    if rest.is_empty() {
        return Some(Stamp { year, month, day, time: None });
    }
    let zoned = rest.starts_with(['T', 't']);
    let (hour, rest) = number(rest.strip_prefix(['T', 't', ' '])?, 1, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 1, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 1, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (end > 0).then(|| rest.split_at(end))?
        }
        None => ("", rest),
    };
    let zone_ok = if zoned { zone == "Z" || is_offset(zone) } else { zone.is_empty() };
    zone_ok.then_some(Stamp { year, month, day, time: Some((hour, minute, second, fraction, zone)) })
}

fn is_offset(zone: &str) -> bool {
    let Some(rest) = zone.strip_prefix(['+', '-']) else { return false };
    let Some((hours, minutes)) = rest.split_once(':') else { return false };
    let two = |s: &str, max: u32| s.len() == 2 && number(s, 2, 2).is_some_and(|(n, _)| n <= max);
    two(hours, 23) && two(minutes, 59)
}

fn number(text: &str, min: usize, max: usize) -> Option<(u32, &str)> {
    let digits = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    (digits >= min).then(|| text.split_at(digits)).and_then(|(n, rest)| Some((n.parse().ok()?, rest)))
}
