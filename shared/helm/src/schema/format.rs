//! `format`: what texts of a named format must look like, and the words for what is wrong.
//!
//! Each check takes a text and returns what is wrong with it; values that are no texts always pass.

use sluice_gotemplate::functions::regexp::Regexp;

/// A format that is known; unknown names are ignored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) name: &'static str,
    check: fn(&str) -> Result<(), String>,
}

const FORMATS: &[Format] = &[
    Format { name: "date", check: date },
    Format { name: "date-time", check: date_time },
    Format { name: "duration", check: duration },
    Format { name: "email", check: email },
    Format { name: "hostname", check: hostname },
    Format { name: "ipv4", check: ipv4 },
    Format { name: "ipv6", check: ipv6 },
    Format { name: "iri", check: uri },
    Format { name: "iri-reference", check: uri_reference },
    Format { name: "json-pointer", check: json_pointer },
    Format { name: "period", check: period },
    Format { name: "regex", check: regex },
    Format { name: "relative-json-pointer", check: relative_json_pointer },
    Format { name: "semver", check: semver },
    Format { name: "time", check: time },
    Format { name: "uri", check: uri },
    Format { name: "uri-reference", check: uri_reference },
    Format { name: "uri-template", check: uri_template },
    Format { name: "uuid", check: uuid },
];

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        FORMATS.iter().find(|format| format.name == name).copied()
    }

    /// What is wrong with a text, if anything is.
    pub(super) fn fault(self, text: &str) -> Option<String> {
        (self.check)(text).err()
    }
}

fn fail(text: impl Into<String>) -> Result<(), String> {
    Err(text.into())
}

fn within(frame: &str, result: Result<(), String>) -> Result<(), String> {
    result.map_err(|error| format!("{frame}: {error}"))
}

/// A character as Go's `%q` shows it.
fn character(c: char) -> String {
    match c {
        '\'' => "'\\''".into(),
        '"' => "'\"'".into(),
        c => super::message::quote(&c.to_string()),
    }
}

/// The number of ASCII digits that a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn json_pointer(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if !text.starts_with('/') {
        return fail("not starting with /");
    }
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (true, '0' | '1') => escape = false,
            (true, _) => return fail("~ must be followed by 0 or 1"),
            (false, '~') => escape = true,
            (false, _) => {}
        }
    }
    if escape { fail("~ must be followed by 0 or 1") } else { Ok(()) }
}

fn relative_json_pointer(text: &str) -> Result<(), String> {
    let count = digits(text);
    if count == 0 {
        return fail("must start with non-negative integer");
    }
    if count > 1 && text.starts_with('0') {
        return fail("starts with zero");
    }
    match text.get(count..).unwrap_or_default() {
        "#" => Ok(()),
        rest => json_pointer(rest),
    }
}

fn uuid(text: &str) -> Result<(), String> {
    let lengths = [8, 4, 4, 4, 12];
    let groups: Vec<_> = text.split('-').collect();
    if groups.len() != lengths.len() {
        return fail("must have 5 elements");
    }
    for (index, (group, length)) in groups.into_iter().zip(lengths).enumerate() {
        if group.len() != length {
            return fail(format!("element {} must be {length} characters long", index + 1));
        }
        if let Some(c) = group.chars().find(|c| !c.is_ascii_hexdigit()) {
            return fail(format!("non-hex character {}", character(c)));
        }
    }
    Ok(())
}

fn duration(text: &str) -> Result<(), String> {
    let Some(text) = text.strip_prefix('P') else { return fail("must start with P") };
    if text.is_empty() {
        return fail("nothing after P");
    }
    if let Some(weeks) = text.strip_suffix('W') {
        return match weeks {
            "" => fail("no number in week"),
            weeks if digits(weeks) == weeks.len() => Ok(()),
            _ => fail("invalid week"),
        };
    }
    let all = ["YMD", "HMS"];
    for (index, mut part) in text.split('T').enumerate() {
        if index != 0 && part.is_empty() {
            return fail("no time elements");
        }
        let Some(every) = all.get(index) else { return fail("more than one T") };
        let mut left = *every;
        while !part.is_empty() {
            let count = digits(part);
            if count == 0 {
                return fail("missing number");
            }
            let mut rest = part.chars();
            let Some(unit) = rest.by_ref().nth(count) else { return fail("missing unit") };
            match left.find(unit) {
                Some(at) => left = left.get(at + 1..).unwrap_or_default(),
                None if every.contains(unit) => {
                    return fail(format!("unit {} out of order", character(unit)));
                }
                None => return fail(format!("invalid unit {}", character(unit))),
            }
            part = rest.as_str();
        }
    }
    Ok(())
}

fn ipv4(text: &str) -> Result<(), String> {
    let groups: Vec<_> = text.split('.').collect();
    if groups.len() != 4 {
        return fail("expected four decimals");
    }
    for group in groups {
        if group.len() > 1 && group.starts_with('0') {
            return fail("leading zeros");
        }
        let plain = group.strip_prefix(['+', '-']).unwrap_or(group);
        if plain.is_empty() || digits(plain) != plain.len() {
            return fail(format!("strconv.Atoi: parsing {group:?}: invalid syntax"));
        }
        match group.parse::<i64>() {
            Ok(0..=255) => {}
            Ok(_) => return fail("decimal must be between 0 and 255"),
            Err(_) => return fail(format!("strconv.Atoi: parsing {group:?}: value out of range")),
        }
    }
    Ok(())
}

fn ipv6(text: &str) -> Result<(), String> {
    if !text.contains(':') {
        return fail("missing colon");
    }
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    if address.parse::<std::net::Ipv6Addr>().is_err() {
        return fail(format!("ParseAddr({text:?}): unable to parse IP"));
    }
    match zone {
        None => Ok(()),
        Some("") => fail(format!("ParseAddr({text:?}): zone must be a non-empty string")),
        Some(_) => fail("zone id is not a part of ipv6 address"),
    }
}

fn hostname(text: &str) -> Result<(), String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 {
        return fail("more than 253 characters long");
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return fail("label must be 1 to 63 characters long");
        }
        if label.starts_with('-') {
            return fail("label starts with hyphen");
        }
        if label.ends_with('-') {
            return fail("label ends with hyphen");
        }
        if let Some(c) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
            return fail(format!("invalid character {}", character(c)));
        }
    }
    Ok(())
}

fn email(text: &str) -> Result<(), String> {
    if text.len() > 254 {
        return fail("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return fail("missing @") };
    if local.len() > 64 {
        return fail("local part more than 64 characters long");
    }
    if local.len() > 1 && local.starts_with('"') && local.ends_with('"') {
        let inner = local.get(1..local.len() - 1).unwrap_or_default();
        if inner.contains(['\\', '"']) {
            return fail("backslash and quote are not allowed within quoted local part");
        }
    } else {
        if local.starts_with('.') {
            return fail("starts with dot");
        }
        if local.ends_with('.') {
            return fail("ends with dot");
        }
        if local.contains("..") {
            return fail("consecutive dots");
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
        if let Some(c) = local.chars().find(|c| !allowed(*c)) {
            return fail(format!("invalid character {}", character(c)));
        }
    }
    if let Some(address) = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']')) {
        return match address.strip_prefix("IPv6:") {
            Some(address) => within("invalid ipv6 address", ipv6(address)),
            None => within("invalid ipv4 address", ipv4(address)),
        };
    }
    within("invalid domain", hostname(domain))
}

/// Go's `time.Parse("2006-01-02", …)`.
fn date(text: &str) -> Result<(), String> {
    let broken = |rest: &str, want: &str| {
        fail(format!("parsing time {text:?} as \"2006-01-02\": cannot parse {rest:?} as {want:?}"))
    };
    let mut rest = text;
    let mut numbers = Vec::new();
    for (length, want) in [(4, "2006"), (2, "01"), (2, "02")] {
        if length == 2 {
            match rest.strip_prefix('-') {
                Some(after) => rest = after,
                None => return broken(rest, "-"),
            }
        }
        if digits(rest) < length {
            return broken(rest, want);
        }
        let (number, after) = rest.split_at(length);
        numbers.push(number.parse::<u32>().unwrap_or_default());
        rest = after;
        if want == "01" && !matches!(numbers.last(), Some(1..=12)) {
            return fail(format!("parsing time {text:?}: month out of range"));
        }
    }
    if !rest.is_empty() {
        return fail(format!("parsing time {text:?}: extra text: {rest:?}"));
    }
    let [year, month, day] = numbers[..] else { return broken(rest, "2006") };
    let last = match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if (1..=last).contains(&day) { Ok(()) } else { fail(format!("parsing time {text:?}: day out of range")) }
}

fn time(text: &str) -> Result<(), String> {
    if text.len() < 9 {
        return fail("less than 9 characters long");
    }
    let bytes = text.as_bytes();
    if bytes.get(2) != Some(&b':') || bytes.get(5) != Some(&b':') {
        return fail("missing colon in correct place");
    }
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<i32>().ok());
    let (Some(hour), Some(minute), Some(second)) = (number(0..2), number(3..5), number(6..8)) else {
        return fail("invalid hour/min/sec");
    };
    if hour < 0 || minute < 0 || second < 0 {
        return fail("non-positive hour/min/sec");
    }
    if hour > 23 || minute > 59 || second > 60 {
        return fail("hour/min/sec out of range");
    }
    let mut rest = text.get(8..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if count == 0 {
            return fail("no digits in second fraction");
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    let mut minutes = hour * 60 + minute;
    if rest != "z" && rest != "Z" {
        if rest.len() != 6 {
            return fail("offset must be 6 characters long");
        }
        let sign = match rest.as_bytes().first() {
            Some(b'+') => -1,
            Some(b'-') => 1,
            _ => return fail("offset must begin with plus/minus"),
        };
        if rest.as_bytes().get(3) != Some(&b':') {
            return fail("missing colon in offset in correct place");
        }
        let number =
            |range: std::ops::Range<usize>| rest.get(range).and_then(|part| part.parse::<i32>().ok());
        let (Some(hour), Some(minute)) = (number(1..3), number(4..6)) else {
            return fail("invalid hour/min in offset");
        };
        if hour < 0 || minute < 0 {
            return fail("non-positive hour/min in offset");
        }
        if hour > 23 || minute > 59 {
            return fail("hour/min in offset out of range");
        }
        minutes = (minutes + sign * (hour * 60 + minute)).rem_euclid(24 * 60);
    }
    if second >= 60 && minutes != 23 * 60 + 59 {
        return fail("invalid leap second");
    }
    Ok(())
}

fn date_time(text: &str) -> Result<(), String> {
    if text.len() < 20 {
        return fail("less than 20 characters long");
    }
    if !matches!(text.as_bytes().get(10), Some(b't' | b'T')) {
        return fail("11th character must be t or T");
    }
    within("invalid date element", date(text.get(..10).unwrap_or_default()))?;
    within("invalid time element", time(text.get(11..).unwrap_or_default()))
}

fn period(text: &str) -> Result<(), String> {
    let Some((start, end)) = text.split_once('/') else { return fail("missing slash") };
    if start.starts_with('P') {
        within("invalid start duration", duration(start))?;
        return within("invalid end date-time", date_time(end));
    }
    within("invalid start date-time", date_time(start))?;
    if end.starts_with('P') {
        within("invalid end duration", duration(end))
    } else {
        within("invalid end date-time", date_time(end))
    }
}

fn regex(text: &str) -> Result<(), String> {
    Regexp::compile(text.as_bytes()).map(|_| ()).map_err(|error| error.to_string())
}

fn semver(text: &str) -> Result<(), String> {
    let invalid = |identifier: &str| {
        identifier.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')).map(character)
    };
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    if build == Some("") {
        return fail("build is empty");
    }
    for identifier in build.into_iter().flat_map(|build| build.split('.')) {
        if identifier.is_empty() {
            return fail("build identifier is empty");
        }
        if let Some(c) = invalid(identifier) {
            return fail(format!("invalid character {c} in build identifier"));
        }
    }
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    for identifier in pre.into_iter().flat_map(|pre| pre.split('.')) {
        if identifier.is_empty() {
            return fail("pre-release identifier is empty");
        }
        if let Some(c) = invalid(identifier) {
            return fail(format!("invalid character {c} in pre-release identifier"));
        }
        if digits(identifier) == identifier.len() && identifier.len() > 1 && identifier.starts_with('0') {
            return fail("pre-release numeric identifier starts with zero");
        }
    }
    let numbers: Vec<_> = core.split('.').collect();
    if numbers.len() != 3 {
        return fail("versionCore must have 3 numbers separated by dot");
    }
    for (number, name) in numbers.into_iter().zip(["major", "minor", "patch"]) {
        if number.is_empty() {
            return fail(format!("{name} is empty"));
        }
        if number.len() > 1 && number.starts_with('0') {
            return fail(format!("{name} starts with zero"));
        }
        if digits(number) != number.len() {
            return fail(format!("{name} contains non-digit"));
        }
    }
    Ok(())
}

fn uri(text: &str) -> Result<(), String> {
    if super::uri::check(text)?.absolute { Ok(()) } else { fail("relative url") }
}

fn uri_reference(text: &str) -> Result<(), String> {
    if text.contains('\\') {
        return fail("contains \\");
    }
    super::uri::check(text).map(|_| ())
}

fn uri_template(text: &str) -> Result<(), String> {
    let path = super::uri::check(text)?.path;
    for step in path.split('/') {
        let mut open = false;
        for c in step.chars() {
            match (c, open) {
                ('{', false) => open = true,
                ('}', true) => open = false,
                ('{' | '}', _) => return fail("nested curly braces"),
                _ => {}
            }
        }
        if open {
            return fail("no matching closing brace");
        }
    }
    Ok(())
}

/// An IPv6 address inside of an address' brackets.
pub(super) fn bracketed(text: &str) -> Result<(), String> {
    within("invalid ipv6 address", ipv6(text))
}
