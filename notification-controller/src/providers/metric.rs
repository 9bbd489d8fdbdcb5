//! Marks in the graphs of Grafana and Datadog.

use crate::call::Call;
use crate::event::Event;
use crate::settings::Settings;
use serde_json::json;

pub(super) fn grafana(settings: &Settings, event: &Event) -> Result<Call, String> {
    let object = &event.involved_object;
    let mut tags = vec!["flux".to_owned(), event.reporting_controller.clone()];
    let plain = |text: &str| text.replace(':', "|");
    tags.extend(event.metadata.iter().map(|(key, value)| format!("{}: {}", plain(key), plain(value))));
    tags.push(format!("kind: {}", object.kind));
    tags.push(format!("name: {}", object.name));
    tags.push(format!("namespace: {}", object.namespace));
    let body = json!({"when": event.seconds(), "text": object.title(), "tags": tags});
    let call = Call::json(settings.url("Grafana")?, &body)?;
    if !settings.username.is_empty() && !settings.password.is_empty() {
        call.basic(&settings.username, &settings.password)
    } else if !settings.token.is_empty() {
        call.bearer(&settings.token)
    } else {
        Ok(call)
    }
}

pub(super) fn datadog(settings: &Settings, event: &Event) -> Result<Call, String> {
    if settings.token.is_empty() {
        return Err("token cannot be empty".to_owned());
    }
    let mut url = settings.url("DataDog")?;
    url.set_path("/api/v1/events");
    url.set_query(None);
    let object = &event.involved_object;
    let mut tags = vec![
        format!("flux_reporting_controller:{}", event.reporting_controller),
        format!("flux_reason:{}", event.reason),
        format!("kube_kind:{}", object.kind),
        format!("kube_name:{}", object.name),
        format!("kube_namespace:{}", object.namespace),
    ];
    tags.extend(event.metadata.iter().map(|(key, value)| format!("{key}:{value}")));
    let tags: Vec<String> = tags.iter().map(|tag| tag.to_lowercase()).collect();
    let body = json!({
        "alert_type": if event.is_error() { "error" } else { "info" },
        "date_happened": event.seconds(),
        "source_type_name": "fluxcd",
        "tags": tags,
        "text": event.message,
        "title": format!("Events from the {} {}/{}", object.kind, object.name, object.namespace),
    });
    Call::json(url, &body)?.header("dd-api-key", &settings.token)
}
