//! What is known of a registry between requests: its scheme and our token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::credentials::Credential;
use super::registry::{body, causes, sensitive};

/// Life of a token whose registry names none (the distribution specification's default).
const DEFAULT_LIFE: u64 = 60;
/// Largest answer of a token endpoint, in bytes.
const MAX_TOKEN: usize = 1024 * 1024;

/// Shared by the passes over all objects with the same registry, repository, client and credentials.
pub(crate) struct Session {
    credential: Option<Credential>,
    scheme: Arc<Scheme>,
    header: Mutex<Option<(HeaderValue, Option<Instant>)>>,
}

/// The scheme that a registry answers on; shared by all its repositories.
#[derive(Debug, Default)]
pub(crate) struct Scheme(Mutex<Option<&'static str>>);

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Chooses among the `WWW-Authenticate` headers: a token where one is offered.
    pub(crate) fn parse(headers: &[&str]) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            let (scheme, parameters) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = parse_parameters(parameters);
                let get = |name: &str| {
                    parameters
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name))
                        .map(|(_, value)| value.clone())
                };
                if let Some(realm) = get("realm") {
                    return Some(Self::Bearer { realm, service: get("service"), scope: get("scope") });
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

/// `name="value", name=value`.
fn parse_parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([',', ' ']).trim().to_owned();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((name, value.to_owned()));
        rest = after;
    }
    found
}

impl Session {
    pub(crate) fn new(credential: Option<Credential>, scheme: Arc<Scheme>) -> Self {
        let header = match &credential {
            Some(Credential::Bearer(token)) => {
                sensitive(&format!("Bearer {token}")).map(|value| (value, None))
            }
            _ => None,
        };
        Self { credential, scheme, header: Mutex::new(header) }
    }

    /// The scheme that worked.
    pub(crate) fn scheme(&self) -> Option<&'static str> {
        *self.scheme.0.lock()
    }

    pub(crate) fn set_scheme(&self, scheme: &str) {
        *self.scheme.0.lock() = Some(if scheme == "http" { "http" } else { "https" });
    }

    pub(crate) fn forget_scheme(&self) {
        *self.scheme.0.lock() = None;
    }

    /// The `Authorization` header, unless it has expired.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let header = self.header.lock();
        let (value, until) = header.as_ref()?;
        until.is_none_or(|until| Instant::now() < until).then(|| value.clone())
    }

    /// Answers a challenge. `false` when there is nothing to answer with.
    ///
    /// # Errors
    /// What the token endpoint answered.
    pub(crate) async fn authenticate(
        &self,
        http: &reqwest::Client,
        challenge: &Challenge,
        repository: &str,
        is_https: bool,
    ) -> Result<bool, String> {
        let header = match (challenge, &self.credential) {
            // The token was sent already and refused.
            (_, Some(Credential::Bearer(_))) => return Ok(false),
            (Challenge::Basic, Some(Credential::Basic(user, password))) => {
                sensitive(&basic(user, password)).map(|value| (value, None))
            }
            (Challenge::Basic, _) => None,
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let url =
                    url::Url::parse(realm).map_err(|error| format!("token endpoint '{realm}': {error}"))?;
                if url.scheme() != "https" && is_https {
                    return Err(format!("token endpoint '{realm}' is not https, although the registry is"));
                }
                let pull = format!("repository:{repository}:pull");
                let scope = scope.as_deref().unwrap_or(&pull);
                let token = fetch_token(http, url, service.as_deref(), scope, credential.as_ref()).await?;
                let life = Duration::from_secs(token.expires_in.unwrap_or(DEFAULT_LIFE).clamp(10, 3600));
                sensitive(&format!("Bearer {}", token.value))
                    .map(|value| (value, Some(Instant::now() + life * 4 / 5)))
            }
        };
        let known = header.is_some();
        *self.header.lock() = header;
        Ok(known)
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

struct Token {
    value: String,
    expires_in: Option<u64>,
}

async fn fetch_token(
    http: &reqwest::Client,
    url: url::Url,
    service: Option<&str>,
    scope: &str,
    credential: Option<&Credential>,
) -> Result<Token, String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    let shown = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
    let mut fields = vec![("scope", scope)];
    fields.extend(service.map(|service| ("service", service)));
    let encode = |fields: &[(&str, &str)]| {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    };
    let request = match credential {
        Some(Credential::Identity(token)) => {
            fields.extend([("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "flux")]);
            http.post(url)
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encode(&fields))
        }
        other => {
            let mut url = url;
            url.query_pairs_mut().extend_pairs(&fields);
            let request = http.get(url);
            match other {
                Some(Credential::Basic(user, password)) => request.basic_auth(user, Some(password)),
                _ => request,
            }
        }
    };
    let response = request
        .send()
        .await
        .map_err(|error| format!("token endpoint {shown}: {}", causes(&error.without_url())))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("token endpoint {shown}: unexpected status code {status}"));
    }
    let bytes = body(response, MAX_TOKEN, "token").await.map_err(|error| error.to_string())?;
    // serde's text could quote the token.
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|_| format!("token endpoint {shown}: answer is not JSON"))?;
    let value = answer
        .token
        .or(answer.access_token)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| format!("token endpoint {shown}: answer holds no token"))?;
    Ok(Token { value, expires_in: answer.expires_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        for (headers, want) in [
            (
                &[r#"Bearer realm="https://auth.io/token",service="reg",scope="repository:a/b:pull,push""#][..],
                bearer("https://auth.io/token", Some("reg"), Some("repository:a/b:pull,push")),
            ),
            (&[r#"bearer Realm=https://a/t, service=x"#], bearer("https://a/t", Some("x"), None)),
            (&[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#], bearer("https://a/t", None, None)),
            (&[r#"Basic realm="x""#], Some(Challenge::Basic)),
            (&["Basic"], Some(Challenge::Basic)),
            (&["Negotiate", "Bearer x"], None),
            (&[], None),
        ] {
            assert_eq!(Challenge::parse(headers), want, "{headers:?}");
        }
    }
}
