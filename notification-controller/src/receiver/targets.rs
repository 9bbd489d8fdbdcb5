//! What a webhook reconciles: objects by name or labels, thinned out by CEL.

use crate::context::{Context, api_error};
use crate::objects;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use sluice_api::meta::RECONCILE_REQUEST_ANNOTATION;
use sluice_api::notification::{Receiver, ReceiverResource};
use sluice_cel::Expression;
use sluice_runtime::Key;
use tracing::{debug, info};

/// The expressions that an object has to pass.
pub(super) struct Filters {
    common: Option<Expression>,
    own: Vec<Option<Expression>>,
}

impl Filters {
    /// Reads the expressions of a Receiver.
    ///
    /// # Errors
    /// Which one cannot be read, in Flux's words.
    pub(super) fn new(receiver: &Receiver) -> Result<Self, String> {
        let spec = &receiver.spec;
        let read = |text: &Option<String>| {
            text.as_deref().filter(|text| !text.is_empty()).map(Expression::new).transpose()
        };
        let common =
            read(&spec.resource_filter).map_err(|err| format!("invalid resourceFilter expression: {err}"))?;
        let own = spec.resources.iter().enumerate().map(|(i, resource)| {
            let ReceiverResource { kind, name, .. } = resource;
            read(&resource.filter).map_err(|err| {
                format!(
                    "invalid filter expression for resources[{i}] (kind=\"{kind}\", name=\"{name}\"): {err}"
                )
            })
        });
        Ok(Self { common, own: own.collect::<Result<_, _>>()? })
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.common.is_none() && self.own.iter().all(Option::is_none)
    }

    fn pass(&self, index: usize, object: &Value, request: &Value) -> Result<bool, String> {
        let own = self.own.get(index).and_then(Option::as_ref);
        for filter in self.common.iter().chain(own) {
            let holds = filter.holds([("res", object), ("req", request)]);
            if !holds.map_err(|err| err.to_string())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Asks for the reconciliation of all that an entry of `spec.resources` names.
///
/// # Errors
/// The first object that could not be read, judged or annotated; there may be others before it that were.
pub(super) async fn request(
    cx: &Context,
    receiver: &Receiver,
    index: usize,
    filters: &Filters,
    payload: &Value,
) -> Result<(), String> {
    let Some(entry) = receiver.spec.resources.get(index) else { return Ok(()) };
    let own = Key::of(receiver);
    let namespace = entry.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(&own.namespace);
    if cx.config.no_cross_namespace_refs && *namespace != *own.namespace {
        return Err("cross-namespace references are not allowed".to_owned());
    }
    let given = entry.api_version.as_deref().filter(|version| !version.is_empty());
    let version = given
        .or_else(|| objects::default_api_version(entry.kind))
        .ok_or_else(|| format!("apiVersion must be specified for kind \"{}\"", entry.kind))?;
    let resource = objects::resource(version, entry.kind.as_str());
    let api: Api<DynamicObject> = Api::namespaced_with(cx.client.clone(), namespace, &resource);
    let name = &entry.name;
    let found = if name != "*" {
        let one = api.get_metadata(name).await;
        vec![one.map_err(|err| {
            format!("unable to read {} '{namespace}/{name}' error: {}", entry.kind, api_error(&err))
        })?]
    } else if entry.match_labels.is_empty() {
        return Err("matchLabels field not set when using wildcard '*' as name".to_owned());
    } else {
        let labels: Vec<String> =
            entry.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let list = api.list_metadata(&ListParams::default().labels(&labels.join(","))).await;
        list.map_err(|err| format!("unable to list {} in '{namespace}': {}", entry.kind, api_error(&err)))?
            .items
    };
    if found.is_empty() {
        info!(kind = %entry.kind, namespace, "no resources found");
    }
    for object in found {
        let name = object.name_any();
        let view = json!({"apiVersion": version, "kind": entry.kind.as_str(), "metadata": object.metadata});
        if !filters.pass(index, &view, payload)? {
            debug!("resource '{}/{name}.{namespace}' is filtered out", entry.kind);
            continue;
        }
        let patch = json!({"metadata": {"annotations": {
            RECONCILE_REQUEST_ANNOTATION: jiff::Timestamp::now().to_string(),
        }}});
        let params = PatchParams { field_manager: Some(crate::NAME.to_owned()), ..PatchParams::default() };
        api.patch_metadata(&name, &params, &Patch::Merge(patch)).await.map_err(|err| {
            format!("unable to annotate {} '{namespace}/{name}': {}", entry.kind, api_error(&err))
        })?;
        info!("resource '{}/{name}.{namespace}' annotated", entry.kind);
    }
    Ok(())
}
