//! Server-side apply and the bookkeeping of `metadata.managedFields`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{Element, Set};
use super::typed::{self, Type};
use crate::schema::{Kind, Schema, View};

/// At most so many entries of updates are kept; older ones become [`ANCIENT`].
const MAX_UPDATE_MANAGERS: usize = 10;
const ANCIENT: &str = "ancient-changes";
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manager<'a> {
    /// The field manager.
    pub(crate) name: &'a str,
    /// Group and version of the request.
    pub(crate) api_version: &'a str,
    /// The subresource, or empty.
    pub(crate) subresource: &'a str,
    /// The time of the request, RFC 3339 in seconds.
    pub(crate) now: &'a str,
    /// Fields that this endpoint resets, see [`reset_fields`]: nobody comes to own them through it.
    pub(crate) reset: &'a Set,
}

/// Why an apply is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// Other managers own fields with other values: status 409 Conflict, a cause per field.
    #[error("{message}")]
    Conflicts {
        /// The status message.
        message: String,
        /// Message and field of each cause of type `FieldManagerConflict`.
        causes: Vec<(String, String)>,
        /// The fields of each other manager.
        fields: Vec<(String, Set)>,
    },
    /// The request is malformed: status 400 BadRequest.
    #[error("{0}")]
    Malformed(String),
    /// The configuration does not fit the schema: status 500 without a reason, as the real server.
    #[error("{0}")]
    Typed(String),
}

/// What an endpoint resets: `status` on the main resource where there is a status subresource; on `status` the spec, and
/// of the metadata the fields that it keeps, or all.
pub(crate) fn reset_fields(has_status: bool, subresource: &str, kept_metadata: Option<&[&str]>) -> Set {
    let mut set = Set::default();
    match (subresource, kept_metadata) {
        ("", _) if has_status => set.insert(&[Element::field("status")]),
        ("status", Some(kept)) => {
            set.insert(&[Element::field("spec")]);
            for field in kept {
                set.insert(&[Element::field("metadata"), Element::field(field)]);
            }
        }
        ("status", None) => {
            set.insert(&[Element::field("spec")]);
            set.insert(&[Element::field("metadata")]);
        }
        _ => {}
    }
    set
}

/// Merges a configuration into `live`, and fails where it conflicts, unless `force`.
pub(super) fn merge_applied(
    schema: Option<&Schema>,
    live: Option<&Value>,
    applied: &Value,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    if applied["metadata"]["managedFields"].as_array().is_some_and(|entries| !entries.is_empty()) {
        return Err(ApplyError::Malformed("metadata.managedFields must be nil".into()));
    }
    let ty: Type<'_> = schema.map(Schema::view);
    let mut applied = applied.clone();
    if let Some(metadata) = applied["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    let misfits = typed::misfits(ty, &applied);
    if !misfits.is_empty() {
        return Err(ApplyError::Typed(misfit_message(&applied, manager.api_version, &misfits)));
    }

    let mut old = live.cloned().unwrap_or_else(|| json!({}));
    let mut managed = Managed::decode(take_managed(&mut old).as_ref());
    if managed.0.is_empty() && live.is_some() {
        let key = Key::update(BEFORE_FIRST_APPLY, &api_version_of(&old), "");
        let set =
            typed::compare(ty, &empty_object(schema, &old), &old).added.recursive_difference(manager.reset);
        let set = set.union(&typed::compare(ty, &empty_object(schema, &old), &old).modified);
        managed.0.insert(
            key,
            Owned { set: strip(&set), time: Some(manager.now.into()), api_version: api_version_of(&old) },
        );
    }

    let key = Key {
        manager: manager.name.into(),
        apply: true,
        api_version: String::new(),
        subresource: manager.subresource.into(),
    };
    let last = managed.0.get(&key).cloned();
    let set = typed::field_set(ty, &applied).recursive_difference(manager.reset);
    let time = last.as_ref().and_then(|last| last.time.clone());
    let owned = Owned { set: strip(&set), time, api_version: manager.api_version.into() };
    managed.0.insert(key.clone(), owned.clone());

    let mut new = typed::merge(ty, &old, &applied);
    if let Some(last) = &last {
        new = prune(ty, new, &managed, &last.set);
    }
    let difference = typed::compare(ty, &old, &new).without(manager.reset);
    let touched = difference.modified.union(&difference.added);
    let mut conflicts = Vec::new();
    for (other, theirs) in managed.0.iter_mut().filter(|(other, _)| **other != key) {
        let conflict = theirs.set.intersection(&touched);
        if !conflict.is_empty() {
            theirs.set = theirs.set.difference(&conflict);
            conflicts.push((other.describe(), conflict));
        }
        theirs.set = theirs.set.difference(&difference.removed);
    }
    if !force && !conflicts.is_empty() {
        return Err(conflict_error(conflicts));
    }
    // Ownership that moves without a change of the object has no time.
    if !difference.is_same()
        && let Some(mine) = managed.0.get_mut(&key)
    {
        mine.time = Some(manager.now.into());
    }
    put_managed(&mut new, managed);
    Ok(new)
}

/// Takes out what the manager applied before, applies no more, and nobody else owns.
fn prune(ty: Type<'_>, merged: Value, managed: &Managed, last: &Set) -> Value {
    let last = last.with_parents();
    let owned = managed.0.values().fold(Set::default(), |all, one| all.union(&one.set)).with_parents();
    if last.difference(&owned).is_empty() {
        return merged;
    }
    let all = typed::field_set(ty, &merged).with_parents();
    let pruned = typed::field_set(ty, &typed::remove(ty, &merged, &last)).with_parents();
    let kept = typed::remove(ty, &merged, &all.difference(&pruned.union(&owned)));
    let kept = typed::field_set(ty, &kept).with_parents();
    typed::remove(ty, &merged, &all.difference(&kept).intersection(&last))
}

/// Records in `new` who owns what after an update or a patch of `live` (`None`: a create).
///
/// What the writer sends as `managedFields` counts, as on the real server: `[]` and `[{}]` clear them; on a subresource
/// they are ignored. A live object that nobody tracks stays so.
pub(crate) fn update(schema: Option<&Schema>, live: Option<&Value>, new: &mut Value, manager: &Manager<'_>) {
    let ty: Type<'_> = schema.map(Schema::view);
    let sent = take_managed(new);
    let mut old = live.cloned().unwrap_or_else(|| empty_object(schema, new));
    let kept = take_managed(&mut old);
    let reset = manager.subresource.is_empty()
        && live.is_some()
        && sent.as_ref().and_then(Value::as_array).is_some_and(|entries| {
            entries.is_empty()
                || (entries.len() == 1 && entries[0].as_object().is_some_and(serde_json::Map::is_empty))
        });
    if reset {
        return;
    }
    let mut managed = Managed::decode(sent.as_ref().filter(|_| manager.subresource.is_empty()));
    if managed.0.is_empty() {
        managed = Managed::decode(kept.as_ref());
    }
    if managed.0.is_empty() && live.is_some() {
        return;
    }
    let difference = typed::compare(ty, &old, new).without(manager.reset);
    let touched = difference.modified.union(&difference.added);
    for theirs in managed.0.values_mut() {
        theirs.set = theirs.set.difference(&touched).difference(&difference.removed);
    }
    let taken = strip(&touched);
    if !taken.is_empty() {
        let key = Key::update(manager.name, manager.api_version, manager.subresource);
        let mine = managed.0.entry(key).or_insert_with(|| Owned {
            set: Set::default(),
            time: None,
            api_version: manager.api_version.into(),
        });
        mine.set = mine.set.union(&taken);
        mine.time = Some(manager.now.into());
    }
    managed.cap();
    put_managed(new, managed);
}

/// Whether two objects differ in nothing but the times of `managedFields`: such a write changes nothing.
pub(crate) fn same_except_times(one: &Value, other: &Value) -> bool {
    let entries = |value: &Value| -> Vec<Value> {
        let entries = value["metadata"]["managedFields"].as_array();
        let mut entries: Vec<Value> = entries
            .into_iter()
            .flatten()
            .map(|entry| {
                let mut entry = entry.clone();
                if let Some(map) = entry.as_object_mut() {
                    map.remove("time");
                }
                entry
            })
            .collect();
        entries.sort_by_cached_key(Value::to_string);
        entries
    };
    let same_map = |one: &Value, other: &Value, except: &str| match (one.as_object(), other.as_object()) {
        (Some(one), Some(other)) => {
            let count =
                |map: &serde_json::Map<String, Value>| map.len() - usize::from(map.contains_key(except));
            count(one) == count(other)
                && one
                    .iter()
                    .filter(|(name, _)| *name != except)
                    .all(|(name, value)| other.get(name) == Some(value))
        }
        _ => one == other,
    };
    same_map(one, other, "metadata")
        && same_map(&one["metadata"], &other["metadata"], "managedFields")
        && entries(one) == entries(other)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    manager: String,
    apply: bool,
    /// Empty for appliers, who have one entry whatever version they use.
    api_version: String,
    subresource: String,
}

impl Key {
    fn update(manager: &str, api_version: &str, subresource: &str) -> Self {
        Self {
            manager: manager.into(),
            apply: false,
            api_version: api_version.into(),
            subresource: subresource.into(),
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if !self.apply {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

#[derive(Clone, Debug)]
struct Owned {
    set: Set,
    time: Option<String>,
    api_version: String,
}

#[derive(Clone, Debug, Default)]
struct Managed(BTreeMap<Key, Owned>);

impl Managed {
    /// Reads `managedFields`; all or nothing, so that a malformed entry cannot hide others.
    fn decode(entries: Option<&Value>) -> Self {
        Self::try_decode(entries).unwrap_or_default()
    }

    fn try_decode(entries: Option<&Value>) -> Option<Self> {
        let mut out = BTreeMap::new();
        for entry in entries.and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let apply = match entry["operation"].as_str() {
                Some("Apply") => true,
                Some("Update") => false,
                _ => return None,
            };
            let api_version = text("apiVersion");
            let key = Key {
                manager: text("manager"),
                apply,
                api_version: if apply { String::new() } else { api_version.clone() },
                subresource: text("subresource"),
            };
            let set = Set::decode(entry.get("fieldsV1").unwrap_or(&json!({})))?;
            out.insert(key, Owned { set, time: entry["time"].as_str().map(Into::into), api_version });
        }
        Some(Self(out))
    }

    /// Merges the oldest updates, so that no object collects managers without bound.
    fn cap(&mut self) {
        let mut updates: Vec<(Option<String>, Key)> = self
            .0
            .iter()
            .filter(|(key, _)| !key.apply && key.subresource.is_empty())
            .map(|(key, owned)| (owned.time.clone(), key.clone()))
            .collect();
        if updates.len() <= MAX_UPDATE_MANAGERS {
            return;
        }
        updates.sort();
        let excess = updates.len() - MAX_UPDATE_MANAGERS + 1;
        for (_, key) in updates.into_iter().take(excess) {
            let Some(old) = self.0.remove(&key) else { continue };
            let ancient = Key::update(ANCIENT, &key.api_version, "");
            let merged = match self.0.get(&ancient) {
                Some(known) => Owned { set: known.set.union(&old.set), ..old },
                None => old,
            };
            self.0.insert(ancient, merged);
        }
    }

    fn encode(self) -> Vec<Value> {
        let mut entries: Vec<(Key, Owned)> =
            self.0.into_iter().filter(|(_, owned)| !owned.set.is_empty()).collect();
        entries.sort_by(|(a, x), (b, y)| {
            (!a.apply, &x.time, &a.manager, &x.api_version, &a.subresource).cmp(&(
                !b.apply,
                &y.time,
                &b.manager,
                &y.api_version,
                &b.subresource,
            ))
        });
        let encode = |(key, owned): (Key, Owned)| {
            let mut entry = json!({
                "manager": key.manager,
                "operation": if key.apply { "Apply" } else { "Update" },
                "apiVersion": owned.api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": owned.set.encode(),
            });
            if let Some(time) = owned.time {
                entry["time"] = time.into();
            }
            if !key.subresource.is_empty() {
                entry["subresource"] = key.subresource.into();
            }
            entry
        };
        entries.into_iter().map(encode).collect()
    }
}

fn take_managed(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

fn put_managed(object: &mut Value, managed: Managed) {
    let entries = managed.encode();
    if !entries.is_empty()
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("managedFields".into(), entries.into());
    }
}

fn api_version_of(object: &Value) -> String {
    object["apiVersion"].as_str().unwrap_or_default().to_owned()
}

/// Fields that nobody owns.
fn strip(set: &Set) -> Set {
    let mut system = Set::default();
    for name in ["apiVersion", "kind"] {
        system.insert(&[Element::field(name)]);
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        system.insert(&[Element::field("metadata"), Element::field(name)]);
    }
    let mut metadata = Set::default();
    metadata.insert(&[Element::field("metadata")]);
    set.recursive_difference(&system).difference(&metadata)
}

/// What the server compares a new object with: for a built-in kind what its empty Go struct encodes to (struct fields
/// are there, required lists are null), for a custom kind nothing but its type.
fn empty_object(schema: Option<&Schema>, like: &Value) -> Value {
    let mut object = match schema.filter(|schema| schema.is_builtin()) {
        Some(schema) => empty_struct(schema.view(), 0),
        None => json!({}),
    };
    for name in ["apiVersion", "kind"] {
        object[name] = like[name].clone();
    }
    object
}

/// Whether a field is a number in a status that Go writes although it is 0.
pub(crate) fn is_count(owner: &str, property: View<'_>) -> bool {
    owner.ends_with("Status") && property.default().is_some_and(|default| *default == 0)
}

pub(crate) fn empty_struct(view: View<'_>, depth: usize) -> Value {
    let owner = view.node().name.as_deref().unwrap_or_default();
    let mut out = serde_json::Map::new();
    if depth > 16 {
        return Value::Object(out);
    }
    for (name, property) in view.properties() {
        let required = view.node().required.iter().any(|required| **required == *name);
        let empty = match property.default() {
            Some(Value::Object(_)) if property.node().kind == Kind::Object => {
                empty_struct(property, depth + 1)
            }
            Some(default) if required || is_count(owner, property) => default.clone(),
            None if required => Value::Null,
            _ => continue,
        };
        out.insert(name.into(), empty);
    }
    Value::Object(out)
}

fn misfit_message(object: &Value, api_version: &str, misfits: &[String]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let what = match misfits {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    // Go prints a version of the core group with its empty group.
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!(
        "failed to create typed patch object ({}/{}; {slash}{api_version}, Kind={}): {what}",
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
        text(&object["kind"]),
    )
}

/// The conflicts in other fields than the `allowed` ones, if there are any.
pub(super) fn conflicts_besides(fields: Vec<(String, Set)>, allowed: &Set) -> Option<ApplyError> {
    let left = fields.into_iter().map(|(manager, set)| (manager, set.difference(allowed)));
    let left: Vec<_> = left.filter(|(_, set)| !set.is_empty()).collect();
    (!left.is_empty()).then(|| conflict_error(left))
}

fn conflict_error(mut fields: Vec<(String, Set)>) -> ApplyError {
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    let paths = |(manager, set): &(String, Set)| -> Vec<(String, String)> {
        set.display().into_iter().map(|path| (manager.clone(), path)).collect()
    };
    let conflicts: Vec<(String, String)> = fields.iter().flat_map(paths).collect();
    let message = match &conflicts[..] {
        [(manager, path)] => format!("Apply failed with 1 conflict: conflict with {manager}: {path}"),
        many => {
            let mut lines = Vec::new();
            let mut last = "";
            for (manager, path) in many {
                if manager != last {
                    lines.push(format!("conflicts with {manager}:"));
                    last = manager;
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let causes =
        conflicts.into_iter().map(|(manager, path)| (format!("conflict with {manager}"), path)).collect();
    ApplyError::Conflicts { message, causes, fields }
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;

    fn manager<'a>(name: &'a str, now: &'a str, reset: &'a Set) -> Manager<'a> {
        Manager { name, api_version: "apps/v1", subresource: "", now, reset }
    }

    fn deployment(spec: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"}, "spec": spec})
    }

    fn owned(object: &Value, name: &str) -> Value {
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        entries
            .iter()
            .find(|entry| entry["manager"] == name)
            .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
    }

    #[test]
    fn fields_that_are_applied_no_more_go_unless_someone_else_owns_them() {
        let schema = Schema::builtin("apps", "v1", "Deployment");
        let none = Set::default();
        let apply = |live: Option<&Value>, spec: Value, who: &str| {
            apply(schema.as_ref(), live, &deployment(spec), &manager(who, "t1", &none), false).unwrap()
        };
        let first = apply(None, json!({"replicas": 1, "paused": true, "minReadySeconds": 3}), "one");
        let both = apply(Some(&first), json!({"replicas": 1}), "two");
        let rest = apply(Some(&both), json!({"paused": true}), "one");
        assert_eq!(rest["spec"], json!({"paused": true, "replicas": 1}));
        assert_eq!(owned(&rest, "one"), json!({"f:spec": {"f:paused": {}}}));
        assert_eq!(owned(&rest, "two"), json!({"f:spec": {"f:replicas": {}}}));
    }

    #[test]
    fn conflicts_name_manager_version_and_field_until_forced() {
        let schema = Schema::builtin("apps", "v1", "Deployment");
        let none = Set::default();
        let mut live = deployment(json!({"replicas": 3}));
        update(schema.as_ref(), None, &mut live, &manager("kubectl-client-side-apply", "t0", &none));
        let applied = deployment(json!({"replicas": 5}));
        let refused =
            apply(schema.as_ref(), Some(&live), &applied, &manager("me", "t1", &none), false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"
        );
        let taken = apply(schema.as_ref(), Some(&live), &applied, &manager("me", "t1", &none), true).unwrap();
        assert_eq!(taken["spec"]["replicas"], 5);
        assert_eq!(owned(&taken, "kubectl-client-side-apply"), Value::Null);
        let again =
            apply(schema.as_ref(), Some(&taken), &applied, &manager("me", "t2", &none), false).unwrap();
        assert_eq!(again, taken, "an unchanged apply keeps even its time");
    }

    #[test]
    fn unknown_fields_and_duplicates_are_refused() {
        let schema = Schema::builtin("apps", "v1", "Deployment");
        let none = Set::default();
        let ports = json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]);
        for (spec, want) in [
            (json!({"x": 1}), ".spec.x: field not declared in schema"),
            (
                json!({"template": {"spec": {"containers": [{"name": "c", "ports": ports}]}}}),
                ".spec.template.spec.containers[name=\"c\"].ports: duplicate entries for key [containerPort=80,protocol=\"TCP\"]",
            ),
        ] {
            let refused = apply(schema.as_ref(), None, &deployment(spec), &manager("me", "t", &none), false)
                .unwrap_err();
            let prefix = "failed to create typed patch object (n/a; apps/v1, Kind=Deployment): ";
            assert_eq!(refused.to_string(), format!("{prefix}{want}"));
        }
    }
}
