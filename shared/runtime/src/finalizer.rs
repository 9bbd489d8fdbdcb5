//! Adds and removes one finalizer without touching the others.

use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;

/// How often a patch is tried again after somebody else wrote the object.
const ATTEMPTS: usize = 5;

/// Whether the object carries the finalizer.
pub fn has<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.finalizers().iter().any(|f| f == finalizer)
}

/// Adds the finalizer and returns the object as the API server holds it then.
///
/// # Errors
/// What the API server answered; a conflict only after five attempts.
pub async fn add<K>(api: &Api<K>, object: &K, finalizer: &str, manager: &str) -> kube::Result<K>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    change(api, object, manager, |list| {
        if list.iter().any(|f| f == finalizer) {
            return false;
        }
        list.push(finalizer.to_owned());
        true
    })
    .await
}

/// Removes the finalizer. `None` means that the object is gone, which is what removing it is for.
///
/// # Errors
/// What the API server answered, except NotFound; a conflict only after five attempts.
pub async fn remove<K>(api: &Api<K>, object: &K, finalizer: &str, manager: &str) -> kube::Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let changed = change(api, object, manager, |list| {
        let before = list.len();
        list.retain(|f| f != finalizer);
        list.len() != before
    })
    .await;
    match changed {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(err) => Err(err),
    }
}

async fn change<K>(
    api: &Api<K>,
    object: &K,
    manager: &str,
    edit: impl Fn(&mut Vec<String>) -> bool,
) -> kube::Result<K>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let name = object.name_any();
    let mut current = object.clone();
    for attempt in 1.. {
        let mut list = current.finalizers().to_vec();
        if !edit(&mut list) {
            return Ok(current);
        }
        let patch = json!({"metadata": {"finalizers": list, "resourceVersion": current.resource_version()}});
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        match api.patch(&name, &params, &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {
                current = api.get(&name).await?;
            }
            other => return other,
        }
    }
    Ok(current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{client, failure};
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::Value;

    fn object(version: &str, finalizers: &[&str]) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "a", "name": "b", "resourceVersion": version, "finalizers": finalizers},
        })
    }

    fn read(value: Value) -> ConfigMap {
        serde_json::from_value(value).unwrap()
    }

    #[tokio::test]
    async fn others_finalizers_survive_a_conflict() {
        let answering = client(|seen| {
            let metadata = &seen.body["metadata"];
            match seen.method.as_str() {
                "GET" => Some((200, object("2", &["theirs"]))),
                _ if metadata["resourceVersion"] == "2" => {
                    assert_eq!(metadata["finalizers"], json!(["theirs", "mine"]));
                    Some((200, object("3", &["theirs", "mine"])))
                }
                _ => Some(failure(409, "Conflict")),
            }
        });
        let api: Api<ConfigMap> = Api::namespaced(answering, "a");
        let got = add(&api, &read(object("1", &[])), "mine", "m").await.unwrap();
        assert_eq!(got.finalizers(), ["theirs", "mine"]);
    }

    #[tokio::test]
    async fn nothing_is_sent_for_nothing_and_gone_is_fine() {
        let quiet: Api<ConfigMap> = Api::namespaced(client(|seen| panic!("{seen:?}")), "a");
        assert!(add(&quiet, &read(object("1", &["mine"])), "mine", "m").await.is_ok());
        assert!(remove(&quiet, &read(object("1", &["theirs"])), "mine", "m").await.unwrap().is_some());
        let gone: Api<ConfigMap> = Api::namespaced(client(|_| Some(failure(404, "NotFound"))), "a");
        assert!(remove(&gone, &read(object("1", &["mine"])), "mine", "m").await.unwrap().is_none());
    }
}
