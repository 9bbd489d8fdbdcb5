use super::*;
use crate::event::tests::{REVISION, example, failure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use sluice_api::notification::Provider;

/// UID of the contract's Provider.
const UID: &str = "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a";

fn settings(spec: Value, secret: &[(&str, &str)]) -> Settings {
    sluice_runtime::process::install_crypto();
    let provider: Provider = serde_json::from_value(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
        "metadata": {"name": "p", "namespace": "flux-system", "uid": UID}, "spec": spec,
    }))
    .unwrap();
    let data = secret.iter().map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec()))).collect();
    let secret = Secret { data: Some(data), ..Secret::default() };
    Settings::new(&provider, Some(&secret), None, None).unwrap()
}

fn one(spec: Value, secret: &[(&str, &str)], event: &Event) -> Call {
    let mut calls = calls(&settings(spec, secret), event).unwrap();
    assert_eq!(calls.len(), 1);
    calls.remove(0)
}

/// The body with the revision written as the contract writes it.
fn body(call: &Call) -> Value {
    let text = String::from_utf8(call.body.clone()).unwrap().replace(REVISION, "REV");
    serde_json::from_str(&text).unwrap()
}

fn header<'a>(call: &'a Call, name: &str) -> &'a str {
    call.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn generic_sends_the_event_with_the_headers_of_the_secret() {
    let spec = json!({"type": "generic", "address": "https://x.io/a?b=c"});
    let call =
        one(spec, &[("headers", "X-Team: a\nContent-Type: text/x\n"), ("token", "unused")], &example());
    assert_eq!((call.method.as_str(), call.url.as_str()), ("POST", "https://x.io/a?b=c"));
    assert_eq!(call.body, serde_json::to_vec(&example()).unwrap());
    assert_eq!(header(&call, "gotk-component"), "kustomize-controller");
    assert_eq!((header(&call, "x-team"), header(&call, "content-type")), ("a", "text/x"));
    assert_eq!(header(&call, "authorization"), "");
}

#[test]
fn generic_hmac_signs_the_body_and_wins_over_own_headers() {
    let spec = json!({"type": "generic-hmac", "address": "https://x.io"});
    let secret = [("token", "s3cr3t"), ("headers", "X-Signature: mine")];
    let call = one(spec.clone(), &secret, &example());
    assert_eq!(
        header(&call, "x-signature"),
        "sha256=81d91c9159c728b450f595c676a99afdf1de441f1ddd393cba7db3664d229da7"
    );
    let other: Event = serde_json::from_str(r#"{"involvedObject":{"kind":"GitRepository","namespace":"gitops-system","name":"webapp"},"severity":"info","timestamp":"2022-09-30T06:40:29Z","message":"message","reason":"reason","metadata":{"test":"metadata"},"reportingController":"source-controller","reportingInstance":"source-controller-xyz"}"#).unwrap();
    let call = one(spec.clone(), &[("token", "7152fed34dd6149a7c75a276c510da27cb6f82b0")], &other);
    assert_eq!(
        header(&call, "x-signature"),
        "sha256=65b018549b1254e7226d1c08f9567ee45bc9de0fc4e7b1a40253f9a018b08be7"
    );
    assert_eq!(calls(&settings(spec, &[]), &example()).unwrap_err(), "HMAC key is empty");
}

#[test]
fn chats_get_their_cards() {
    let fields = json!([{"title": "revision", "value": "REV", "short": false}, {"title": "summary", "value": "prod-eu", "short": false}]);
    let attachment = |fallback: &str, color: &str, username: &str, channel: &str| {
        json!({"channel": channel, "username": username, "icon_url": "", "icon_emoji": "", "attachments": [{
            "fallback": fallback, "color": color, "author_name": "kustomization/apps.flux-system",
            "text": "Applied revision: REV", "mrkdwn_in": ["text"], "fields": fields}]})
    };
    let slack = one(
        json!({"type": "slack", "address": "https://slack.com/api/chat.postMessage"}),
        &[("token", "xoxb\n")],
        &example(),
    );
    let text = "kustomization/apps.flux-system: Applied revision: REV";
    assert_eq!(body(&slack), attachment(text, "good", "kustomize-controller", ""));
    assert_eq!(header(&slack, "authorization"), "Bearer xoxb");
    assert_eq!(slack.answer, crate::call::Answer::Slack);

    let spec = json!({"type": "discord", "address": "https://discord.com/api/webhooks/1/t", "channel": "x", "username": "u"});
    let discord = one(spec, &[], &example());
    assert_eq!(discord.url.path(), "/api/webhooks/1/t/slack");
    assert_eq!(body(&discord), attachment("", "good", "u", ""));
    let spec = json!({"type": "discord", "address": "https://discord.com/api/webhooks/1/t/slack?wait=true"});
    assert_eq!(one(spec, &[], &example()).url.path(), "/api/webhooks/1/t/slack");

    let spec = json!({"type": "rocket", "address": "https://r.io/hook", "channel": "c"});
    assert_eq!(body(&one(spec.clone(), &[], &example())), attachment("", "#0076D7", "", "c"));
    assert_eq!(body(&one(spec, &[], &failure()))["attachments"][0]["color"], "#FF0000");
}

#[test]
fn teams_takes_the_card_of_the_host() {
    for (address, legacy) in [
        ("https://acme.webhook.office.com:443/x", true),
        ("https://prod.logic.azure.com/workflows/x", false),
        ("https://xxx-webhook.office.com/x", false),
    ] {
        let call = one(json!({"type": "msteams", "address": address}), &[], &example());
        assert_eq!(body(&call)["@type"] == "MessageCard", legacy, "{address}");
    }
    let new = json!({"type": "msteams", "address": "https://prod.logic.azure.com/x"});
    let card = body(&one(new.clone(), &[], &example()));
    let items = &card["attachments"][0]["content"]["body"][0]["items"];
    let want = json!([
        {"type": "TextBlock", "text": "kustomization/apps.flux-system", "size": "large", "weight": "bolder", "wrap": true},
        {"type": "TextBlock", "text": "Applied revision: REV", "wrap": true},
        {"type": "FactSet", "facts": [{"title": "summary", "value": "prod-eu"}, {"title": "revision", "value": "REV"}]},
    ]);
    assert_eq!(*items, want);
    let failed = body(&one(new, &[], &Event { metadata: Default::default(), ..failure() }));
    let items = &failed["attachments"][0]["content"]["body"][0]["items"];
    assert_eq!((&items[1]["color"], &items[2]), (&json!("attention"), &json!({"type": "FactSet"})));
}

#[test]
fn google_chat_gets_a_card_with_nulls() {
    let spec = json!({"type": "googlechat", "address": "https://chat.googleapis.com/v1/spaces/a?key=b"});
    let card = body(&one(spec.clone(), &[], &example()));
    let widget = |key: &str, value: &str| json!({"textParagraph": null, "keyValue": {"topLabel": key, "content": value, "contentMultiline": false, "bottomLabel": null, "icon": null}});
    let want = json!({"cards": [{
    "header": {"title": "kustomization/apps.flux-system", "subtitle": "kustomize-controller", "imageUrl": null, "imageStyle": null},
    "sections": [
        {"header": "", "widgets": [{"textParagraph": {"text": "Applied revision: REV"}, "keyValue": null}]},
        {"header": "", "widgets": [widget("revision", "REV"), widget("summary", "prod-eu")]},
    ]}]});
    assert_eq!(card, want);
    let text =
        &body(&one(spec, &[], &failure()))["cards"][0]["sections"][0]["widgets"][0]["textParagraph"]["text"];
    assert!(text.as_str().unwrap().starts_with("<font color=\"#ff0000\">health"));
}

#[test]
fn rooms_get_their_texts() {
    let webex = one(
        json!({"type": "webex", "address": "https://webexapis.com/v1/messages", "channel": "room"}),
        &[("token", "t")],
        &example(),
    );
    assert_eq!(
        body(&webex),
        json!({"roomId": "room", "markdown": "✅ **kustomization/apps.flux-system**\nApplied revision: REV\n>**revision**: REV\n>**summary**: prod-eu\n"})
    );
    let matrix = one(
        json!({"type": "matrix", "address": "https://m.io", "channel": "!r:m.io"}),
        &[("token", "t")],
        &example(),
    );
    assert_eq!(matrix.method, "PUT");
    assert_eq!(
        matrix.url.path(),
        "/_matrix/client/r0/rooms/!r:m.io/send/m.room.message/c0359b9f15d16cf5bc2a1ae9dff9e51d4e09b839"
    );
    assert_eq!(
        body(&matrix),
        json!({"body": "💫 kustomization/apps.flux-system\nApplied revision: REV\n- revision: REV\n- summary: prod-eu\n", "msgtype": "m.text"})
    );
    let telegram = one(
        json!({"type": "telegram", "channel": "-100123:7"}),
        &[("token", "1:a")],
        &Event { message: "Applied a.b".into(), ..example() },
    );
    assert_eq!(telegram.url.as_str(), "https://api.telegram.org/bot1:a/sendMessage");
    let got = body(&telegram);
    assert_eq!((&got["chat_id"], &got["message_thread_id"]), (&json!("-100123"), &json!("7")));
    assert!(
        got["text"]
            .as_str()
            .unwrap()
            .starts_with("*💫 kustomization/apps/flux\\-system*\nApplied a\\.b\n\\- *revision*: ")
    );
    let lark = one(json!({"type": "lark", "address": "https://l.io/x"}), &[], &example());
    assert_eq!(
        body(&lark)["card"]["elements"][0]["text"]["content"],
        "**Applied revision: REV**\n\nrevision: REV\nsummary: prod-eu\n"
    );
    let zulip = one(
        json!({"type": "zulip", "address": "https://z.io/ignored", "channel": "ops/flux/eu"}),
        &[("username", "u"), ("password", "p")],
        &example(),
    );
    assert_eq!(zulip.url.as_str(), "https://z.io/api/v1/messages");
    assert_eq!(header(&zulip, "authorization"), "Basic dTpw");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&zulip.body).into_owned().collect();
    let text = format!(
        "## Flux Status\n\nℹ️ Kustomization/flux-system/apps\n\nApplied revision: {REVISION}\n\nMetadata:\n* `revision`: {REVISION}\n* `summary`: prod-eu\n"
    );
    let want = [("content", text.as_str()), ("to", "ops"), ("topic", "flux/eu"), ("type", "stream")];
    assert_eq!(form, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let zoom =
        one(json!({"type": "zoom", "address": "https://z.us/chat/x"}), &[("token", "verify")], &example());
    assert_eq!((zoom.url.query(), header(&zoom, "authorization")), (Some("format=full"), "verify"));
    assert_eq!(body(&zoom)["content"]["body"][1]["items"][1], json!({"key": "summary", "value": "prod-eu"}));
}

#[test]
fn incidents_are_opened_and_resolved() {
    let opsgenie = one(
        json!({"type": "opsgenie", "address": "https://api.opsgenie.com/v2/alerts"}),
        &[("token", "k")],
        &failure(),
    );
    assert_eq!(header(&opsgenie, "authorization"), "GenieKey k");
    let want = json!({"message": "Kustomization/apps", "alias": "b6d733782dfec52ce0f7c31b5e15601e31381ad088355b62787ccce003ce84fe",
        "description": failure().message, "details": {"revision": "REV", "severity": "error", "summary": "prod-eu"}});
    assert_eq!(body(&opsgenie), want);

    let pagerduty = settings(
        json!({"type": "pagerduty", "address": "https://events.eu.pagerduty.com/any", "channel": "key"}),
        &[],
    );
    let good = calls(&pagerduty, &example()).unwrap();
    let urls: Vec<&str> = good.iter().map(|call| call.url.as_str()).collect();
    assert_eq!(
        urls,
        ["https://events.eu.pagerduty.com/v2/enqueue", "https://events.eu.pagerduty.com/v2/change/enqueue"]
    );
    assert_eq!(
        body(&good[0]),
        json!({"routing_key": "key", "event_action": "resolve", "dedup_key": "7d0cdc51-ddcf-4743-b223-83ca5c699632"})
    );
    assert_eq!(body(&good[1])["payload"]["summary"], "reconciliation succeeded: kustomization/apps");
    let bad = calls(&pagerduty, &failure()).unwrap();
    assert_eq!(bad.len(), 1);
    let want = json!({"routing_key": "key", "event_action": "trigger", "dedup_key": "7d0cdc51-ddcf-4743-b223-83ca5c699632", "payload": {
        "summary": "health check failed: kustomization/apps", "source": "Flux kustomize-controller", "severity": "error",
        "timestamp": "2026-01-05T10:00:00Z", "component": "apps", "group": "Kustomization",
        "custom_details": {"message": failure().message, "metadata": {"revision": "REV", "summary": "prod-eu"}}}});
    assert_eq!(body(&bad[0]), want);
    let progress = Event { reason: "Progressing".into(), ..example() };
    assert!(calls(&pagerduty, &progress).unwrap().is_empty());

    let io = one(json!({"type": "incident.io", "address": "https://i.io/x"}), &[("token", "t")], &example());
    let want = json!({"title": "kustomization/apps.flux-system: ReconciliationSucceeded", "status": "resolved",
        "deduplication_key": "7d0cdc51-ddcf-4743-b223-83ca5c699632", "description": "Applied revision: REV",
        "metadata": {"reason": "ReconciliationSucceeded", "reportingController": "kustomize-controller", "revision": "REV", "severity": "info", "summary": "prod-eu"}});
    assert_eq!(body(&io), want);

    let manager = one(
        json!({"type": "alertmanager", "address": "https://a.io/api/v2/alerts/"}),
        &[("token", "t"), ("username", "u"), ("password", "p")],
        &failure(),
    );
    assert_eq!(header(&manager, "authorization"), "Basic dTpw");
    let want = json!([{"status": "firing", "labels": {"alertname": "FluxKustomizationHealthcheckfailed", "kind": "Kustomization",
        "name": "apps", "namespace": "flux-system", "reason": "HealthCheckFailed", "reportingcontroller": "kustomize-controller",
        "revision": "REV", "severity": "error"}, "annotations": {"message": failure().message, "summary": "prod-eu"},
        "startsAt": "2026-01-05T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}]);
    assert_eq!(body(&manager), want);
}

#[test]
fn sentry_gets_an_envelope() {
    let spec = json!({"type": "sentry", "address": "https://pub@sentry.io/42", "channel": "prod"});
    for (event, kind) in [(failure(), "event"), (example(), "transaction")] {
        let call = one(spec.clone(), &[], &event);
        assert_eq!(call.url.as_str(), "https://sentry.io/api/42/envelope/");
        assert!(header(&call, "x-sentry-auth").ends_with("sentry_key=pub"));
        let text = String::from_utf8(call.body.clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[1]["type"]), (3, &json!(kind)));
        assert_eq!(lines[2]["transaction"], "Kustomization: flux-system/apps");
        assert_eq!(lines[2]["environment"], "prod");
    }
}

#[test]
fn graphs_get_their_marks() {
    let grafana = one(
        json!({"type": "grafana", "address": "https://g.io/api/annotations"}),
        &[("token", "t")],
        &example(),
    );
    let tags = json!([
        "flux",
        "kustomize-controller",
        "revision: main@sha1|69b59063470310ebbd88a9156325322a124e55a3",
        "summary: prod-eu",
        "kind: Kustomization",
        "name: apps",
        "namespace: flux-system"
    ]);
    assert_eq!(
        body(&grafana),
        json!({"when": 1767607200, "text": "kustomization/apps.flux-system", "tags": tags})
    );
    let datadog = one(
        json!({"type": "datadog", "address": "https://api.datadoghq.eu/x"}),
        &[("token", "t")],
        &example(),
    );
    assert_eq!(datadog.url.as_str(), "https://api.datadoghq.eu/api/v1/events");
    assert_eq!(header(&datadog, "dd-api-key"), "t");
    let got = body(&datadog);
    assert_eq!(got["title"], "Events from the Kustomization apps/flux-system");
    assert_eq!(got["tags"][1], "flux_reason:reconciliationsucceeded");
}

#[test]
fn what_is_missing_is_named_and_no_secret_shown() {
    for (spec, secret, want) in [
        (json!({"type": "telegram"}), &[][..], "empty Telegram channel"),
        (json!({"type": "telegram", "channel": "c"}), &[], "empty Telegram token"),
        (json!({"type": "opsgenie", "address": "https://x"}), &[], "empty Opsgenie apikey/token"),
        (json!({"type": "datadog", "address": "https://x"}), &[], "token cannot be empty"),
        (json!({"type": "sentry"}), &[], "DSN cannot be empty"),
        (
            json!({"type": "slack", "address": "hunter2"}),
            &[],
            "invalid Slack hook URL: relative URL without a base",
        ),
        (
            json!({"type": "slack", "address": "/hunter2"}),
            &[],
            "invalid Slack hook URL: relative URL without a base",
        ),
        (
            json!({"type": "generic", "address": "ftp://x/hunter2"}),
            &[],
            "invalid generic URL: it needs http or https and a host",
        ),
        (
            json!({"type": "zulip", "address": "https://x", "channel": "c"}),
            &[],
            "invalid Zulip channel format, expected <channel>/<topic>, got 'c'",
        ),
        (
            json!({"type": "slack", "address": "https://x"}),
            &[("token", "hunter2\r\nX-Evil: 1")],
            "the value of the header 'authorization' holds characters that no header may hold",
        ),
    ] {
        assert_eq!(calls(&settings(spec, secret), &example()).unwrap_err(), want);
    }
    let settings = settings(
        json!({"type": "slack"}),
        &[("token", "hunter2"), ("address", "https://hooks.io/T0/secret?key=q1w2e3")],
    );
    let masked = settings.masked("POST https://hooks.io/T0/secret?key=q1w2e3 with hunter2 failed");
    assert_eq!(masked, "POST https://hooks.io*****?***** with ***** failed");
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn reasons_are_split_into_words() {
    for (reason, want) in [
        ("ApplySucceeded", "apply succeeded"),
        ("HealthCheckFailed", "health check failed"),
        ("PDFLoader", "pdf loader"),
        ("HTTP2Ok", "http 2 ok"),
        ("", ""),
    ] {
        assert_eq!(words(reason), want);
    }
}
