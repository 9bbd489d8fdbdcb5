//! `spec.dependsOn`: other Kustomizations that have to be ready, with the same source also at our revision.

use crate::attempt::Stop;
use crate::config::ADDITIVE_DEPENDENCY_CHECK;
use crate::context::Context;
use crate::source::Artifact;
use serde_json::{Value, json};
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{
    DEPENDENCY_NOT_READY_REASON, DependencyReference, Duration, INVALID_CEL_EXPRESSION_REASON, READY,
};
use sluice_cel::{CelError, Expression};
use sluice_runtime::controller::Key;
use sluice_runtime::events::Event;
use sluice_runtime::{conditions, requests};
use std::sync::Arc;

/// Checks the dependencies in list order; the first that is not met ends the check.
pub(crate) async fn check(cx: &Context, ks: &Kustomization, artifact: &Artifact) -> Result<(), Stop> {
    for dependency in &ks.spec.depends_on {
        let own = Key::of(ks);
        let key = sluice_runtime::dependencies::target(&own, dependency);
        let found = find(cx, &key).await.map_err(|cause| format!("dependency '{key}' not found: {cause}"));
        let met = match found {
            Ok(found) => judge(cx, ks, artifact, dependency, &key, &found)?,
            Err(message) => Err(message),
        };
        if let Err(mut message) = met {
            if let Some(cycle) = sluice_runtime::dependencies::cycle(cx.handle.store(), &own) {
                message = format!("{message}: circular dependency detected: {cycle}");
            }
            let delay = cx.config.requeue_dependency;
            let text =
                format!("Dependencies do not meet ready condition, retrying in {}", Duration::format(delay));
            let event = Event::info(DEPENDENCY_NOT_READY_REASON, text);
            return Err(Stop::Waiting {
                reason: DEPENDENCY_NOT_READY_REASON,
                message,
                event: Some(Box::new(event)),
                after: delay,
            });
        }
    }
    Ok(())
}

/// From memory, which holds what this controller wrote last; from the API server for other shards and namespaces.
async fn find(cx: &Context, key: &Key) -> Result<Arc<Kustomization>, String> {
    if let Some(known) = cx.handle.store().get(key) {
        return Ok(known);
    }
    cx.api(&key.namespace).get(&key.name).await.map(Arc::new).map_err(|err| crate::api_error(&err))
}

/// `Ok(Err(message))` = not met.
fn judge(
    cx: &Context,
    ks: &Kustomization,
    artifact: &Artifact,
    reference: &DependencyReference,
    key: &Key,
    dependency: &Kustomization,
) -> Result<Result<(), String>, Stop> {
    if let Some(text) = reference.ready_expr.as_deref().filter(|text| !text.is_empty()) {
        let expression = Expression::new(text).map_err(|err| Stop::Terminal {
            reason: INVALID_CEL_EXPRESSION_REASON,
            message: format!(
                "Reconciliation failed terminally due to configuration error: terminal error: failed to evaluate dependency {}: {err}",
                reference.name
            ),
            observed: true,
            with_revision: true,
        })?;
        match expression.holds([("self", &whole(ks)), ("dep", &whole(dependency))]) {
            Ok(true) if !cx.gates.enabled(ADDITIVE_DEPENDENCY_CHECK) => return Ok(Ok(())),
            Ok(true) => {}
            Ok(false) => {
                return Ok(Err(format!("dependency '{key}' is not ready according to readyExpr eval")));
            }
            Err(err @ (CelError::Evaluate { .. } | CelError::NotBoolean(_) | CelError::Parse { .. })) => {
                return Ok(Err(err.to_string()));
            }
        }
    }
    let status = dependency.status.clone().unwrap_or_default();
    let ready = !status.conditions.is_empty()
        && status.observed_generation == requests::generation(dependency)
        && conditions::is_true(&status.conditions, READY);
    if !ready {
        return Ok(Err(format!("dependency '{key}' is not ready")));
    }
    if same_source(ks, dependency) && status.last_applied_revision.as_deref() != Some(&*artifact.revision) {
        return Ok(Err(format!("dependency '{key}' revision is not up to date")));
    }
    Ok(Ok(()))
}

fn same_source(one: &Kustomization, other: &Kustomization) -> bool {
    let resolved = |ks: &Kustomization| {
        let reference = &ks.spec.source_ref;
        let own = ks.metadata.namespace.clone().unwrap_or_default();
        let namespace = reference.namespace.clone().filter(|n| !n.is_empty()).unwrap_or(own);
        (reference.kind.to_string(), reference.name.clone(), namespace)
    };
    resolved(one) == resolved(other)
}

/// The whole object as expressions see it: kind, version and status are always there.
fn whole(ks: &Kustomization) -> Value {
    let mut object = serde_json::to_value(ks).unwrap_or_else(|_| json!({}));
    if object.get("status").is_none_or(Value::is_null) {
        object["status"] = json!({});
    }
    object
}
