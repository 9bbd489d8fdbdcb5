//! The part of `kubectl`'s JSONPath that finds values by their place: `text {.a.b[0]['c'][*][1:3]} {"\n"}`.

use serde_json::Value;

/// Why a path cannot be used; the texts are those of `kubectl` where it fails, too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing jsonpath {path}: {fault}")]
pub struct JsonPathError {
    path: String,
    fault: String,
}

/// Prints what a path finds. A place that is not there ends the output, as in `kubectl`.
pub(super) fn print(path: &str, value: &Value) -> Result<String, JsonPathError> {
    let fail = |fault: String| JsonPathError { path: path.to_owned(), fault };
    let mut out = String::new();
    for part in parts(path).map_err(fail)? {
        match part {
            Part::Text(text) => out.push_str(&text),
            Part::Steps(steps) => match find(value, &steps) {
                Some(found) => {
                    out.push_str(&found.iter().map(|value| text(value)).collect::<Vec<_>>().join(" "))
                }
                None => break,
            },
        }
    }
    Ok(out)
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Steps(Vec<Step>),
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Every,
    Index(i64),
    Slice(Option<i64>, Option<i64>),
}

fn parts(path: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = path;
    while let Some((before, action)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let end = action_end(action).ok_or_else(|| {
            let open = action.contains('[') && !action.contains(']');
            if open { "unterminated array" } else { "unclosed action" }.to_owned()
        })?;
        let (inside, after) = action.split_at(end);
        parts.push(parse_action(inside.trim())?);
        rest = after.get(1..).unwrap_or_default();
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

/// Where the closing brace of an action is: not in quotes, not in brackets.
fn action_end(action: &str) -> Option<usize> {
    let (mut quote, mut bracket) = (None, false);
    for (at, c) in action.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => bracket = true,
            (None, ']') => bracket = false,
            (None, '}') if !bracket => return Some(at),
            _ => {}
        }
    }
    None
}

fn parse_action(action: &str) -> Result<Part, String> {
    for quote in ['"', '\''] {
        if let Some(text) = action.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return Ok(Part::Text(text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")));
        }
    }
    let mut rest = action.strip_prefix(['$', '@']).unwrap_or(action);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if rest.starts_with("..") {
            return Err("recursive descent is not supported here; name the path".into());
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[', ' ']).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            match name {
                "" => {}
                "*" => steps.push(Step::Every),
                name => steps.push(Step::Field(name.to_owned())),
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']').ok_or("unterminated array")?;
            steps.push(parse_bracket(inside)?);
            rest = after;
        } else if let Some(word) = rest.split(' ').next().filter(|word| matches!(*word, "range" | "end")) {
            return Err(format!("{word} is not supported here"));
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            steps.push(Step::Field(name.to_owned()));
            rest = after;
        }
    }
    Ok(Part::Steps(steps))
}

fn parse_bracket(inside: &str) -> Result<Step, String> {
    let inside = inside.trim();
    if let Some(name) = inside.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Ok(Step::Field(name.to_owned()));
    }
    if inside == "*" || inside.is_empty() {
        return Ok(Step::Every);
    }
    let number = |text: &str| -> Result<Option<i64>, String> {
        match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("invalid array index {inside}")),
        }
    };
    match inside.split_once(':') {
        Some((from, to)) => Ok(Step::Slice(number(from)?, number(to)?)),
        None => number(inside)?.map(Step::Index).ok_or_else(|| format!("invalid array index {inside}")),
    }
}

fn find<'a>(value: &'a Value, steps: &[Step]) -> Option<Vec<&'a Value>> {
    let mut found = vec![value];
    for step in steps {
        let mut next = Vec::new();
        for value in found {
            match (step, value) {
                (Step::Field(name), Value::Object(map)) => next.push(map.get(name)?),
                (Step::Field(_), _) => return None,
                (Step::Every, Value::Array(items)) => next.extend(items),
                (Step::Every, Value::Object(map)) => next.extend(map.values()),
                (Step::Every, _) => {}
                (Step::Index(index), Value::Array(items)) => {
                    next.push(items.get(place(*index, items.len())?)?)
                }
                (Step::Slice(from, to), Value::Array(items)) => {
                    let from = place(from.unwrap_or(0), items.len())?;
                    let to = to.map_or(Some(items.len()), |to| place(to, items.len()))?;
                    next.extend(items.get(from..to.min(items.len()))?);
                }
                (Step::Index(_) | Step::Slice(..), _) => return None,
            }
        }
        found = next;
    }
    Some(found)
}

/// An index from the start; negative ones count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    if index >= 0 {
        return usize::try_from(index).ok();
    }
    length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) => {
            sluice_yaml::json::to_string(value, sluice_yaml::json::Html::Escape)
        }
        simple => crate::text::go_value(simple),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_found_as_kubectl_finds_them() {
        let value =
            json!({"a": {"b": [1.0, "x", {"c": "d"}], "s": "q w", "f": 1.5, "n": null, "big": 12_345_678.0}});
        for (path, want) in [
            ("{.a.b}", "[1,\"x\",{\"c\":\"d\"}]"),
            ("{.a.b[0]}", "1"),
            ("{.a.b[*]}", "1 x {\"c\":\"d\"}"),
            ("{.a.b[-1].c}", "d"),
            ("{.a.b[0:2]}", "1 x"),
            ("{.a.s}{\"\\n\"}x", "q w\nx"),
            ("x{.a.f}y", "x1.5y"),
            ("{.a.n}", ""),
            ("{.a.big}", "1.2345678e+07"),
            ("a{.zz}b", "a"),
            ("{.a['s']}", "q w"),
            ("{$.a.s}", "q w"),
            ("a.b", "a.b"),
            ("{.a.b[5]}", ""),
        ] {
            assert_eq!(print(path, &value).as_deref(), Ok(want), "{path}");
        }
    }

    #[test]
    fn faults_name_the_path() {
        for (path, want) in [
            ("{.a", "error parsing jsonpath {.a: unclosed action"),
            ("{.a[}", "error parsing jsonpath {.a[}: unterminated array"),
            ("{.a[\"s\"]}", "error parsing jsonpath {.a[\"s\"]}: invalid array index \"s\""),
        ] {
            assert_eq!(
                print(path, &Value::Null).map_err(|error| error.to_string()),
                Err(want.into()),
                "{path}"
            );
        }
    }
}
