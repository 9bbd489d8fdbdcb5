//! Events that start workflows: GitHub's repository dispatch.

use super::address::{Repository, join};
use super::status::{github_api, github_session};
use crate::event::Event;
use crate::settings::Settings;
use serde_json::json;

pub(super) async fn github(settings: &Settings, event: &Event) -> Result<(), String> {
    let repository = Repository::new(&settings.address)?;
    let (owner, name) = repository.pair()?;
    let object = &event.involved_object;
    let kind = format!("{}/{}.{}", object.kind, object.name, object.namespace);
    let url = join(&github_api(&repository)?, ["repos", owner, name, "dispatches"])?;
    let body = json!({"event_type": kind, "client_payload": event});
    let sent = github_session(settings)?.post(url, &body).await;
    sent.map_err(|err| format!("could not send github repository dispatch webhook: {err}"))
}
