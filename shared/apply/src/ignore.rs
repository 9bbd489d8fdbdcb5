//! Drift that an owner wants to live with: `spec.ignore` of a Kustomization.

use std::collections::BTreeMap;

use kube::core::{Selector, SelectorExt};
use regex::Regex;
use serde_json::{Map, Value};

use crate::{
    object::{ObjectId, metadata_map},
    selector,
};

/// Paths whose drift is left alone, on some objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreRule {
    /// JSON pointers (RFC 6901).
    pub paths: Vec<String>,
    /// Which objects; all without it.
    pub target: Option<IgnoreTarget>,
}

/// Which objects a rule is about. All given parts must match; the first five are regular expressions for the whole text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreTarget {
    /// API group.
    pub group: Option<String>,
    /// API version.
    pub version: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Label selector.
    pub label_selector: Option<String>,
    /// Selector over annotations, in the same syntax.
    pub annotation_selector: Option<String>,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to create ignore rule selector: invalid {part}: {cause}")]
pub struct IgnoreError {
    /// `kind regex`, `label selector` and so on.
    pub part: &'static str,
    /// What is wrong with it.
    pub cause: String,
}

/// Rules made ready for matching.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    paths: Vec<String>,
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Option<Selector>,
    annotations: Option<Selector>,
}

impl IgnoreRules {
    /// Checks the rules and makes them ready.
    ///
    /// # Errors
    /// [`IgnoreError`], in Flux's words, on a regular expression or selector that cannot be read.
    pub fn new(rules: &[IgnoreRule]) -> Result<Self, IgnoreError> {
        rules.iter().map(Rule::new).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths that are ignored on an object, from all rules that match it.
    pub fn paths(&self, id: &ObjectId, version: &str, object: &Value) -> Vec<&str> {
        let mut paths: Vec<&str> = Vec::new();
        for rule in self.0.iter().filter(|rule| rule.matches(id, version, object)) {
            for path in &rule.paths {
                if !paths.contains(&path.as_str()) {
                    paths.push(path);
                }
            }
        }
        paths
    }
}

impl Rule {
    fn new(rule: &IgnoreRule) -> Result<Self, IgnoreError> {
        let target = rule.target.clone().unwrap_or_default();
        Ok(Self {
            paths: rule.paths.clone(),
            group: whole(target.group.as_deref(), "group regex")?,
            version: whole(target.version.as_deref(), "version regex")?,
            kind: whole(target.kind.as_deref(), "kind regex")?,
            name: whole(target.name.as_deref(), "name regex")?,
            namespace: whole(target.namespace.as_deref(), "namespace regex")?,
            labels: select(target.label_selector.as_deref(), "label selector")?,
            annotations: select(target.annotation_selector.as_deref(), "annotation selector")?,
        })
    }

    fn matches(&self, id: &ObjectId, version: &str, object: &Value) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_none_or(|p| p.is_match(text));
        let selects = |selector: &Option<Selector>, field: &str| {
            selector.as_ref().is_none_or(|selector| {
                let map: BTreeMap<String, String> = metadata_map(object, field)
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
                    .collect();
                selector.matches(&map)
            })
        };
        fits(&self.group, &id.group)
            && fits(&self.version, version)
            && fits(&self.kind, &id.kind)
            && fits(&self.name, &id.name)
            && fits(&self.namespace, &id.namespace)
            && selects(&self.labels, "labels")
            && selects(&self.annotations, "annotations")
    }
}

fn whole(pattern: Option<&str>, part: &'static str) -> Result<Option<Regex>, IgnoreError> {
    let Some(pattern) = pattern.filter(|p| !p.is_empty()) else { return Ok(None) };
    Regex::new(&format!("^(?:{pattern})$"))
        .map(Some)
        .map_err(|error| IgnoreError { part, cause: error.to_string() })
}

fn select(text: Option<&str>, part: &'static str) -> Result<Option<Selector>, IgnoreError> {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(None) };
    selector::parse(text).map(Some).map_err(|error| IgnoreError { part, cause: error.to_string() })
}

/// Whether a live object differs from what an apply would make of it, outside the ignored paths: in labels,
/// annotations, or anything but metadata and status.
pub(crate) fn drifted(live: &Value, wanted: &Value, ignored: &[&str]) -> bool {
    let comparable = |object: &Value| {
        let mut object = object.clone();
        for path in ignored {
            remove(&mut object, path);
        }
        let metadata = ["labels", "annotations"]
            .map(|field| metadata_map(&object, field).filter(|m| !m.is_empty()).cloned());
        if let Some(root) = object.as_object_mut() {
            root.remove("metadata");
            root.remove("status");
        }
        (object, metadata)
    };
    comparable(live) != comparable(wanted)
}

/// Adjusts what will be applied, so that ignored paths keep their live values.
///
/// A path whose live value differs is stripped when another manager applies it too (our ownership ends) or when either
/// side lacks it, and else adopted: the live value takes the place of ours.
pub(crate) fn adjust(
    payload: &mut Value,
    live: &Value,
    wanted: &Value,
    ignored: &[&str],
    field_manager: &str,
) {
    for path in ignored {
        let (live_value, wanted_value) = (live.pointer(path), wanted.pointer(path));
        if live_value == wanted_value || payload.pointer(path).is_none() {
            continue;
        }
        match live_value {
            Some(value) if !co_owned(live, path, field_manager) => {
                if let Some(slot) = payload.pointer_mut(path) {
                    *slot = value.clone();
                }
            }
            _ => remove(payload, path),
        }
    }
}

/// Whether another manager's Apply entry holds the field.
fn co_owned(live: &Value, path: &str, field_manager: &str) -> bool {
    let Some(keys) = field_path(live, path) else { return false };
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        entry["operation"] == "Apply"
            && entry["manager"] != field_manager
            && entry.get("subresource").and_then(Value::as_str).is_none_or(str::is_empty)
            && entry.get("fieldsV1").is_some_and(|fields| owns(fields, &keys))
    })
}

/// One step of a pointer: a field, or the item of a list.
enum Step<'a> {
    Field(String),
    Item(&'a Value),
}

/// The pointer as steps through the live object; `None` when it leads nowhere.
fn field_path<'a>(live: &'a Value, path: &str) -> Option<Vec<Step<'a>>> {
    let mut at = live;
    let mut steps = Vec::new();
    for token in path.strip_prefix('/')?.split('/') {
        let token = token.replace("~1", "/").replace("~0", "~");
        match at {
            Value::Object(map) => {
                at = map.get(&token)?;
                steps.push(Step::Field(token));
            }
            Value::Array(items) => {
                at = items.get(token.parse::<usize>().ok()?)?;
                steps.push(Step::Item(at));
            }
            _ => return None,
        }
    }
    Some(steps)
}

fn owns(fields: &Value, steps: &[Step<'_>]) -> bool {
    let mut at = fields;
    for step in steps {
        let Some(map) = at.as_object() else { return false };
        let next = match step {
            Step::Field(name) => map.get(&format!("f:{name}")),
            Step::Item(item) => map.iter().find(|(key, _)| is_key_of(key, item)).map(|(_, value)| value),
        };
        match next {
            Some(next) => at = next,
            // An entry that owns a whole value owns all below it.
            None => return map.is_empty() && !std::ptr::eq(at, fields),
        }
    }
    true
}

/// Whether a `k:{…}` or `v:…` key of managed fields names this item.
fn is_key_of(key: &str, item: &Value) -> bool {
    if let Some(keys) =
        key.strip_prefix("k:").and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok())
    {
        return keys.iter().all(|(name, value)| item.get(name) == Some(value));
    }
    key.strip_prefix("v:")
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .is_some_and(|value| value == *item)
}

/// Removes what a pointer points to; nothing happens when it leads nowhere.
pub fn remove(object: &mut Value, path: &str) {
    let Some((parent, last)) = path.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(&last)),
        Some(Value::Array(items)) => {
            if let Ok(index) = last.parse::<usize>()
                && index < items.len()
            {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(paths: &[&str], target: Option<IgnoreTarget>) -> IgnoreRules {
        IgnoreRules::new(&[IgnoreRule { paths: paths.iter().map(ToString::to_string).collect(), target }])
            .unwrap()
    }

    #[test]
    fn all_parts_of_a_target_must_match_the_whole_text() {
        let object = json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"a","labels":{"app":"x"}}});
        let (id, version) = ObjectId::of(&object);
        let some = |s: &str| Some(s.to_owned());
        for (target, want) in [
            (None, true),
            (Some(IgnoreTarget { kind: some("Deploy"), ..Default::default() }), false),
            (
                Some(IgnoreTarget { kind: some("Deploy.*"), name: some("web|api"), ..Default::default() }),
                true,
            ),
            (Some(IgnoreTarget { label_selector: some("app=x"), ..Default::default() }), true),
            (Some(IgnoreTarget { label_selector: some("app=y"), ..Default::default() }), false),
            (Some(IgnoreTarget { annotation_selector: some("z"), ..Default::default() }), false),
        ] {
            assert_eq!(
                !rules(&["/spec"], target.clone()).paths(&id, &version, &object).is_empty(),
                want,
                "{target:?}"
            );
        }
        let error = IgnoreRules::new(&[IgnoreRule {
            paths: vec![],
            target: Some(IgnoreTarget { kind: some("("), ..Default::default() }),
        }]);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .starts_with("failed to create ignore rule selector: invalid kind regex: ")
        );
    }

    #[test]
    fn only_what_counts_is_drift() {
        let live = json!({"metadata":{"resourceVersion":"1","labels":{"a":"1"}},"spec":{"x":1,"y":2},"status":{"s":1}});
        for (wanted, ignored, want) in [
            (
                json!({"metadata":{"resourceVersion":"2","labels":{"a":"1"},"finalizers":["f"]},"spec":{"x":1,"y":2}}),
                vec![],
                false,
            ),
            (json!({"metadata":{"labels":{"a":"1"},"annotations":{}},"spec":{"x":1,"y":2}}), vec![], false),
            (json!({"metadata":{"labels":{"a":"2"}},"spec":{"x":1,"y":2}}), vec![], true),
            (json!({"metadata":{"labels":{"a":"1"}},"spec":{"x":9,"y":2}}), vec![], true),
            (json!({"metadata":{"labels":{"a":"1"}},"spec":{"x":9,"y":2}}), vec!["/spec/x"], false),
            (
                json!({"metadata":{"labels":{"a":"1"}},"spec":{"x":9,"y":3}}),
                vec!["/spec/x", "/spec/0/z", "nonsense"],
                true,
            ),
        ] {
            assert_eq!(drifted(&live, &wanted, &ignored), want, "{wanted} {ignored:?}");
        }
    }

    #[test]
    fn ignored_values_are_adopted_or_stripped() {
        let entry = |fields: Value| json!([{"manager": "hpa", "operation": "Apply", "fieldsV1": fields}]);
        for (name, live, payload, path, want) in [
            ("adopt", json!({"spec":{"r":5}}), json!({"spec":{"r":1}}), "/spec/r", json!({"spec":{"r":5}})),
            (
                "equal stays",
                json!({"spec":{"r":1}}),
                json!({"spec":{"r":1}}),
                "/spec/r",
                json!({"spec":{"r":1}}),
            ),
            (
                "strip when co-owned",
                json!({"metadata":{"managedFields": entry(json!({"f:spec":{"f:r":{}}}))},"spec":{"r":5}}),
                json!({"spec":{"r":1,"x":1}}),
                "/spec/r",
                json!({"spec":{"x":1}}),
            ),
            (
                "list items are found by their keys",
                json!({"metadata":{"managedFields": entry(json!({"f:c":{"k:{\"name\":\"b\"}":{"f:i":{}}}}))},"c":[{"name":"a","i":1},{"name":"b","i":5}]}),
                json!({"c":[{"name":"a","i":1},{"name":"b","i":1}]}),
                "/c/1/i",
                json!({"c":[{"name":"a","i":1},{"name":"b"}]}),
            ),
            ("live value gone", json!({"spec":{}}), json!({"spec":{"r":1}}), "/spec/r", json!({"spec":{}})),
            ("payload lacks it", json!({"spec":{"r":5}}), json!({"spec":{}}), "/spec/r", json!({"spec":{}})),
        ] {
            let wanted = payload.clone();
            let mut got = payload;
            adjust(&mut got, &live, &wanted, &[path], "kustomize-controller");
            assert_eq!(got, want, "{name}");
        }
    }
}
