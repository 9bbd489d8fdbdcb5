//! Patterns of `.Files.Glob`: `*` and `?` stop at `/`, `**` does not, `{a,b}` are alternatives.
//!
//! The rules are those of gobwas/glob 0.2. A pattern becomes a regular expression, so that no pattern takes more than
//! linear time.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// A pattern for paths.
pub(super) struct Glob(Option<Regex>);

impl Glob {
    /// Reads a pattern; one that cannot be read matches everything.
    pub(super) fn new(pattern: &str) -> Self {
        let Some(expression) = translate(pattern) else { return Self(None) };
        Self(regex::RegexBuilder::new(&expression).size_limit(1 << 20).build().ok())
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(path))
    }
}

/// The pattern as a regular expression, `None` if it is broken.
fn translate(pattern: &str) -> Option<String> {
    let mut out = String::from(r"(?s)\A");
    let mut chars = pattern.chars().peekable();
    let mut open = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => out.push_str(".*"),
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => class(&mut chars, &mut out)?,
            '{' => {
                open += 1;
                out.push_str("(?:");
            }
            '}' if open > 0 => {
                open -= 1;
                out.push(')');
            }
            ',' if open > 0 => out.push('|'),
            '\\' => {
                if let Some(c) = chars.next() {
                    literal(&mut out, c);
                }
            }
            c => literal(&mut out, c),
        }
    }
    // An open list of alternatives ends with the pattern.
    out.extend(std::iter::repeat_n(')', open));
    out.push_str(r"\z");
    Some(out)
}

/// `[a-z]` or `[abc]`, either with `!` in front.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('[');
    if chars.next_if_eq(&'!').is_some() {
        out.push('^');
    }
    let first = chars.next()?;
    if chars.next_if_eq(&'-').is_some() {
        let last = chars.next()?;
        if last < first || chars.next() != Some(']') {
            return None;
        }
        literal(out, first);
        out.push('-');
        literal(out, last);
    } else {
        let mut next = first;
        if next == ']' {
            return None;
        }
        while next != ']' {
            literal(out, if next == '\\' { chars.next()? } else { next });
            next = chars.next()?;
        }
    }
    out.push(']');
    Some(())
}

/// A character that stands for itself, inside of a class or outside.
fn literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_files_as_helm_does() {
        const FILES: [&str; 6] =
            ["LICENSE", "conf/a.txt", "empty.txt", "files/a.txt", "files/b.bin", "files/sub/c.yaml"];
        for (pattern, want) in [
            ("*", &["LICENSE", "empty.txt"][..]),
            ("**", &FILES),
            ("**.txt", &["conf/a.txt", "empty.txt", "files/a.txt"]),
            ("**/a.txt", &["conf/a.txt", "files/a.txt"]),
            ("files/*", &["files/a.txt", "files/b.bin"]),
            ("files/**", &["files/a.txt", "files/b.bin", "files/sub/c.yaml"]),
            ("files/*/*", &["files/sub/c.yaml"]),
            ("files/{a,b}*", &["files/a.txt", "files/b.bin"]),
            ("files/[a-b]*", &["files/a.txt", "files/b.bin"]),
            ("files/[!a].*", &["files/b.bin"]),
            ("{files,conf}/a.txt", &["conf/a.txt", "files/a.txt"]),
            ("/files/*", &[]),
            ("files", &[]),
            ("", &[]),
            ("[", &FILES),
            ("files/[z-a]", &FILES),
        ] {
            let glob = Glob::new(pattern);
            let got: Vec<_> = FILES.into_iter().filter(|file| glob.matches(file)).collect();
            assert_eq!(got, want, "{pattern}");
        }
    }
}
