//! One comment per object on a pull request, rewritten in place when there is news.

use super::address::{Repository, join};
use super::session::Session;
use super::status::{github_api, github_session, token};
use crate::event::Event;
use crate::providers::markdown;
use crate::settings::Settings;
use http::Method;
use serde_json::{Value, json};
use url::Url;

/// Comments of a page, and pages that are looked through for ours.
const PAGE: usize = 100;
const MAX_PAGES: usize = 50;

/// Where a forge keeps comments, and what it calls them.
struct Place<'a> {
    session: Session<'a>,
    /// Names the account that the token belongs to.
    me: Url,
    /// The member of an account with its name, and that of a comment with its account.
    account: [&'static str; 2],
    /// The comments of the request; one is written by posting here.
    list: Url,
    /// What asks for a page of them, but for its number.
    query: String,
    /// A comment is below here, and is rewritten with this method.
    comments: Url,
    method: Method,
    /// What the forge's people call them, for errors.
    what: &'static str,
    marker: &'static str,
}

pub(super) async fn github(settings: &Settings, event: &Event) -> Result<(), String> {
    let number = number(event)?;
    let repository = Repository::new(&settings.address)?;
    let (owner, name) = repository.pair()?;
    let api = github_api(&repository)?;
    let issues = ["repos", owner, name, "issues"];
    let place = Place {
        session: github_session(settings)?,
        me: join(&api, ["user"])?,
        account: ["login", "user"],
        list: join(&api, issues.into_iter().chain([number.as_str(), "comments"]))?,
        query: format!("direction=asc&per_page={PAGE}&sort=created"),
        comments: join(&api, issues.into_iter().chain(["comments"]))?,
        method: Method::PATCH,
        what: "pull request comment",
        marker: "flux-pr-comment-key",
    };
    place.tell(settings, event).await
}

pub(super) async fn gitlab(settings: &Settings, event: &Event) -> Result<(), String> {
    let number = number(event)?;
    let repository = Repository::new(&settings.address)?;
    let notes = ["api", "v4", "projects", repository.id.as_str(), "merge_requests", number.as_str(), "notes"];
    let token = token(settings, "gitlab token cannot be empty")?;
    let place = Place {
        session: Session::new(settings).with("private-token", token)?,
        me: repository.api(["api", "v4", "user"])?,
        account: ["username", "author"],
        list: repository.api(notes)?,
        query: format!("order_by=created_at&per_page={PAGE}&sort=asc"),
        comments: repository.api(notes)?,
        method: Method::PUT,
        what: "merge request note",
        marker: "flux-mr-comment-key",
    };
    place.tell(settings, event).await
}

pub(super) async fn gitea(settings: &Settings, event: &Event) -> Result<(), String> {
    let number = number(event)?;
    let repository = Repository::new(&settings.address)?;
    let (owner, name) = repository.pair()?;
    let issues = ["api", "v1", "repos", owner, name, "issues"];
    let token = token(settings, "gitea token cannot be empty")?;
    let place = Place {
        session: Session::new(settings).with("authorization", &format!("token {token}"))?,
        me: repository.api(["api", "v1", "user"])?,
        account: ["login", "user"],
        list: repository.api(issues.into_iter().chain([number.as_str(), "comments"]))?,
        query: format!("limit={PAGE}"),
        comments: repository.api(issues.into_iter().chain(["comments"]))?,
        method: Method::PATCH,
        what: "pull request comment",
        marker: "flux-pr-comment-key",
    };
    place.tell(settings, event).await
}

/// The number of the request that an event belongs to.
fn number(event: &Event) -> Result<String, String> {
    let given = event
        .metadata
        .get("change_request")
        .ok_or_else(|| "missing \"change_request\" metadata key".to_owned())?;
    let number: u64 = given
        .parse()
        .map_err(|err| format!("invalid \"change_request\" metadata value \"{given}\": {err}"))?;
    Ok(number.to_string())
}

impl Place<'_> {
    async fn tell(&self, settings: &Settings, event: &Event) -> Result<(), String> {
        if settings.uid.is_empty() {
            return Err("provider UID cannot be empty".to_owned());
        }
        let marker = format!("<!-- {}:{}/{} -->", self.marker, settings.uid, event.involved_object.path());
        let body = json!({"body": format!("{marker}\n\n{}", markdown(event))});
        let me = self.session.get(self.me.clone()).await;
        let me = me.map_err(|err| format!("failed to get authenticated user info: {err}"))?;
        let me = me[self.account[0]]
            .as_str()
            .ok_or_else(|| "failed to get authenticated user info: it has no name".to_owned())?;
        match self.find(me, &marker).await? {
            Some(comment) => {
                let url = join(&self.comments, [comment.to_string().as_str()])?;
                let written = self.session.write(self.method.clone(), url, &body).await;
                written.map_err(|err| format!("failed to update {}: {err}", self.what))
            }
            None => {
                let written = self.session.post(self.list.clone(), &body).await;
                written.map_err(|err| format!("failed to create {}: {err}", self.what))
            }
        }
    }

    /// The number of our comment about the object.
    async fn find(&self, me: &str, marker: &str) -> Result<Option<u64>, String> {
        let [name, author] = self.account;
        for page in 1..=MAX_PAGES {
            let mut url = self.list.clone();
            url.set_query(Some(&format!("{}&page={page}", self.query)));
            let comments = self.session.get(url).await;
            let comments = comments.map_err(|err| format!("failed to list {}s: {err}", self.what))?;
            let comments = comments.as_array().map(Vec::as_slice).unwrap_or_default();
            let ours = |comment: &&Value| {
                comment[author][name] == me
                    && comment["body"].as_str().is_some_and(|body| body.contains(marker))
            };
            if let Some(found) = comments.iter().find(ours) {
                return Ok(found["id"].as_u64());
            }
            // Forges may give shorter pages than they are asked for: only an empty one is the last for sure.
            if comments.is_empty() {
                return Ok(None);
            }
        }
        Ok(None)
    }
}
