//! Go's pattern syntax (RE2) to that of the `regex` crate.
//!
//! The two agree on what patterns mean, but not on what is a pattern: Go's `\d`, `\w` and `\b` are ASCII, its classes do
//! not nest, `a{,5}` is literal text, `a**` is an error. So a pattern is checked by Go's rules, with Go's error texts,
//! and written anew in a form that leaves nothing to interpretation.

use super::{Problem, SyntaxError};

/// The largest product of nested repeat counts.
const MAX_REPEAT: u32 = 1000;
/// The deepest nesting of groups.
const MAX_DEPTH: usize = 1000;

/// A pattern for the `regex` crate. All its groups are unnamed.
pub(super) struct Translated {
    pub(super) pattern: String,
    /// The names of the groups, from 0 (the whole match); empty for those without a name.
    pub(super) names: Vec<String>,
}

/// Translates a pattern.
pub(super) fn translate(pattern: &[u8]) -> Result<Translated, SyntaxError> {
    let text = std::str::from_utf8(pattern)
        .map_err(|_| SyntaxError::new(Problem::InvalidUtf8, &String::from_utf8_lossy(pattern)))?;
    let mut translator = Translator {
        whole: text,
        out: String::with_capacity(text.len() + 8),
        names: vec![String::new()],
        groups: Vec::new(),
        level: Level::default(),
        pending_flags: String::new(),
    };
    translator.run()?;
    Ok(Translated { pattern: translator.out, names: translator.names })
}

/// What is known of the group being read.
#[derive(Default, Clone, Copy)]
struct Level {
    /// Whether there is something that a repetition could apply to.
    operand: bool,
    /// The product of the repeat counts in the last operand.
    last: u32,
    /// The largest such product in the group.
    most: u32,
}

struct Translator<'a> {
    whole: &'a str,
    out: String,
    names: Vec<String>,
    /// The levels outside of open groups.
    groups: Vec<Level>,
    level: Level,
    /// Flags that were set, to be written before the next operand: in Go `a(?i)*` repeats the `a`.
    pending_flags: String,
}

impl<'a> Translator<'a> {
    fn error<T>(&self, problem: Problem, part: &str) -> Result<T, SyntaxError> {
        Err(SyntaxError::new(problem, part))
    }

    fn run(&mut self) -> Result<(), SyntaxError> {
        let mut rest = self.whole;
        let mut last_repeat: Option<&str> = None;
        while let Some(c) = rest.chars().next() {
            let before = rest;
            let mut repeat = None;
            rest = match c {
                '(' => self.open(rest)?,
                '|' => {
                    self.flush();
                    self.out.push('|');
                    self.level.operand = false;
                    &rest[1..]
                }
                ')' => {
                    self.close()?;
                    &rest[1..]
                }
                '^' | '$' | '.' => {
                    self.operand(&rest[..1]);
                    &rest[1..]
                }
                '[' => self.class(rest)?,
                '*' | '+' | '?' => {
                    repeat = Some(before);
                    self.repeat(before, &rest[1..], &rest[..1], 1, last_repeat)?
                }
                '{' => match counts(rest) {
                    None => {
                        self.literal('{');
                        &rest[1..]
                    }
                    Some((range, after)) => {
                        let form = &before[..before.len() - after.len()];
                        let Some(count) = range.count() else { return self.error(Problem::RepeatSize, form) };
                        repeat = Some(before);
                        self.repeat(before, after, form, count, last_repeat)?
                    }
                },
                '\\' => self.escape(rest)?,
                c => {
                    self.literal(c);
                    &rest[c.len_utf8()..]
                }
            };
            last_repeat = repeat;
        }
        if self.groups.is_empty() { Ok(()) } else { self.error(Problem::MissingParen, self.whole) }
    }

    /// Writes something that can be repeated.
    fn operand(&mut self, text: &str) {
        self.flush();
        self.out.push_str(text);
        self.level.most = self.level.most.max(1);
        self.level.last = 1;
        self.level.operand = true;
    }

    fn literal(&mut self, c: char) {
        let mut text = String::new();
        push_char(&mut text, c);
        self.operand(&text);
    }

    fn flush(&mut self) {
        self.out.push_str(&std::mem::take(&mut self.pending_flags));
    }

    fn open(&mut self, text: &'a str) -> Result<&'a str, SyntaxError> {
        let name_at = if text.starts_with("(?P<") && text.len() > 4 {
            Some(4)
        } else if text.starts_with("(?<") && text.len() > 3 {
            Some(3)
        } else {
            None
        };
        if let Some(start) = name_at {
            let Some(end) = text.find('>') else { return self.error(Problem::NamedCapture, text) };
            let name = &text[start..end];
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return self.error(Problem::NamedCapture, &text[..=end]);
            }
            self.names.push(name.to_owned());
            self.push_group("(")?;
            return Ok(&text[end + 1..]);
        }
        if text.starts_with("(?") {
            return self.flags(text);
        }
        self.names.push(String::new());
        self.push_group("(")?;
        Ok(&text[1..])
    }

    fn push_group(&mut self, text: &str) -> Result<(), SyntaxError> {
        if self.groups.len() >= MAX_DEPTH {
            return self.error(Problem::Depth, self.whole);
        }
        self.flush();
        self.out.push_str(text);
        self.groups.push(std::mem::take(&mut self.level));
        Ok(())
    }

    /// `(?flags)` and `(?flags:`.
    fn flags(&mut self, text: &'a str) -> Result<&'a str, SyntaxError> {
        let (mut on, mut off) = (String::new(), String::new());
        let (mut negative, mut seen) = (false, false);
        for (at, c) in text.char_indices().skip(2) {
            let end = at + c.len_utf8();
            match c {
                'i' | 'm' | 's' | 'U' => {
                    seen = true;
                    if negative { off.push(c) } else { on.push(c) }
                }
                '-' if !negative => (negative, seen) = (true, false),
                ':' | ')' if !negative || seen => {
                    on.retain(|c| !off.contains(c));
                    let flags = if off.is_empty() { on } else { format!("{on}-{off}") };
                    if c == ':' {
                        self.push_group(&format!("(?{}:", dedup(&flags)))?;
                    } else if !flags.is_empty() {
                        self.pending_flags.push_str(&format!("(?{})", dedup(&flags)));
                    }
                    return Ok(&text[end..]);
                }
                _ => return self.error(Problem::PerlSyntax, &text[..end]),
            }
        }
        self.error(Problem::PerlSyntax, text)
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        // Flags end with their group.
        self.pending_flags.clear();
        let Some(outer) = self.groups.pop() else {
            return self.error(Problem::UnexpectedParen, self.whole);
        };
        let inner = self.level.most.max(1);
        self.out.push(')');
        self.level = Level { operand: true, last: inner, most: outer.most.max(inner) };
        Ok(())
    }

    /// A repetition: `form` is its text without the `?` that makes it lazy.
    fn repeat(
        &mut self,
        before: &str,
        after: &'a str,
        form: &str,
        count: u32,
        last_repeat: Option<&str>,
    ) -> Result<&'a str, SyntaxError> {
        let lazy = after.starts_with('?');
        let after = after.strip_prefix('?').unwrap_or(after);
        if let Some(last) = last_repeat {
            return self.error(Problem::NestedRepeat, &last[..last.len() - after.len()]);
        }
        let written = &before[..before.len() - after.len()];
        if !self.level.operand {
            return self.error(Problem::MissingOperand, written);
        }
        let product = self.level.last.saturating_mul(count.max(1));
        if count >= 2 && product > MAX_REPEAT {
            return self.error(Problem::RepeatSize, written);
        }
        self.level.last = product;
        self.level.most = self.level.most.max(product);
        self.out.push_str(form);
        if lazy {
            self.out.push('?');
        }
        Ok(after)
    }

    fn escape(&mut self, text: &'a str) -> Result<&'a str, SyntaxError> {
        match text.as_bytes().get(1) {
            Some(b'A') => self.operand(r"\A"),
            Some(b'z') => self.operand(r"\z"),
            Some(b'b') => self.operand(r"(?-u:\b)"),
            Some(b'B') => self.operand(r"(?-u:\B)"),
            Some(b'C') => return self.error(Problem::Escape, &text[..2]),
            Some(b'Q') => {
                let (literal, rest) = text[2..].split_once(r"\E").unwrap_or((&text[2..], ""));
                literal.chars().for_each(|c| self.literal(c));
                return Ok(rest);
            }
            Some(b'p' | b'P') => {
                let (class, rest) = unicode_class(text)?;
                self.operand(&class);
                return Ok(rest);
            }
            Some(letter) if perl_class(*letter).is_some() => {
                let class = perl_class(*letter).unwrap_or_default();
                self.operand(class);
            }
            _ => {
                let (c, rest) = escaped_char(text)?;
                // A surrogate can be written but never matches.
                match c {
                    Some(c) => self.literal(c),
                    None => self.operand(NOTHING),
                }
                return Ok(rest);
            }
        }
        Ok(&text[2..])
    }

    /// `[...]`
    fn class(&mut self, text: &'a str) -> Result<&'a str, SyntaxError> {
        let mut out = String::from("[");
        let mut rest = &text[1..];
        if let Some(after) = rest.strip_prefix('^') {
            out.push('^');
            rest = after;
        }
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if rest.starts_with("[:")
                && let Some(end) = rest[2..].find(":]")
            {
                let (name, after) = rest.split_at(end + 4);
                if !is_posix(name) {
                    return self.error(Problem::ClassRange, name);
                }
                out.push_str(name);
                rest = after;
                continue;
            }
            match rest.as_bytes() {
                [b'\\', b'p' | b'P', ..] => {
                    let (class, after) = unicode_class(rest)?;
                    out.push_str(&class);
                    rest = after;
                }
                [b'\\', letter, ..] if perl_class(*letter).is_some() => {
                    out.push_str(perl_class(*letter).unwrap_or_default());
                    rest = &rest[2..];
                }
                _ => rest = self.range(text, rest, &mut out)?,
            }
        }
        out.push(']');
        self.operand(&out);
        Ok(&rest[1..])
    }

    /// One character or a range within a class.
    fn range(&self, class: &str, text: &'a str, out: &mut String) -> Result<&'a str, SyntaxError> {
        let (low, mut rest) = class_char(class, text)?;
        let mut high = low;
        if rest.len() >= 2 && rest.starts_with('-') && !rest[1..].starts_with(']') {
            (high, rest) = class_char(class, &rest[1..])?;
            if high < low {
                return self.error(Problem::ClassRange, &text[..text.len() - rest.len()]);
            }
        }
        // Surrogates are no characters: a range that touches them means the characters around them.
        let start = char::from_u32(low).unwrap_or('\u{e000}');
        let end = char::from_u32(high).unwrap_or('\u{d7ff}');
        if start <= end {
            push_char(out, start);
            if start < end {
                out.push('-');
                push_char(out, end);
            }
        }
        Ok(rest)
    }
}

/// A class without members.
const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
    }
}

/// Flags may be given twice in Go.
fn dedup(flags: &str) -> String {
    let mut out = String::new();
    for c in flags.chars() {
        if !out.contains(c) {
            out.push(c);
        }
    }
    out
}

/// The counts of `{2}`, `{2,}` or `{2,5}`; none stands for a number that is too large.
struct Counts {
    min: Option<u32>,
    max: Option<u32>,
    open: bool,
}

impl Counts {
    /// The largest count that is at stake; none if a limit is passed.
    fn count(&self) -> Option<u32> {
        let min = self.min.filter(|n| *n <= MAX_REPEAT)?;
        if self.open {
            return Some(min);
        }
        self.max.filter(|n| *n <= MAX_REPEAT && *n >= min)
    }
}

/// Reads counts, or finds that the brace is literal.
fn counts(text: &str) -> Option<(Counts, &str)> {
    let (min, rest) = count(&text[1..])?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((Counts { min, max: min, open: false }, rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((Counts { min, max: None, open: true }, rest));
    }
    let (max, rest) = count(rest)?;
    Some((Counts { min, max, open: false }, rest.strip_prefix('}')?))
}

fn count(text: &str) -> Option<(Option<u32>, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    if digits == 0 || (digits > 1 && number.starts_with('0')) {
        return None;
    }
    Some((number.parse().ok(), rest))
}

fn perl_class(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'd' => "[0-9]",
        b'D' => "[^0-9]",
        b's' => r"[\t\n\x0C\r\x20]",
        b'S' => r"[^\t\n\x0C\r\x20]",
        b'w' => "[0-9A-Za-z_]",
        b'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

fn is_posix(class: &str) -> bool {
    let name = class.trim_start_matches("[:").trim_end_matches(":]");
    let name = name.strip_prefix('^').unwrap_or(name);
    [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ]
    .contains(&name)
}

/// `\pL`, `\p{Greek}`, `\P{^Greek}`.
fn unicode_class(text: &str) -> Result<(String, &str), SyntaxError> {
    let mut negative = text.starts_with(r"\P");
    let Some(first) = text[2..].chars().next() else {
        return Err(SyntaxError::new(Problem::ClassRange, text));
    };
    let (form, name) = if first == '{' {
        let Some(end) = text.find('}') else { return Err(SyntaxError::new(Problem::ClassRange, text)) };
        (&text[..=end], &text[3..end])
    } else {
        let end = 2 + first.len_utf8();
        (&text[..end], &text[2..end])
    };
    let name = match name.strip_prefix('^') {
        Some(name) => {
            negative = !negative;
            name
        }
        None => name,
    };
    let class = format!(r"\{}{{{name}}}", if negative { 'P' } else { 'p' });
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b' ' | b'-'));
    if !is_name || regex_syntax::parse(&class).is_err() {
        return Err(SyntaxError::new(Problem::ClassRange, form));
    }
    Ok((class, &text[form.len()..]))
}

/// A character of a class, as its code: it may be a surrogate.
fn class_char<'a>(class: &str, text: &'a str) -> Result<(u32, &'a str), SyntaxError> {
    match text.chars().next() {
        None => Err(SyntaxError::new(Problem::MissingBracket, class)),
        Some('\\') => escaped_code(text),
        Some(c) => Ok((u32::from(c), &text[c.len_utf8()..])),
    }
}

fn escaped_char(text: &str) -> Result<(Option<char>, &str), SyntaxError> {
    let (code, rest) = escaped_code(text)?;
    Ok((char::from_u32(code), rest))
}

/// An escape that stands for one character.
fn escaped_code(text: &str) -> Result<(u32, &str), SyntaxError> {
    let mut chars = text[1..].chars();
    let Some(c) = chars.next() else { return Err(SyntaxError::new(Problem::TrailingBackslash, "")) };
    let rest = chars.as_str();
    let wrong = |rest: &str| Err(SyntaxError::new(Problem::Escape, &text[..text.len() - rest.len()]));
    let octal = |s: &str| s.bytes().next().filter(|b| (b'0'..=b'7').contains(b));
    match c {
        '0' => Ok(octal_code(0, rest)),
        '1'..='7' if octal(rest).is_some() => Ok(octal_code(u32::from(c) - u32::from('0'), rest)),
        'x' => hex_code(rest).or_else(wrong),
        'a' => Ok((7, rest)),
        'f' => Ok((12, rest)),
        'n' => Ok((10, rest)),
        'r' => Ok((13, rest)),
        't' => Ok((9, rest)),
        'v' => Ok((11, rest)),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((u32::from(c), rest)),
        _ => wrong(rest),
    }
}

/// Up to two more octal digits.
fn octal_code(first: u32, text: &str) -> (u32, &str) {
    let digits = text.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
    let code = text.bytes().take(digits).fold(first, |n, b| n * 8 + u32::from(b - b'0'));
    (code, &text[digits..])
}

/// `41` or `{1F600}`; an error is what follows the fault.
fn hex_code(text: &str) -> Result<(u32, &str), &str> {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return Err(text) };
    if first != '{' {
        let Some(second) = chars.next() else { return Err("") };
        let (Some(high), Some(low)) = (first.to_digit(16), second.to_digit(16)) else {
            return Err(chars.as_str());
        };
        return Ok((high * 16 + low, chars.as_str()));
    }
    let mut code: u32 = 0;
    let mut digits = 0;
    while let Some(c) = chars.next() {
        if c == '}' {
            return if digits > 0 { Ok((code, chars.as_str())) } else { Err(chars.as_str()) };
        }
        let Some(digit) = c.to_digit(16) else { return Err(chars.as_str()) };
        code = code * 16 + digit;
        if code > 0x0010_ffff {
            return Err(chars.as_str());
        }
        digits += 1;
    }
    Err("")
}
