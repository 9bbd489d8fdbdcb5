//! The order in which values win, as Flux's code has it.
//!
//! Flux merges Go maps, which are references: a map of `spec.values` that meets no map of a ConfigMap or Secret becomes part
//! of the result as it is, and what a `targetPath` then sets in the result is set in `spec.values` too, and so survives the
//! last step, in which `spec.values` is merged over everything. A map that meets another one is copied, and there
//! `spec.values` wins. That decides who wins in cases that people have, so it is kept: [`Composer`] knows which parts of the
//! result are the inline values' own.

use serde_json::{Map, Value};

/// The key under which a shared map is marked while a path is set. No key of YAML can hold this character.
const MARK: &str = "\u{0}shared";

/// Merges values in Flux's order.
#[derive(Debug, Default)]
pub struct Composer {
    inline: Map<String, Value>,
    result: Map<String, Value>,
}

/// Where in the values something is.
type Path = Vec<String>;

impl Composer {
    /// Begins with `spec.values`, which are merged over everything in the end.
    #[must_use]
    pub fn new(inline: Map<String, Value>) -> Self {
        Self { inline, result: Map::new() }
    }

    /// Lays the values of a reference over what there is.
    pub fn merge(&mut self, over: Map<String, Value>) {
        sluice_helm::values::merge(&mut self.result, over);
    }

    /// Sets a path to a text, in the grammar of Helm's `--set`. A quoted text is text whatever is in it; a `literal` one is
    /// taken as it stands.
    ///
    /// # Errors
    /// What Helm says of a path or text that it cannot read.
    pub fn set(&mut self, path: &str, text: &str, literal: bool) -> Result<(), String> {
        let mut shared = Vec::new();
        merge_shared(&mut self.result, &self.inline, &mut Vec::new(), &mut shared);
        for (number, place) in shared.iter().enumerate() {
            if let Some(Value::Object(map)) = at(&mut self.result, place) {
                map.insert(MARK.to_owned(), Value::from(number));
            }
        }
        let outcome = assign(&mut self.result, path, text, literal);
        for (number, place) in shared.iter().enumerate() {
            let Some(new) = at(&mut self.result, place) else { continue };
            if let Value::Object(map) = new
                && map.remove(MARK) != Some(Value::from(number))
            {
                // Replaced as a whole: the inline values do not see it.
                continue;
            }
            let new = new.clone();
            if let Some(old) = at(&mut self.inline, place)
                && same_container(old, &new, path)
            {
                *old = new;
            }
        }
        outcome
    }

    /// The values, `spec.values` over all.
    #[must_use]
    pub fn finish(self) -> Map<String, Value> {
        let Self { inline, mut result } = self;
        sluice_helm::values::merge(&mut result, inline);
        result
    }
}

fn assign(values: &mut Map<String, Value>, path: &str, text: &str, literal: bool) -> Result<(), String> {
    if literal {
        let mut argument = format!("{path}=");
        for c in text.chars() {
            if matches!(c, '\\' | ',' | '[' | ']' | '{' | '}') {
                argument.push('\\');
            }
            argument.push(c);
        }
        return sluice_helm::values::assign(values, &argument, true);
    }
    let quoted = |quote: char| text.starts_with(quote) && text.ends_with(quote);
    if quoted('\'') || quoted('"') {
        let text = text.trim_matches(['\'', '"']);
        return sluice_helm::values::assign(values, &format!("{path}={text}"), true);
    }
    sluice_helm::values::assign(values, &format!("{path}={text}"), false)
}

/// Merges `inline` over `result`, and tells where `result` holds maps and lists that are the inline ones themselves.
fn merge_shared(
    result: &mut Map<String, Value>,
    inline: &Map<String, Value>,
    here: &mut Path,
    shared: &mut Vec<Path>,
) {
    for (key, value) in inline {
        here.push(key.clone());
        match (result.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge_shared(below, above, here, shared),
            (_, value) => {
                result.insert(key.clone(), value.clone());
                if value.is_object() || value.is_array() {
                    shared.push(here.clone());
                }
            }
        }
        here.pop();
    }
}

/// Whether a set changed a container in place. A list that grew was copied, and one without an index in the path was
/// replaced.
fn same_container(old: &Value, new: &Value, path: &str) -> bool {
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => old.len() == new.len() && path.contains('['),
        (Value::Object(_), Value::Object(_)) => true,
        _ => false,
    }
}

fn at<'a>(values: &'a mut Map<String, Value>, path: &[String]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    let mut value = values.get_mut(first)?;
    for key in rest {
        value = value.as_object_mut()?.get_mut(key)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    enum Step {
        Root(Value),
        Target(&'static str, &'static str),
        Literal(&'static str, &'static str),
    }
    use Step::{Literal, Root, Target};

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("no map: {other}"),
        }
    }

    fn compose(inline: Value, steps: Vec<Step>) -> Value {
        let mut composer = Composer::new(map(inline));
        for step in steps {
            match step {
                Root(value) => composer.merge(map(value)),
                Target(path, text) => composer.set(path, text, false).expect("the path can be set"),
                Literal(path, text) => composer.set(path, text, true).expect("the path can be set"),
            }
        }
        Value::Object(composer.finish())
    }

    #[test]
    fn who_wins_is_decided_as_in_flux() {
        for (case, inline, steps, want) in [
            (
                "a scalar of the inline values wins",
                json!({"a": "x"}),
                vec![Target("a", "t")],
                json!({"a": "x"}),
            ),
            (
                "a shared map is set in the inline values too",
                json!({"a": {"b": "x"}}),
                vec![Target("a.b", "t")],
                json!({"a": {"b": "t"}}),
            ),
            (
                "a map that met one of a reference is a copy",
                json!({"a": {"b": "x"}}),
                vec![Root(json!({"a": {"c": "r"}})), Target("a.b", "t")],
                json!({"a": {"b": "x", "c": "r"}}),
            ),
            (
                "a map below a copied one is shared",
                json!({"a": {"x": {"b": "i"}}}),
                vec![Root(json!({"a": {"c": "r"}})), Target("a.x.b", "t")],
                json!({"a": {"c": "r", "x": {"b": "t"}}}),
            ),
            (
                "a later reference overrides the target",
                json!({}),
                vec![Target("a.b", "t"), Root(json!({"a": {"b": "r"}}))],
                json!({"a": {"b": "r"}}),
            ),
            (
                "of two targets in one map the first wins over the inline values, the second loses",
                json!({"a": {"b": "i", "c": "i"}}),
                vec![Target("a.b", "t1"), Target("a.c", "t2")],
                json!({"a": {"b": "t1", "c": "i"}}),
            ),
            (
                "an element of an inline list is set in place",
                json!({"l": ["a", "b"]}),
                vec![Target("l[1]", "t")],
                json!({"l": ["a", "t"]}),
            ),
            (
                "a list that grows is a new one",
                json!({"l": ["a", "b"]}),
                vec![Target("l[2]", "t")],
                json!({"l": ["a", "b"]}),
            ),
            (
                "a map that is replaced is not shared any more",
                json!({"a": {"b": "x"}}),
                vec![Target("a", "t")],
                json!({"a": {"b": "x"}}),
            ),
            (
                "what nobody else has is just set",
                json!({"other": 1.0}),
                vec![Root(json!({"list": {"example": ["a", "b", "c"]}})), Target("list.example[2]", "d")],
                json!({"list": {"example": ["a", "b", "d"]}, "other": 1.0}),
            ),
            (
                "null is a value",
                json!({"a": null}),
                vec![Root(json!({"a": 1.0, "b": null}))],
                json!({"a": null, "b": null}),
            ),
        ] {
            assert_eq!(compose(inline, steps), want, "{case}");
        }
    }

    #[test]
    fn targets_are_read_as_set_arguments() {
        for (step, want) in [
            (Target("a", "true"), json!(true)),
            (Target("a", "12"), json!(12)),
            (Target("a", "012"), json!("012")),
            (Target("a", "1.5"), json!("1.5")),
            (Target("a", "'12'"), json!("12")),
            (Target("a", "\"'12'\""), json!("12")),
            (Target("a", "{x,y}"), json!(["x", "y"])),
            (Target("a", "null"), json!(null)),
            (Literal("a", "{\"k\": [1, 2]},\\n"), json!("{\"k\": [1, 2]},\\n")),
            (Literal("a", "12"), json!("12")),
        ] {
            assert_eq!(compose(json!({}), vec![step])["a"], want);
        }
        let annotation = compose(json!({}), vec![Target("p.some\\.k8s\\.io\\/env", "x")]);
        assert_eq!(annotation, json!({"p": {"some.k8s.io/env": "x"}}));
        let err = Composer::new(Map::new()).set("a", "b,c", false).expect_err("c has no value");
        assert_eq!(err, "key \"c\" has no value");
    }
}
