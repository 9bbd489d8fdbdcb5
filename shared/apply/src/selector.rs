//! Reads label selectors as kubectl writes them: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.

use std::collections::BTreeSet;

use kube::core::{Expression, Selector};

/// A selector that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement {part:?}: {why}")]
pub struct SelectorError {
    /// The part between commas.
    pub part: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Reads a selector; an empty text selects everything.
///
/// # Errors
/// [`SelectorError`] naming the requirement that is malformed.
pub fn parse(text: &str) -> Result<Selector, SelectorError> {
    requirements(text).into_iter().filter(|part| !part.is_empty()).map(expression).collect()
}

/// Splits at commas outside parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

fn expression(part: &str) -> Result<Expression, SelectorError> {
    let fail = |why| SelectorError { part: part.to_owned(), why };
    let key = |text: &str| {
        let text = text.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if text.is_empty() || !text.chars().all(fits) {
            Err(fail("the key is not a label key"))
        } else {
            Ok(text.to_owned())
        }
    };
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Expression::NotEqual(key(name)?, value.trim().to_owned()));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Expression::Equal(key(name)?, value.trim().to_owned()));
    }
    if let Some((head, tail)) = part.split_once('(') {
        let list =
            tail.trim_end().strip_suffix(')').ok_or_else(|| fail("a closing parenthesis is missing"))?;
        let values: BTreeSet<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(name), Some("in"), None) => Ok(Expression::In(key(name)?, values)),
            (Some(name), Some("notin"), None) => Ok(Expression::NotIn(key(name)?, values)),
            _ => Err(fail("expected `in` or `notin` before the list")),
        };
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Expression::DoesNotExist(key(name)?)),
        None => Ok(Expression::Exists(key(part)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::core::SelectorExt;

    use super::*;

    #[test]
    fn selectors_select_what_kubectl_selects() {
        let labels =
            BTreeMap::from([("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "a".to_owned())]);
        for (text, want) in [
            ("", true),
            ("app=web", true),
            ("app == web , tier != b", true),
            ("app!=web", false),
            ("tier in (a, b)", true),
            ("tier notin (a,b),app", false),
            ("!missing", true),
            ("app,!tier", false),
        ] {
            assert_eq!(parse(text).unwrap().matches(&labels), want, "{text}");
        }
        for text in ["a b", "x in y", "x in (y", "=v", "x near (y)", "!"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
