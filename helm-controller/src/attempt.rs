//! One pass' view of its HelmRelease: progress, and the one place where an outcome becomes status, event and next run.
//!
//! Flux writes the status before and after every step. Here a step is written only when it lasts long enough to be seen, or
//! when what follows must not be lost should the process die: a pass that ends at once writes its result and nothing before.

use crate::config::CANCEL_HEALTH_CHECK;
use crate::context::Context;
use crate::policy::Policy;
use kube::Api;
use sluice_api::helm::{HelmRelease, HelmReleaseStatus};
use sluice_api::meta::{
    Duration as GoDuration, PROGRESSING_REASON, PROGRESSING_WITH_RETRY_REASON, READY, RECONCILING, STALLED,
};
use sluice_runtime::controller::{Cause, Pass, jittered};
use sluice_runtime::events::Event;
use sluice_runtime::status::StatusError;
use sluice_runtime::{Outcome, conditions, requests};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// A step, or a wait for a source or a dependency, that lasts longer than this is shown in the status.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// What Reconciling says until the release is looked at.
const PREREQUISITES: &str = "Fulfilling prerequisites";

/// Why a pass ended before the release was as it should be.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something else has to happen first: no failure.
    Waiting { reason: &'static str, message: String, event: Option<Box<Event>> },
    /// The source does not exist: retried with back-off, but it may be about to come.
    Missing { reason: &'static str, message: String },
    /// A step failed; retried with back-off.
    Failed { reason: &'static str, message: String, event: bool },
    /// Only a change of the spec can help.
    Terminal { reason: &'static str, message: String },
    /// An action failed; the conditions say so already. Retried with back-off.
    Action(String),
    /// No try is left; the conditions say so already.
    Stalled(String),
    /// A try is left; the conditions say so already.
    Again,
    /// Tried again after this time; the conditions say so already.
    After(Duration),
    /// Something newer is to be done than to wait for this.
    Canceled { cause: String },
    /// The status could not be written.
    Status(StatusError),
    /// The process ends. What was done so far is written.
    Shutdown,
}

impl Stop {
    /// A failure that people hear of.
    pub(crate) fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Stop::Failed { reason, message: message.into(), event: true }
    }

    /// A failure that only the status tells.
    pub(crate) fn quiet(reason: &'static str, message: impl Into<String>) -> Self {
        Stop::Failed { reason, message: message.into(), event: false }
    }

    /// Whether another object's next change may be all that it takes.
    fn may_pass(&self) -> bool {
        matches!(self, Stop::Waiting { .. } | Stop::Missing { .. })
    }
}

/// One pass' view of its HelmRelease.
pub(crate) struct Attempt<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) pass: &'a Pass<HelmRelease>,
    /// The object as the pass leaves it.
    pub(crate) hr: HelmRelease,
    /// The object as the API server has it.
    stored: HelmRelease,
    api: Api<HelmRelease>,
    begun: Instant,
    shown: bool,
    /// Ends the actions of the pass: with the process, or for something newer.
    pub(crate) cancel: CancellationToken,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(cx: &'a Context, pass: &'a Pass<HelmRelease>) -> Self {
        let hr = HelmRelease::clone(&pass.object);
        Self {
            cx,
            pass,
            stored: hr.clone(),
            hr,
            api: cx.api(&pass.key.namespace),
            begun: Instant::now(),
            shown: false,
            cancel: pass.shutdown.child_token(),
        }
    }

    pub(crate) fn api(&self) -> &Api<HelmRelease> {
        &self.api
    }

    /// What the spec says of actions.
    pub(crate) fn policy(&self) -> Policy<'a> {
        Policy::new(&self.pass.object.spec, &self.cx.gates)
    }

    pub(crate) fn generation(&self) -> i64 {
        requests::generation(&self.hr)
    }

    pub(crate) fn status(&mut self) -> &mut HelmReleaseStatus {
        self.hr
            .status
            .get_or_insert_with(|| HelmReleaseStatus { observed_generation: -1, ..Default::default() })
    }

    /// Takes over what the API server answered to a write of something else than the status.
    pub(crate) fn rebase(&mut self, object: HelmRelease) {
        self.cx.handle.store().observe(object.clone());
        self.hr.metadata = object.metadata.clone();
        self.stored = object;
    }

    /// From now on the pass is at work.
    pub(crate) fn begin(&mut self) {
        let generation = self.generation();
        conditions::mark_reconciling(
            &mut self.status().conditions,
            generation,
            PROGRESSING_REASON,
            PREREQUISITES,
        );
    }

    /// A step is done, so that what Ready says of its failure is not true any more.
    pub(crate) fn passed(&mut self, reasons: &[&str]) {
        let generation = self.generation();
        let list = &mut self.status().conditions;
        if conditions::is_false(list, READY) && reasons.contains(&conditions::reason(list, READY)) {
            conditions::mark_unknown(
                list,
                generation,
                READY,
                PROGRESSING_REASON,
                "reconciliation in progress",
            );
        }
    }

    /// Runs a part of the pass, and writes the status as it is if that takes long.
    pub(crate) async fn during<T>(&mut self, part: impl Future<Output = T>) -> Result<T, Stop> {
        // Actions are large, and every wrapper around one on the stack is as large again.
        let mut part = Box::pin(part);
        tokio::select! {
            biased;
            output = &mut part => return Ok(output),
            () = tokio::time::sleep_until(Instant::now() + SHOW_AFTER) => {}
        }
        self.shown = true;
        // The part goes on meanwhile, and is not given up should the write fail: the end of the pass writes again.
        let (written, output) = tokio::join!(self.save(), part);
        if let Err(err) = written {
            warn!(error = %err, "cannot show the step in the status");
        }
        Ok(output)
    }

    /// Runs an action off the pass' worker. It may be given up for something newer, where the gate says so.
    pub(crate) async fn unless_newer<T>(&mut self, action: impl Future<Output = T>) -> Result<T, Stop> {
        let (cx, pass, cancel) = (self.cx, self.pass, self.cancel.clone());
        let may_cancel = cx.gates.enabled(CANCEL_HEALTH_CHECK);
        let mut action = Box::pin(action);
        self.during(pass.slot.park(async {
            // Never closed. Most of an action is waiting for the cluster, so more of them run than passes do.
            let _place = cx.acting.acquire().await.ok();
            tokio::select! {
                biased;
                output = &mut action => return output,
                _ = pass.interrupt.triggered(), if may_cancel => cancel.cancel(),
            }
            action.await
        }))
        .await
    }

    /// Why an action was given up: no failure of the release.
    pub(crate) fn canceled(&self) -> Stop {
        match self.pass.interrupt.cause().filter(|_| !self.pass.shutdown.is_cancelled()) {
            Some(Cause::Related(cause)) => Stop::Canceled { cause: cause.to_string() },
            Some(_) => Stop::Canceled { cause: format!("HelmRelease/{}", self.pass.key) },
            None => Stop::Shutdown,
        }
    }

    /// Writes what changed of the status; nothing if nothing did.
    pub(crate) async fn save(&mut self) -> Result<(), StatusError> {
        if let Some(written) = self.cx.patcher.patch(&self.api, &self.stored, &self.hr).await? {
            self.cx.handle.store().observe(written.clone());
            self.hr.metadata.resource_version = written.metadata.resource_version.clone();
            self.stored = written;
        }
        Ok(())
    }

    /// Records an event.
    pub(crate) fn event(&self, event: Event) {
        self.cx.events.record(&self.hr, event);
    }

    /// Ends a pass after which the release is as it should be.
    pub(crate) async fn succeed(mut self) -> Outcome {
        let was_ready =
            self.stored.status.as_ref().is_some_and(|status| conditions::is_true(&status.conditions, READY));
        let generation = self.generation();
        let news = self.stored.status.as_ref().map(|status| status.observed_generation) != Some(generation);
        self.status().observed_generation = generation;
        if let Err(err) = self.close().await {
            return Outcome::failed(err);
        }
        let ready = conditions::is_true(&self.status().conditions, READY);
        if ready && (!was_ready || news) {
            sluice_runtime::dependencies::wake(&self.cx.handle, &self.cx.held, &self.pass.key);
        }
        let interval = self.hr.spec.interval.to_std();
        let (took, next) = (GoDuration::format(self.begun.elapsed()), GoDuration::format(interval));
        info!("Reconciliation finished in {took}, next run in {next}");
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
            return match self.save_chart().await {
                Ok(()) => Outcome::Done,
                Err(err) => Outcome::failed(format!("failed to update status: {err}")),
            };
        }
        let generation = self.generation();
        let delay = self.cx.config.requeue_dependency;
        let outcome = match stop {
            Stop::Status(err) => return Outcome::failed(format!("failed to update status: {err}")),
            Stop::Shutdown => Outcome::Done,
            Stop::Waiting { reason, message, event } => {
                info!("{message}");
                if let Some(event) = event {
                    self.event(*event);
                }
                self.not_ready(reason, message);
                Outcome::After(jittered(delay, self.cx.config.common.interval_jitter_percentage))
            }
            Stop::Missing { reason, message } => {
                self.not_ready(reason, message.clone());
                Outcome::failed(message)
            }
            Stop::Failed { reason, message, event } => {
                if event {
                    self.event(Event::error(reason, message.clone()));
                }
                self.not_ready(reason, message.clone());
                Outcome::failed(message)
            }
            Stop::Terminal { reason, message } => {
                self.event(Event::error(reason, message.clone()));
                let status = self.status();
                conditions::mark_stalled(&mut status.conditions, generation, reason, message.clone());
                status.observed_generation = generation;
                self.not_ready(reason, message.clone());
                Outcome::terminal(message)
            }
            Stop::Action(message) => Outcome::failed(message),
            Stop::Stalled(message) => {
                self.status().observed_generation = generation;
                error!("{message}");
                Outcome::terminal(message)
            }
            Stop::Again => Outcome::Again,
            Stop::After(interval) => {
                self.status().observed_generation = generation;
                Outcome::Interval(interval)
            }
            Stop::Canceled { cause } => {
                let text = format!("Health checks canceled due to new reconciliation triggered by {cause}");
                info!("{text}");
                self.event(Event::info(HEALTH_CHECK_CANCELED, text));
                self.not_ready(HEALTH_CHECK_CANCELED, format!("New reconciliation triggered by {cause}"));
                Outcome::After(Duration::ZERO)
            }
        };
        match self.close().await {
            Ok(()) => outcome,
            Err(err) => Outcome::failed(format!("failed to update status: {err}")),
        }
    }

    /// A held pass says nothing, but which HelmChart is its own must not be forgotten.
    async fn save_chart(&mut self) -> Result<(), StatusError> {
        let chart = self.status().helm_chart.clone();
        if self.stored.status.as_ref().and_then(|status| status.helm_chart.as_ref()) == chart.as_ref() {
            return Ok(());
        }
        let mut status = self
            .stored
            .status
            .clone()
            .unwrap_or_else(|| HelmReleaseStatus { observed_generation: -1, ..HelmReleaseStatus::default() });
        status.helm_chart = chart;
        self.hr.status = Some(status);
        self.save().await
    }

    pub(crate) fn not_ready(&mut self, reason: &str, message: impl Into<String>) {
        let generation = self.generation();
        conditions::mark_false(&mut self.status().conditions, generation, READY, reason, message);
    }

    /// The last write of every pass.
    pub(crate) async fn close(&mut self) -> Result<(), StatusError> {
        let requested = requests::requested_at(&self.hr).map(str::to_owned);
        let status = self.status();
        if requested.is_some() {
            status.last_handled_reconcile_at = requested;
        }
        status.last_attempted_values_checksum = None;
        status.last_release_revision = 0;
        let list = &mut status.conditions;
        if conditions::is_true(list, READY) {
            conditions::remove(list, RECONCILING);
            conditions::remove(list, STALLED);
        }
        match self.save().await {
            // It is gone: there is nobody left to tell.
            Err(err) if err.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Says that another try is to come.
    pub(crate) fn will_retry(&mut self, message: impl Into<String>) {
        let generation = self.generation();
        let list = &mut self.status().conditions;
        conditions::mark_reconciling(list, generation, PROGRESSING_WITH_RETRY_REASON, message);
    }
}

/// Reason of Ready when a newer trigger ended the wait.
const HEALTH_CHECK_CANCELED: &str = "HealthCheckCanceled";
