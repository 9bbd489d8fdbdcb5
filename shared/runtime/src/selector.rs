//! Reads label selectors as the API server does, so that a bad one ends the start and not the watch.

use kube::core::{Expression, Selector};
use std::collections::BTreeSet;

/// Why a text is no label selector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{part}' of label selector '{selector}' is not one of: key, !key, key=value, key!=value, key in (a,b), key notin (a,b)"
)]
pub struct SelectorError {
    selector: String,
    part: String,
}

/// Reads a label selector; an empty text selects everything.
///
/// # Errors
/// The part that has none of the forms that Kubernetes knows.
pub fn parse(text: &str) -> Result<Selector, SelectorError> {
    let mut selector = Selector::default();
    for part in split(text) {
        let expression = expression(part.trim())
            .ok_or_else(|| SelectorError { selector: text.to_owned(), part: part.trim().to_owned() })?;
        selector.extend(expression);
    }
    Ok(selector)
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn expression(part: &str) -> Option<Expression> {
    if let Some(key) = part.strip_prefix('!') {
        return key_of(key).map(Expression::DoesNotExist);
    }
    if let Some(list) = part.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let values: BTreeSet<String> = list.split(',').map(value_of).collect::<Option<_>>()?;
        let mut words = head.split_whitespace();
        let (key, operator) = (key_of(words.next()?)?, words.next()?);
        return match (operator, words.next()) {
            ("in", None) => Some(Expression::In(key, values)),
            ("notin", None) => Some(Expression::NotIn(key, values)),
            _ => None,
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Expression::NotEqual(key_of(key)?, value_of(value)?));
    }
    if let Some((key, value)) = part.split_once('=') {
        return Some(Expression::Equal(key_of(key)?, value_of(value.strip_prefix('=').unwrap_or(value))?));
    }
    key_of(part).map(Expression::Exists)
}

/// A qualified name: optional DNS prefix, then letters, digits, `-`, `_`, `.`.
fn key_of(text: &str) -> Option<String> {
    let text = text.trim();
    let (prefix, name) = text.split_once('/').unwrap_or(("", text));
    let prefix_ok = (prefix.is_empty() && !text.starts_with('/'))
        || (prefix.len() <= 253 && is_name(prefix) && !prefix.contains('_'));
    (prefix_ok && name.len() <= 63 && is_name(name)).then(|| text.to_owned())
}

fn value_of(text: &str) -> Option<String> {
    let text = text.trim();
    (text.is_empty() || (text.len() <= 63 && is_name(text))).then(|| text.to_owned())
}

fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::SelectorExt;
    use std::collections::BTreeMap;

    #[test]
    fn selectors_match_as_the_api_server_matches() {
        let labels: BTreeMap<String, String> =
            [("app", "web"), ("sharding.fluxcd.io/key", "one")].map(|(k, v)| (k.into(), v.into())).into();
        for (text, matches) in [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app!=web", false),
            ("sharding.fluxcd.io/key=one,app", true),
            ("!sharding.fluxcd.io/key", false),
            ("app in (web, db)", true),
            ("app notin (web,db)", false),
            ("app in (db),app", false),
            ("missing!=x", true),
        ] {
            assert_eq!(parse(text).unwrap().matches(&labels), matches, "{text:?}");
        }
    }

    #[test]
    fn malformed_selectors_are_refused() {
        for text in
            ["a in (b", "a in b)", "=b", "a b", "a=b=c", "a=b c", "-a", ",", "a,", "/x=y", "!", "a under (b)"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
