//! `spec.dependsOn`: other HelmReleases that have to be ready first.

use crate::attempt::Stop;
use crate::config::ADDITIVE_DEPENDENCY_CHECK;
use crate::context::Context;
use serde_json::{Value, json};
use sluice_api::helm::{DependencyReference, HelmRelease};
use sluice_api::meta::{DEPENDENCY_NOT_READY_REASON, Duration, INVALID_CEL_EXPRESSION_REASON, READY};
use sluice_cel::Expression;
use sluice_runtime::controller::Key;
use sluice_runtime::events::Event;
use sluice_runtime::{conditions, dependencies, requests};
use std::sync::Arc;

/// Checks the dependencies in list order; the first that is not met ends the check.
pub(crate) async fn check(cx: &Context, release: &HelmRelease) -> Result<(), Stop> {
    let own = Key::of(release);
    for dependency in &release.spec.depends_on {
        let key = dependencies::target(&own, dependency);
        let found = find(cx, &key).await;
        let met = match found {
            Ok(found) => judge(cx, release, dependency, &key, &found)?,
            Err(cause) => Err(format!("unable to get '{key}' dependency: {cause}")),
        };
        if let Err(mut message) = met {
            if let Some(cycle) = dependencies::cycle(cx.handle.store(), &own) {
                message = format!("{message}: circular dependency detected: {cycle}");
            }
            let text = format!(
                "dependencies do not meet ready condition ({message}): retrying in {}",
                Duration::format(cx.config.requeue_dependency)
            );
            let event = Event::info(DEPENDENCY_NOT_READY_REASON, text);
            return Err(Stop::Waiting {
                reason: DEPENDENCY_NOT_READY_REASON,
                message,
                event: Some(Box::new(event)),
            });
        }
    }
    Ok(())
}

/// From memory, which holds what this controller wrote last; from the API server for other shards and namespaces.
async fn find(cx: &Context, key: &Key) -> Result<Arc<HelmRelease>, String> {
    if let Some(known) = cx.handle.store().get(key) {
        return Ok(known);
    }
    cx.api(&key.namespace).get(&key.name).await.map(Arc::new).map_err(|err| crate::api_error(&err))
}

/// `Ok(Err(message))` = not met.
fn judge(
    cx: &Context,
    release: &HelmRelease,
    reference: &DependencyReference,
    key: &Key,
    dependency: &HelmRelease,
) -> Result<Result<(), String>, Stop> {
    if let Some(text) = reference.ready_expr.as_deref().filter(|text| !text.is_empty()) {
        let expression = Expression::new(text).map_err(|err| Stop::Terminal {
            reason: INVALID_CEL_EXPRESSION_REASON,
            message: format!(
                "Reconciliation failed terminally due to configuration error: failed to evaluate dependency {}: {err}",
                reference.name
            ),
        })?;
        match expression.holds([("self", &whole(release)), ("dep", &whole(dependency))]) {
            Ok(true) if !cx.gates.enabled(ADDITIVE_DEPENDENCY_CHECK) => return Ok(Ok(())),
            Ok(true) => {}
            Ok(false) => {
                return Ok(Err(format!("dependency '{key}' is not ready according to readyExpr eval")));
            }
            Err(err) => return Ok(Err(err.to_string())),
        }
    }
    let status = dependency.status.as_ref();
    let ready = status.is_some_and(|status| {
        status.observed_generation == requests::generation(dependency)
            && conditions::is_true(&status.conditions, READY)
    });
    Ok(if ready { Ok(()) } else { Err(format!("dependency '{key}' is not ready")) })
}

/// The whole object as expressions see it: status is always there.
fn whole(release: &HelmRelease) -> Value {
    let mut object = serde_json::to_value(release).unwrap_or_else(|_| json!({}));
    if object.get("status").is_none_or(Value::is_null) {
        object["status"] = json!({});
    }
    object
}
