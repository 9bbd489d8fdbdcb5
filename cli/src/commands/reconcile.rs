//! `reconcile`: asks a controller to reconcile an object now, and waits for the outcome.

use anyhow::{Result, anyhow, bail};
use jiff::Zoned;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};
use sluice_api::meta::{FORCE_REQUEST_ANNOTATION, RECONCILE_REQUEST_ANNOTATION, RESET_REQUEST_ANNOTATION};
use sluice_apply::status::Kind as Readiness;

use crate::arguments::{ReconcileSource, ReconcileTarget};
use crate::failure::{advised, from_api};
use crate::kinds::{self, Kind};
use crate::objects;
use crate::session::{POLL_INTERVAL, Session};
use crate::talk;

/// Reconciles the named object, with `--with-source` after its source.
///
/// # Errors
/// Where the object is missing or suspended, its reconciliation fails, or time is up.
pub(crate) async fn run(session: &Session, target: ReconcileTarget) -> Result<()> {
    let mut annotations = vec![RECONCILE_REQUEST_ANNOTATION];
    let (kind, names, with_source) = match target {
        ReconcileTarget::Source(source) => match source {
            ReconcileSource::Git(options) => (&kinds::GIT_REPOSITORY, options.names, false),
            ReconcileSource::Oci(options) => (&kinds::OCI_REPOSITORY, options.names, false),
            ReconcileSource::Bucket(options) => (&kinds::BUCKET, options.names, false),
            ReconcileSource::Helm(options) => (&kinds::HELM_REPOSITORY, options.names, false),
            ReconcileSource::Chart(options) => (&kinds::HELM_CHART, options.names, options.with_source),
        },
        ReconcileTarget::Kustomization(options) => {
            (&kinds::KUSTOMIZATION, options.names, options.with_source)
        }
        ReconcileTarget::Helmrelease(options) => {
            annotations.extend(options.force.then_some(FORCE_REQUEST_ANNOTATION));
            annotations.extend(options.reset.then_some(RESET_REQUEST_ANNOTATION));
            (&kinds::HELM_RELEASE, options.common.names, options.common.with_source)
        }
        ReconcileTarget::Receiver(options) => (&kinds::RECEIVER, options.names, false),
    };
    let Some(name) = names.first() else { bail!("{} name is required", kind.kind) };
    let object = session.get(kind, &session.namespace, name).await?;
    if with_source {
        reconcile_source(session, kind, &object).await?;
    }
    reconcile(session, kind, &object, &annotations).await
}

/// Reconciles what the object comes from: for a chart, first what that comes from.
async fn reconcile_source(session: &Session, kind: &Kind, object: &Value) -> Result<()> {
    check(kind, object)?;
    let (source_kind, namespace, name) = upstream(kind, object)?;
    let source = session.get(source_kind, &namespace, &name).await?;
    if source_kind == &kinds::HELM_CHART {
        // Charts come from repositories, which come from nothing: this goes no deeper.
        Box::pin(reconcile_source(session, source_kind, &source)).await?;
    }
    reconcile(session, source_kind, &source, &[RECONCILE_REQUEST_ANNOTATION]).await
}

/// Kind, namespace and name of the source that is reconciled for an object.
fn upstream(kind: &Kind, object: &Value) -> Result<(&'static Kind, String, String)> {
    let own = objects::name(object);
    let (source_kind, namespace, name) =
        objects::source_of(kind, object).ok_or_else(|| anyhow!("{} {own} names no source", kind.kind))?;
    if kind == &kinds::HELM_RELEASE && object.pointer("/spec/chartRef").is_none() {
        // helm-controller keeps a HelmChart of this name beside the repository.
        let chart = format!("{}-{own}", objects::namespace(object));
        return Ok((&kinds::HELM_CHART, namespace.to_owned(), chart));
    }
    let known: &[&'static Kind] = match kind.kind {
        "HelmRelease" => &[&kinds::HELM_CHART, &kinds::OCI_REPOSITORY],
        "HelmChart" => &[&kinds::HELM_REPOSITORY, &kinds::GIT_REPOSITORY, &kinds::BUCKET],
        _ => &[&kinds::OCI_REPOSITORY, &kinds::GIT_REPOSITORY, &kinds::BUCKET],
    };
    let source_kind = known
        .iter()
        .find(|kind| kind.kind == source_kind)
        .ok_or_else(|| anyhow!("cannot reconcile source of kind {source_kind}"))?;
    Ok((source_kind, namespace.to_owned(), name.to_owned()))
}

fn check(kind: &Kind, object: &Value) -> Result<()> {
    if objects::suspended(object) {
        return Err(advised(
            "resource is suspended",
            format!(
                "sluice resume {} {} -n {}",
                kind.human,
                objects::name(object),
                objects::namespace(object)
            ),
        ));
    }
    Ok(())
}

/// Requests, waits until the request was handled, then until the object has come to rest.
async fn reconcile(session: &Session, kind: &Kind, object: &Value, annotations: &[&str]) -> Result<()> {
    if objects::is_static(kind, object) {
        talk::success("reconciliation not supported by the object");
        return Ok(());
    }
    check(kind, object)?;
    let (name, namespace) = (objects::name(object), objects::namespace(object));
    let handled = |object: &Value| objects::text(object, "/status/lastHandledReconcileAt").to_owned();
    let before = handled(object);

    talk::action(&format!("annotating {} {name} in {namespace} namespace", kind.kind));
    request(session, kind, namespace, name, annotations).await?;
    talk::success(&format!("{} annotated", kind.kind));

    talk::waiting(&format!("waiting for {} reconciliation", kind.kind));
    let is_handled = |object: &Value| handled(object) != before;
    let done = settled(session, kind, namespace, name, is_handled).await?;
    match objects::ready(&done) {
        None => bail!("status can't be determined"),
        Some(ready) if ready["status"] == "True" => {
            talk::success(&objects::success_message(kind, &done));
            Ok(())
        }
        // Flux quotes the message of the kinds that cannot be reconciled with their source.
        Some(ready) => {
            let message = objects::text(ready, "/message");
            let message = if takes_source(kind) { message.to_owned() } else { format!("'{message}'") };
            bail!("{} reconciliation failed: {message}", kind.kind)
        }
    }
}

fn takes_source(kind: &Kind) -> bool {
    [&kinds::KUSTOMIZATION, &kinds::HELM_RELEASE, &kinds::HELM_CHART].contains(&kind)
}

async fn request(
    session: &Session,
    kind: &Kind,
    namespace: &str,
    name: &str,
    annotations: &[&str],
) -> Result<()> {
    let now = Zoned::now();
    let token = now.timestamp().display_with_offset(now.offset()).to_string();
    // A request to force or reset counts only with the same value as the request to reconcile.
    let annotations: Map<String, Value> =
        annotations.iter().map(|name| ((*name).to_owned(), Value::String(token.clone()))).collect();
    let patch = json!({"metadata": {"annotations": annotations}});
    let api = session.api(kind, Some(namespace));
    // A merge patch names no version: the API server settles conflicts itself.
    api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await.map_err(from_api)?;
    Ok(())
}

/// Polls an object until `eligible` holds and, by kstatus, it is ready.
///
/// # Errors
/// What kstatus says when it failed; when time is up, with its last message as advice.
pub(super) async fn settled(
    session: &Session,
    kind: &Kind,
    namespace: &str,
    name: &str,
    eligible: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = String::new();
    let waited = session
        .within(async {
            loop {
                let object = session.get(kind, namespace, name).await?;
                objects::ready_message(&object).clone_into(&mut last);
                if eligible(&object) {
                    let status = objects::readiness(&object);
                    match status.kind {
                        Readiness::Current => return Ok(Ok(object)),
                        Readiness::InProgress => {}
                        // What is there is what the Stalled or Ready condition says.
                        _ => return Ok(Err(status.error.unwrap_or(status.message))),
                    }
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        })
        .await;
    match waited {
        Ok(Ok(object)) => Ok(object),
        Ok(Err(message)) => bail!(message),
        Err(error) if last.is_empty() || !error.to_string().contains("deadline") => Err(error),
        Err(error) => Err(advised(
            error.to_string(),
            format!("the last state of {} {namespace}/{name}: {last}", kind.kind),
        )),
    }
}
