//! The columns of `kubectl get`: name, age, a few kinds' own, and what CustomResourceDefinitions ask for.

use serde_json::{Value, json};

/// One column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
    /// Makes the cell, instead of the path.
    pub(super) cell: Option<fn(&Value) -> Value>,
    /// The cell where the path leads nowhere.
    pub(super) absent: Value,
}

impl Column {
    /// An entry of `additionalPrinterColumns`.
    pub(crate) fn from_definition(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            kind: text("type"),
            format: text("format"),
            description: text("description"),
            priority: value["priority"].as_i64().unwrap_or(0),
            path: text("jsonPath"),
            cell: None,
            absent: Value::Null,
        }
    }

    pub(super) fn simple(name: &str, kind: &str, path: &str) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            format: if name == "Name" { "name".into() } else { String::new() },
            description: String::new(),
            priority: 0,
            path: path.into(),
            cell: None,
            absent: Value::Null,
        }
    }

    /// The same column with the value itself where its type would abbreviate it.
    pub(super) fn verbatim(self) -> Self {
        Self { kind: "string".into(), ..self }
    }

    /// The column's definition in a `Table`.
    pub(crate) fn definition(&self) -> Value {
        json!({"name": self.name, "type": if self.kind == "date" { "date" } else { &self.kind }, "format": self.format,
               "description": self.description, "priority": self.priority})
    }

    /// The cell for an object.
    pub(crate) fn cell(&self, object: &Value) -> Value {
        if let Some(cell) = self.cell {
            return cell(object);
        }
        let found = lookup(object, &self.path);
        match (&*self.kind, found) {
            (_, None) if self.kind == "date" => json!("<unknown>"),
            (_, None) => self.absent.clone(),
            ("date", Some(Value::String(time))) => json!(age(time)),
            (_, Some(value @ (Value::Object(_) | Value::Array(_)))) => json!(value.to_string()),
            (_, Some(value)) => value.clone(),
        }
    }
}

/// The columns of a kind.
pub(crate) fn columns(resource: &super::Resource) -> Vec<Column> {
    let Some(custom) = &resource.custom else { return super::printers::builtin(resource) };
    let mut columns = vec![Column::simple("Name", "string", ".metadata.name")];
    if custom.columns.is_empty() {
        columns.push(Column::simple("Age", "date", ".metadata.creationTimestamp"));
    } else {
        columns.extend(custom.columns.iter().cloned());
    }
    columns
}

/// Follows the subset of JSONPath that printer columns use: `.a.b`, `[0]`, `[?(@.type=="Ready")]`, `\.` in a name.
fn lookup<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[?(@.") {
            let (filter, tail) = after.split_once(")]")?;
            let (field, wanted) = filter.split_once("==")?;
            let wanted = wanted.trim().trim_matches(['"', '\'']);
            value = value.as_array()?.iter().find(|item| item[field.trim()].as_str() == Some(wanted))?;
            rest = tail;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, tail) = after.split_once(']')?;
            value = match index.parse::<usize>() {
                Ok(index) => value.get(index)?,
                Err(_) => value.get(index.trim_matches(['"', '\'']))?,
            };
            rest = tail;
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let mut name = String::new();
            let mut chars = after.char_indices().peekable();
            let mut end = after.len();
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
                    '.' | '[' => {
                        end = at;
                        break;
                    }
                    c => name.push(c),
                }
            }
            value = value.get(&name)?;
            rest = after.get(end..)?;
        }
    }
    Some(value).filter(|value| !value.is_null())
}

/// The time since `time`, as kubectl abbreviates it.
pub(super) fn age(time: &str) -> String {
    let Ok(then) = time.parse::<jiff::Timestamp>() else { return "<invalid>".to_owned() };
    duration(jiff::Timestamp::now().as_second() - then.as_second())
}

/// Seconds, as kubectl abbreviates them.
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        120..10800 => format!("{minutes}m"),
        10800..28800 if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        10800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printer_columns_follow_their_paths() {
        let object = json!({"spec": {"list": [{"a": 1}], "a.b": "c"},
                            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        for (path, want) in [
            (".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            (".spec.list[0].a", json!(1)),
            (".spec.a\\.b", json!("c")),
            (".spec.missing.x", Value::Null),
        ] {
            assert_eq!(Column::simple("x", "string", path).cell(&object), want, "{path}");
        }
    }
}
