//! Messages with a card or an attachment: Slack and what understands its payload, Teams, Google Chat.

use super::either;
use crate::call::{Answer, Call};
use crate::event::Event;
use crate::settings::Settings;
use serde_json::{Value, json};

/// The method of Slack's API that answers 200 to everything.
const POST_MESSAGE: &str = "https://slack.com/api/chat.postMessage";
/// Hosts of Teams' connectors, which take another card than workflows do.
const CONNECTOR: &str = ".webhook.office.com";

fn attachment(event: &Event, colors: [&str; 2], channel: &str, username: &str, fallback: &str) -> Value {
    let fields: Vec<Value> = event
        .metadata
        .iter()
        .map(|(key, value)| json!({"title": key, "value": value, "short": false}))
        .collect();
    json!({
        "channel": channel, "username": username, "icon_url": "", "icon_emoji": "",
        "attachments": [{
            "fallback": fallback,
            "color": colors[usize::from(event.is_error())],
            "author_name": event.involved_object.title(),
            "text": event.message,
            "mrkdwn_in": ["text"],
            "fields": fields,
        }],
    })
}

pub(super) fn slack(settings: &Settings, event: &Event) -> Result<Call, String> {
    let first_line = event.message.lines().next().unwrap_or_default();
    let fallback = format!("{}: {first_line}", event.involved_object.title());
    let username = either(&settings.username, &event.reporting_controller);
    let body = attachment(event, ["good", "danger"], &settings.channel, username, &fallback);
    let mut call = Call::json(settings.url("Slack hook")?, &body)?;
    if settings.address == POST_MESSAGE {
        call.answer = Answer::Slack;
    }
    if settings.token.is_empty() { Ok(call) } else { call.bearer(&settings.token) }
}

pub(super) fn discord(settings: &Settings, event: &Event) -> Result<Call, String> {
    let mut url = settings.url("Discord hook")?;
    if !url.path().ends_with("/slack") {
        let path = format!("{}/slack", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    let username = either(&settings.username, &event.reporting_controller);
    Call::json(url, &attachment(event, ["good", "danger"], "", username, ""))
}

pub(super) fn rocket(settings: &Settings, event: &Event) -> Result<Call, String> {
    let body = attachment(event, ["#0076D7", "#FF0000"], &settings.channel, &settings.username, "");
    Call::json(settings.url("Rocket hook")?, &body)
}

pub(super) fn teams(settings: &Settings, event: &Event) -> Result<Call, String> {
    let url = settings.url("MS Teams webhook")?;
    let legacy = url.host_str().is_some_and(|host| host.ends_with(CONNECTOR));
    let body = if legacy { message_card(event) } else { adaptive_card(event) };
    Call::json(url, &body)
}

fn message_card(event: &Event) -> Value {
    let facts: Vec<Value> =
        event.metadata.iter().map(|(key, value)| json!({"name": key, "value": value})).collect();
    json!({
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": if event.is_error() { "FF0000" } else { "0076D7" },
        "summary": event.involved_object.title(),
        "sections": [{
            "activityTitle": event.message,
            "activitySubtitle": event.involved_object.title(),
            "facts": facts,
        }],
    })
}

fn adaptive_card(event: &Event) -> Value {
    // The summary is what people look for.
    let (summary, rest): (Vec<_>, Vec<_>) = event.metadata.iter().partition(|(key, _)| *key == "summary");
    let facts: Vec<Value> =
        summary.into_iter().chain(rest).map(|(key, value)| json!({"title": key, "value": value})).collect();
    let mut message = json!({"type": "TextBlock", "text": event.message, "wrap": true});
    if event.is_error() {
        message["color"] = json!("attention");
    }
    let mut set = json!({"type": "FactSet"});
    if !facts.is_empty() {
        set["facts"] = json!(facts);
    }
    json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [{"type": "Container", "items": [
                {"type": "TextBlock", "text": event.involved_object.title(), "size": "large", "weight": "bolder", "wrap": true},
                message,
                set,
            ]}],
            "msteams": {"width": "Full"},
        },
    }]})
}

pub(super) fn google(settings: &Settings, event: &Event) -> Result<Call, String> {
    let text = if event.is_error() {
        format!("<font color=\"#ff0000\">{}</font>", event.message)
    } else {
        event.message.clone()
    };
    let mut sections =
        vec![json!({"header": "", "widgets": [{"textParagraph": {"text": text}, "keyValue": null}]})];
    if !event.metadata.is_empty() {
        let widget = |(key, value): (&String, &String)| {
            json!({"textParagraph": null, "keyValue": {
                "topLabel": key, "content": value, "contentMultiline": false, "bottomLabel": null, "icon": null,
            }})
        };
        let widgets: Vec<Value> = event.metadata.iter().map(widget).collect();
        sections.push(json!({"header": "", "widgets": widgets}));
    }
    let header = json!({
        "title": event.involved_object.title(), "subtitle": event.reporting_controller,
        "imageUrl": null, "imageStyle": null,
    });
    let body = json!({"cards": [{"header": header, "sections": sections}]});
    Call::json(settings.url("Google Chat hook")?, &body)
}
