//! Messages of plain or marked-up text to a room: Webex, Matrix, Telegram, Lark, Zulip, Zoom.

use crate::call::{Answer, Call};
use crate::event::Event;
use crate::settings::Settings;
use http::Method;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use url::Url;

/// Where Telegram's bots post.
const TELEGRAM: &str = "https://api.telegram.org";

/// The metadata, a line each.
fn lines(event: &Event, line: impl Fn(&str, &str) -> String) -> String {
    event.metadata.iter().map(|(key, value)| line(key, value)).collect()
}

pub(super) fn webex(settings: &Settings, event: &Event) -> Result<Call, String> {
    let emoji = if event.is_error() { "💣" } else { "✅" };
    let metadata = lines(event, |key, value| format!(">**{key}**: {value}\n"));
    let text = format!("{emoji} **{}**\n{}\n{metadata}", event.involved_object.title(), event.message);
    let body = json!({"roomId": settings.channel, "markdown": text});
    Call::json(settings.url("Webex hook")?, &body)?.bearer(&settings.token)
}

pub(super) fn matrix(settings: &Settings, event: &Event) -> Result<Call, String> {
    let mut url = settings.url("Matrix homeserver")?;
    let encoded = serde_json::to_vec(event).map_err(|err| format!("cannot encode the event: {err}"))?;
    // The same event is the same transaction, so that the server drops a repetition.
    let transaction = hex::encode(Sha1::digest(&encoded));
    url.path_segments_mut()
        .map_err(|()| "invalid Matrix homeserver URL: it cannot have a path".to_owned())?
        .pop_if_empty()
        .extend([
            "_matrix",
            "client",
            "r0",
            "rooms",
            &settings.channel,
            "send",
            "m.room.message",
            &transaction,
        ]);
    let emoji = if event.is_error() { "🚨" } else { "💫" };
    let metadata = lines(event, |key, value| format!("- {key}: {value}\n"));
    let text = format!("{emoji} {}\n{}\n{metadata}", event.involved_object.title(), event.message);
    let mut call = Call::json(url, &json!({"body": text, "msgtype": "m.text"}))?.bearer(&settings.token)?;
    call.method = Method::PUT;
    Ok(call)
}

pub(super) fn telegram(settings: &Settings, event: &Event) -> Result<Call, String> {
    if settings.channel.is_empty() {
        return Err("empty Telegram channel".to_owned());
    }
    if settings.token.is_empty() {
        return Err("empty Telegram token".to_owned());
    }
    let object = &event.involved_object;
    let title = format!("{}/{}/{}", object.kind.to_lowercase(), object.name, object.namespace);
    let emoji = if event.is_error() { "🚨" } else { "💫" };
    let metadata = lines(event, |key, value| format!("\\- *{}*: {}\n", escaped(key), escaped(value)));
    let text = format!("*{emoji} {}*\n{}\n{metadata}", escaped(&title), escaped(&event.message));
    let (chat, thread) = match settings.channel.split_once(':') {
        Some((chat, thread)) => (chat, Some(thread)),
        None => (settings.channel.as_str(), None),
    };
    let mut body = json!({"chat_id": chat, "text": text, "parse_mode": "MarkdownV2"});
    if let Some(thread) = thread {
        body["message_thread_id"] = json!(thread);
    }
    let invalid = |_| "the Telegram token cannot be part of an address".to_owned();
    let mut url = Url::parse(TELEGRAM).map_err(invalid)?;
    url.set_path(&format!("bot{}/sendMessage", settings.token));
    Call::json(url, &body)
}

/// Escapes what means something in Telegram's MarkdownV2.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\.-_[]()~>`#+=|{}!*".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

pub(super) fn lark(settings: &Settings, event: &Event) -> Result<Call, String> {
    let (emoji, template) = if event.is_error() { ("🚨", "red") } else { ("💫", "turquoise") };
    let metadata = lines(event, |key, value| format!("{key}: {value}\n"));
    let body = json!({"msg_type": "interactive", "card": {
        "config": {"wide_screen_mode": true},
        "header": {
            "title": {"tag": "plain_text", "content": format!("{emoji} {}", event.involved_object.title())},
            "template": template,
        },
        "elements": [{"tag": "div", "text": {
            "tag": "lark_md", "content": format!("**{}**\n\n{metadata}", event.message),
        }}],
    }});
    let mut call = Call::json(settings.url("Lark hook")?, &body)?;
    call.answer = Answer::Lark;
    Ok(call)
}

/// The text of comments and of Zulip's messages.
pub(crate) fn markdown(event: &Event) -> String {
    let emoji = if event.is_error() { "⚠️" } else { "ℹ️" };
    let metadata = event.metadata.iter().filter(|(key, _)| *key != "change_request");
    let metadata: String = metadata.map(|(key, value)| format!("* `{key}`: {value}\n")).collect();
    format!(
        "## Flux Status\n\n{emoji} {}\n\n{}\n\nMetadata:\n{metadata}",
        event.involved_object.path(),
        event.message
    )
}

pub(super) fn zulip(settings: &Settings, event: &Event) -> Result<Call, String> {
    let (stream, topic) = settings.channel.split_once('/').ok_or_else(|| {
        format!("invalid Zulip channel format, expected <channel>/<topic>, got '{}'", settings.channel)
    })?;
    let mut url = settings.url("Zulip endpoint")?;
    url.set_path("/api/v1/messages");
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("content", &markdown(event))
        .append_pair("to", stream)
        .append_pair("topic", topic)
        .append_pair("type", "stream")
        .finish();
    Call::post(url, "application/x-www-form-urlencoded", form.into_bytes())
        .basic(&settings.username, &settings.password)
}

pub(super) fn zoom(settings: &Settings, event: &Event) -> Result<Call, String> {
    if settings.token.is_empty() {
        return Err("empty Zoom verification token".to_owned());
    }
    let mut url = settings.url("Zoom hook")?;
    if !url.query_pairs().any(|(key, _)| key == "format") {
        url.query_pairs_mut().append_pair("format", "full");
    }
    let mut parts = vec![json!({"type": "message", "text": event.message})];
    if !event.metadata.is_empty() {
        let items: Vec<Value> =
            event.metadata.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        parts.push(json!({"type": "fields", "items": items}));
    }
    let head = json!({"text": event.involved_object.title(), "sub_head": {"text": event.severity}});
    Call::json(url, &json!({"content": {"head": head, "body": parts}}))?
        .header("authorization", &settings.token)
}
