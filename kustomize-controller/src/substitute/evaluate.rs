//! The meaning of `${…}` expressions, tree to text.

use super::glob::Glob;
use super::parse::{Expression, Operation, Part, Place};
use super::{ExpandError, Variables};

/// Evaluates parts one after the other.
pub(super) fn evaluate(parts: &[Part], variables: &Variables, strict: bool) -> Result<String, ExpandError> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Expression(expression) => out.push_str(&value(expression, variables, strict)?),
        }
    }
    Ok(out)
}

fn value(expression: &Expression, variables: &Variables, strict: bool) -> Result<String, ExpandError> {
    let argument = |parts: &[Part]| evaluate(parts, variables, strict);
    let defined = variables.get(&expression.name);
    if let Operation::Default(default) = &expression.operation {
        // Evaluated even where it is not used: an error in it is an error, as in Flux.
        let default = argument(default)?;
        return Ok(defined.filter(|value| !value.is_empty()).map_or(default, str::to_owned));
    }
    let value = match defined {
        Some(value) => value,
        None if strict => return Err(ExpandError::NotSet(expression.name.clone())),
        None => "",
    };
    Ok(match &expression.operation {
        Operation::Value | Operation::Default(_) => value.to_owned(),
        Operation::Length => value.len().to_string(),
        Operation::Case { upper, all } => case(value, *upper, *all),
        Operation::Slice { position, length } => {
            let length = length.as_deref().map(argument).transpose()?;
            slice(value, &argument(position)?, length.as_deref())?
        }
        Operation::Trim { suffix, longest, glob } => trim(value, &argument(glob)?, *suffix, *longest),
        Operation::Replace { place, search, replacement } => {
            replace(value, *place, &argument(search)?, &argument(replacement)?)
        }
    })
}

fn case(value: &str, upper: bool, all: bool) -> String {
    let convert = |text: &str| if upper { text.to_uppercase() } else { text.to_lowercase() };
    let end = match value.chars().next() {
        Some(first) if !all => first.len_utf8(),
        _ => value.len(),
    };
    let (head, tail) = value.split_at(end);
    convert(head) + tail
}

/// Byte offsets, as in Flux; a cut within a character leaves a replacement character.
fn slice(value: &str, position: &str, length: Option<&str>) -> Result<String, ExpandError> {
    let Ok(position) = position.parse::<i64>() else { return Ok(value.to_owned()) };
    let length = match length.map(str::parse::<i64>) {
        None => None,
        Some(Ok(length)) => Some(usize::try_from(length).map_err(|_| ExpandError::BadSubstitution)?),
        Some(Err(_)) => return Ok(value.to_owned()),
    };
    let start = match usize::try_from(position) {
        Ok(start) => start.min(value.len()),
        // A negative position counts from the end.
        Err(_) => value.len().saturating_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let end = length.map_or(value.len(), |length| start.saturating_add(length).min(value.len()));
    Ok(String::from_utf8_lossy(value.as_bytes().get(start..end).unwrap_or_default()).into_owned())
}

/// Removes the shortest or longest prefix or suffix that matches; a match of nothing is not tried.
fn trim(value: &str, glob: &str, suffix: bool, longest: bool) -> String {
    let Some(glob) = Glob::new(glob) else { return value.to_owned() };
    let mut cuts: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
    // Shortest first: prefixes grow with the cut, suffixes shrink.
    if suffix != longest {
        cuts.reverse();
    }
    for cut in cuts {
        let (head, tail) = value.split_at(cut);
        let (removed, kept) = if suffix { (tail, head) } else { (head, tail) };
        if !removed.is_empty() && glob.matches(removed) {
            return kept.to_owned();
        }
    }
    value.to_owned()
}

/// Replaces a literal text.
fn replace(value: &str, place: Place, search: &str, replacement: &str) -> String {
    if search.is_empty() {
        return value.to_owned();
    }
    match place {
        Place::First => value.replacen(search, replacement, 1),
        Place::All => value.replace(search, replacement),
        Place::Prefix => {
            value.strip_prefix(search).map_or(value.to_owned(), |rest| format!("{replacement}{rest}"))
        }
        Place::Suffix => {
            value.strip_suffix(search).map_or(value.to_owned(), |rest| format!("{rest}{replacement}"))
        }
    }
}
