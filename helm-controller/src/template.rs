//! The HelmChart that `spec.chart` is a template of: made, kept as the template says, and deleted when it has no use.

use crate::attempt::Attempt;
use crate::names;
use crate::source::{Source, cross_namespace};
use crate::{FIELD_MANAGER, api_error};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sluice_api::helm::HelmChartTemplate;
use sluice_api::meta::{Duration, HELM_NAME_LABEL, HELM_NAMESPACE_LABEL};
use sluice_api::source::{ChartVerification, HelmChart, HelmChartSourceReference, HelmChartSpec};
use sluice_runtime::controller::Key;
use sluice_runtime::events::Event;
use std::collections::HashMap;
use tracing::{debug, info};

/// Why the HelmChart could not be brought to where the template wants it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// References to other namespaces are switched off.
    #[error("{0}")]
    Denied(String),
    /// The API server refused.
    #[error("{0}")]
    Api(String),
}

/// What was written last for each HelmRelease: an unchanged template over an unchanged HelmChart is not written again.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<HashMap<Key, Mark>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    wanted: [u8; 32],
    generation: i64,
}

impl Written {
    pub(crate) fn forget(&self, key: &Key) {
        self.0.lock().remove(key);
    }
}

/// Brings the HelmChart to what the template says, and deletes the one of an earlier template. Returns what a write
/// returned.
pub(crate) async fn sync(attempt: &mut Attempt<'_>) -> Result<Option<Source>, TemplateError> {
    let own = attempt.pass.key.clone();
    let wanted = names::chart_of(&own, &attempt.hr.spec);
    let recorded =
        attempt.hr.status.as_ref().and_then(|status| status.helm_chart.as_deref()).and_then(recorded);
    if let Some(recorded) = recorded.filter(|recorded| wanted.as_ref() != Some(recorded)) {
        delete(attempt, &recorded).await?;
    }
    let (Some(wanted), Some(template)) = (wanted, attempt.hr.spec.chart.clone()) else { return Ok(None) };
    if attempt.cx.config.no_cross_namespace_refs && wanted.namespace != own.namespace {
        let source = &template.spec.source_ref;
        let key = Key::new(&wanted.namespace, &source.name);
        return Err(denied(attempt, cross_namespace(source.kind.as_str(), &key)));
    }
    let written = apply(attempt, &wanted, &template).await?;
    attempt.status().helm_chart = Some(wanted.to_string());
    Ok(written)
}

async fn apply(
    attempt: &Attempt<'_>,
    wanted: &Key,
    template: &HelmChartTemplate,
) -> Result<Option<Source>, TemplateError> {
    let (cx, own) = (attempt.cx, &attempt.pass.key);
    let object = object(own, wanted, template, &attempt.hr.spec.interval);
    let sum = Sha256::digest(object.to_string()).into();
    let known = cx.sources.charts.get(wanted);
    let unchanged = known.as_ref().is_some_and(|known| {
        let mark = Mark { wanted: sum, generation: known.generation };
        cx.templates.0.lock().get(own) == Some(&mark)
    });
    if unchanged {
        debug!(chart = %wanted, "HelmChart is in sync");
        return Ok(None);
    }
    let api: Api<HelmChart> = Api::namespaced(cx.client.clone(), &wanted.namespace);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let source = &template.spec.source_ref;
    let reference = format!("{}/{}/{}", source.kind, wanted.namespace, source.name);
    match api.patch(&wanted.name, &params, &Patch::Apply(&object)).await {
        Ok(chart) => {
            let written = Source::of(&chart);
            let mark = Mark { wanted: sum, generation: written.generation };
            cx.templates.0.lock().insert(own.clone(), mark);
            let (done, reason) = match &known {
                None => ("Created", "HelmChartCreated"),
                Some(known) if known.generation != written.generation => {
                    ("Configured", "HelmChartConfigured")
                }
                Some(_) => return Ok(Some(written)),
            };
            info!(chart = %wanted, "{done} HelmChart");
            attempt.event(Event::trace(
                reason,
                format!("{done} HelmChart/{wanted} with SourceRef '{reference}'"),
            ));
            Ok(Some(written))
        }
        Err(err) => {
            let text = format!(
                "failed to apply HelmChart '{wanted}' with SourceRef '{reference}': {}",
                api_error(&err)
            );
            attempt.event(Event::trace("HelmChartSyncErr", text.clone()));
            Err(TemplateError::Api(text))
        }
    }
}

/// Deletes the recorded HelmChart, if there is one: the HelmRelease is going.
pub(crate) async fn remove(attempt: &mut Attempt<'_>) -> Result<(), TemplateError> {
    let recorded =
        attempt.hr.status.as_ref().and_then(|status| status.helm_chart.as_deref()).and_then(recorded);
    match recorded {
        Some(recorded) => delete(attempt, &recorded).await,
        None => Ok(()),
    }
}

async fn delete(attempt: &mut Attempt<'_>, recorded: &Key) -> Result<(), TemplateError> {
    let cx = attempt.cx;
    if cx.config.no_cross_namespace_refs && recorded.namespace != attempt.pass.key.namespace {
        return Err(denied(attempt, cross_namespace("HelmChart", recorded)));
    }
    let api: Api<HelmChart> = Api::namespaced(cx.client.clone(), &recorded.namespace);
    match api.delete(&recorded.name, &DeleteParams::default()).await {
        Ok(_) => {
            let text = format!("deleted HelmChart '{recorded}'");
            attempt.event(Event::trace("HelmChartDeleted", text));
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(err) => {
            let text = format!("failed to delete HelmChart '{recorded}': {}", api_error(&err));
            attempt.event(Event::trace("HelmChartSyncErr", text.clone()));
            return Err(TemplateError::Api(text));
        }
    }
    cx.templates.forget(&attempt.pass.key);
    attempt.status().helm_chart = None;
    Ok(())
}

fn denied(attempt: &Attempt<'_>, text: String) -> TemplateError {
    attempt.event(Event::trace("HelmChartSyncErr", text.clone()));
    TemplateError::Denied(text)
}

/// `status.helmChart`.
fn recorded(text: &str) -> Option<Key> {
    let (namespace, name) = text.split_once('/')?;
    (!namespace.is_empty() && !name.is_empty()).then(|| Key::new(namespace, name))
}

/// The HelmChart as it is applied.
fn object(own: &Key, wanted: &Key, template: &HelmChartTemplate, interval: &Duration) -> Value {
    let from = &template.spec;
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels;
    labels.insert(HELM_NAME_LABEL.to_owned(), own.name.to_string());
    labels.insert(HELM_NAMESPACE_LABEL.to_owned(), own.namespace.to_string());
    let spec = HelmChartSpec {
        chart: from.chart.clone(),
        version: from.version.clone(),
        source_ref: HelmChartSourceReference {
            api_version: None,
            kind: from.source_ref.kind,
            name: from.source_ref.name.clone(),
        },
        interval: from.interval.clone().unwrap_or_else(|| interval.clone()),
        reconcile_strategy: from.reconcile_strategy,
        values_files: from.values_files.clone(),
        ignore_missing_values_files: from.ignore_missing_values_files,
        suspend: false,
        verify: from.verify.as_ref().map(|verify| ChartVerification {
            provider: verify.provider,
            secret_ref: verify.secret_ref.clone(),
            ..ChartVerification::default()
        }),
    };
    let mut meta = json!({"name": &*wanted.name, "namespace": &*wanted.namespace, "labels": labels});
    if !metadata.annotations.is_empty() {
        meta["annotations"] = json!(metadata.annotations);
    }
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart", "metadata": meta, "spec": spec})
}
