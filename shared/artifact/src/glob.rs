//! Shell globs for one path component, with the rules of Go's `filepath.Match`, which Flux's ignore files rely on.
//!
//! `*` any text, `?` one character, `[a-z]` and `[^a-z]` classes, `\` takes the next character literally. A pattern
//! that is malformed anywhere never matches. Compiled once; matching is at worst pattern × text and never recurses.

/// A compiled glob.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// `None` for a malformed pattern.
    tokens: Option<Vec<Token>>,
}

#[derive(Debug, Clone)]
enum Token {
    Literal(char),
    AnyChar,
    AnyText,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self { tokens: compile(pattern) }
    }

    pub(crate) fn is_malformed(&self) -> bool {
        self.tokens.is_none()
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(tokens) = &self.tokens else { return false };
        // One star is remembered: when the rest fails, it takes one character more.
        let mut rest = text.chars();
        let mut at = 0;
        let mut star: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            if matches!(tokens.get(at), Some(Token::AnyText)) {
                at += 1;
                star = Some((at, rest.clone()));
                continue;
            }
            let mut next = rest.clone();
            match (tokens.get(at), next.next()) {
                (None, None) => return true,
                (Some(token), Some(c)) if token.accepts(c) => {
                    at += 1;
                    rest = next;
                }
                _ => {
                    let Some((after, taken)) = &mut star else { return false };
                    if taken.next().is_none() {
                        return false;
                    }
                    at = *after;
                    rest = taken.clone();
                }
            }
        }
    }
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::AnyChar => true,
            Self::AnyText => false,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn compile(pattern: &str) -> Option<Vec<Token>> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::AnyText,
            '?' => Token::AnyChar,
            '\\' => Token::Literal(chars.next()?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
                        break;
                    }
                    let low = class_char(&mut chars)?;
                    let high = if chars.next_if_eq(&'-').is_some() { class_char(&mut chars)? } else { low };
                    ranges.push((low, high));
                }
                Token::Class { negated, ranges }
            }
            c => Token::Literal(c),
        });
    }
    Some(tokens)
}

/// A character inside a class; `-` and `]` stand for themselves only after a backslash.
fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_gos_filepath_match_does() {
        for (pattern, text, want) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*b*c*d*e*", "axbxcxdxexxx", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("[a-ζ]*", "α", true),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "-", true),
            ("[]a]", "]", false),
            ("[-]", "-", false),
            ("[x-]", "x", false),
            ("[-x]", "x", false),
            ("[a-b-c]", "a", false),
            ("[", "a", false),
            ("[^", "a", false),
            ("a[", "ab", false),
            ("a\\", "a", false),
            ("*x", "xxx", true),
            ("**", "abc", true),
            ("", "", true),
            ("", "a", false),
            ("[!a]", "b", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), want, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_pattern_times_text() {
        let pattern = "*a".repeat(2_000) + "b";
        let text = "a".repeat(5_000);
        assert!(!Glob::new(&pattern).matches(&text));
    }
}
