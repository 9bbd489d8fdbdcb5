//! Alerts of tools for incidents: Opsgenie, PagerDuty, incident.io, Alertmanager, Sentry.

use super::words;
use crate::call::Call;
use crate::event::Event;
use crate::settings::Settings;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

/// The metadata with more of it, which wins.
fn details(event: &Event, more: &[(&str, &str)]) -> Value {
    let mut details = json!(event.metadata);
    for (key, value) in more.iter().filter(|(_, value)| !value.is_empty()) {
        details[*key] = json!(value);
    }
    details
}

pub(super) fn opsgenie(settings: &Settings, event: &Event) -> Result<Call, String> {
    if settings.token.is_empty() {
        return Err("empty Opsgenie apikey/token".to_owned());
    }
    let object = &event.involved_object;
    let alias = format!("{}/{}/{}", settings.uid, object.path(), event.reason);
    let body = json!({
        "message": format!("{}/{}", object.kind, object.name),
        "alias": hex::encode(Sha256::digest(alias.as_bytes())),
        "description": event.message,
        "details": details(event, &[("severity", &event.severity)]),
    });
    Call::json(settings.url("Opsgenie API")?, &body)?
        .header("authorization", &format!("GenieKey {}", settings.token))
}

/// An alert to trigger or resolve and, if all is well, a change.
pub(super) fn pagerduty(settings: &Settings, event: &Event) -> Result<Vec<Call>, String> {
    let address = settings.url("PagerDuty API")?;
    let url = |path: &str| {
        let mut url = address.clone();
        url.set_path(path);
        url.set_query(None);
        url
    };
    let (object, error) = (&event.involved_object, event.is_error());
    let summary = format!("{}: {}/{}", words(&event.reason), object.kind.to_lowercase(), object.name);
    let source = format!("Flux {}", event.reporting_controller);
    let mut custom = json!({"message": event.message});
    if !event.metadata.is_empty() {
        custom["metadata"] = json!(event.metadata);
    }
    let mut alert = json!({
        "routing_key": settings.channel,
        "event_action": if error { "trigger" } else { "resolve" },
        "dedup_key": object.uid,
    });
    if error {
        alert["payload"] = json!({
            "summary": summary, "source": source, "severity": "error", "timestamp": event.time(),
            "component": object.name, "group": object.kind, "custom_details": custom,
        });
    }
    let mut calls = vec![Call::json(url("/v2/enqueue"), &alert)?];
    if !error {
        let change = json!({"routing_key": settings.channel, "payload": {
            "summary": summary, "source": source, "timestamp": event.time(), "custom_details": custom,
        }});
        calls.push(Call::json(url("/v2/change/enqueue"), &change)?);
    }
    Ok(calls)
}

pub(super) fn incident_io(settings: &Settings, event: &Event) -> Result<Call, String> {
    if settings.token.is_empty() {
        return Err("empty incident.io API token".to_owned());
    }
    let more = [
        ("severity", event.severity.as_str()),
        ("reason", &event.reason),
        ("reportingController", &event.reporting_controller),
    ];
    let body = json!({
        "title": format!("{}: {}", event.involved_object.title(), event.reason),
        "status": if event.is_error() { "firing" } else { "resolved" },
        "deduplication_key": event.involved_object.uid,
        "description": event.message,
        "metadata": details(event, &more),
    });
    Call::json(settings.url("incident.io")?, &body)?.bearer(&settings.token)
}

pub(super) fn alertmanager(settings: &Settings, event: &Event) -> Result<Call, String> {
    let object = &event.involved_object;
    let mut reason = event.reason.to_lowercase();
    if let Some(first) = reason.get(..1).map(str::to_uppercase) {
        reason.replace_range(..1, &first);
    }
    let mut labels = json!(event.metadata);
    let mut annotations = json!({"message": event.message});
    if let Some(summary) = labels.as_object_mut().and_then(|labels| labels.remove("summary")) {
        annotations["summary"] = summary;
    }
    for (key, value) in [
        ("alertname", format!("Flux{}{reason}", object.kind)),
        ("severity", event.severity.clone()),
        ("reason", event.reason.clone()),
        ("kind", object.kind.clone()),
        ("name", object.name.clone()),
        ("namespace", object.namespace.clone()),
        ("reportingcontroller", event.reporting_controller.clone()),
    ] {
        labels[key] = json!(value);
    }
    let body = json!([{
        "status": "firing", "labels": labels, "annotations": annotations,
        "startsAt": event.time(), "endsAt": "0001-01-01T00:00:00Z",
    }]);
    let call = Call::json(settings.url("Alertmanager")?, &body)?;
    if !settings.username.is_empty() && !settings.password.is_empty() {
        call.basic(&settings.username, &settings.password)
    } else if !settings.token.is_empty() {
        call.bearer(&settings.token)
    } else {
        Ok(call)
    }
}

/// A Sentry envelope (its develop documentation, "Envelopes"): a failure is an event, all else a transaction.
pub(super) fn sentry(settings: &Settings, event: &Event) -> Result<Call, String> {
    let (url, key) = dsn(&settings.address)?;
    let encoded = serde_json::to_vec(event).map_err(|err| format!("cannot encode the event: {err}"))?;
    let hash = Sha256::digest(&encoded);
    // 32 hexadecimal digits; the same event has the same id, so that a repeated request is no second event.
    let id = hex::encode(&hash[..16]);
    let object = &event.involved_object;
    let transaction = format!("{}: {}/{}", object.kind, object.namespace, object.name);
    let seconds = event.seconds();
    let mut item = json!({
        "event_id": id, "platform": "other", "server_name": event.reporting_controller,
        "transaction": transaction, "message": event.message, "timestamp": seconds,
    });
    if !settings.channel.is_empty() {
        item["environment"] = json!(settings.channel);
    }
    let kind = if event.is_error() {
        item["level"] = json!(event.severity);
        item["contexts"] = json!({"metadata": event.metadata});
        "event"
    } else {
        let more = [
            ("flux_involved_object_kind", object.kind.as_str()),
            ("flux_involved_object_namespace", &object.namespace),
            ("flux_involved_object_name", &object.name),
            ("flux_reporting_controller", &event.reporting_controller),
            ("flux_reporting_instance", &event.reporting_instance),
            ("flux_reason", &event.reason),
        ];
        let (trace, span, child) = (&id, hex::encode(&hash[16..24]), hex::encode(&hash[24..32]));
        item["type"] = json!("transaction");
        item["start_timestamp"] = json!(seconds);
        item["tags"] = details(event, &more);
        item["contexts"] = json!({"trace": {"trace_id": trace, "span_id": span, "op": "event"}});
        item["spans"] = json!([{
            "trace_id": trace, "span_id": child, "parent_span_id": span, "op": "event",
            "start_timestamp": seconds, "timestamp": seconds,
        }]);
        "transaction"
    };
    let body = [json!({"event_id": id}), json!({"type": kind}), item].map(|line| line.to_string()).join("\n");
    let auth = format!(
        "Sentry sentry_version=7, sentry_client=sluice/{}, sentry_key={key}",
        env!("CARGO_PKG_VERSION")
    );
    Call::post(url, "application/x-sentry-envelope", format!("{body}\n").into_bytes())
        .header("x-sentry-auth", &auth)
}

/// The endpoint and the public key in a DSN, `https://<key>@<host>/<path>/<project>`.
fn dsn(text: &str) -> Result<(Url, String), String> {
    if text.is_empty() {
        return Err("DSN cannot be empty".to_owned());
    }
    let bad = || "the DSN has not the form https://<key>@<host>/<project>".to_owned();
    let mut url = Url::parse(text).map_err(|_| bad())?;
    let key = url.username().to_owned();
    let path = url.path().trim_end_matches('/').to_owned();
    let (prefix, project) = path.rsplit_once('/').ok_or_else(bad)?;
    if !matches!(url.scheme(), "http" | "https") || key.is_empty() || project.is_empty() {
        return Err(bad());
    }
    url.set_username("").map_err(|()| bad())?;
    url.set_password(None).map_err(|()| bad())?;
    url.set_query(None);
    url.set_path(&format!("{prefix}/api/{project}/envelope/"));
    Ok((url, key))
}
