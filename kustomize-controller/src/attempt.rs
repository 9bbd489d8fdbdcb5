//! One pass' view of its Kustomization: progress, and the one place where an outcome becomes status, event and next run.
//!
//! Flux writes the status at every step. Here a step is written only when it lasts long enough to be seen: a pass that
//! ends at once writes its result and nothing before.

use crate::context::Context;
use crate::history::{self, Outcome as Record};
use crate::source::Artifact;
use jiff::Timestamp;
use kube::Api;
use sluice_api::kustomize::{Kustomization, KustomizationStatus};
use sluice_api::meta::{
    ARTIFACT_FAILED_REASON, Duration as GoDuration, HEALTHY, PROGRESSING_REASON,
    PROGRESSING_WITH_RETRY_REASON, READY, RECONCILIATION_SUCCEEDED_REASON, RECONCILING, ResourceInventory,
    STALLED,
};
use sluice_runtime::controller::Pass;
use sluice_runtime::events::Event;
use sluice_runtime::status::StatusError;
use sluice_runtime::{Cause, Outcome, conditions, requests};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{error, info};

/// A step, or a wait for a source or a dependency, that lasts longer than this is shown in the status.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// So long until a step is shown after another one was, when it is known already that the pass is at work, and until
/// health checks are, when all objects are applied.
const SHOW_LATER_AFTER: Duration = Duration::from_secs(3);
/// No health check gets less time than this.
const MIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Prefix of the keys of event metadata.
const META: &str = "kustomize.toolkit.fluxcd.io";

/// Reason of Ready when objects could not be deleted.
pub(crate) const PRUNE_FAILED: &str = "PruneFailed";
/// Reason of Ready and Healthy when objects did not get ready.
pub(crate) const HEALTH_CHECK_FAILED: &str = "HealthCheckFailed";
/// Reason of Ready when a newer trigger ended the wait.
const HEALTH_CHECK_CANCELED: &str = "HealthCheckCanceled";

/// Why a pass ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something else has to happen first: no failure.
    Waiting { reason: &'static str, message: String, event: Option<Box<Event>>, after: Duration },
    /// The source does not exist: retried, but no event.
    SourceMissing { message: String, source: String },
    /// The source cannot be read: retried with back-off, but no event.
    SourceUnreadable { message: String },
    /// A step failed; retried after the retry interval. With a digest it enters the history.
    Failed { reason: &'static str, message: String, digest: Option<String> },
    /// Only a change of the spec can help.
    Terminal { reason: &'static str, message: String, observed: bool, with_revision: bool },
    /// Something newer is to be done than to wait for this.
    Canceled { cause: String },
    /// The status could not be written.
    Status(StatusError),
    /// The process ends.
    Shutdown,
}

impl Stop {
    pub(crate) fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Stop::Failed { reason, message: message.into(), digest: None }
    }

    /// Whether another object's next change may be all that it takes.
    fn may_pass(&self) -> bool {
        matches!(self, Stop::Waiting { .. } | Stop::SourceMissing { .. })
    }
}

/// One pass' view of its Kustomization.
pub(crate) struct Attempt<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) pass: &'a Pass<Kustomization>,
    /// The object as the pass leaves it.
    pub(crate) ks: Kustomization,
    /// The object as the API server has it.
    stored: Kustomization,
    api: Api<Kustomization>,
    begun: Instant,
    artifact: Option<Artifact>,
    progress: Option<String>,
    shown: bool,
    checking_health: bool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(cx: &'a Context, pass: &'a Pass<Kustomization>) -> Self {
        let ks = Kustomization::clone(&pass.object);
        Self {
            cx,
            pass,
            stored: ks.clone(),
            ks,
            api: cx.api(&pass.key.namespace),
            begun: Instant::now(),
            artifact: None,
            progress: None,
            shown: false,
            checking_health: false,
        }
    }

    pub(crate) fn api(&self) -> &Api<Kustomization> {
        &self.api
    }

    pub(crate) fn generation(&self) -> i64 {
        requests::generation(&self.ks)
    }

    pub(crate) fn status(&mut self) -> &mut KustomizationStatus {
        self.ks
            .status
            .get_or_insert_with(|| KustomizationStatus { observed_generation: -1, ..Default::default() })
    }

    /// Takes over what the API server answered to a write of something else than the status.
    pub(crate) fn rebase(&mut self, object: Kustomization) {
        self.cx.handle.store().observe(object.clone());
        self.ks.metadata = object.metadata.clone();
        self.stored = object;
    }

    /// `spec.timeout`, else the interval less 30 seconds; at least 30 seconds.
    pub(crate) fn timeout(&self) -> Duration {
        let spec = &self.ks.spec;
        let timeout = match &spec.timeout {
            Some(timeout) => timeout.to_std(),
            None => spec.interval.to_std().saturating_sub(MIN_TIMEOUT),
        };
        timeout.max(MIN_TIMEOUT)
    }

    /// The steps that follow are about this artifact; until now the source was looked for.
    pub(crate) fn begin(&mut self, artifact: &Artifact) {
        self.artifact = Some(artifact.clone());
        self.step("Fetching manifests");
    }

    /// Names the step that runs now.
    pub(crate) fn step(&mut self, what: &str) {
        let revision = self.artifact.as_ref().map(|a| a.revision.to_string()).unwrap_or_default();
        let timeout = GoDuration::format(self.timeout());
        self.progress = Some(format!("{what} for revision {revision} with a timeout of {timeout}"));
    }

    /// From now on the step that is shown concerns health too.
    pub(crate) fn step_health(&mut self) {
        self.step("Running health checks");
        self.checking_health = true;
    }

    /// Runs a part of the step, and shows the step in the status if that takes long.
    pub(crate) async fn during<T>(&mut self, part: impl Future<Output = T>) -> Result<T, Stop> {
        let mut part = std::pin::pin!(part);
        let later = self.shown || self.checking_health;
        let at = if later { Instant::now() + SHOW_LATER_AFTER } else { self.begun + SHOW_AFTER };
        tokio::select! {
            biased;
            output = &mut part => return Ok(output),
            () = tokio::time::sleep_until(at) => {}
        }
        self.mark_progress();
        self.save().await.map_err(Stop::Status)?;
        Ok(part.await)
    }

    /// Writes an inventory that grows before the objects are applied. Of an object that is not ready anyway this write
    /// tells the step too.
    pub(crate) async fn announce(&mut self, inventory: ResourceInventory) -> Result<(), Stop> {
        let status = self.status();
        status.inventory = Some(inventory);
        if !conditions::is_true(&status.conditions, READY) {
            self.mark_progress();
        }
        self.save().await.map_err(Stop::Status)
    }

    fn mark_progress(&mut self) {
        let (generation, message) = (self.generation(), self.progress.clone().unwrap_or_default());
        let health = self.checking_health;
        let list = &mut self.status().conditions;
        conditions::mark_reconciling(list, generation, PROGRESSING_REASON, message.clone());
        conditions::mark_unknown(list, generation, READY, PROGRESSING_REASON, "Reconciliation in progress");
        if health {
            conditions::mark_unknown(list, generation, HEALTHY, PROGRESSING_REASON, message);
        }
        self.shown = true;
    }

    /// Writes what changed of the status; nothing if nothing did.
    pub(crate) async fn save(&mut self) -> Result<(), StatusError> {
        if let Some(written) = self.cx.patcher.patch(&self.api, &self.stored, &self.ks).await? {
            self.cx.handle.store().observe(written.clone());
            self.ks.metadata.resource_version = written.metadata.resource_version.clone();
            self.stored = written;
        }
        Ok(())
    }

    /// Records an event with the revision of the pass.
    pub(crate) fn event(&self, event: Event) {
        let (mut revision, mut origin) = (String::new(), String::new());
        if let Some(artifact) = &self.artifact {
            revision = artifact.revision.to_string();
            origin = artifact.origin_revision.as_deref().unwrap_or_default().to_owned();
        }
        self.event_at(event, &revision, &origin);
    }

    /// Records an event with another revision.
    pub(crate) fn event_at(&self, event: Event, revision: &str, origin: &str) {
        let event =
            event.with(format!("{META}/revision"), revision).with(format!("{META}/originRevision"), origin);
        self.cx.events.record(&self.ks, event);
    }

    /// Ends a pass that did all steps.
    pub(crate) async fn succeed(mut self, artifact: Artifact, digest: String) -> Outcome {
        let generation = self.generation();
        self.record(digest, RECONCILIATION_SUCCEEDED_REASON);
        let advanced = self.status().last_applied_revision.as_deref() != Some(&*artifact.revision)
            || !conditions::is_true(&self.stored.status.clone().unwrap_or_default().conditions, READY);
        let status = self.status();
        status.last_applied_revision = Some(artifact.revision.to_string());
        status.last_applied_origin_revision = artifact.origin_revision.as_deref().map(str::to_owned);
        let message = format!("Applied revision: {}", artifact.revision);
        conditions::remove(&mut status.conditions, STALLED);
        conditions::mark_true(
            &mut status.conditions,
            generation,
            READY,
            RECONCILIATION_SUCCEEDED_REASON,
            message,
        );
        if let Err(err) = self.close().await {
            return Outcome::failed(err);
        }
        if advanced {
            sluice_runtime::dependencies::wake(&self.cx.handle, &self.cx.held, &self.pass.key);
        }
        let interval = self.ks.spec.interval.to_std();
        let text = format!(
            "Reconciliation finished in {}, next run in {}",
            GoDuration::format(self.begun.elapsed()),
            GoDuration::format(interval)
        );
        info!(revision = %artifact.revision, "{text}");
        let event = Event::info(RECONCILIATION_SUCCEEDED_REASON, text)
            .with(format!("{META}/commit_status"), "update");
        self.event(event);
        Outcome::Interval(interval)
    }

    /// Ends a pass over a suspended object.
    pub(crate) async fn suspended(mut self) -> Outcome {
        info!("Reconciliation is suspended for this object");
        match self.close().await {
            Ok(()) => Outcome::Done,
            Err(err) => Outcome::failed(err),
        }
    }

    /// Holds a pass that only lacks what another object is about to bring. Returns whether something happened: the
    /// trigger that told so has put the next pass in line, and there is nothing to say about this one.
    ///
    /// A source and what uses it are usually created together, and a dependency and its dependents are woken together:
    /// a status that lasts for the blink of an eye would only cost writes.
    async fn hold(&self, stop: &Stop) -> bool {
        if self.shown || !stop.may_pass() {
            return false;
        }
        let held = self.cx.held.enter(&self.pass.key);
        let wait = async {
            tokio::select! {
                biased;
                _ = self.pass.interrupt.triggered() => true,
                () = self.pass.shutdown.cancelled() => true,
                () = tokio::time::sleep_until(self.begun + SHOW_AFTER) => false,
            }
        };
        let happened = self.pass.slot.park(wait).await;
        drop(held);
        happened
    }

    /// Ends a pass that stopped early.
    pub(crate) async fn stop(mut self, stop: Stop) -> Outcome {
        if self.hold(&stop).await {
            return Outcome::Done;
        }
        let (generation, retry) = (self.generation(), self.retry_interval());
        let (reason, message, outcome) = match stop {
            Stop::Shutdown => return Outcome::Done,
            Stop::Status(err) => return Outcome::failed(format!("failed to update status: {err}")),
            Stop::Waiting { reason, message, event, after } => {
                info!("{message}");
                if let Some(event) = event {
                    self.event(*event);
                }
                (reason, message, Outcome::After(after))
            }
            Stop::SourceMissing { message, source } => {
                info!("Source '{source}' not found");
                (ARTIFACT_FAILED_REASON, message, Outcome::After(retry))
            }
            Stop::SourceUnreadable { message } => {
                (ARTIFACT_FAILED_REASON, message.clone(), Outcome::failed(message))
            }
            Stop::Canceled { cause } => {
                let message = format!("New reconciliation triggered by {cause}");
                let event = format!("Health checks canceled due to new reconciliation triggered by {cause}");
                info!("{event}");
                self.event(Event::info(HEALTH_CHECK_CANCELED, event));
                (HEALTH_CHECK_CANCELED, message, Outcome::After(Duration::ZERO))
            }
            Stop::Failed { reason, message, digest } => {
                if let Some(digest) = digest {
                    self.record(digest, reason);
                }
                self.event(Event::error(reason, message.clone()));
                let revision = self.artifact.as_ref().map(|a| a.revision.to_string()).unwrap_or_default();
                let took = GoDuration::format(self.begun.elapsed());
                let next = GoDuration::format(retry);
                error!(revision, error = message, "Reconciliation failed after {took}, next try in {next}");
                (reason, message, Outcome::After(retry))
            }
            Stop::Terminal { reason, message, observed, with_revision } => {
                let list = &mut self.status().conditions;
                conditions::mark_stalled(list, generation, reason, message.clone());
                if observed {
                    self.status().observed_generation = generation;
                }
                self.progress = None;
                let event = Event::error(reason, message.clone());
                if with_revision {
                    self.event(event)
                } else {
                    self.event_at(event, "", "")
                }
                (reason, message.clone(), Outcome::terminal(message))
            }
        };
        if let Some(progress) = self.progress.clone() {
            let list = &mut self.status().conditions;
            conditions::mark_reconciling(list, generation, PROGRESSING_WITH_RETRY_REASON, progress);
        }
        conditions::mark_false(&mut self.status().conditions, generation, READY, reason, message);
        match self.close().await {
            Ok(()) => outcome,
            Err(err) => Outcome::failed(err),
        }
    }

    /// The last write of every pass.
    pub(crate) async fn close(&mut self) -> Result<(), StatusError> {
        let (generation, requested) =
            (self.generation(), requests::requested_at(&self.ks).map(str::to_owned));
        let status = self.status();
        if requested.is_some() {
            status.last_handled_reconcile_at = requested;
        }
        let list = &mut status.conditions;
        if conditions::is_true(list, READY) {
            conditions::remove(list, RECONCILING);
            status.observed_generation = generation;
        } else if conditions::is_false(list, READY)
            && let Some(message) = conditions::get(list, RECONCILING).map(|c| c.message.clone())
        {
            conditions::mark_true(list, generation, RECONCILING, PROGRESSING_WITH_RETRY_REASON, message);
        }
        self.save().await
    }

    fn record(&mut self, digest: String, status: &str) {
        let mut metadata = BTreeMap::new();
        if let Some(artifact) = &self.artifact {
            metadata.insert("revision".to_owned(), artifact.revision.to_string());
            if let Some(origin) = &artifact.origin_revision {
                metadata.insert("originRevision".to_owned(), origin.to_string());
            }
        }
        let outcome = Record {
            digest,
            status: status.to_owned(),
            at: Timestamp::now(),
            took: self.begun.elapsed(),
            metadata,
        };
        history::record(&mut self.status().history, outcome);
    }

    fn retry_interval(&self) -> Duration {
        let spec = &self.ks.spec;
        spec.retry_interval.as_ref().unwrap_or(&spec.interval).to_std()
    }
}

/// The name of what woke a pass, as messages show it.
pub(crate) fn trigger_name(cause: &Cause, pass: &Pass<Kustomization>) -> String {
    match cause {
        Cause::Related(name) => name.to_string(),
        Cause::Own | Cause::Start | Cause::Timer => {
            format!("Kustomization/{}/{}", pass.key.namespace, pass.key.name)
        }
    }
}
