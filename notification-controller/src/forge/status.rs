//! The state of a commit: read first, so that the same state is not written twice.

use super::address::{Repository, commit, join};
use super::session::Session;
use crate::event::Event;
use crate::providers::words;
use crate::settings::Settings;
use base64::Engine as _;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sluice_api::notification::{Alert, Provider};
use sluice_cel::Expression;
use url::Url;

/// Bitbucket's API, and where its statuses link to.
const BITBUCKET: &str = "https://api.bitbucket.org/2.0";
const BITBUCKET_TARGET: &str = "https://bitbucket.org";
/// The reason of events about work that is not done.
const PROGRESSING: &str = "Progressing";

/// The name of a status: of the Provider's expression, else of the object and the Provider.
///
/// # Errors
/// In Flux's words.
pub(crate) fn id(provider: &Provider, alert: &Alert, event: &Event) -> Result<String, String> {
    let Some(expression) = provider.spec.commit_status_expr.as_deref().filter(|text| !text.is_empty()) else {
        let uid = provider.metadata.uid.as_deref().unwrap_or_default();
        let object = &event.involved_object;
        let first = uid.split('-').next().unwrap_or_default();
        return Ok(format!("{}/{}/{first}", object.kind, object.name).to_lowercase());
    };
    let fail = |err: String| {
        format!(
            "failed to create commit status: failed to evaluate the spec.commitStatusExpr CEL expression for the event: {err}"
        )
    };
    let json = |value: serde_json::Result<Value>| value.map_err(|err| fail(err.to_string()));
    let (event, alert, provider) = (
        json(serde_json::to_value(event))?,
        json(serde_json::to_value(alert))?,
        json(serde_json::to_value(provider))?,
    );
    Expression::new(expression)
        .and_then(|expression| {
            expression.text_of([("event", &event), ("alert", &alert), ("provider", &provider)])
        })
        .map_err(|err| fail(err.to_string()))
}

/// What all forges are told.
struct Status<'a> {
    repository: Repository,
    commit: &'a str,
    state: &'static str,
    name: String,
    description: String,
}

impl<'a> Status<'a> {
    /// `states` are those of success and failure.
    fn new(
        settings: &Settings,
        event: &'a Event,
        id: &str,
        states: [&'static str; 2],
    ) -> Result<Self, String> {
        if id.is_empty() {
            return Err("commit status cannot be empty".to_owned());
        }
        let state = match event.severity.as_str() {
            "info" => states[0],
            "error" => states[1],
            _ => return Err("can't convert to a state: the severity is neither info nor error".to_owned()),
        };
        let object = &event.involved_object;
        Ok(Self {
            repository: Repository::new(&settings.address)?,
            commit: commit(event)?,
            state,
            name: format!("{}/{}", object.kind, object.name).to_lowercase(),
            description: words(&event.reason),
        })
    }

    /// Whether a status in a list is this one already; the first of the same name decides.
    fn is_told(&self, list: &Value, id: &str, names: [&str; 2]) -> bool {
        let [name, state] = names;
        let same = list.as_array().into_iter().flatten().find(|status| status[name] == id);
        same.is_some_and(|status| status[state] == self.state && status["description"] == self.description)
    }
}

/// A token, or a password that is used as one.
pub(super) fn token<'a>(settings: &'a Settings, missing: &str) -> Result<&'a str, String> {
    let tokens = [settings.token.as_str(), settings.password.as_str()];
    tokens.into_iter().find(|token| !token.is_empty()).ok_or_else(|| missing.to_owned())
}

/// The API of GitHub, or of a GitHub Enterprise Server.
pub(super) fn github_api(repository: &Repository) -> Result<Url, String> {
    if repository.host.host_str() == Some("github.com") {
        Url::parse("https://api.github.com/").map_err(|err| err.to_string())
    } else {
        repository.api(["api", "v3"])
    }
}

/// A session with GitHub's headers.
pub(super) fn github_session(settings: &Settings) -> Result<Session<'_>, String> {
    let token = token(
        settings,
        "github token or github app details must be specified; github apps are not built yet in this version",
    )?;
    Session::new(settings)
        .with("accept", "application/vnd.github.v3+json")?
        .with("x-github-api-version", "2022-11-28")?
        .with("authorization", &format!("Bearer {token}"))
}

pub(super) async fn github(settings: &Settings, event: &Event, id: &str) -> Result<(), String> {
    if event.reason == PROGRESSING {
        return Ok(());
    }
    let status = Status::new(settings, event, id, ["success", "failure"])?;
    let session = github_session(settings)?;
    let (owner, name) = status.repository.pair()?;
    let api = github_api(&status.repository)?;
    let mut list = join(&api, ["repos", owner, name, "commits", status.commit, "statuses"])?;
    list.set_query(Some("per_page=50"));
    let known = session.get(list).await.map_err(|err| format!("could not list commit statuses: {err}"))?;
    if status.is_told(&known, id, ["context", "state"]) {
        return Ok(());
    }
    let body = json!({"state": status.state, "description": status.description, "context": id});
    let url = join(&api, ["repos", owner, name, "statuses", status.commit])?;
    session.post(url, &body).await.map_err(|err| format!("could not create commit status: {err}"))
}

pub(super) async fn gitlab(settings: &Settings, event: &Event, id: &str) -> Result<(), String> {
    if event.reason == PROGRESSING {
        return Ok(());
    }
    let status = Status::new(settings, event, id, ["success", "failed"])?;
    let session =
        Session::new(settings).with("private-token", token(settings, "gitlab token cannot be empty")?)?;
    let project = ["api", "v4", "projects", &status.repository.id];
    let list = ["repository", "commits", status.commit, "statuses"];
    let mut list = status.repository.api(project.into_iter().chain(list))?;
    list.query_pairs_mut().append_pair("name", id);
    let known = session.get(list).await.map_err(|err| format!("unable to list commit status: {err}"))?;
    let told = known.as_array().into_iter().flatten().any(|known| {
        known["sha"] == status.commit
            && known["status"] == status.state
            && known["description"] == status.description
            && known["name"] == id
    });
    if told {
        return Ok(());
    }
    let body = json!({"state": status.state, "name": id, "description": status.description});
    let url = status.repository.api(project.into_iter().chain(["statuses", status.commit]))?;
    session.post(url, &body).await.map_err(|err| format!("could not create commit status: {err}"))
}

pub(super) async fn gitea(settings: &Settings, event: &Event, id: &str) -> Result<(), String> {
    let states = if event.reason == PROGRESSING { ["pending"; 2] } else { ["success", "failure"] };
    let status = Status::new(settings, event, id, states)?;
    let token = token(settings, "gitea token cannot be empty")?;
    let session = Session::new(settings).with("authorization", &format!("token {token}"))?;
    let (owner, name) = status.repository.pair()?;
    let repository = ["api", "v1", "repos", owner, name];
    let list = repository.into_iter().chain(["commits", status.commit, "statuses"]);
    let mut list = status.repository.api(list)?;
    list.set_query(Some("limit=50&page=1"));
    let known = session.get(list).await.map_err(|err| format!("could not list commit statuses: {err}"))?;
    // Gitea writes the state under the name of GitHub's older API.
    if status.is_told(&known, id, ["context", "status"]) || status.is_told(&known, id, ["context", "state"]) {
        return Ok(());
    }
    let body = json!({
        "state": status.state, "target_url": "", "description": status.description, "context": id,
    });
    let url = status.repository.api(repository.into_iter().chain(["statuses", status.commit]))?;
    session.post(url, &body).await.map_err(|err| format!("could not create commit status: {err}"))
}

pub(super) async fn bitbucket(settings: &Settings, event: &Event, id: &str) -> Result<(), String> {
    let api = Url::parse(BITBUCKET).map_err(|err| err.to_string())?;
    bitbucket_at(&api, settings, event, id).await
}

/// The same at another address of the API.
pub(super) async fn bitbucket_at(
    api: &Url,
    settings: &Settings,
    event: &Event,
    id: &str,
) -> Result<(), String> {
    if event.reason == PROGRESSING {
        return Ok(());
    }
    let status = Status::new(settings, event, id, ["SUCCESSFUL", "FAILED"])?;
    if settings.token.is_empty() {
        return Err("bitbucket token cannot be empty".to_owned());
    }
    let authorization = match settings.token.split(':').count() {
        2 => format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(&settings.token)),
        _ => return Err("invalid token format, expected to be <user>:<password>".to_owned()),
    };
    let session = Session::new(settings).with("authorization", &authorization)?;
    let (owner, name) = status.repository.pair()?;
    // Bitbucket's keys have 40 characters at most.
    let key = hex::encode(Sha1::digest(id.as_bytes()));
    let statuses = ["repositories", owner, name, "commit", status.commit, "statuses", "build"];
    let one = join(api, statuses.into_iter().chain([key.as_str()]))?;
    let known = session.get(one).await.map_err(|err| format!("could not get commit status: {err}"))?;
    if known["state"] == status.state && known["description"] == status.description {
        return Ok(());
    }
    let body = json!({
        "key": key, "url": BITBUCKET_TARGET, "state": status.state, "name": status.name,
        "description": status.description,
    });
    let url = join(api, statuses)?;
    session.post(url, &body).await.map_err(|err| format!("could not create commit status: {err}"))
}
