//! The loop: the watch fills the queue, workers run passes, outcomes decide when the next one comes.

use super::backoff::{Backoff, jittered};
use super::key::{Cause, Key};
use super::queue::{Next, Queue, Work};
use super::store::Store;
use crate::metrics::{ControllerMetrics, Metrics, PassResult, Probe, QueueGauges};
use crate::requests;
use futures::{FutureExt, StreamExt};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, warn};

/// Objects per page of the first list; small pages keep the peak of memory low.
const PAGE: u32 = 100;

/// What a controller does with one object.
pub trait Reconciler: Send + Sync + 'static {
    /// The controller's own kind.
    type Object: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static;

    /// Runs one pass. Never called for one object twice at a time. May be dropped at any await when the process ends.
    fn reconcile(&self, pass: Pass<Self::Object>) -> impl Future<Output = Outcome> + Send;

    /// Forgets what is remembered of an object that is gone. Never runs during a pass over that object.
    fn removed(&self, key: &Key) {
        let _ = key;
    }
}

/// How a pass ended, and so when the next one comes.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing more to do until something changes.
    Done,
    /// Again after the object's interval, with the jitter of the flags.
    Interval(Duration),
    /// Again after exactly this time.
    After(Duration),
    /// Again soon: no error, but counted by the object's back-off.
    Again,
    /// Again after the object's back-off.
    Failed(Box<dyn Error + Send + Sync>),
    /// No retry: only a change can help.
    Terminal(Box<dyn Error + Send + Sync>),
}

impl Outcome {
    /// A failure that is retried with the object's back-off.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Outcome::Failed(error.into())
    }

    /// A failure that only a change can end.
    pub fn terminal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Outcome::Terminal(error.into())
    }
}

/// One pass: the object and the means to run.
#[derive(Debug)]
pub struct Pass<K> {
    /// Which object.
    pub key: Key,
    /// The object as the watch, or the last pass' own write, left it.
    pub object: Arc<K>,
    /// What woke it.
    pub cause: Cause,
    /// Identifies the pass in logs.
    pub id: String,
    /// Tells when something external asks for the object again.
    pub interrupt: Interrupt,
    /// The place among the concurrent passes.
    pub slot: Slot,
    /// Cancelled when the process ends; long waits should end then.
    pub shutdown: CancellationToken,
}

/// Tells a running pass that its object is asked for again.
#[derive(Clone, Debug)]
pub struct Interrupt(tokio::sync::watch::Receiver<Option<Cause>>);

impl Interrupt {
    /// The latest external cause since the pass began.
    pub fn cause(&self) -> Option<Cause> {
        self.0.borrow().clone()
    }

    /// Waits for an external cause; never returns if none comes.
    pub async fn triggered(&self) -> Cause {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await.map(|cause| cause.clone()) {
            Ok(Some(cause)) => cause,
            _ => std::future::pending().await,
        }
    }

    /// An interrupt that never comes, for tests of reconcilers.
    pub fn never() -> Self {
        Self(tokio::sync::watch::channel(None).1)
    }
}

/// A pass' place among the concurrent ones.
#[derive(Debug)]
pub struct Slot {
    places: Arc<Semaphore>,
    permit: parking_lot::Mutex<Option<OwnedSemaphorePermit>>,
}

impl Slot {
    /// Runs a wait without taking a worker from others: the place is given up and taken again afterwards.
    ///
    /// Of several waits at a time only the one that gave the place up takes it again: the others would wait for a place
    /// that their own pass holds.
    pub async fn park<F: Future>(&self, wait: F) -> F::Output {
        let given_up = self.permit.lock().take().is_some();
        let output = wait.await;
        if given_up {
            // The semaphore is never closed; were it, going on without a place is harmless.
            let permit = self.places.clone().acquire_owned().await.ok();
            *self.permit.lock() = permit;
        }
        output
    }

    /// A place of its own, for tests of reconcilers.
    pub fn alone() -> Self {
        Self { places: Arc::new(Semaphore::new(1)), permit: parking_lot::Mutex::new(None) }
    }
}

/// Settings of a controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name in metrics and logs: Flux's is the kind in lower case.
    pub name: String,
    /// Passes at a time.
    pub concurrent: usize,
    /// Label selector of the watched objects; empty selects all.
    pub selector: String,
    /// Jitter of [`Outcome::Interval`] in percent.
    pub jitter: u8,
    /// Delays after failures.
    pub backoff: Backoff,
    /// How long passes in hand may go on after the shutdown began.
    pub grace: Duration,
    /// Where figures go.
    pub metrics: Metrics,
}

impl Options {
    /// Settings from the common flags.
    pub fn new(name: &str, concurrent: usize, flags: &crate::flags::Common, metrics: &Metrics) -> Self {
        Self {
            name: name.to_owned(),
            concurrent: concurrent.max(1),
            selector: flags.watch_label_selector.clone(),
            jitter: flags.interval_jitter_percentage,
            backoff: flags.backoff(),
            grace: Duration::from_secs(8),
            metrics: metrics.clone(),
        }
    }
}

/// Why a controller ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The watch stream ended, which it never should.
    #[error("the watch of {kind} ended")]
    WatchEnded {
        /// The watched kind.
        kind: String,
    },
}

/// Asks a controller for passes, and shows its objects. Cheap to clone.
pub struct Handle<K> {
    queue: Arc<Queue>,
    store: Store<K>,
    metrics: ControllerMetrics,
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), store: self.store.clone(), metrics: self.metrics.clone() }
    }
}

impl<K> Debug for Handle<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<K: Resource> Handle<K> {
    /// Asks for a pass over an object now; a pass in hand is told so and followed by another one.
    ///
    /// Without effect for an object that does not exist.
    pub fn trigger(&self, key: Key, cause: Cause) {
        if self.store.get(&key).is_some() {
            self.metrics.added();
            self.queue.add(key, cause);
        }
    }

    /// The objects in memory.
    pub fn store(&self) -> &Store<K> {
        &self.store
    }
}

/// Runs passes over the objects of one kind.
#[derive(Debug)]
pub struct Controller<K> {
    api: Api<K>,
    options: Options,
    handle: Handle<K>,
}

impl<K> Controller<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// A controller over what `api` lists, and the handle to it. Nothing runs before [`Controller::run`].
    pub fn new(api: Api<K>, options: Options) -> (Self, Handle<K>) {
        let queue = Arc::new(Queue::new(options.backoff));
        let metrics = options.metrics.controller(
            &options.name,
            options.concurrent,
            Arc::new(QueueProbe(queue.clone())),
        );
        let handle = Handle { queue, store: Store::default(), metrics };
        (Self { api, options, handle: handle.clone() }, handle)
    }

    /// Watches and reconciles until `shutdown`; then passes in hand get [`Options::grace`] to end and are dropped.
    ///
    /// # Errors
    /// [`RunError`]; API errors are retried without end, and logged.
    pub async fn run<R>(self, reconciler: Arc<R>, shutdown: CancellationToken) -> Result<(), RunError>
    where
        R: Reconciler<Object = K>,
    {
        let synced = CancellationToken::new();
        let tasks = TaskTracker::new();
        let abandon = CancellationToken::new();
        // Passes do not outlive this future, should it be dropped.
        let _guard = abandon.clone().drop_guard();
        let ended = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            end = self.watch(&synced) => end,
            () = self.dispatch(reconciler, &synced, &tasks, &abandon, &shutdown) => Ok(()),
        };
        tasks.close();
        if tokio::time::timeout(self.options.grace, tasks.wait()).await.is_err() {
            warn!(controller = self.options.name, passes = tasks.len(), "passes in hand are abandoned");
            abandon.cancel();
            tasks.wait().await;
        }
        ended
    }

    async fn watch(&self, synced: &CancellationToken) -> Result<(), RunError> {
        let mut config = watch::Config::default().page_size(PAGE);
        if !self.options.selector.is_empty() {
            config = config.labels(&self.options.selector);
        }
        let stream = watcher::watcher(crate::watch::guarded(self.api.clone()), config)
            .modify(|object| object.meta_mut().managed_fields = None)
            .backoff(crate::watch::backoff());
        let mut stream = std::pin::pin!(stream);
        let mut seen: HashMap<Key, Seen> = HashMap::new();
        let mut unlisted: HashSet<Key> = HashSet::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => unlisted = self.handle.store.keys().into_iter().collect(),
                Ok(Event::InitApply(object)) => {
                    if let Some(object) = readable(object) {
                        let key = self.applied(object, &mut seen, synced.is_cancelled());
                        unlisted.remove(&key);
                    }
                }
                Ok(Event::InitDone) => {
                    for key in unlisted.drain() {
                        self.gone(key, &mut seen);
                    }
                    synced.cancel();
                }
                Ok(Event::Apply(object)) => {
                    let key = Key::of(&object);
                    match readable(object) {
                        Some(object) => drop(self.applied(object, &mut seen, true)),
                        None => self.gone(key, &mut seen),
                    }
                }
                Ok(Event::Delete(object)) => self.gone(Key::of(&object), &mut seen),
                Err(err) => crate::watch::log_error(&K::kind(&()), &err),
            }
        }
        Err(RunError::WatchEnded { kind: K::kind(&()).into_owned() })
    }

    fn applied(&self, object: K, seen: &mut HashMap<Key, Seen>, started: bool) -> Key {
        let now = Seen::of(&object);
        let (key, _, _) = self.handle.store.apply(object);
        if seen.get(&key) != Some(&now) {
            seen.insert(key.clone(), now);
            self.handle.trigger(key.clone(), if started { Cause::Own } else { Cause::Start });
        }
        key
    }

    fn gone(&self, key: Key, seen: &mut HashMap<Key, Seen>) {
        seen.remove(&key);
        self.handle.store.remove(&key);
        // A worker cleans up, so that it never happens during a pass.
        self.handle.queue.add(key, Cause::Own);
    }

    /// Starts passes as places become free; never returns.
    async fn dispatch<R>(
        &self,
        reconciler: Arc<R>,
        synced: &CancellationToken,
        tasks: &TaskTracker,
        abandon: &CancellationToken,
        shutdown: &CancellationToken,
    ) where
        R: Reconciler<Object = K>,
    {
        synced.cancelled().await;
        let places = Arc::new(Semaphore::new(self.options.concurrent));
        loop {
            // A place is taken only when there is work for it: passes that waited off their place need it too.
            self.handle.queue.ready().await;
            let permit = places.clone().acquire_owned().await.ok();
            let Some(work) = self.handle.queue.try_next() else { continue };
            let slot = Slot { places: places.clone(), permit: parking_lot::Mutex::new(permit) };
            let worker = Worker {
                reconciler: reconciler.clone(),
                handle: self.handle.clone(),
                jitter: self.options.jitter,
                shutdown: shutdown.clone(),
                name: self.options.name.clone(),
            };
            let abandon = abandon.clone();
            tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = abandon.cancelled() => {}
                    () = worker.run(work, slot) => {}
                }
            });
        }
    }
}

/// The object, unless it is none of its kind: that is logged, and it counts as absent until it is changed.
fn readable<K: Resource<DynamicType = ()>>(DeserializeGuard(object): DeserializeGuard<K>) -> Option<K> {
    object.map_err(|invalid| crate::watch::log_invalid(&K::kind(&()), &invalid)).ok()
}

/// What of an object's metadata makes a pass necessary when it changes.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    uid: Option<String>,
    generation: i64,
    requested_at: Option<String>,
    deleted: bool,
}

impl Seen {
    fn of<K: Resource>(object: &K) -> Self {
        Self {
            uid: object.meta().uid.clone(),
            generation: requests::generation(object),
            requested_at: requests::requested_at(object).map(str::to_owned),
            deleted: requests::is_deleted(object),
        }
    }
}

/// Runs one pass and tells the queue how it ended.
struct Worker<R: Reconciler> {
    reconciler: Arc<R>,
    handle: Handle<R::Object>,
    jitter: u8,
    shutdown: CancellationToken,
    name: String,
}

impl<R: Reconciler> Worker<R> {
    async fn run(self, work: Work, slot: Slot) {
        let Work { key, cause, interrupt, waited } = work;
        let metrics = &self.handle.metrics;
        let kind = <R::Object as Resource>::kind(&());
        let Some(object) = self.handle.store.get(&key) else {
            self.reconciler.removed(&key);
            metrics.forget(&kind, &key.namespace, &key.name);
            self.handle.queue.done(&key, Next::WhenAsked);
            return;
        };
        let id = uuid::Uuid::new_v4().to_string();
        let span = tracing::error_span!(
            "reconcile",
            controller = self.name,
            controllerGroup = %<R::Object as Resource>::group(&()),
            controllerKind = %kind,
            namespace = %key.namespace,
            name = %key.name,
            reconcileID = id,
        );
        let pass = Pass {
            key: key.clone(),
            object,
            cause,
            id,
            interrupt: Interrupt(interrupt),
            slot,
            shutdown: self.shutdown.clone(),
        };
        let next = async {
            debug!(cause = ?pass.cause, waited = ?waited, "pass begins");
            let begun = Instant::now();
            let outcome = AssertUnwindSafe(self.reconciler.reconcile(pass)).catch_unwind().await;
            let (next, result) = self.judge(outcome);
            metrics.finished(&kind, &key.namespace, &key.name, result, waited, begun.elapsed());
            next
        }
        .instrument(span)
        .await;
        self.handle.queue.done(&key, next);
    }

    /// Maps an outcome to the next pass and the label of the result metric.
    fn judge(&self, outcome: std::thread::Result<Outcome>) -> (Next, PassResult) {
        match outcome {
            Ok(Outcome::Done) => (Next::WhenAsked, PassResult::Success),
            Ok(Outcome::Interval(interval)) => {
                (Next::After(jittered(interval, self.jitter)), PassResult::RequeueAfter)
            }
            Ok(Outcome::After(delay)) => (Next::After(delay), PassResult::RequeueAfter),
            Ok(Outcome::Again) => (Next::Backoff, PassResult::Requeue),
            Ok(Outcome::Failed(err)) => {
                error!(error = %crate::telemetry::chain(&*err), "Reconciler error");
                (Next::Backoff, PassResult::Error)
            }
            Ok(Outcome::Terminal(err)) => {
                error!(error = %crate::telemetry::chain(&*err), "Reconciler error");
                (Next::WhenAsked, PassResult::Terminal)
            }
            Err(panic) => {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                error!(error = text, "Observed a panic");
                (Next::Backoff, PassResult::Panic)
            }
        }
    }
}

#[derive(Debug)]
struct QueueProbe(Arc<Queue>);

impl Probe for QueueProbe {
    fn gauges(&self) -> QueueGauges {
        let gauges = self.0.gauges();
        QueueGauges {
            depth: gauges.depth,
            running: gauges.running,
            unfinished: gauges.unfinished,
            longest: gauges.longest,
        }
    }
}
