//! The CRDs of a chart, which are applied before it and never deleted.

use std::time::Duration;

use serde_json::Value;
use sluice_apply::object::text;

use crate::chart::LoadedChart;
use crate::error::ActionError;
use crate::judge::Judge;
use crate::object::{locate, parse};
use crate::options::CrdPolicy;
use crate::post_render;
use crate::run::Run;
use crate::wait::{Waited, until};

const ESTABLISHED: Duration = Duration::from_secs(60);

/// Applies the CRDs of a chart and of its subcharts that take part, and waits until they can be used.
pub(crate) async fn apply(
    run: &Run<'_>,
    chart: &LoadedChart,
    values: &serde_json::Map<String, Value>,
    policy: CrdPolicy,
    server_side: bool,
) -> Result<(), ActionError> {
    if policy == CrdPolicy::Skip {
        return Ok(());
    }
    let files = chart.renderer().crds(values).map_err(ActionError::failed)?;
    let failed =
        |error: String| ActionError::Failed(format!("failed to apply CustomResourceDefinitions: {error}"));
    let mut definitions = Vec::new();
    for file in files {
        for mut object in parse(&file.text).map_err(|error| failed(format!("{}: {error}", file.name)))? {
            if text(&object, "kind") != "CustomResourceDefinition" {
                let kind = text(&object, "kind").to_owned();
                run.log.line(
                    "skipping object in crds/ that is no CustomResourceDefinition",
                    [("file", file.name.as_str()), ("kind", kind.as_str())],
                );
                continue;
            }
            post_render::add(&mut object, "labels", run.helm.origin());
            definitions.push(object);
        }
    }
    if definitions.is_empty() {
        return Ok(());
    }
    let sender = run.helm.sender();
    let objects = locate(definitions, run.helm.discovery(), "").await.map_err(failed)?;
    let mut waited = Vec::new();
    for mut object in objects {
        let live = sender.get(&object).await.map_err(|error| failed(error.to_string()))?;
        let sent = match live {
            Some(_) if policy == CrdPolicy::Create => continue,
            Some(live) if !server_side => {
                if let Some(object) = object.value.as_object_mut() {
                    let version = sluice_apply::object::metadata_text(&live, "resourceVersion");
                    let metadata = sluice_apply::object::object_entry(object, "metadata");
                    metadata.insert("resourceVersion".into(), version.into());
                }
                let live = sender.replace(&object).await.map_err(|error| failed(error.to_string()))?;
                Waited { object, live: Some(live) }
            }
            live => {
                let sent = match server_side {
                    true => sender.apply(object, live.is_some()).await,
                    false => sender.create(object).await,
                };
                let sent = sent.map_err(|error| failed(error.to_string()))?;
                Waited { object: sent.object, live: Some(sent.live) }
            }
        };
        waited.push(sent);
    }
    if waited.is_empty() {
        return Ok(());
    }
    for it in &waited {
        let group = it.object.value.pointer("/spec/group").and_then(Value::as_str).unwrap_or_default();
        let versions = it.object.value.pointer("/spec/versions").and_then(Value::as_array);
        for version in versions.into_iter().flatten() {
            run.helm.discovery().forget(group, version["name"].as_str().unwrap_or_default());
        }
    }
    let waited = until(run.helm.client(), waited, Judge::Established, ESTABLISHED, run.helm.cancel()).await;
    run.helm.cluster().forget_apis();
    waited.map_err(|error| match error {
        ActionError::Canceled => ActionError::Canceled,
        other => failed(other.to_string()),
    })
}
