//! Figures under the names that dashboards of Flux users know (controller-runtime's and Flux's own).
//!
//! A value per process part, never global. Series of an object disappear with the object.

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Label names and values of one series.
pub type Labels = Vec<(&'static str, String)>;

/// Media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The work queues by name, looked at on each scrape.
type Probes = Arc<Mutex<Vec<(String, Arc<dyn Probe>)>>>;

/// All figures of one controller process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    families: Arc<Families>,
    queues: Probes,
}

impl Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Buckets(Arc<[f64]>);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type Histograms = Family<Labels, Histogram, Buckets>;
type Counters = Family<Labels, Counter>;

struct Families {
    object_duration: Histograms,
    reconciles: Counters,
    errors: Counters,
    terminal_errors: Counters,
    panics: Counters,
    pass_time: Histograms,
    max_concurrent: Family<Labels, Gauge>,
    adds: Counters,
    retries: Counters,
    queue_time: Histograms,
    work_time: Histograms,
    requests: Counters,
    leader: Family<Labels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An empty set of figures.
    pub fn new() -> Self {
        let histograms = |buckets: Vec<f64>| Histograms::new_with_constructor(Buckets(buckets.into()));
        let passes = vec![
            0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
            1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0,
            25.0, 30.0, 40.0, 50.0, 60.0,
        ];
        let queue: Vec<f64> = (-8..=3).map(|exponent| 10f64.powi(exponent)).collect();
        let families = Families {
            object_duration: histograms(range(0.01, 1800.0, 10)),
            reconciles: Counters::default(),
            errors: Counters::default(),
            terminal_errors: Counters::default(),
            panics: Counters::default(),
            pass_time: histograms(passes),
            max_concurrent: Family::default(),
            adds: Counters::default(),
            retries: Counters::default(),
            queue_time: histograms(queue.clone()),
            work_time: histograms(queue),
            requests: Counters::default(),
            leader: Family::default(),
        };
        let queues: Probes = Arc::default();
        let mut registry = Registry::default();
        let f = &families;
        // The encoder adds `_total` to the names of counters.
        registry.register(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a GitOps Toolkit resource reconciliation",
            f.object_duration.clone(),
        );
        for (name, help, family) in [
            ("controller_runtime_reconcile", "Total number of reconciliations per controller", &f.reconciles),
            (
                "controller_runtime_reconcile_errors",
                "Total number of reconciliation errors per controller",
                &f.errors,
            ),
            (
                "controller_runtime_terminal_reconcile_errors",
                "Total number of terminal reconciliation errors per controller",
                &f.terminal_errors,
            ),
            (
                "controller_runtime_reconcile_panics",
                "Total number of reconciliation panics per controller",
                &f.panics,
            ),
            ("workqueue_adds", "Total number of adds handled by workqueue", &f.adds),
            ("workqueue_retries", "Total number of retries handled by workqueue", &f.retries),
            (
                "rest_client_requests",
                "Number of HTTP requests, partitioned by status code, method, and host",
                &f.requests,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        for (name, help, family) in [
            (
                "controller_runtime_reconcile_time_seconds",
                "Length of time per reconciliation per controller",
                &f.pass_time,
            ),
            (
                "workqueue_queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested",
                &f.queue_time,
            ),
            (
                "workqueue_work_duration_seconds",
                "How long in seconds processing an item from workqueue takes",
                &f.work_time,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciles per controller",
            f.max_concurrent.clone(),
        );
        registry.register(
            "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master",
            f.leader.clone(),
        );
        registry.register_collector(Box::new(Queues(queues.clone())));
        Self { registry: Arc::new(Mutex::new(registry)), families: Arc::new(families), queues }
    }

    /// Adds figures of one controller alone.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock());
    }

    /// All series as OpenMetrics text, which every Prometheus reads.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let encoded = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock());
        // Writing to a String cannot fail; a collector that does leaves the text short, which a scraper notices.
        if encoded.is_err() {
            tracing::error!("cannot encode metrics");
        }
        text
    }

    /// Counts a request to the API server. `code` is `<error>` if there was no answer.
    pub fn request(&self, code: &str, method: &str, host: &str) {
        let labels =
            vec![("code", code.to_owned()), ("host", host.to_owned()), ("method", method.to_owned())];
        self.families.requests.get_or_create(&labels).inc();
    }

    /// Says whether this process holds a lease.
    pub fn leader(&self, lease: &str, leading: bool) {
        self.families.leader.get_or_create(&vec![("name", lease.to_owned())]).set(i64::from(leading));
    }

    /// The figures of one controller (`name` is its label), with its queue to look at on each scrape.
    pub fn controller(&self, name: &str, concurrent: usize, probe: Arc<dyn Probe>) -> ControllerMetrics {
        self.queues.lock().push((name.to_owned(), probe));
        let label = vec![("controller", name.to_owned())];
        let f = &self.families;
        f.max_concurrent.get_or_create(&label).set(i64::try_from(concurrent).unwrap_or(i64::MAX));
        // Present with zero before anything happens: alerts on rates need the first sample.
        for family in [&f.errors, &f.terminal_errors, &f.panics] {
            let _ = family.get_or_create(&label);
        }
        for result in [PassResult::Success, PassResult::Error, PassResult::Requeue, PassResult::RequeueAfter]
        {
            let _ = f
                .reconciles
                .get_or_create(&vec![("controller", name.to_owned()), ("result", result.label().to_owned())]);
        }
        ControllerMetrics { families: f.clone(), name: name.to_owned() }
    }
}

/// `count` bounds from `min` to `max`, each the same factor above the one before (Prometheus' ExponentialBucketsRange).
fn range(min: f64, max: f64, count: i32) -> Vec<f64> {
    let factor = (max / min).powf(1.0 / f64::from(count - 1));
    (0..count - 1).map(|i| min * factor.powi(i)).chain([max]).collect()
}

/// How a pass ended, as the metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassResult {
    /// Done.
    Success,
    /// Failed, retried with back-off.
    Error,
    /// Failed, not retried.
    Terminal,
    /// Again, with back-off.
    Requeue,
    /// Again after a time.
    RequeueAfter,
    /// Panicked, retried with back-off.
    Panic,
}

impl PassResult {
    fn label(self) -> &'static str {
        match self {
            PassResult::Success => "success",
            PassResult::Error | PassResult::Terminal | PassResult::Panic => "error",
            PassResult::Requeue => "requeue",
            PassResult::RequeueAfter => "requeue_after",
        }
    }
}

/// Figures of one controller. Cheap to clone.
#[derive(Clone)]
pub struct ControllerMetrics {
    families: Arc<Families>,
    name: String,
}

impl ControllerMetrics {
    /// Counts a trigger.
    pub(crate) fn added(&self) {
        self.families.adds.get_or_create(&self.queue_label()).inc();
    }

    /// Records a pass that ended.
    pub(crate) fn finished(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        result: PassResult,
        waited: Duration,
        took: Duration,
    ) {
        let f = &self.families;
        let label = vec![("controller", self.name.clone())];
        f.reconciles
            .get_or_create(&vec![("controller", self.name.clone()), ("result", result.label().to_owned())])
            .inc();
        if result.label() == "error" {
            f.errors.get_or_create(&label).inc();
        }
        if result == PassResult::Terminal {
            f.terminal_errors.get_or_create(&label).inc();
        }
        if result == PassResult::Panic {
            f.panics.get_or_create(&label).inc();
        }
        if matches!(result, PassResult::Error | PassResult::Requeue | PassResult::Panic) {
            f.retries.get_or_create(&self.queue_label()).inc();
        }
        f.pass_time.get_or_create(&label).observe(took.as_secs_f64());
        f.queue_time.get_or_create(&self.queue_label()).observe(waited.as_secs_f64());
        f.work_time.get_or_create(&self.queue_label()).observe(took.as_secs_f64());
        f.object_duration.get_or_create(&object_labels(kind, namespace, name)).observe(took.as_secs_f64());
    }

    /// Drops the series of an object that is gone.
    pub(crate) fn forget(&self, kind: &str, namespace: &str, name: &str) {
        self.families.object_duration.remove(&object_labels(kind, namespace, name));
    }

    fn queue_label(&self) -> Labels {
        vec![("name", self.name.clone())]
    }
}

fn object_labels(kind: &str, namespace: &str, name: &str) -> Labels {
    vec![("kind", kind.to_owned()), ("name", name.to_owned()), ("namespace", namespace.to_owned())]
}

/// The state of a work queue at the moment of a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueGauges {
    /// Objects that are due.
    pub depth: usize,
    /// Objects in hand.
    pub running: usize,
    /// Sum of the ages of the passes in hand.
    pub unfinished: Duration,
    /// Age of the oldest pass in hand.
    pub longest: Duration,
}

/// Looks at a work queue.
pub trait Probe: Debug + Send + Sync + 'static {
    /// Its state now.
    fn gauges(&self) -> QueueGauges;
}

#[derive(Debug)]
struct Queues(Probes);

impl Collector for Queues {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let queues: Vec<(String, QueueGauges)> =
            self.0.lock().iter().map(|(name, probe)| (name.clone(), probe.gauges())).collect();
        type Read = fn(&QueueGauges) -> f64;
        let figures: [(&str, &str, &str, Read); 4] = [
            ("workqueue_depth", "name", "Current depth of workqueue", |g| g.depth as f64),
            (
                "workqueue_unfinished_work_seconds",
                "name",
                "How long in seconds work in progress has taken",
                |g| g.unfinished.as_secs_f64(),
            ),
            (
                "workqueue_longest_running_processor_seconds",
                "name",
                "How long in seconds the longest running processor has been running",
                |g| g.longest.as_secs_f64(),
            ),
            (
                "controller_runtime_active_workers",
                "controller",
                "Number of currently used workers per controller",
                |g| g.running as f64,
            ),
        ];
        for (name, label, help, read) in figures {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (queue, gauges) in &queues {
                ConstGauge::new(read(gauges)).encode(family.encode_family(&[(label, queue.as_str())])?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(QueueGauges);

    impl Probe for Fixed {
        fn gauges(&self) -> QueueGauges {
            self.0
        }
    }

    fn with_one_pass() -> (Metrics, ControllerMetrics) {
        let metrics = Metrics::new();
        let gauges = QueueGauges { depth: 3, running: 1, ..QueueGauges::default() };
        let controller = metrics.controller("kustomization", 4, Arc::new(Fixed(gauges)));
        controller.added();
        controller.finished(
            "Kustomization",
            "apps",
            "web",
            PassResult::Terminal,
            Duration::from_millis(1),
            Duration::from_secs(2),
        );
        (metrics, controller)
    }

    #[test]
    fn series_have_the_names_that_dashboards_use() {
        let (metrics, _) = with_one_pass();
        metrics.request("200", "GET", "10.0.0.1:443");
        metrics.leader("x-leader-election", true);
        let text = metrics.encode();
        for line in [
            r#"gotk_reconcile_duration_seconds_count{kind="Kustomization",name="web",namespace="apps"} 1"#,
            r#"gotk_reconcile_duration_seconds_bucket{le="1800.0",kind="Kustomization",name="web",namespace="apps"} 1"#,
            r#"controller_runtime_reconcile_total{controller="kustomization",result="error"} 1"#,
            r#"controller_runtime_reconcile_total{controller="kustomization",result="success"} 0"#,
            r#"controller_runtime_reconcile_errors_total{controller="kustomization"} 1"#,
            r#"controller_runtime_terminal_reconcile_errors_total{controller="kustomization"} 1"#,
            r#"controller_runtime_max_concurrent_reconciles{controller="kustomization"} 4"#,
            r#"controller_runtime_active_workers{controller="kustomization"} 1.0"#,
            r#"controller_runtime_reconcile_time_seconds_sum{controller="kustomization"} 2.0"#,
            r#"workqueue_depth{name="kustomization"} 3.0"#,
            r#"workqueue_adds_total{name="kustomization"} 1"#,
            r#"workqueue_work_duration_seconds_count{name="kustomization"} 1"#,
            r#"rest_client_requests_total{code="200",host="10.0.0.1:443",method="GET"} 1"#,
            r#"leader_election_master_status{name="x-leader-election"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\nin\n{text}");
        }
    }

    #[test]
    fn series_of_deleted_objects_disappear() {
        let (metrics, controller) = with_one_pass();
        controller.forget("Kustomization", "apps", "web");
        assert!(!metrics.encode().contains(r#"name="web""#));
    }
}
