//! The steps that all kinds of sources share, from the object to its status (sources.md 4).

use std::sync::Arc;

use sluice_api::{ArtifactSource, Reconcilable};
use sluice_runtime::conditions::{self, RECONCILING, STALLED, State};
use sluice_runtime::controller::Store as Objects;
use sluice_runtime::events::{Event, Severity};
use sluice_runtime::{Handle, Key, Outcome, Pass, Reconciler, finalizer, requests};
use tracing::{debug, info, warn};

use crate::context::{CONTROLLER, Context};
use crate::dependents;
use crate::kind::{
    ARTIFACT_IN_STORAGE, BUILD_FAILED, FETCH_FAILED, Failure, INCLUDE_UNAVAILABLE, NEGATIVE, Produced,
    SOURCE_VERIFIED, STORAGE_OPERATION_FAILED, SourceKind, Stop,
};
use crate::object::SourceObject;
use crate::summary::summarize;
use crate::work::Work;

/// Conditions whose disappearance is a recovery that users are told of.
const RECOVERABLE: [&str; 4] = [STORAGE_OPERATION_FAILED, FETCH_FAILED, INCLUDE_UNAVAILABLE, BUILD_FAILED];

/// Reconciles the objects of one kind.
pub struct Machine<K: SourceKind> {
    cx: Arc<Context>,
    kind: K,
    objects: Objects<K::Object>,
}

impl<K: SourceKind> std::fmt::Debug for Machine<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("objects", &self.objects).finish_non_exhaustive()
    }
}

impl<K: SourceKind> Machine<K> {
    /// A machine for the objects that `handle` shows.
    pub fn new(cx: Arc<Context>, kind: K, handle: &Handle<K::Object>) -> Self {
        Self { cx, kind, objects: handle.store().clone() }
    }

    async fn pass(&self, pass: Pass<K::Object>) -> Outcome {
        let object = pass.object.clone();
        let object = object.as_ref();
        let mut work = Work::new(self.cx.clone(), self.objects.clone(), pass);
        if requests::is_deleted(object) {
            return self.delete(&work).await;
        }
        if self.kind.is_static(object) {
            return self.close_static(&work).await;
        }
        if !finalizer::has(object, requests::FINALIZER) {
            let api = work.api();
            return match work.wait(finalizer::add(&api, object, requests::FINALIZER, CONTROLLER)).await {
                Ok(answer) => {
                    self.objects.observe(answer);
                    Outcome::After(std::time::Duration::ZERO)
                }
                Err(kube::Error::Api(status)) if status.code == 404 => Outcome::Done,
                Err(error) => Outcome::failed(format!("failed to add finalizer: {error}")),
            };
        }
        if object.suspended() {
            info!("reconciliation is suspended for this resource");
            return self.close_suspended(work).await;
        }
        let result = match self.begin(&mut work).await {
            Ok(()) => {
                let show_later = work.show_later();
                tokio::select! {
                    biased;
                    result = self.steps(&mut work) => result,
                    never = show_later => match never {},
                }
            }
            Err(stop) => Err(stop),
        };
        self.finish(work, result).await
    }

    async fn steps(&self, work: &mut Work<K::Object>) -> Result<Produced, Stop> {
        work.make_dir()?;
        check_storage(work).await?;
        self.kind.produce(work).await
    }

    /// Shows that work began, if it takes a while: Flux writes at once, which costs a write per pass that nobody can see.
    /// That a generation is not handled yet is plain from the one that was observed.
    async fn begin(&self, work: &mut Work<K::Object>) -> Result<(), Stop> {
        let generation = work.generation();
        let observed = work.object.observed_generation().unwrap_or(0);
        let is_new = generation != observed;
        let message = if is_new {
            format!("processing object: new generation {observed} -> {generation}")
        } else {
            "reconciliation in progress".to_owned()
        };
        let list = work.object.conditions_mut();
        conditions::mark_reconciling(list, generation, conditions::PROGRESSING, message.clone());
        if conditions::is_unknown(list, conditions::READY) {
            conditions::mark_unknown(list, generation, conditions::READY, conditions::PROGRESSING, message);
        }
        work.show().await
    }

    async fn delete(&self, work: &Work<K::Object>) -> Outcome {
        self.kind.forget(&work.namespace(), &work.name());
        let (store, location) = (self.cx.store.clone(), work.location());
        let removed = tokio::task::spawn_blocking(move || store.remove_all(&location)).await;
        let failed = match removed {
            Ok(Ok(existed)) => {
                if existed {
                    work.event(Event::trace(
                        "GarbageCollectionSucceeded",
                        "garbage collected artifacts for deleted resource",
                    ));
                }
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            let message = format!("garbage collection for deleted resource failed: {error}");
            work.event(Event::error("GarbageCollectionFailed", message.clone()));
            return Outcome::failed(message);
        }
        match finalizer::remove(&work.api(), &work.found, requests::FINALIZER, CONTROLLER).await {
            Ok(answer) => {
                if let Some(answer) = answer {
                    self.objects.observe(answer);
                }
                Outcome::Done
            }
            Err(error) => Outcome::failed(format!("failed to remove finalizer: {error}")),
        }
    }

    /// Takes away what an object has left of the time before it was static.
    async fn close_static(&self, work: &Work<K::Object>) -> Outcome {
        if work.found.suspended() {
            return Outcome::Done;
        }
        if !work.found.conditions().is_empty() || work.found.artifact().is_some() {
            let patch = kube::api::Patch::Merge(serde_json::json!({"status": null}));
            return match work.api::<K::Object>().patch_status(&work.name(), &Default::default(), &patch).await
            {
                Ok(answer) => {
                    self.objects.observe(answer);
                    Outcome::After(std::time::Duration::ZERO)
                }
                Err(kube::Error::Api(status)) if status.code == 404 => Outcome::Done,
                Err(error) => Outcome::failed(format!("failed to reset the status: {error}")),
            };
        }
        match finalizer::has(&work.found, requests::FINALIZER) {
            true => self.delete(work).await,
            false => Outcome::Done,
        }
    }

    async fn close_suspended(&self, mut work: Work<K::Object>) -> Outcome {
        record_request(&mut work.object);
        let generation = work.generation();
        let list = work.object.conditions_mut();
        conditions::remove(list, STALLED);
        if let Some(leftover) = conditions::get(list, RECONCILING).cloned() {
            conditions::mark_true(
                list,
                generation,
                RECONCILING,
                conditions::PROGRESSING_WITH_RETRY,
                leftover.message,
            );
        }
        if !list.is_empty() {
            work.object.set_observed_generation(generation);
        }
        match work.publish().await {
            Ok(()) => Outcome::Done,
            Err(stop) => Outcome::failed(text(&stop)),
        }
    }

    /// The one place where the result of a pass becomes conditions, an event, a log line and the next run.
    async fn finish(&self, mut work: Work<K::Object>, result: Result<Produced, Stop>) -> Outcome {
        record_request(&mut work.object);
        let interval = work.object.interval();
        let is_first = work.found.observed_generation() != Some(work.generation());
        let is_success = matches!(result, Ok(_) | Err(Stop::Unchanged { .. }));
        let (outcome, event) = match result {
            Ok(produced) => succeed(&mut work, |work| success_event(work, &produced)),
            Err(Stop::Unchanged { reason, message }) => {
                succeed(&mut work, |work| with_artifact(Event::trace(reason, message), work))
            }
            Err(Stop::Failed(failure)) => {
                keep_trying(&mut work, &failure);
                warn!(reason = failure.reason, error = %failure.message, "reconciliation failed");
                let event = with_artifact(Event::error(failure.reason, failure.message.clone()), &work);
                (Outcome::failed(failure), event)
            }
            Err(Stop::Waiting(failure, delay)) => {
                keep_trying(&mut work, &failure);
                info!(reason = failure.reason, again_in = ?delay, "{}", failure.message);
                (Outcome::After(delay), Event::trace(failure.reason, failure.message))
            }
            Err(Stop::Stalled(failure)) => {
                show(&mut work, &failure);
                let generation = work.generation();
                conditions::mark_stalled(
                    work.object.conditions_mut(),
                    generation,
                    failure.reason,
                    failure.message.clone(),
                );
                settle(&mut work);
                warn!(reason = failure.reason, error = %failure.message, "stalled");
                let event = with_artifact(Event::error(failure.reason, failure.message.clone()), &work);
                (Outcome::terminal(failure), event)
            }
        };
        debug!(?interval, ?outcome, "pass ends");
        if let Err(stop) = work.publish().await {
            // A process that is ending may lose its last write; an object that is gone needs none.
            if self.objects.get(&work.key()).is_none() {
                return Outcome::Done;
            }
            return Outcome::failed(text(&stop));
        }
        if let (Some(charts), Some(artifact)) = (self.cx.charts.get(), work.artifact())
            && work.found.artifact().is_none_or(|found| found.revision != artifact.revision)
        {
            dependents::wake(
                charts,
                &<K::Object as kube::Resource>::kind(&()),
                &work.key(),
                &artifact.revision,
            );
        }
        // Flux tells Kubernetes of each pass in which nothing moved; that is a request per object and interval.
        let is_news = event.severity != Severity::Trace || is_first || !is_success;
        if is_news {
            work.event(event);
        }
        outcome
    }
}

impl<K: SourceKind> Reconciler for Machine<K> {
    type Object = K::Object;

    async fn reconcile(&self, pass: Pass<K::Object>) -> Outcome {
        self.pass(pass).await
    }

    fn removed(&self, key: &Key) {
        self.kind.forget(&key.namespace, &key.name);
    }
}

/// The `storage` sub-step: garbage collection, then whether the artifact that the status names is really there.
async fn check_storage<O: SourceObject>(work: &mut Work<O>) -> Result<(), Stop> {
    let had = work.artifact().cloned();
    let (store, location) = (work.cx.store.clone(), work.location());
    let checked = tokio::task::spawn_blocking({
        let had = had.clone();
        move || {
            let artifact = had?;
            let collected = store.collect_garbage(&location, &artifact.path);
            let verified = store.verify(&artifact.path, &artifact.digest);
            if verified.is_err() {
                let _ = store.remove(&artifact.path);
            }
            Some((collected, verified))
        }
    })
    .await
    .map_err(|error| Failure::plain("Failed", error.to_string()).retry())?;
    let mut usable = false;
    if let Some((collected, verified)) = checked {
        match collected {
            Ok(0) => {}
            Ok(count) => work.event(Event::trace(
                "GarbageCollectionSucceeded",
                format!("garbage collected {count} artifacts"),
            )),
            Err(error) => debug!(%error, "garbage collection failed"),
        }
        match verified {
            Ok(()) => usable = true,
            Err(sluice_artifact::store::VerifyError::Missing) => {}
            Err(error) => {
                let message = format!("failed to verify integrity of artifact: {error}");
                warn!(%error, "stored artifact is damaged");
                work.event(Event::error("ArtifactVerificationFailed", message));
            }
        }
    }
    if !usable {
        work.object.set_artifact(None);
        work.object.set_status_url(None);
        work.remove_condition(ARTIFACT_IN_STORAGE);
        if had.is_some() {
            work.progress("building artifact: disappeared from storage");
            // Nobody must be sent to a file that is not there.
            return work.publish().await;
        }
        // Shown with the next write: right after `processing object` one of its own would tell nobody anything.
        work.progress("building artifact");
        return Ok(());
    }
    let advertised = work.cx.store.advertised().clone();
    if let Some(mut artifact) = had {
        artifact.url = advertised.rehost(&artifact.url);
        work.object.set_artifact(Some(artifact));
    }
    if let Some(url) = work.object.status_url().map(|url| advertised.rehost(url)) {
        work.object.set_status_url(Some(url));
    }
    Ok(())
}

fn record_request<O: SourceObject>(object: &mut O) {
    if let Some(at) = requests::requested_at(object).map(str::to_owned) {
        object.set_last_handled_reconcile_at(at);
    }
}

/// Ends a pass that found or made a good artifact; `event` is asked for after the conditions are in place.
fn succeed<O: SourceObject>(work: &mut Work<O>, event: impl FnOnce(&Work<O>) -> Event) -> (Outcome, Event) {
    for condition in NEGATIVE {
        work.remove_condition(condition);
    }
    work.remove_condition(STALLED);
    work.remove_condition(RECONCILING);
    settle(work);
    let event = event(work);
    let list = work.object.conditions();
    if conditions::is_true(list, conditions::READY) {
        return (Outcome::Interval(work.object.interval()), event);
    }
    let message = conditions::message(list, conditions::READY).to_owned();
    let reason = conditions::reason(list, conditions::READY).to_owned();
    (Outcome::failed(message.clone()), Event::error(&reason, message))
}

/// Marks the generation as handled.
fn settle<O: SourceObject>(work: &mut Work<O>) {
    let generation = work.generation();
    summarize(&mut work.object, generation);
    if !work.object.conditions().is_empty() {
        work.object.set_observed_generation(generation);
    }
}

/// Shows a failure and leaves Reconciling standing.
fn keep_trying<O: SourceObject>(work: &mut Work<O>, failure: &Failure) {
    show(work, failure);
    let generation = work.generation();
    let list = work.object.conditions_mut();
    conditions::remove(list, STALLED);
    let message = match conditions::message(list, RECONCILING) {
        "" => "reconciliation in progress".to_owned(),
        message => message.to_owned(),
    };
    conditions::mark_true(list, generation, RECONCILING, conditions::PROGRESSING_WITH_RETRY, message);
    summarize(&mut work.object, generation);
}

fn show<O: SourceObject>(work: &mut Work<O>, failure: &Failure) {
    if let Some(condition) = failure.condition {
        let state = if condition == SOURCE_VERIFIED { State::False } else { State::True };
        work.set_condition(condition, state, failure.reason, failure.message.clone());
    }
}

fn success_event<O: SourceObject>(work: &Work<O>, produced: &Produced) -> Event {
    let message = produced.message.as_str();
    let digest = |object: &O| object.artifact().map(|artifact| artifact.digest.clone());
    let revision = work.artifact().map(|artifact| artifact.revision.clone()).unwrap_or_default();
    let had_failure = RECOVERABLE.iter().any(|type_| conditions::is_true(work.found.conditions(), type_));
    let event = if digest(&work.found) != digest(&work.object) {
        info!(revision, "{message}");
        Event::info(produced.reason.unwrap_or("NewArtifact"), message)
    } else if had_failure {
        info!(revision, "recovered");
        Event::info(produced.reason.unwrap_or("Succeeded"), message)
    } else {
        Event::trace("ArtifactUpToDate", format!("artifact up-to-date with remote revision: '{revision}'"))
    };
    with_artifact(event, work)
}

fn with_artifact<O: SourceObject>(event: Event, work: &Work<O>) -> Event {
    match work.artifact() {
        Some(artifact) => event
            .with("source.toolkit.fluxcd.io/revision", artifact.revision.clone())
            .with("source.toolkit.fluxcd.io/digest", artifact.digest.clone()),
        None => event,
    }
}

fn text(stop: &Stop) -> String {
    match stop {
        Stop::Failed(failure) | Stop::Stalled(failure) | Stop::Waiting(failure, _) => failure.message.clone(),
        Stop::Unchanged { message, .. } => message.clone(),
    }
}

#[cfg(test)]
mod tests;
