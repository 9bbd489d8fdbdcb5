//! From an event to deliveries: which Alerts it concerns, what each may send, and the delivery itself.

use crate::context::{Context, api_error};
use crate::event::Event;
use crate::forge;
use crate::matching::{Labels, Matcher, Selected};
use crate::objects;
use crate::providers::{self, Class};
use crate::settings::Settings;
use kube::Api;
use kube::api::DynamicObject;
use parking_lot::Mutex;
use sluice_api::notification::Provider;
use sluice_runtime::Key;
use sluice_runtime::events;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Reason of events about notifications that were not sent.
const FAILED: &str = "NotificationDispatchFailed";
/// Time of one delivery, unless the Provider says otherwise.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long what Secrets hold is taken for current: a burst of events costs one read.
const REMEMBER: Duration = Duration::from_secs(5);

/// A delivery: an event for an Alert.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) event: Arc<Event>,
    pub(crate) matcher: Arc<Matcher>,
}

/// Puts the deliveries of an event in line. Failures are told on the Alert that they concern, and stop no other.
pub(crate) async fn dispatch(cx: &Arc<Context>, shutdown: &CancellationToken, event: Event) {
    let matchers = matching(cx, &event).await;
    let object = &event.involved_object;
    if matchers.is_empty() {
        debug!(object = object.path(), "discarding event, no alerts found for the involved object");
        return;
    }
    info!(object = object.path(), alerts = matchers.len(), "dispatching event");
    let event = Arc::new(event);
    let puts = matchers.into_iter().map(|matcher| {
        let job = Job { event: event.clone(), matcher };
        async move {
            match check(cx, &job) {
                Ok(Some(key)) => {
                    if let Err(job) = cx.lanes.put(cx, shutdown, &key, job).await {
                        report(
                            cx,
                            &job,
                            "dispatch",
                            "too many notifications wait for this provider; it was dropped",
                        );
                    }
                }
                Ok(None) => {}
                Err(err) => report(cx, &job, "dispatch", &err),
            }
        }
    });
    // Together: a lane that is full must not hold up the next.
    futures::future::join_all(puts).await;
}

/// The Alerts that an event concerns.
async fn matching(cx: &Context, event: &Event) -> Vec<Arc<Matcher>> {
    let mut found = Vec::new();
    let mut labels: Option<Labels> = None;
    for matcher in cx.alerts.all() {
        match matcher.selects(event) {
            Selected::No => continue,
            Selected::Yes => {}
            Selected::ByLabels => {
                if labels.is_none() {
                    labels = Some(read_labels(cx, event).await);
                }
                match &labels {
                    Some(Labels::Known(labels)) if matcher.selects_labels(event, labels) => {}
                    Some(Labels::Unknown) => {
                        let text = format!("error getting source object {}", event.involved_object.path());
                        warn(cx, &matcher, "SourceFetchFailed", text);
                        continue;
                    }
                    _ => continue,
                }
            }
        }
        for problem in matcher.problems() {
            warn(cx, &matcher, "InvalidConfig", problem);
        }
        if matcher.passes(&event.message) {
            found.push(matcher);
        }
    }
    found
}

async fn read_labels(cx: &Context, event: &Event) -> Labels {
    let object = &event.involved_object;
    // Whoever posts an event chooses these, and they become parts of a path.
    let version = object.api_version.split('/');
    let names = [&object.name, &object.namespace, &object.kind];
    if !names.into_iter().map(String::as_str).chain(version).all(objects::is_name) {
        return Labels::Unknown;
    }
    let resource = objects::resource(&object.api_version, &object.kind);
    let api: Api<DynamicObject> = Api::namespaced_with(cx.client.clone(), &object.namespace, &resource);
    match api.get_metadata(&object.name).await {
        Ok(found) => Labels::Known(found.metadata.labels.unwrap_or_default()),
        Err(err) => {
            warn!(
                object = object.path(),
                error = api_error(&err),
                "cannot read labels of the involved object"
            );
            Labels::Unknown
        }
    }
}

/// The Provider that a delivery is for; nothing if there is nothing to deliver.
fn check(cx: &Context, job: &Job) -> Result<Option<Key>, String> {
    let (alert, event) = (&job.matcher.alert, &job.event);
    let object = &event.involved_object;
    let key = Key::of(alert.as_ref());
    if cx.config.no_cross_namespace_refs && *object.namespace != *key.namespace {
        return Err(format!(
            "discarding event, access denied to cross-namespace sources: alert '{key}' can't process event from '{}', cross-namespace references have been blocked",
            object.path()
        ));
    }
    let key = Key::new(&key.namespace, &alert.spec.provider_ref.name);
    let Some(provider) = cx.providers.get(&key) else {
        return Err(format!(
            "failed to read provider: providers.notification.toolkit.fluxcd.io \"{}\" not found",
            key.name
        ));
    };
    if provider.spec.suspend || !wants(&provider, event) {
        return Ok(None);
    }
    if provider.spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty())
        && !cx.gates.enabled(crate::config::WORKLOAD_IDENTITY)
    {
        return Err("to use spec.serviceAccountName for provider authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller".to_owned());
    }
    Ok(Some(key))
}

/// Whether an event is of the sort that a Provider is for.
fn wants(provider: &Provider, event: &Event) -> bool {
    let update = event.own("commit_status") == Some("update");
    let given = |value: Option<&str>| value.is_some_and(|value| !value.is_empty());
    match providers::class(provider.spec.type_) {
        Class::Generic => true,
        Class::Other => !update,
        Class::CommitStatus => {
            let wanted = update || event.annotated("commit").is_some() || event.is_error();
            if !wanted {
                debug!("event dropped for commit status providers due to missing commit metadata key");
            }
            wanted
        }
        Class::ChangeRequest => {
            let wanted = !update && given(event.annotated("change_request"));
            if !wanted {
                debug!(
                    "event dropped for change request providers due to missing change request metadata key"
                );
            }
            wanted
        }
    }
}

/// What the Secrets of a Provider hold, for a few seconds.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Option<Known>>);

#[derive(Clone, Debug)]
struct Known {
    provider: Arc<Provider>,
    read: Instant,
    settings: Arc<Settings>,
}

impl Remembered {
    async fn settings(&self, cx: &Context, provider: &Arc<Provider>) -> Result<Arc<Settings>, String> {
        let known = self.0.lock().clone();
        if let Some(known) = known
            && Arc::ptr_eq(&known.provider, provider)
            && known.read.elapsed() < REMEMBER
        {
            return Ok(known.settings);
        }
        let settings = Arc::new(Settings::read(cx, provider).await?);
        *self.0.lock() =
            Some(Known { provider: provider.clone(), read: Instant::now(), settings: settings.clone() });
        Ok(settings)
    }
}

/// Delivers, and returns whether the service took it. A failure is told on the Alert.
pub(crate) async fn deliver(cx: &Context, key: &Key, remembered: &Remembered, job: Job) -> bool {
    let Some(provider) = cx.providers.get(key) else {
        report(cx, &job, "send", &format!("the provider '{}' is gone", key.name));
        return false;
    };
    let (event, conflicts) = job.event.for_alert(&job.matcher.alert);
    if !conflicts.is_empty() {
        let text = "metadata key conflicts detected (please refer to the Alert API docs and Flux RFC 0008 for more information)";
        warn!(alert = %Key::of(job.matcher.alert.as_ref()), ?conflicts, "{text}");
        let mut event = events::Event::error("MetadataAppendFailed", format!("warning: {text}"));
        for (key, origins) in conflicts {
            event = event.with(key, origins.join(", "));
        }
        cx.events.record(job.matcher.alert.as_ref(), event);
    }
    let timeout = provider.spec.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.to_std());
    let initialize = async {
        let settings = remembered.settings(cx, &provider).await?;
        let id = match providers::class(provider.spec.type_) {
            Class::CommitStatus => forge::status_id(&provider, &job.matcher.alert, &event)?,
            _ => String::new(),
        };
        let calls = providers::calls(&settings, &event).map_err(|err| settings.masked(&err))?;
        Ok::<_, String>((settings, id, calls))
    };
    let late = || format!("no success within {}", sluice_api::meta::Duration::format(timeout));
    let (settings, id, calls) =
        match tokio::time::timeout(timeout, initialize).await.unwrap_or_else(|_| Err(late())) {
            Ok(ready) => ready,
            Err(err) => {
                let err = format!("failed to initialize notifier for provider '{}': {err}", key.name);
                report(cx, &job, "dispatch", &err);
                return false;
            }
        };
    let send = async {
        if let Some(told) = forge::tell(&settings, &event, &id).await {
            return told;
        }
        for call in &calls {
            call.send(&settings.client)
                .await
                .map_err(|err| format!("postMessage failed: request failed: {err}"))?;
        }
        Ok::<_, String>(())
    };
    match tokio::time::timeout(timeout, send).await.unwrap_or_else(|_| Err(late())) {
        Ok(()) => true,
        Err(err) => {
            report(cx, &job, "send", &settings.masked(&err));
            false
        }
    }
}

/// Tells on the Alert that a notification was not sent.
fn report(cx: &Context, job: &Job, what: &str, problem: &str) {
    let object = job.event.involved_object.path();
    warn!(alert = %Key::of(job.matcher.alert.as_ref()), object, error = problem, "failed to {what} notification");
    warn(cx, &job.matcher, FAILED, format!("failed to {what} notification for {object}: {problem}"));
}

fn warn(cx: &Context, matcher: &Matcher, reason: &str, text: String) {
    cx.events.record(matcher.alert.as_ref(), events::Event::error(reason, text));
}
