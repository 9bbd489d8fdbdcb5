//! Whether the objects of the cluster are what Git says, field by field.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, ResourceExt};
use serde_json::Value;
use sluice_tests::{Cluster, eventually};

/// Who applies what Git says.
const MANAGER: &str = "kustomize-controller";

/// Reads objects of any kind; knows a kind when it has met it once.
pub(crate) struct Reader<'a> {
    cluster: &'a Cluster,
    kinds: tokio::sync::Mutex<HashMap<GroupVersionKind, (ApiResource, Scope)>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster, kinds: tokio::sync::Mutex::default() }
    }

    /// The kind of an object, as an API to read it with.
    pub(crate) async fn api(&self, object: &Value) -> Result<Api<DynamicObject>> {
        let api_version = object["apiVersion"].as_str().context("no apiVersion")?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, object["kind"].as_str().context("no kind")?);
        let mut kinds = self.kinds.lock().await;
        if !kinds.contains_key(&gvk) {
            let (resource, capabilities) = pinned_kind(&self.cluster.client(), &gvk).await?;
            kinds.insert(gvk.clone(), (resource, capabilities.scope));
        }
        let (resource, scope) = kinds.get(&gvk).context("just inserted")?;
        let client = self.cluster.client();
        Ok(match scope {
            Scope::Cluster => Api::all_with(client, resource),
            Scope::Namespaced => {
                let namespace = object["metadata"]["namespace"].as_str();
                Api::namespaced_with(
                    client,
                    namespace.with_context(|| format!("no namespace: {object}"))?,
                    resource,
                )
            }
        })
    }

    /// The object as the cluster has it, unless it is not there or on its way out.
    pub(crate) async fn live(&self, object: &Value) -> Result<Option<DynamicObject>> {
        let found = self.api(object).await?.get_opt(name(object)?).await?;
        Ok(found.filter(|found| found.metadata.deletion_timestamp.is_none()))
    }

    /// Fails unless the object in the cluster has every value that Git gives it, and what the controller applied is
    /// these values and no others.
    ///
    /// The latter is the server's own judgement: the same object, applied once more by the same manager, would change
    /// nothing, not even the list of the fields that the manager owns.
    pub(crate) async fn is_what_git_says(&self, wanted: &Value) -> Result<()> {
        let (api, name) = (self.api(wanted).await?, name(wanted)?);
        let what = format!("{} {name} to be left alone for a moment", wanted["kind"]);
        let dry_run = PatchParams { dry_run: true, ..PatchParams::apply(MANAGER).force() };
        let (live, again) = eventually(&what, async || {
            let live = api.get(name).await?;
            let again = api.patch(name, &dry_run, &Patch::Apply(wanted)).await?;
            // What the cluster's own controllers write in between is not of interest.
            let is_quiet = api.get(name).await?.resource_version() == live.resource_version();
            Ok(is_quiet.then_some((live, again)))
        })
        .await?;
        let owners = live.managed_fields().iter();
        let manager = owners.filter(|entry| {
            entry.manager.as_deref() == Some(MANAGER)
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.is_none()
        });
        ensure!(manager.count() == 1, "{MANAGER} has not applied {} {name}: {live:#?}", wanted["kind"]);
        let (live, again) = (serde_json::to_value(&live)?, serde_json::to_value(&again)?);
        ensure!(
            live == again,
            "what was applied is not what Git says; there is {live:#}\nand should be {again:#}"
        );
        if let Some(path) = difference(&live, wanted, String::new()) {
            anyhow::bail!("{path} of {} {name} is not what Git says: {live:#}", wanted["kind"]);
        }
        Ok(())
    }
}

pub(crate) fn name(object: &Value) -> Result<&str> {
    object["metadata"]["name"].as_str().context("no name")
}

/// The path of the first value of `wanted` that `live` does not have; the server may add fields, but no items.
fn difference(live: &Value, wanted: &Value, path: String) -> Option<String> {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().find_map(|(key, wanted)| {
            difference(live.get(key).unwrap_or(&Value::Null), wanted, format!("{path}/{key}"))
        }),
        (Value::Array(live), Value::Array(wanted)) if live.len() == wanted.len() => {
            let mut pairs = live.iter().zip(wanted).enumerate();
            pairs.find_map(|(index, (live, wanted))| difference(live, wanted, format!("{path}/{index}")))
        }
        (Value::String(live), Value::String(wanted)) => {
            let is_same =
                live == wanted || quantity(wanted).is_some_and(|wanted| quantity(live) == Some(wanted));
            (!is_same).then_some(path)
        }
        _ => (live != wanted).then_some(path),
    }
}

/// What a quantity comes to. The API server writes `2000m` as `2`.
fn quantity(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "m" => 0.001,
        "" => 1.0,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}
