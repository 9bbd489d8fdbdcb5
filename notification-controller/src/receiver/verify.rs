//! Whether a call is what its service sends: signatures and tokens, compared in constant time, and the event's name.

use bytes::Bytes;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use sluice_api::notification::{ReceiverSpec, ReceiverType};

/// Why a call is refused. The text goes to the caller: it holds nothing that the caller did not send.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("missing signature")]
    Unsigned,
    #[error("the signature has not the form <algorithm>=<hexadecimal digits>")]
    Malformed,
    #[error("unknown hash type prefix")]
    Algorithm,
    #[error("payload signature check failed")]
    Signature,
    #[error("the token does not match the receiver token")]
    Token,
    #[error("webhook request has unsupported Content-Type")]
    ContentType,
    #[error("the event is not authorised")]
    Event,
    #[error("the payload is not what the service sends: {0}")]
    Payload(String),
    #[error("receivers of this type are not built yet in this version")]
    NotBuilt,
}

/// Checks a call and returns the payload that filters see.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn verify(
    spec: &ReceiverSpec,
    token: &[u8],
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Bytes, Refused> {
    use ReceiverType as Type;
    match spec.type_ {
        Type::Generic => Ok(body),
        Type::GenericHmac => {
            signature(token, header(headers, "x-signature"), &body)?;
            Ok(body)
        }
        Type::Github => forge(spec, token, headers, body, "x-github-event"),
        Type::Bitbucket => forge(spec, token, headers, body, "x-event-key"),
        Type::Gitlab => {
            same(token, header(headers, "x-gitlab-token"))?;
            wanted(spec, header(headers, "x-gitlab-event"))?;
            Ok(body)
        }
        Type::Harbor => {
            same(token, header(headers, "authorization"))?;
            Ok(body)
        }
        Type::Nexus => {
            let digits = header(headers, "x-nexus-webhook-signature");
            if digits.is_empty() {
                return Err(Refused::Unsigned);
            }
            mac::<Hmac<Sha1>>(token, &body, &hex::decode(digits).map_err(|_| Refused::Malformed)?)?;
            decodes::<serde_json::Value>(&body)?;
            Ok(body)
        }
        Type::DockerHub => {
            decodes::<DockerHub>(&body)?;
            Ok(body)
        }
        Type::Quay => {
            decodes::<Quay>(&body)?;
            Ok(body)
        }
        Type::Acr => {
            decodes::<Acr>(&body)?;
            Ok(body)
        }
        Type::CdEvents => {
            wanted(spec, header(headers, "ce-type"))?;
            cd_event(&body)?;
            Ok(body)
        }
        Type::Gcr | Type::GenericOidc => Err(Refused::NotBuilt),
    }
}

/// The checks of GitHub, which Bitbucket shares.
fn forge(
    spec: &ReceiverSpec,
    token: &[u8],
    headers: &HeaderMap,
    body: Bytes,
    event: &str,
) -> Result<Bytes, Refused> {
    let content = media_type(headers);
    let form = match content.as_str() {
        "application/json" => false,
        "application/x-www-form-urlencoded" => true,
        _ => return Err(Refused::ContentType),
    };
    let signed = match header(headers, "x-hub-signature-256") {
        b"" => header(headers, "x-hub-signature"),
        signed => signed,
    };
    signature(token, signed, &body)?;
    wanted(spec, header(headers, event))?;
    if !form {
        return Ok(body);
    }
    let payload = url::form_urlencoded::parse(&body).find(|(key, _)| key == "payload");
    Ok(payload.map(|(_, payload)| Bytes::from(payload.into_owned())).unwrap_or_default())
}

/// Checks `<algorithm>=<hex>` over a body.
fn signature(token: &[u8], signed: &[u8], body: &[u8]) -> Result<(), Refused> {
    if signed.is_empty() {
        return Err(Refused::Unsigned);
    }
    let signed = std::str::from_utf8(signed).map_err(|_| Refused::Malformed)?;
    let (algorithm, digits) = signed.split_once('=').ok_or(Refused::Malformed)?;
    let code = hex::decode(digits).map_err(|_| Refused::Malformed)?;
    match algorithm {
        "sha1" => mac::<Hmac<Sha1>>(token, body, &code),
        "sha256" => mac::<Hmac<Sha256>>(token, body, &code),
        "sha512" => mac::<Hmac<Sha512>>(token, body, &code),
        _ => Err(Refused::Algorithm),
    }
}

/// Compares in constant time.
fn mac<M: Mac + KeyInit>(key: &[u8], body: &[u8], code: &[u8]) -> Result<(), Refused> {
    let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|_| Refused::Signature)?;
    mac.update(body);
    mac.verify_slice(code).map_err(|_| Refused::Signature)
}

/// Compares a token in constant time, whatever its length: by codes under a key that does not matter.
fn same(token: &[u8], given: &[u8]) -> Result<(), Refused> {
    let key = b"comparison";
    let mut code = <Hmac<Sha256> as KeyInit>::new_from_slice(key).map_err(|_| Refused::Token)?;
    code.update(token);
    mac::<Hmac<Sha256>>(key, given, &code.finalize().into_bytes()).map_err(|_| Refused::Token)
}

/// Whether the Receiver listens to an event.
fn wanted(spec: &ReceiverSpec, event: &[u8]) -> Result<(), Refused> {
    let listens = |own: &String| own.as_bytes().eq_ignore_ascii_case(event);
    if spec.events.is_empty() || spec.events.iter().any(listens) { Ok(()) } else { Err(Refused::Event) }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a [u8] {
    headers.get(name).map_or(b"", |value| value.as_bytes())
}

/// The media type of a body, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = String::from_utf8_lossy(header(headers, "content-type")).to_ascii_lowercase();
    value.split([';', ',']).next().unwrap_or_default().trim().to_owned()
}

fn decodes<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    // Bytes after the first value are not looked at, as in Flux.
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(err)) => Err(Refused::Payload(format!(
            "{:?} error at line {} column {}",
            err.classify(),
            err.line(),
            err.column()
        ))),
        None => Err(Refused::Payload("it is empty".to_owned())),
    }
}

// What the registries send; only the types of the members are checked, and all may be absent.

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct DockerHub {
    push_data: Option<DockerHubPush>,
    repository: Option<DockerHubRepository>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct DockerHubPush {
    tag: Option<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct DockerHubRepository {
    repo_url: Option<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct Quay {
    docker_url: Option<String>,
    updated_tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct Acr {
    action: Option<String>,
    target: Option<AcrTarget>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct AcrTarget {
    repository: Option<String>,
    tag: Option<String>,
}

#[derive(Deserialize)]
struct CdEvent {
    context: CdContext,
}

#[derive(Deserialize)]
struct CdContext {
    id: String,
    #[serde(rename = "type")]
    type_: String,
}

/// Subjects of CDEvents' specification 0.4.
const CD_SUBJECTS: &[&str] = &[
    "artifact",
    "branch",
    "build",
    "change",
    "environment",
    "incident",
    "pipelinerun",
    "repository",
    "service",
    "taskrun",
    "testcaserun",
    "testoutput",
    "testsuiterun",
    "ticket",
];

/// Whether the body is a CDEvent: `dev.cdevents.<subject>.<predicate>.<version>`, with an id.
fn cd_event(body: &[u8]) -> Result<(), Refused> {
    let context = decodes::<CdEvent>(body)?.context;
    let parts: Vec<&str> = context.type_.splitn(5, '.').collect();
    let known = match parts[..] {
        ["dev", "cdevents", subject, predicate, version] => {
            CD_SUBJECTS.contains(&subject) && !predicate.is_empty() && !version.is_empty()
        }
        _ => false,
    };
    match known && !context.id.is_empty() {
        true => Ok(()),
        false => Err(Refused::Payload("it is no CDEvent of a known type with an id".to_owned())),
    }
}
