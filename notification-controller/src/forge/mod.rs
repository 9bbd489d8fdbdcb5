//! What forges are told of a commit: its state, or a comment on the pull request that it belongs to.
//!
//! Unlike other services a forge is asked first what it knows, so that the same is not said twice.

mod address;
mod comment;
mod dispatch;
mod session;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use status::id as status_id;

use crate::event::Event;
use crate::settings::Settings;
use sluice_api::notification::ProviderType;

/// Tells a forge of an event, if the Provider's type is one.
///
/// # Errors
/// What the Provider, its Secret or the event lacks, or what the forge answered.
pub(crate) async fn tell(settings: &Settings, event: &Event, id: &str) -> Option<Result<(), String>> {
    use ProviderType as Type;
    let told = match settings.type_ {
        Type::Github => status::github(settings, event, id).await,
        Type::Gitlab => status::gitlab(settings, event, id).await,
        Type::Gitea => status::gitea(settings, event, id).await,
        Type::Bitbucket => status::bitbucket(settings, event, id).await,
        Type::GithubPullRequestComment => comment::github(settings, event).await,
        Type::GitlabMergeRequestComment => comment::gitlab(settings, event).await,
        Type::GiteaPullRequestComment => comment::gitea(settings, event).await,
        Type::GithubDispatch => dispatch::github(settings, event).await,
        _ => return None,
    };
    Some(told)
}
