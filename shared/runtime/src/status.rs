//! Writes what changed of an object's status, and nothing else.
//!
//! One merge patch carries the difference between the object as it was read and as the controller left it. Conditions
//! are a list, which a merge patch replaces as a whole; so if they changed the patch is locked to the
//! `resourceVersion`, and on a conflict the controller's own condition types are laid over what others wrote.

use crate::conditions::{self, Condition};
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt::Debug;
use std::time::Duration;

/// How often a patch is tried again after somebody else wrote the object.
const ATTEMPTS: u32 = 5;
/// Delay before the first retry; doubles.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The object cannot be written as JSON: a bug.
    #[error("cannot encode the status of {name}")]
    Encode {
        /// Name of the object.
        name: String,
        /// What serde says.
        #[source]
        cause: serde_json::Error,
    },
    /// The API server refused the patch, or could not be reached.
    #[error("{0}")]
    Api(kube::Error),
}

impl StatusError {
    /// Whether the object is gone.
    pub fn is_not_found(&self) -> bool {
        matches!(self, StatusError::Api(kube::Error::Api(status)) if status.code == 404)
    }
}

/// Writes statuses of one kind on behalf of one field manager.
#[derive(Clone, Debug)]
pub struct Patcher {
    manager: String,
    owned: Vec<&'static str>,
}

impl Patcher {
    /// A patcher that owns the given condition types; all others are left as they are on the server.
    pub fn new(manager: impl Into<String>, owned: &[&'static str]) -> Self {
        Self { manager: manager.into(), owned: owned.to_vec() }
    }

    /// Writes the difference between the statuses of `before` (as read from the API) and `after`.
    ///
    /// Returns the object as the API server holds it then, or `None`, without a request, if nothing differs.
    /// `api` must be of the object's own namespace.
    ///
    /// # Errors
    /// What the API server answered; a conflict only after five attempts.
    pub async fn patch<K>(&self, api: &Api<K>, before: &K, after: &K) -> Result<Option<K>, StatusError>
    where
        K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let name = after.meta().name.clone().unwrap_or_default();
        let encode = |k: &K| {
            serde_json::to_value(k).map_err(|cause| StatusError::Encode { name: name.clone(), cause })
        };
        let (old, new) = (status_of(encode(before)?), status_of(encode(after)?));
        let (old_conditions, old) = split_conditions(old);
        let (new_conditions, new) = split_conditions(new);
        let mut status = difference(&old, &new);
        let conditions_changed = old_conditions != new_conditions;
        if status.is_empty() && !conditions_changed {
            return Ok(None);
        }
        let mine: Vec<Condition> = decode(&new_conditions, &name)?;
        let params = PatchParams { field_manager: Some(self.manager.clone()), ..PatchParams::default() };
        let mut theirs: Vec<Condition> = decode(&old_conditions, &name)?;
        let mut version = before.meta().resource_version.clone();
        let mut delay = FIRST_DELAY;
        let mut attempt = 1;
        loop {
            let mut metadata = Map::new();
            if conditions_changed {
                let merged = conditions::merge(&theirs, &mine, &self.owned);
                status.insert("conditions".into(), json!(merged));
                if let Some(version) = &version {
                    metadata.insert("resourceVersion".into(), json!(version));
                }
            }
            let patch = json!({"metadata": metadata, "status": status});
            match api.patch_status(&name, &params, &Patch::Merge(patch)).await {
                Ok(object) => return Ok(Some(object)),
                Err(kube::Error::Api(answer)) if answer.code == 409 && attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(delay).await;
                    delay *= 2;
                    let current = api.get(&name).await.map_err(StatusError::Api)?;
                    version = current.meta().resource_version.clone();
                    theirs = decode(&split_conditions(status_of(encode(&current)?)).0, &name)?;
                }
                Err(err) => return Err(StatusError::Api(err)),
            }
        }
    }
}

fn decode(conditions: &Value, name: &str) -> Result<Vec<Condition>, StatusError> {
    if conditions.is_null() {
        return Ok(Vec::new());
    }
    Vec::<Condition>::deserialize(conditions)
        .map_err(|cause| StatusError::Encode { name: name.to_owned(), cause })
}

fn status_of(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(mut members) => match members.remove("status") {
            Some(Value::Object(status)) => status,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

fn split_conditions(mut status: Map<String, Value>) -> (Value, Map<String, Value>) {
    let conditions = match status.remove("conditions") {
        Some(Value::Array(list)) if list.is_empty() => Value::Null,
        Some(other) => other,
        None => Value::Null,
    };
    (conditions, status)
}

/// The merge patch (RFC 7386) that makes `old` into `new`.
pub fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(before), after) if before == after => {}
            (Some(Value::Object(before)), Value::Object(after)) => {
                patch.insert(key.clone(), Value::Object(difference(before, after)));
            }
            (_, after) => {
                patch.insert(key.clone(), after.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{READY, RECONCILING, mark_true};
    use crate::testing::{client, failure};
    use k8s_openapi::api::core::v1::Pod;
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// Any typed object with a status of conditions and other fields does.
    fn object(version: &str, conditions: &[Condition], phase: &str) -> Pod {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "a", "name": "b", "resourceVersion": version},
            "status": {"phase": phase, "conditions": conditions},
        });
        serde_json::from_value(object).unwrap()
    }

    fn condition(type_: &str, reason: &str) -> Condition {
        let mut list = Vec::new();
        mark_true(&mut list, 1, type_, reason, "m");
        list.remove(0)
    }

    #[tokio::test]
    async fn nothing_is_sent_when_nothing_changed() {
        let api: Api<Pod> = Api::namespaced(client(|seen| panic!("{seen:?}")), "a");
        let same = object("1", &[condition(READY, "R")], "Running");
        let written = Patcher::new("m", &[READY]).patch(&api, &same, &same).await.unwrap();
        assert!(written.is_none());
    }

    #[tokio::test]
    async fn only_conditions_lock_the_version() {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let log = bodies.clone();
        let answering = client(move |seen| {
            assert!(seen.path.starts_with("/api/v1/namespaces/a/pods/b/status?"), "{seen:?}");
            assert!(seen.path.contains("fieldManager=me"), "{seen:?}");
            log.lock().push(seen.body);
            Some((200, serde_json::to_value(object("2", &[], "x")).unwrap()))
        });
        let (api, patcher): (Api<Pod>, _) = (Api::namespaced(answering, "a"), Patcher::new("me", &[READY]));
        let before = object("1", &[], "Pending");
        patcher.patch(&api, &before, &object("1", &[], "Running")).await.unwrap().unwrap();
        patcher
            .patch(&api, &before, &object("1", &[condition(READY, "R")], "Pending"))
            .await
            .unwrap()
            .unwrap();
        let bodies = bodies.lock();
        assert_eq!(bodies[0], json!({"metadata": {}, "status": {"phase": "Running"}}));
        assert_eq!(bodies[1]["metadata"], json!({"resourceVersion": "1"}));
        assert_eq!(bodies[1]["status"]["conditions"][0]["reason"], "R");
        assert!(bodies[1]["status"].get("phase").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_keeps_what_others_wrote() {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let log = bodies.clone();
        let answering = client(move |seen| {
            if seen.method == "GET" {
                let theirs = [condition("Foreign", "New"), condition(RECONCILING, "Old")];
                return Some((200, serde_json::to_value(object("7", &theirs, "Pending")).unwrap()));
            }
            let locked = seen.body["metadata"]["resourceVersion"].clone();
            log.lock().push(seen.body);
            if locked == "7" {
                Some((200, json!({"metadata": {"name": "b"}})))
            } else {
                Some(failure(409, "Conflict"))
            }
        });
        let api: Api<Pod> = Api::namespaced(answering, "a");
        let before = object("1", &[condition(RECONCILING, "Old")], "Pending");
        let after = object("1", &[condition(READY, "Mine")], "Pending");
        Patcher::new("m", &[READY, RECONCILING]).patch(&api, &before, &after).await.unwrap();
        let bodies = bodies.lock();
        let types: Vec<&str> = bodies[1]["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["type"].as_str().unwrap())
            .collect();
        assert_eq!((bodies.len(), types), (2, vec![READY, "Foreign"]));
    }

    #[test]
    fn differences_are_merge_patches() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let old = map(json!({"same": 1, "gone": 2, "deep": {"a": 1, "b": 2}, "list": [1]}));
        let new = map(json!({"same": 1, "deep": {"a": 1, "c": 3}, "list": [1, 2], "new": {}}));
        let want = json!({"gone": null, "deep": {"b": null, "c": 3}, "list": [1, 2], "new": {}});
        assert_eq!(Value::Object(difference(&old, &new)), want);
    }
}
