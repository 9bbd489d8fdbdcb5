//! Go's regular expressions (RE2) on Rust's engine, which is of the same family but reads some signs in another way.

use regex::{Regex, RegexBuilder};

/// Bytes that a compiled expression may take.
const MAX_COMPILED: usize = 1 << 20;

/// Compiles an expression as Go would understand it; `None` if it is none, or too large.
pub(crate) fn compile(expression: &str) -> Option<Regex> {
    RegexBuilder::new(&translate(expression)).size_limit(MAX_COMPILED).build().ok()
}

/// Go's `\d`, `\w`, `\s` and `\b` are ASCII, it knows `\Q…\E`, and in a class of characters `[`, `&`, `~` are themselves.
fn translate(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len() + 16);
    let mut rest = expression;
    // Whether this is within brackets, and whether a bracket here would be the first character of the class.
    let (mut class, mut first) = (false, false);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let was_first = std::mem::replace(&mut first, false);
        match c {
            '\\' => {
                let Some(next) = rest.chars().next() else {
                    out.push('\\');
                    break;
                };
                rest = &rest[next.len_utf8()..];
                match next {
                    'd' => out.push_str("[0-9]"),
                    'D' => out.push_str("[^0-9]"),
                    'w' => out.push_str("[0-9A-Za-z_]"),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    's' => out.push_str(r"[\t\n\x0C\r ]"),
                    'S' => out.push_str(r"[^\t\n\x0C\r ]"),
                    'b' if !class => out.push_str(r"(?-u:\b)"),
                    'Q' if !class => {
                        let (literal, after) = rest.split_once(r"\E").unwrap_or((rest, ""));
                        out.push_str(&regex::escape(literal));
                        rest = after;
                    }
                    other => out.extend(['\\', other]),
                }
            }
            '[' if class => match rest.starts_with(':').then(|| rest.find(":]")).flatten() {
                Some(end) => {
                    out.push('[');
                    out.push_str(&rest[..end + 2]);
                    rest = &rest[end + 2..];
                }
                None => out.push_str(r"\["),
            },
            '[' => {
                (class, first) = (true, true);
                out.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
            }
            ']' if class && was_first => out.push_str(r"\]"),
            ']' => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => out.extend(['\\', c]),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_mean_in_go() {
        for (expression, text, want) in [
            ("dependency .* not ready", "dependency 'a/b' not ready", Some(true)),
            (r"^\d+$", "123", Some(true)),
            (r"^\d+$", "١٢٣", Some(false)),
            (r"^\w+$", "größe", Some(false)),
            (r"^[\w.]+$", "a.b", Some(true)),
            (r"^[^\s]+$", "a b", Some(false)),
            (r"\bfoo\b", "a foo b", Some(true)),
            (r"\Qa.b[\E", "xa.b[", Some(true)),
            (r"\Qa.b", "aXb", Some(false)),
            ("[[]x", "[x", Some(true)),
            ("[]a]+$", "]a]", Some(true)),
            ("^[[:alpha:]]+$", "abc", Some(true)),
            ("[a&&b]", "&", Some(true)),
            ("(?i)FAILED", "failed", Some(true)),
            ("a.b", "a\nb", Some(false)),
            (r"a\z", "a", Some(true)),
            ("[", "", None),
            ("(", "", None),
            (r"a{1000}{1000}{1000}", "", None),
            (r"\", "", None),
        ] {
            assert_eq!(compile(expression).map(|r| r.is_match(text)), want, "{expression}");
        }
    }
}
