//! Patches as clients make them that do not leave the merge to the server: from what was sent last, what is to be, and
//! what is there (client-go's strategic and JSON merge patches).

use serde_json::{Map, Value, json};
use sluice_apply::object::{split_api_version, text};
use sluice_helm::Capabilities;
use sluice_kustomize::merge_keys::{ListMerge, Type, root_type};

/// A patch and its media type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Patch {
    pub(crate) content_type: &'static str,
    pub(crate) body: Value,
}

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";

/// The patch that brings `live` to `new`, or none if nothing is to change.
///
/// Kinds that Kubernetes itself has: fields that `old` had and `new` lacks go, others of `live` stay, lists merge by
/// their keys. Custom resources: the change from `old` to `new`, whatever `live` is; one that is taken over, and
/// has no `old`, is brought to `new`.
pub(crate) fn patch(old: Option<&Value>, new: &Value, live: &Value) -> Option<Patch> {
    let (api_version, kind) = (text(new, "apiVersion"), text(new, "kind"));
    let (group, version) = split_api_version(api_version);
    let of = root_type(group, version, kind);
    let known = of.is_some() || Capabilities::default().api_versions.iter().any(|known| known == api_version);
    if !known {
        let body = json_merge(old.unwrap_or(live), new, old.is_some());
        return body.map(|body| Patch { content_type: MERGE, body });
    }
    let mut body = Map::new();
    if let (Some(live), Some(new)) = (live.as_object(), new.as_object()) {
        changes(live, new, of, &mut body);
    }
    if let (Some(old), Some(new)) = (old.and_then(Value::as_object), new.as_object()) {
        deletions(old, new, of, &mut body);
    }
    (!body.is_empty()).then_some(Patch { content_type: STRATEGIC, body: Value::Object(body) })
}

/// A JSON merge patch from one value to another; `removing` tells whether what is missing goes.
fn json_merge(from: &Value, to: &Value, removing: bool) -> Option<Value> {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return (from != to).then(|| to.clone());
    };
    let mut patch = Map::new();
    for (key, wanted) in to {
        match from.get(key) {
            None => drop(patch.insert(key.clone(), wanted.clone())),
            Some(had) => {
                if let Some(inner) = json_merge(had, wanted, removing) {
                    patch.insert(key.clone(), inner);
                }
            }
        }
    }
    if removing {
        for key in from.keys().filter(|key| !to.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// What `new` adds to or changes of `live`.
fn changes(
    live: &Map<String, Value>,
    new: &Map<String, Value>,
    of: Option<&'static Type>,
    patch: &mut Map<String, Value>,
) {
    for (key, wanted) in new {
        let (inner, list) = of.map_or((None, None), |of| of.field(key));
        match (live.get(key), wanted) {
            (Some(is), wanted) if is == wanted => {}
            (Some(Value::Object(is)), Value::Object(wanted)) => {
                let mut below = Map::new();
                changes(is, wanted, inner, &mut below);
                if retains_keys(key) && is.keys().any(|key| !wanted.contains_key(key)) && !below.is_empty() {
                    below.insert("$retainKeys".into(), wanted.keys().cloned().collect());
                }
                if !below.is_empty() {
                    patch.insert(key.clone(), Value::Object(below));
                }
            }
            (Some(Value::Array(is)), Value::Array(wanted)) if list.is_some() => {
                list_changes(key, is, wanted, inner, list, patch);
            }
            (None, Value::Null) => {}
            _ => drop(patch.insert(key.clone(), wanted.clone())),
        }
    }
}

fn list_changes(
    key: &str,
    is: &[Value],
    wanted: &[Value],
    of: Option<&'static Type>,
    list: Option<ListMerge>,
    patch: &mut Map<String, Value>,
) {
    let mut items = Vec::new();
    match list.and_then(merge_key) {
        None => items.extend(wanted.iter().filter(|item| !is.contains(item)).cloned()),
        Some(name) => {
            for item in wanted {
                let Some(id) = item.get(name) else {
                    // Not a list that merges: it is replaced.
                    patch.insert(key.to_owned(), Value::Array(wanted.to_vec()));
                    return;
                };
                let there = is.iter().find(|other| other.get(name) == Some(id)).and_then(Value::as_object);
                let (Some(there), Some(item)) = (there, item.as_object()) else {
                    items.push(item.clone());
                    continue;
                };
                let mut below = Map::new();
                changes(there, item, of, &mut below);
                if !below.is_empty() {
                    if key == "volumes" && there.keys().any(|key| !item.contains_key(key)) {
                        below.insert("$retainKeys".into(), item.keys().cloned().collect());
                    }
                    below.insert(name.to_owned(), id.clone());
                    items.push(Value::Object(below));
                }
            }
            let order =
                |list: &[Value]| list.iter().filter_map(|item| item.get(name).cloned()).collect::<Vec<_>>();
            let (old, new) = (order(is), order(wanted));
            let kept: Vec<_> = old.into_iter().filter(|id| new.contains(id)).collect();
            if !items.is_empty() || !new.iter().filter(|id| kept.contains(id)).eq(kept.iter()) {
                let order: Vec<_> = new.into_iter().map(|id| json!({name: id})).collect();
                patch.insert(format!("$setElementOrder/{key}"), Value::Array(order));
            }
        }
    }
    if !items.is_empty() {
        patch.insert(key.to_owned(), Value::Array(items));
    }
}

/// What `old` had and `new` lacks.
fn deletions(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    of: Option<&'static Type>,
    patch: &mut Map<String, Value>,
) {
    for (key, had) in old {
        let (inner, list) = of.map_or((None, None), |of| of.field(key));
        match (had, new.get(key)) {
            (_, None) => drop(patch.entry(key).or_insert(Value::Null)),
            (Value::Object(had), Some(Value::Object(wanted))) => {
                let mut below = match patch.remove(key) {
                    Some(Value::Object(below)) => below,
                    Some(other) => {
                        patch.insert(key.clone(), other);
                        continue;
                    }
                    None => Map::new(),
                };
                deletions(had, wanted, inner, &mut below);
                if !below.is_empty() {
                    patch.insert(key.clone(), Value::Object(below));
                }
            }
            (Value::Array(had), Some(Value::Array(wanted))) if list.is_some() => {
                list_deletions(key, had, wanted, inner, list, patch);
            }
            _ => {}
        }
    }
}

fn list_deletions(
    key: &str,
    had: &[Value],
    wanted: &[Value],
    of: Option<&'static Type>,
    list: Option<ListMerge>,
    patch: &mut Map<String, Value>,
) {
    let Some(name) = list.and_then(merge_key) else {
        let gone: Vec<_> = had.iter().filter(|item| !wanted.contains(item)).cloned().collect();
        if !gone.is_empty() {
            patch.insert(format!("$deleteFromPrimitiveList/{key}"), Value::Array(gone));
        }
        return;
    };
    let mut items = match patch.remove(key) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    for item in had {
        let (Some(id), Some(item)) = (item.get(name), item.as_object()) else { continue };
        let Some(still) = wanted.iter().find(|other| other.get(name) == Some(id)) else {
            items.push(json!({"$patch": "delete", name: id}));
            continue;
        };
        let Some(still) = still.as_object() else { continue };
        let at = items.iter().position(|other| other.get(name) == Some(id));
        let mut below = match at.map(|at| items.remove(at)) {
            Some(Value::Object(below)) => below,
            _ => Map::new(),
        };
        deletions(item, still, of, &mut below);
        if !below.is_empty() {
            below.insert(name.to_owned(), id.clone());
            items.insert(at.unwrap_or(items.len()), Value::Object(below));
        }
    }
    if !items.is_empty() {
        patch.insert(key.to_owned(), Value::Array(items));
    }
}

/// The field by which the items of a list are told apart; none for lists of plain values. The server's strategic merge
/// knows one key per list, which is the first.
fn merge_key(list: ListMerge) -> Option<&'static str> {
    match list {
        ListMerge::ByKeys(keys) => keys.first().copied(),
        ListMerge::Primitive => None,
    }
}

/// Maps of which one field excludes others: what is not named has to go.
fn retains_keys(key: &str) -> bool {
    key == "strategy"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(spec: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec})
    }

    fn pod(containers: Value) -> Value {
        deployment(json!({"template": {"spec": {"containers": containers}}}))
    }

    #[test]
    fn fields_of_others_stay_and_own_ones_go() {
        for (name, old, new, live, want) in [
            (
                "nothing to do",
                deployment(json!({"replicas": 1})),
                deployment(json!({"replicas": 1})),
                deployment(json!({"replicas": 1, "paused": true})),
                None,
            ),
            (
                "drift is corrected, others' fields stay",
                deployment(json!({"replicas": 1})),
                deployment(json!({"replicas": 1})),
                deployment(json!({"replicas": 5, "paused": true})),
                Some(json!({"spec": {"replicas": 1}})),
            ),
            (
                "a field that is not wanted any more goes",
                deployment(json!({"replicas": 1, "paused": true})),
                deployment(json!({"replicas": 1})),
                deployment(json!({"replicas": 1, "paused": true})),
                Some(json!({"spec": {"paused": null}})),
            ),
            (
                "containers merge by name",
                pod(json!([{"name": "a", "image": "1"}, {"name": "b"}])),
                pod(json!([{"name": "a", "image": "2"}])),
                pod(json!([{"name": "sidecar"}, {"name": "a", "image": "1", "tty": true}, {"name": "b"}])),
                Some(json!({"spec": {"template": {"spec": {
                    "$setElementOrder/containers": [{"name": "a"}],
                    "containers": [{"name": "a", "image": "2"}, {"$patch": "delete", "name": "b"}],
                }}}})),
            ),
            (
                "a strategy keeps only what is named",
                deployment(json!({})),
                deployment(json!({"strategy": {"type": "Recreate"}})),
                deployment(json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}})),
                Some(json!({"spec": {"strategy": {"type": "Recreate", "$retainKeys": ["type"]}}})),
            ),
            (
                "lists without a key are replaced",
                pod(json!([{"name": "a", "args": ["1", "2"]}])),
                pod(json!([{"name": "a", "args": ["2"]}])),
                pod(json!([{"name": "a", "args": ["1", "2"]}])),
                Some(json!({"spec": {"template": {"spec": {
                    "$setElementOrder/containers": [{"name": "a"}],
                    "containers": [{"name": "a", "args": ["2"]}],
                }}}})),
            ),
        ] {
            let got = patch(Some(&old), &new, &live);
            assert_eq!(
                got.as_ref().map(|patch| patch.content_type),
                want.as_ref().map(|_| STRATEGIC),
                "{name}"
            );
            assert_eq!(got.map(|patch| patch.body), want, "{name}");
        }
    }

    #[test]
    fn custom_resources_change_as_the_release_changes() {
        let widget = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": spec});
        let body =
            |old: Option<&Value>, new: &Value, live: &Value| patch(old, new, live).map(|patch| patch.body);
        let (old, new, live) =
            (widget(json!({"a": 1, "b": 1})), widget(json!({"a": 2})), widget(json!({"a": 9, "c": 1})));
        assert_eq!(body(Some(&old), &new, &live), Some(json!({"spec": {"a": 2, "b": null}})));
        assert_eq!(body(Some(&new), &new, &live), None, "the live object is not looked at");
        assert_eq!(body(None, &new, &live), Some(json!({"spec": {"a": 2}})), "taken over");
    }
}
