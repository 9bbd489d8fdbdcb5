//! Posts events to notification-controller (`--events-addr`), in Flux's event format v1beta1.

use super::{Recorded, Severity};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Limit of one try.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Tries of one event.
const TRIES: u32 = 5;
/// Delay before the second try; doubles.
const FIRST_DELAY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Sink {
    client: reqwest::Client,
    address: url::Url,
    controller: String,
    instance: String,
}

impl Sink {
    pub(super) fn new(address: &str, controller: &str, instance: &str) -> Result<Self, String> {
        let address = url::Url::parse(address).map_err(|err| err.to_string())?;
        if !matches!(address.scheme(), "http" | "https") {
            return Err(format!("scheme '{}' is neither http nor https", address.scheme()));
        }
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|err| err.to_string())?;
        Ok(Self { client, address, controller: controller.to_owned(), instance: instance.to_owned() })
    }

    /// Posts one event, again on connection errors and 5xx. After the shutdown there is one try.
    pub(super) async fn deliver(&self, recorded: Recorded, shutdown: &CancellationToken) {
        let Some(body) = body(&recorded, &self.controller, &self.instance) else { return };
        let mut delay = FIRST_DELAY;
        for attempt in 1..=TRIES {
            let problem = match self.client.post(self.address.clone()).json(&body).send().await {
                Ok(response) if response.status().is_server_error() => {
                    format!("status {}", response.status())
                }
                // 429 says that the receiver has had this event lately.
                Ok(response) if response.status().is_success() || response.status().as_u16() == 429 => return,
                Ok(response) => {
                    warn!(status = %response.status(), "event refused by notification address");
                    return;
                }
                Err(err) => crate::telemetry::chain(&err.without_url()).to_string(),
            };
            if attempt == TRIES || shutdown.is_cancelled() {
                warn!(
                    error = problem,
                    reason = recorded.event.reason,
                    "cannot post event to notification address"
                );
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => delay *= 2,
                () = shutdown.cancelled() => {}
            }
        }
    }
}

/// The event as JSON, or nothing if its object cannot be named.
fn body(recorded: &Recorded, controller: &str, instance: &str) -> Option<Value> {
    let Recorded { object, event, at } = recorded;
    let named = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.is_empty());
    if !named(&object.kind) || !named(&object.name) || !named(&object.namespace) {
        return None;
    }
    let mut body = json!({
        "involvedObject": object,
        "severity": match event.severity {
            Severity::Trace => "trace",
            Severity::Info => "info",
            Severity::Error => "error",
        },
        "timestamp": jiff::Timestamp::from_second(at.as_second()).ok()?.to_string(),
        "message": event.message,
        "reason": event.reason,
        "reportingController": controller,
        "reportingInstance": instance,
    });
    if !event.metadata.is_empty() {
        body["metadata"] = json!(event.metadata);
    }
    Some(body)
}
