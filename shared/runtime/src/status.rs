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
