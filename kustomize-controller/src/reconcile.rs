//! One pass over a Kustomization: the steps of Flux's kustomize-controller, in its order.

use crate::attempt::{Attempt, Stop};
use crate::build::{self, Built, Inputs};
use crate::config::{STRICT_SUBSTITUTION, WORKLOAD_IDENTITY};
use crate::context::Context;
use crate::source::{self, Artifact};
use crate::substitute::Variables;
use crate::tree::TreeError;
use crate::{STATUS_MANAGER, apply, dependencies, finalize, health, variables};
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{
    ARTIFACT_FAILED_REASON, Duration, FEATURE_GATE_DISABLED_REASON, FINALIZER, INVALID_CEL_EXPRESSION_REASON,
    RECONCILIATION_FAILED_REASON,
};
use sluice_apply::Evaluate;
use sluice_artifact::FetchError;
use sluice_runtime::{Outcome, Pass, Reconciler, finalizer, requests};
use std::sync::Arc;

/// Reason of Ready when there is nothing to apply because the build failed.
const BUILD_FAILED: &str = "BuildFailed";
/// Reason of Ready when there is no place to unpack to.
const DIRECTORY_FAILED: &str = "DirectoryCreationFailed";

/// Reconciles Kustomizations.
pub(crate) struct KustomizationReconciler {
    cx: Arc<Context>,
}

impl KustomizationReconciler {
    pub(crate) fn new(cx: Arc<Context>) -> Self {
        Self { cx }
    }
}

impl Reconciler for KustomizationReconciler {
    type Object = Kustomization;

    async fn reconcile(&self, pass: Pass<Kustomization>) -> Outcome {
        let mut attempt = Attempt::new(&self.cx, &pass);
        if requests::is_deleted(&attempt.ks) {
            return finalize::finalize(attempt).await;
        }
        if !finalizer::has(&attempt.ks, FINALIZER) {
            match finalizer::add(attempt.api(), &attempt.ks, FINALIZER, STATUS_MANAGER).await {
                Ok(object) => attempt.rebase(object),
                Err(err) => {
                    return Outcome::failed(format!("cannot add finalizer: {}", crate::api_error(&err)));
                }
            }
        }
        if attempt.ks.spec.suspend {
            return attempt.suspended().await;
        }
        match steps(&mut attempt).await {
            Ok((artifact, digest)) => attempt.succeed(artifact, digest).await,
            Err(stop) => attempt.stop(stop).await,
        }
    }
}

/// The steps. Whatever fails leaves what is applied as it is: nothing is applied after a failed fetch or build, nothing
/// is deleted after a failed apply.
async fn steps(attempt: &mut Attempt<'_>) -> Result<(Artifact, String), Stop> {
    let cx = attempt.cx;
    let rules = check_spec(attempt)?;
    let artifact = source::artifact(cx, &attempt.ks).await?;
    dependencies::check(cx, &attempt.ks, &artifact).await?;
    attempt.begin(&artifact);
    let built = built(attempt, &artifact).await?;
    let digest = built.digest.clone();
    let applied = apply::objects(attempt, built, &rules).await?;
    let applied = apply::prune(attempt, applied).await?;
    health::check(attempt, &applied, rules, &artifact).await?;
    Ok((artifact, digest))
}

/// What can be known to be wrong without looking anywhere.
fn check_spec(attempt: &Attempt<'_>) -> Result<Vec<Arc<dyn Evaluate>>, Stop> {
    let spec = &attempt.ks.spec;
    let rules = sluice_cel::health_rules(&spec.health_check_exprs).map_err(|err| Stop::Terminal {
        reason: INVALID_CEL_EXPRESSION_REASON,
        message: format!("Reconciliation failed terminally due to configuration error: {err}"),
        observed: true,
        with_revision: false,
    })?;
    let account = spec.decryption.as_ref().and_then(|decryption| decryption.service_account_name.as_deref());
    if account.is_some_and(|name| !name.is_empty()) && !attempt.cx.gates.enabled(WORKLOAD_IDENTITY) {
        return Err(Stop::Terminal {
            reason: FEATURE_GATE_DISABLED_REASON,
            message: "to use spec.decryption.serviceAccountName for decryption authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller".to_owned(),
            observed: false,
            with_revision: false,
        });
    }
    Ok(rules)
}

/// Fetches and builds, unless the same was built before.
async fn built(attempt: &mut Attempt<'_>, artifact: &Artifact) -> Result<Built, Stop> {
    let cx = attempt.cx;
    let spec = attempt.ks.spec.clone();
    let strict = cx.gates.enabled(STRICT_SUBSTITUTION);
    let namespace = attempt.pass.key.namespace.clone();
    let post = spec.post_build.clone();
    let read = async {
        match &post {
            Some(post) => variables::read(&cx.client, &namespace, post).await,
            None => Ok(Variables::new()),
        }
    };
    // Reading the variables first tells whether anything has to be fetched at all; a failure counts as the build's.
    let variables = attempt.during(read).await?;
    if let Ok(variables) = &variables {
        let known = cx.builds.get(Inputs::new(&artifact.digest, &spec, variables, strict));
        if let Some(built) = known.filter(|_| spec.decryption.is_none() && !artifact.digest.is_empty()) {
            refuse_remote(attempt)?;
            attempt.status().last_attempted_revision = Some(artifact.revision.to_string());
            attempt.step("Building manifests");
            return Ok(built);
        }
    }
    let fetch = cx.trees.get(&artifact.url, &artifact.digest, &attempt.pass.shutdown);
    let tree = attempt.during(fetch).await?.map_err(|err| fetch_failure(cx, err))?;
    let path = spec.path.as_deref().unwrap_or_default();
    let dir = sluice_artifact::secure_join(tree.root(), path).map_err(|err| path_failure(err.to_string()))?;
    if let Err(err) = dir.metadata() {
        let cause = match err.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => err.to_string(),
        };
        // Where it was unpacked to is of no use to anybody.
        let shown = dir.strip_prefix(tree.root()).unwrap_or(&dir);
        return Err(path_failure(format!("stat {}: {cause}", shown.display())));
    }
    attempt.status().last_attempted_revision = Some(artifact.revision.to_string());
    attempt.step("Building manifests");
    refuse_remote(attempt)?;
    if spec.decryption.is_some() {
        return Err(Stop::failed(
            BUILD_FAILED,
            "spec.decryption is not built yet in this version: nothing was applied; remove it, or decrypt elsewhere",
        ));
    }
    let variables =
        variables.map_err(|err| Stop::failed(BUILD_FAILED, format!("post build failed: {err}")))?;
    let inputs = Inputs::new(&artifact.digest, &spec, &variables, strict);
    let build = async {
        // Never closed; builds are limited because they are what takes memory.
        let _place = cx.building.acquire().await.ok();
        let build =
            tokio::task::spawn_blocking(move || build::build(tree.root(), &dir, &spec, &variables, strict));
        build.await
    };
    match attempt.during(build).await? {
        Ok(Ok(built)) => {
            cx.builds.put(inputs, built.clone());
            Ok(built)
        }
        Ok(Err(err)) => Err(Stop::failed(BUILD_FAILED, err.to_string())),
        Err(err) if err.is_panic() => {
            Err(Stop::failed(BUILD_FAILED, "recovered from kustomize build panic: see the controller's log"))
        }
        Err(_) => Err(Stop::Shutdown),
    }
}

fn refuse_remote(attempt: &Attempt<'_>) -> Result<(), Stop> {
    if attempt.ks.spec.kube_config.is_none() {
        return Ok(());
    }
    Err(Stop::failed(
        RECONCILIATION_FAILED_REASON,
        "spec.kubeConfig is not built yet in this version: remote clusters cannot be reached; nothing was applied",
    ))
}

fn path_failure(cause: String) -> Stop {
    Stop::failed(ARTIFACT_FAILED_REASON, format!("kustomization path not found: {cause}"))
}

fn fetch_failure(cx: &Context, err: TreeError) -> Stop {
    match err {
        TreeError::Directory(_) => Stop::failed(DIRECTORY_FAILED, err.to_string()),
        TreeError::Fetch(FetchError::Cancelled) => Stop::Shutdown,
        TreeError::Fetch(FetchError::NotFound) => {
            let after = cx.config.requeue_dependency;
            let shown = Duration::format(after);
            let message = format!("Source is not ready, artifact not found, retrying in {shown}");
            Stop::Waiting { reason: ARTIFACT_FAILED_REASON, message, event: None, after }
        }
        TreeError::Fetch(err) => {
            Stop::failed(ARTIFACT_FAILED_REASON, sluice_runtime::telemetry::chain(&err).to_string())
        }
    }
}
