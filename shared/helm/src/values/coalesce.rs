//! Lays values over defaults, chart by chart: the user's over the parent's over the child's.
//!
//! There are two ways of it. *Coalescing* makes the values that templates see: a `null` of the user takes a default
//! away, and a default that is `null` is none. *Merging* keeps every `null`, for use while dependencies are worked out
//! and coalescing is still to come.

use serde_json::{Map, Value};

use crate::text::go_value;

/// Takes the warnings, each a whole sentence of Helm's.
pub(crate) type Warn<'a> = &'a mut dyn FnMut(String);

/// A chart as far as values are concerned.
pub(crate) trait Node {
    /// The key of its values in its parent's.
    fn name(&self) -> &str;
    /// Its default values.
    fn defaults(&self) -> &Map<String, Value>;
    /// Its subcharts.
    fn children(&self) -> &[Self]
    where
        Self: Sized;
}

/// Where a value is, for messages; only these make it text.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    key: &'p str,
}

impl Path<'_> {
    /// The top.
    pub(crate) const ROOT: Self = Self { above: None, key: "" };

    fn then<'p>(&'p self, key: &'p str) -> Path<'p> {
        Path { above: Some(self), key }
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.above {
            Some(above) if !(above.above.is_none() && above.key.is_empty()) => {
                write!(f, "{above}.{}", self.key)
            }
            _ => f.write_str(self.key),
        }
    }
}

/// What happens to nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// They remove.
    Remove,
    /// They stay.
    Keep,
}

/// Completes `values` with the defaults of `chart` and, each under its name, of its subcharts.
///
/// # Errors
/// The values hold something else than a map where a subchart's values belong.
pub(crate) fn coalesce<N: Node>(
    chart: &N,
    values: &mut Map<String, Value>,
    nulls: Nulls,
    warn: Warn<'_>,
) -> Result<(), String> {
    chart_values(chart, values, &Path::ROOT, nulls, warn)?;
    share_globals(chart, values);
    Ok(())
}

fn chart_values<N: Node>(
    chart: &N,
    values: &mut Map<String, Value>,
    prefix: &Path<'_>,
    nulls: Nulls,
    warn: Warn<'_>,
) -> Result<(), String> {
    let prefix = prefix.then(chart.name());
    own_values(chart, values, &prefix, nulls, warn);
    for child in chart.children() {
        let mut below = match values.remove(child.name()) {
            None => Map::new(),
            Some(Value::Object(below)) => below,
            Some(other) => return Err(mismatch(child.name(), &other)),
        };
        globals(&mut below, values, &prefix, warn);
        let done = chart_values(child, &mut below, &prefix, nulls, warn);
        take_back(values, &below);
        values.insert(child.name().to_owned(), Value::Object(below));
        done?;
    }
    Ok(())
}

/// Completes `values` with the defaults of one chart.
fn own_values<N: Node>(
    chart: &N,
    values: &mut Map<String, Value>,
    prefix: &Path<'_>,
    nulls: Nulls,
    warn: Warn<'_>,
) {
    for (key, default) in chart.defaults() {
        match (values.get_mut(key), default) {
            (None, default) => {
                if let Some(default) = copied(default, nulls) {
                    values.insert(key.clone(), default);
                }
            }
            (Some(Value::Null), _) if nulls == Nulls::Remove => {
                values.remove(key);
            }
            (Some(Value::Object(over)), Value::Object(default)) => {
                // A subchart works out its nulls itself, later.
                let child = chart.children().iter().any(|child| child.name() == key);
                let nulls = if child { Nulls::Keep } else { nulls };
                lay_under(over, default, &prefix.then(key), nulls, warn);
            }
            (Some(Value::Object(_)), default) if !default.is_null() => {
                warn(format!("warning: skipped value for {prefix}.{key}: Not a table."));
            }
            _ => {}
        }
    }
}

/// Completes `over` with `under`, at every depth.
pub(crate) fn lay_under(
    over: &mut Map<String, Value>,
    under: &Map<String, Value>,
    prefix: &Path<'_>,
    nulls: Nulls,
    warn: Warn<'_>,
) {
    for (key, default) in under {
        match (over.get_mut(key), default) {
            (None, default) => {
                if let Some(default) = copied(default, nulls) {
                    over.insert(key.clone(), default);
                }
            }
            (Some(Value::Null), default) if nulls == Nulls::Remove && !default.is_null() => {
                over.remove(key);
            }
            (Some(Value::Null), _) | (Some(Value::Object(_)), Value::Null) => {}
            (Some(Value::Object(over)), Value::Object(default)) => {
                lay_under(over, default, &prefix.then(key), nulls, warn);
            }
            (Some(Value::Object(_)), default) => warn(format!(
                "warning: destination for {} is a table. Ignoring non-table value ({})",
                prefix.then(key),
                go_value(default)
            )),
            (Some(_), Value::Object(_)) => {
                warn(format!(
                    "warning: cannot overwrite table with non table for {} ({})",
                    prefix.then(key),
                    go_value(default)
                ));
            }
            _ => {}
        }
    }
}

/// A default as it is taken over; `None` for one that is no value.
fn copied(value: &Value, nulls: Nulls) -> Option<Value> {
    match (value, nulls) {
        (Value::Null, Nulls::Remove) => None,
        (Value::Object(map), Nulls::Remove) => Some(Value::Object(
            map.iter().filter_map(|(key, value)| Some((key.clone(), copied(value, nulls)?))).collect(),
        )),
        (value, _) => Some(value.clone()),
    }
}

/// Hands the `global` values of `from` down to a subchart, whose own lie below them.
fn globals(to: &mut Map<String, Value>, from: &Map<String, Value>, prefix: &Path<'_>, warn: Warn<'_>) {
    let mut ours = match to.get_mut("global") {
        None => Map::new(),
        Some(Value::Object(map)) => std::mem::take(map),
        Some(_) => {
            warn("warning: skipping globals because destination global is not a table.".into());
            return;
        }
    };
    match from.get("global") {
        None => {}
        Some(Value::Object(theirs)) => {
            for (key, value) in theirs {
                hand_down(&mut ours, key, value, prefix, warn);
            }
        }
        Some(_) => {
            warn("warning: skipping globals because source global is not a table.".into());
            if to.contains_key("global") {
                to.insert("global".into(), Value::Object(ours));
            }
            return;
        }
    }
    to.insert("global".into(), Value::Object(ours));
}

fn hand_down(ours: &mut Map<String, Value>, key: &str, value: &Value, prefix: &Path<'_>, warn: Warn<'_>) {
    match (ours.get(key), value) {
        (Some(Value::Object(below)), Value::Object(above)) => {
            let mut merged = above.clone();
            lay_under(&mut merged, below, &prefix.then(key), Nulls::Keep, warn);
            ours.insert(key.to_owned(), Value::Object(merged));
        }
        (Some(existing), Value::Object(_)) if !existing.is_object() => {
            warn(format!(
                "Conflict: cannot merge map onto non-map for {}. Skipping.",
                crate::text::quoted(key)
            ));
        }
        (Some(Value::Object(_)), _) => warn(format!("key {key} is table. Skipping")),
        (_, value) => {
            ours.insert(key.to_owned(), value.clone());
        }
    }
}

/// Takes what a subchart made of the tables in `global.*`.
///
/// Helm copies one level of a global table for each subchart; the tables in it are the same objects for all charts, so
/// that each chart's defaults show in all of them. Charts with a common library see this.
fn take_back(values: &mut Map<String, Value>, below: &Map<String, Value>) {
    let (Some(Value::Object(ours)), Some(Value::Object(theirs))) =
        (values.get_mut("global"), below.get("global"))
    else {
        return;
    };
    share(theirs, ours);
}

/// Gives every subchart the tables in `global.*` as they are after all have spoken.
fn share_globals<N: Node>(chart: &N, values: &mut Map<String, Value>) {
    for child in chart.children() {
        let Some(Value::Object(mut below)) = values.remove(child.name()) else { continue };
        if let (Some(Value::Object(ours)), Some(Value::Object(theirs))) =
            (values.get("global"), below.get_mut("global"))
        {
            share(ours, theirs);
        }
        share_globals(child, &mut below);
        values.insert(child.name().to_owned(), Value::Object(below));
    }
}

fn share(from: &Map<String, Value>, to: &mut Map<String, Value>) {
    for (key, table) in to {
        let (Value::Object(to), Some(Value::Object(from))) = (table, from.get(key)) else { continue };
        for (key, table) in to.iter_mut().filter(|(_, value)| value.is_object()) {
            if let Some(shared @ Value::Object(_)) = from.get(key)
                && shared != table
            {
                table.clone_from(shared);
            }
        }
    }
}

fn mismatch(name: &str, value: &Value) -> String {
    let shown = match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(yes) => format!("bool {yes}"),
        Value::Number(number) if number.is_i64() => format!("int64 {number}"),
        Value::Number(_) => format!("float64 {}", go_value(value)),
        Value::String(text) => format!("string {}", crate::text::quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    };
    format!("type mismatch on {name}: expected a map, got {shown}")
}
