//! The globs of `${v#G}` and `${v%G}`: `*` (any text, also with slashes), `?`, `[a-b]`, `[^…]` and `\x`.

/// A piece of a glob.
enum Token {
    Any,
    One,
    Literal(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// A compiled glob.
pub(super) struct Glob(Vec<Token>);

impl Glob {
    /// Reads a glob; a malformed one matches nothing and gives `None`.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => Token::Literal(chars.next()?),
                '[' => class(&mut chars)?,
                c => Token::Literal(c),
            });
        }
        Some(Self(tokens))
    }

    /// Whether the glob matches the whole text. The time is bounded by the product of both lengths.
    pub(super) fn matches(&self, text: &str) -> bool {
        // The set of glob positions that can be reached after each character.
        let mut reached = vec![false; self.0.len() + 1];
        reached[0] = true;
        self.skip_stars(&mut reached);
        for c in text.chars() {
            let mut next = vec![false; self.0.len() + 1];
            for (at, token) in self.0.iter().enumerate().filter(|(at, _)| reached[*at]) {
                match token {
                    Token::Any => next[at] = true,
                    token if token.accepts(c) => next[at + 1] = true,
                    _ => {}
                }
            }
            self.skip_stars(&mut next);
            reached = next;
        }
        reached[self.0.len()]
    }

    fn skip_stars(&self, reached: &mut [bool]) {
        for (at, token) in self.0.iter().enumerate() {
            if reached[at] && matches!(token, Token::Any) {
                reached[at + 1] = true;
            }
        }
    }
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Token::Any | Token::One => true,
            Token::Literal(literal) => *literal == c,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// Reads a class behind its `[`.
fn class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let mut rest = chars.clone();
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let mut low = rest.next()?;
        if low == ']' && !ranges.is_empty() {
            break;
        }
        if low == '\\' {
            low = rest.next()?;
        }
        let mut high = low;
        if rest.as_str().starts_with('-') {
            rest.next();
            high = rest.next()?;
            if high == '\\' {
                high = rest.next()?;
            }
        }
        ranges.push((low, high));
    }
    *chars = rest;
    Some(Token::Class { negated, ranges })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (glob, text, want) in [
            ("*/", "a/b/", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[a", "a", false),
            ("ä*", "äöü", true),
        ] {
            assert_eq!(Glob::new(glob).is_some_and(|glob| glob.matches(text)), want, "{glob} against {text}");
        }
    }
}
