//! Performing a check: its requests on the wire, and what of the answers is kept.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::check::{Check, Step};
use super::normal::Normalizer;

/// The field manager of requests that name none: the server takes it from here.
const USER_AGENT: &str = "conformance/1.0";

/// An answer as it came.
struct Answer {
    code: u16,
    warnings: Vec<String>,
    body: Value,
}

/// How long a step waits for what it awaits: controllers act within seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same for a step that is known not to get there.
const LITTLE_PATIENCE: Duration = Duration::from_secs(2);

/// Performs a check in a new namespace and returns what is kept of each step. After a step whose `until` was never
/// reached, or whose answer lacks what later steps need, nothing more is kept.
///
/// # Errors
/// When the namespace cannot be made.
pub(crate) async fn perform(client: &Client, check: &Check, gaps: &BTreeSet<u64>) -> Result<Vec<Value>> {
    let mut normalizer = Normalizer::new()?;
    let namespace = check.namespace();
    let body = json!({"metadata": {"name": namespace}}).to_string();
    let answer = send(client, "POST", "/api/v1/namespaces", &[], body).await?;
    ensure!(answer.code == 201, "cannot make namespace {namespace}: {}", answer.body);
    normalizer.saved.insert("ns".into(), namespace);
    let mut kept = Vec::new();
    for step in &check.steps {
        let known = gaps.contains(&(kept.len() as u64 + 1));
        let patience = if known { LITTLE_PATIENCE } else { PATIENCE };
        let answer = match step_answer(client, step, &normalizer, patience).await {
            Ok(answer) => answer,
            Err(error) => {
                kept.push(format!("{} {}: {error:#}", step.verb, step.target).into());
                break;
            }
        };
        for (name, pointer) in &step.more.save {
            let found = answer.body.pointer(pointer).unwrap_or(&Value::Null);
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            normalizer.save(name, text);
        }
        if !step.more.quiet {
            kept.push(keep(step, &answer, &mut normalizer));
        }
    }
    Ok(kept)
}

fn keep(step: &Step, answer: &Answer, normalizer: &mut Normalizer) -> Value {
    // The namespace has a name that says what is checked; it stays readable.
    let namespace = normalizer.saved.remove("ns");
    let body = normalizer.value(&answer.body);
    let warnings = normalizer.value(&json!(answer.warnings));
    normalizer.saved.extend(namespace.map(|name| ("ns".to_owned(), name)));
    let mut out = Map::new();
    out.insert("request".into(), format!("{} {}", step.verb, step.target).into());
    out.insert("code".into(), answer.code.into());
    if !answer.warnings.is_empty() {
        out.insert("warnings".into(), warnings);
    }
    match &step.more.show {
        None => drop(out.insert("body".into(), body)),
        Some(parts) => {
            for part in parts {
                out.insert(part.clone(), body.pointer(part).cloned().unwrap_or("<absent>".into()));
            }
        }
    }
    Value::Object(out)
}

async fn step_answer(
    client: &Client,
    step: &Step,
    normalizer: &Normalizer,
    patience: Duration,
) -> Result<Answer> {
    let fill = |text: &str| {
        normalizer
            .saved
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
    };
    let target = fill(&step.target);
    let uri = if target.starts_with('/') { target } else { in_namespace(&target, &fill("${ns}")) };
    let body = match (&step.more.raw, &step.body) {
        (Some(raw), _) => fill(raw),
        (None, Value::Null) => String::new(),
        (None, body) => fill(&body.to_string()),
    };
    let (method, content_type) = match step.verb.as_str() {
        "JSON" => ("PATCH", "application/json-patch+json"),
        "MERGE" => ("PATCH", "application/merge-patch+json"),
        "STRATEGIC" => ("PATCH", "application/strategic-merge-patch+json"),
        "APPLY" => ("PATCH", "application/apply-patch+yaml"),
        "WATCH" => return watch(client, &uri, step.body["events"].as_u64().unwrap_or(1), patience).await,
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => (step.verb.as_str(), "application/json"),
        other => bail!("unknown verb {other}"),
    };
    let mut headers: Vec<(&str, String)> = vec![("content-type", content_type.to_owned())];
    for (name, value) in &step.more.headers {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name, fill(value)));
    }
    if step.more.until.is_empty() {
        return send(client, method, &uri, &headers, body).await;
    }
    let deadline = Instant::now() + patience;
    loop {
        let answer = send(client, method, &uri, &headers, body.clone()).await?;
        let reached = step.more.until.iter().all(|(part, wanted)| match part.as_str() {
            "code" => *wanted == answer.code,
            pointer => answer.body.pointer(pointer).unwrap_or(&Value::Null) == wanted,
        });
        if reached {
            return Ok(answer);
        }
        ensure!(
            Instant::now() < deadline,
            "waited for {:?}, got {} {}",
            step.more.until,
            answer.code,
            answer.body
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `deployments.apps/a/scale` in a namespace.
fn in_namespace(target: &str, namespace: &str) -> String {
    let end = target.find(['/', '?']).unwrap_or(target.len());
    let (resource, rest) = target.split_at(end);
    match resource.split_once('.') {
        Some((plural, group)) => format!("/apis/{group}/v1/namespaces/{namespace}/{plural}{rest}"),
        None => format!("/api/v1/namespaces/{namespace}/{resource}{rest}"),
    }
}

async fn send(
    client: &Client,
    method: &str,
    uri: &str,
    headers: &[(&str, String)],
    body: String,
) -> Result<Answer> {
    let mut request = http::Request::builder().method(method).uri(uri).header("user-agent", USER_AGENT);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Body::from(body.into_bytes()))?;
    let response = tokio::time::timeout(PATIENCE, client.send(request))
        .await
        .with_context(|| format!("{method} {uri}: no answer"))??;
    let warnings = response
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Ok(Answer { code, warnings, body })
}

/// The first events of a watch; an answer that is no stream ends by itself.
async fn watch(client: &Client, uri: &str, events: u64, patience: Duration) -> Result<Answer> {
    let request = http::Request::get(uri).header("user-agent", USER_AGENT).body(Body::empty())?;
    let response = client.send(request).await?;
    let code = response.status().as_u16();
    let mut body = response.into_body();
    let (mut text, mut lines) = (Vec::new(), Vec::new());
    while (lines.len() as u64) < events {
        let frame = tokio::time::timeout(patience, body.frame())
            .await
            .with_context(|| format!("{uri}: waited for event {} of {events}", lines.len() + 1))?;
        let Some(frame) = frame else { break };
        text.extend_from_slice(frame?.data_ref().map(|data| &data[..]).unwrap_or_default());
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            lines.push(serde_json::from_slice::<Value>(&line)?);
        }
    }
    if !text.trim_ascii().is_empty() && code >= 400 {
        lines.push(serde_json::from_slice(&text)?);
    }
    Ok(Answer { code, warnings: Vec::new(), body: lines.into() })
}
