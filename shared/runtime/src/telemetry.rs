//! Logs as Flux's controllers write them: JSON lines that `flux logs` parses, or lines for people.

use serde_json::{Map, Value, json};
use std::error::Error;
use std::fmt;
use std::io::Write;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging to standard error.
///
/// The first call of a process counts; later ones do nothing, so that several controllers can share a process.
/// `level` and `encoding` are the values of `--log-level` and `--log-encoding`.
pub fn init(level: &str, encoding: &str) {
    let level = match level {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "error" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    let libraries = level.min(LevelFilter::WARN);
    // The client logs each failed request as an error, besides returning it to the one who logs what it means.
    let client = if level > LevelFilter::INFO { libraries } else { LevelFilter::OFF };
    let filter = Targets::new()
        .with_default(level)
        .with_targets(
            ["kube", "kube_runtime", "hyper", "hyper_util", "h2", "rustls", "reqwest", "tower", "gix"]
                .map(|target| (target, libraries)),
        )
        .with_target("kube_client", client);
    let registry = tracing_subscriber::registry();
    // An error means that a subscriber is set already.
    let _ = if encoding == "console" {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        registry.with(lines.with_filter(filter)).try_init()
    } else {
        registry.with(JsonLines::new(std::io::stderr).with_filter(filter)).try_init()
    };
}

/// An error with its causes, `a: b: c`; a cause that its parent repeats is not printed twice.
pub fn chain<'a>(error: &'a (dyn Error + 'a)) -> impl fmt::Display + 'a {
    struct Chain<'a>(&'a (dyn Error + 'a));
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut last = self.0.to_string();
            f.write_str(&last)?;
            let mut cause = self.0.source();
            while let Some(err) = cause {
                let text = err.to_string();
                if !last.contains(&text) {
                    write!(f, ": {text}")?;
                    last = text;
                }
                cause = err.source();
            }
            Ok(())
        }
    }
    Chain(error)
}

/// Writes each event as one JSON object with the fields of its spans.
struct JsonLines<W> {
    writer: W,
}

impl<W, O> JsonLines<W>
where
    W: Fn() -> O,
    O: Write,
{
    fn new(writer: W) -> Self {
        Self { writer }
    }

    fn line(&self, level: Level, fields: Map<String, Value>, spans: Map<String, Value>) -> Option<String> {
        let mut line = Map::new();
        line.insert("level".into(), json!(level_name(level)));
        line.insert(
            "ts".into(),
            json!(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()),
        );
        for (key, value) in spans.into_iter().chain(fields) {
            line.insert(if key == "message" { "msg".into() } else { key }, value);
        }
        let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        if let (Some(kind), Some(name), Some(namespace)) =
            (text("controllerKind"), text("name"), text("namespace"))
        {
            line.insert(kind, json!({"name": name, "namespace": namespace}));
        }
        serde_json::to_string(&line).ok()
    }
}

/// zap has no "warn" in Flux's set-up, and `flux logs --level=error` must show what a person should look at.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR | Level::WARN => "error",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct SpanFields(Map<String, Value>);

impl<S, W, O> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Collect::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Collect::default();
        values.record(&mut fields);
        if let Some(span) = context.span(id)
            && let Some(known) = span.extensions_mut().get_mut::<SpanFields>()
        {
            known.0.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Collect::default();
        event.record(&mut fields);
        let mut spans = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(known) = span.extensions().get::<SpanFields>() {
                spans.extend(known.0.clone());
            }
        }
        if let Some(mut line) = self.line(*event.metadata().level(), fields.0, spans) {
            line.push('\n');
            // Nobody can be told that standard error is closed.
            let _ = (self.writer)().write_all(line.as_bytes());
        }
    }
}

#[derive(Default)]
struct Collect(Map<String, Value>);

impl Visit for Collect {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), json!(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_have_the_fields_that_flux_logs_parses() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!(
                "reconcile",
                controllerKind = "Kustomization",
                namespace = "apps",
                name = "web"
            );
            let _in = span.enter();
            tracing::info!(revision = "main@sha1:1", objects = 3, "Reconciliation \"finished\"");
            tracing::warn!(error = "boom", "Reconciliation failed");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["level"], "info");
        assert_eq!(lines[0]["msg"], "Reconciliation \"finished\"");
        assert_eq!(lines[0]["objects"], 3);
        assert_eq!(lines[0]["controllerKind"], "Kustomization");
        assert_eq!(lines[0]["Kustomization"], json!({"name": "web", "namespace": "apps"}));
        assert_eq!((&lines[1]["level"], &lines[1]["error"]), (&json!("error"), &json!("boom")));
        let ts: jiff::Timestamp = lines[0]["ts"].as_str().unwrap().parse().unwrap();
        assert!(ts <= jiff::Timestamp::now());
    }

    #[test]
    fn chains_print_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Repeats(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner")]
        struct Inner(#[source] std::io::Error);
        let err = Repeats(Inner(std::io::Error::other("disk")));
        assert_eq!(chain(&err).to_string(), "outer: inner: disk");
    }
}
