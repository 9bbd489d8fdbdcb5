//! Helm's actions, step by step.

use crate::error::ActionError;
use crate::judge::Judge;
use crate::object::{Object, locate, parse};
use crate::options::{Propagation, Wait};
use crate::run::Run;
use crate::update::Updated;
use crate::wait::{Waited, until};

pub(crate) mod install;
pub(crate) mod rollback;
pub(crate) mod test;
pub(crate) mod uninstall;
pub(crate) mod unlock;
pub(crate) mod upgrade;

/// The objects of a manifest with the marks of the release, in the manifest's order.
async fn objects(run: &Run<'_>, manifest: &str) -> Result<Vec<Object>, String> {
    let target = run.helm.target();
    let mut objects = locate(parse(manifest)?, run.helm.discovery(), &target.namespace).await?;
    for object in &mut objects {
        object.own(&target.release, &target.namespace);
    }
    Ok(objects)
}

/// Waits for what was sent, as far as the caller wants to.
async fn wait(
    run: &Run<'_>,
    updated: &Updated,
    wait: &Wait,
    timeout: std::time::Duration,
) -> Result<(), ActionError> {
    if run.helm.cancel().is_cancelled() {
        return Err(ActionError::Canceled);
    }
    if !wait.enabled {
        return Ok(());
    }
    let waited =
        updated.sent.iter().map(|sent| Waited { object: sent.object.clone(), live: Some(sent.live.clone()) });
    until(run.helm.client(), waited.collect(), Judge::Ready(wait), timeout, run.helm.cancel()).await
}

/// Deletes what a failed attempt created; a failure to do so is added to the reason.
async fn clean_up(run: &Run<'_>, updated: &Updated, error: ActionError) -> ActionError {
    let mut faults = Vec::new();
    for object in updated.created() {
        run.log.line("cleaning up", [("kind", object.id.kind.as_str()), ("name", object.id.name.as_str())]);
        if let Err(fault) = run.helm.sender().delete(&object, Propagation::Background).await {
            faults.push(format!("{}: {fault}", object.id));
        }
    }
    if faults.is_empty() {
        return error;
    }
    let faults = faults.join(", ");
    ActionError::Failed(format!(
        "an error occurred while cleaning up resources. original upgrade error: {error}: unable to cleanup resources: {faults}"
    ))
}

/// There is no such release.
fn not_found() -> ActionError {
    ActionError::NotFound("release: not found".to_owned())
}
