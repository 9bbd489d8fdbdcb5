//! One pass over a HelmRelease: the steps of Flux's helm-controller, in its order.

use crate::attempt::{Attempt, Stop};
use crate::context::Context;
use crate::names::ReleaseName;
use crate::release::{self, Job, Request, is_requested};
use crate::source::{self, Origin};
use crate::template::{self, TemplateError};
use crate::{FIELD_MANAGER, dependencies, finalize, target, values};
use sluice_api::helm::HelmRelease;
use sluice_api::meta::{
    ACCESS_DENIED_REASON, ARTIFACT_FAILED_REASON, DEPENDENCY_NOT_READY_REASON, FINALIZER,
    INVALID_CEL_EXPRESSION_REASON,
};
use sluice_apply::Evaluate;
use sluice_runtime::{Key, Outcome, Pass, Reconciler, finalizer, requests};
use std::sync::Arc;
use tracing::info;

/// Reason of Ready when values cannot be composed.
const VALUES_ERROR: &str = "ValuesError";
/// Reason of Ready when the release's cluster cannot be reached.
const CLIENT_ERROR: &str = "RESTClientError";

/// Reconciles HelmReleases.
pub(crate) struct HelmReleaseReconciler {
    cx: Arc<Context>,
}

impl HelmReleaseReconciler {
    pub(crate) fn new(cx: Arc<Context>) -> Self {
        Self { cx }
    }
}

impl Reconciler for HelmReleaseReconciler {
    type Object = HelmRelease;

    async fn reconcile(&self, pass: Pass<HelmRelease>) -> Outcome {
        let mut attempt = Attempt::new(&self.cx, &pass);
        if requests::is_deleted(&attempt.hr) {
            return Box::pin(finalize::finalize(attempt)).await;
        }
        let Some(origin) = Origin::of(&attempt.hr) else {
            return Outcome::terminal("either chart or chartRef must be set");
        };
        if !finalizer::has(&attempt.hr, FINALIZER) {
            match finalizer::add(attempt.api(), &attempt.hr, FINALIZER, FIELD_MANAGER).await {
                Ok(object) => attempt.rebase(object),
                Err(err) => {
                    return Outcome::failed(format!("cannot add finalizer: {}", crate::api_error(&err)));
                }
            }
        }
        if attempt.hr.spec.suspend {
            return attempt.suspended().await;
        }
        match Box::pin(steps(&mut attempt, origin)).await {
            Ok(()) => attempt.succeed().await,
            Err(stop) => attempt.stop(stop).await,
        }
    }

    fn removed(&self, key: &Key) {
        release::forget(&self.cx, key);
    }
}

/// The steps: everything that the release needs, and then the release.
async fn steps(attempt: &mut Attempt<'_>, origin: Origin) -> Result<(), Stop> {
    let cx = attempt.cx;
    let rules = health_rules(attempt)?;
    let written = template::sync(attempt).await.map_err(|err| match err {
        TemplateError::Denied(message) => Stop::Terminal { reason: ACCESS_DENIED_REASON, message },
        TemplateError::Api(message) => Stop::quiet(ARTIFACT_FAILED_REASON, message),
    })?;
    attempt.begin();
    dependencies::check(cx, &attempt.hr).await?;
    attempt.passed(&[DEPENDENCY_NOT_READY_REASON]);
    source::allowed(cx, &attempt.hr, &origin)?;
    let artifact = source::artifact(cx, &origin, written).await?;
    attempt.passed(&[source::SOURCE_NOT_READY]);
    let values = values::compose(&cx.client, &attempt.hr, values::Secrets::Shown).await;
    let values = values.map_err(|err| Stop::failed(VALUES_ERROR, err.to_string()))?;
    attempt.passed(&[VALUES_ERROR]);
    let chart = release::chart(attempt, &origin, &artifact).await?;
    attempt.passed(&[ARTIFACT_FAILED_REASON, release::CHART_MUTATE_ERROR]);
    let target =
        target::of(cx, &attempt.hr).await.map_err(|err| Stop::quiet(CLIENT_ERROR, err.to_string()))?;
    attempt.passed(&[CLIENT_ERROR]);
    let name = ReleaseName::of(&attempt.hr);
    if let Some(why) = release::moved(attempt, &name, &chart.name) {
        info!("release target configuration changed ({why}): running uninstall for current release");
        release::uninstall(attempt, &target.cluster).await?;
        let status = attempt.status();
        status.history.clear();
        status.storage_namespace = None;
        (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
        return Err(Stop::Again);
    }
    let config_digest = sluice_helm::release::config_digest(&values);
    let job = Job { name, target, origin, artifact, chart, values, config_digest, rules };
    note_attempt(attempt, &job);
    Box::pin(release::run(attempt, &job)).await
}

/// What can be known to be wrong without looking anywhere.
fn health_rules(attempt: &Attempt<'_>) -> Result<Vec<Arc<dyn Evaluate>>, Stop> {
    sluice_cel::health_rules(&attempt.hr.spec.health_check_exprs).map_err(|err| Stop::Terminal {
        reason: INVALID_CEL_EXPRESSION_REASON,
        message: format!("Reconciliation failed terminally due to configuration error: {err}"),
    })
}

/// Notes what is about to be tried, and forgets the failures of other tries.
fn note_attempt(attempt: &mut Attempt<'_>, job: &Job) {
    let generation = attempt.generation();
    let reset = is_requested(&mut attempt.hr, Request::Reset);
    let status = attempt.status();
    status.storage_namespace = Some(job.name.storage.clone());
    let why = if reset {
        Some("reset requested through annotation")
    } else if status.last_attempted_generation != generation {
        Some("generation differs from last attempt")
    } else if status.last_attempted_revision.as_deref() != Some(&job.chart.version) {
        Some("chart version differs from last attempt")
    } else if status.last_attempted_config_digest.as_deref() != Some(&job.config_digest) {
        Some("values differ from last attempt")
    } else {
        None
    };
    if let Some(why) = why {
        tracing::debug!("failures are forgotten: {why}");
        (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
    }
    status.last_attempted_generation = generation;
    status.last_attempted_revision = Some(job.chart.version.clone());
    status.last_attempted_revision_digest =
        Some(job.chart.oci_digest.clone()).filter(|digest| !digest.is_empty());
    status.last_attempted_config_digest = Some(job.config_digest.clone());
}
