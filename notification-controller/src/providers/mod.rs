//! What each type of Provider is sent: pure functions from a Provider and an event to requests.

mod chat;
mod generic;
mod incident;
mod metric;
mod room;
#[cfg(test)]
mod tests;

pub(crate) use room::markdown;

use crate::call::Call;
use crate::event::Event;
use crate::settings::Settings;
use sluice_api::notification::ProviderType;

/// Which events a type is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The state of a commit at its forge.
    CommitStatus,
    /// A comment on a pull request.
    ChangeRequest,
    /// Programs that take every event.
    Generic,
    /// People and their tools.
    Other,
}

/// The class of a type.
pub(crate) fn class(type_: ProviderType) -> Class {
    use ProviderType as Type;
    match type_ {
        Type::Github
        | Type::Gitlab
        | Type::Gitea
        | Type::Bitbucket
        | Type::BitbucketServer
        | Type::AzureDevOps => Class::CommitStatus,
        Type::GithubPullRequestComment | Type::GitlabMergeRequestComment | Type::GiteaPullRequestComment => {
            Class::ChangeRequest
        }
        Type::Generic | Type::GenericHmac => Class::Generic,
        _ => Class::Other,
    }
}

/// The requests that tell an event, in order; none where the service does not want such an event.
///
/// # Errors
/// What the Provider or its Secret lacks; never a secret.
pub(crate) fn calls(settings: &Settings, event: &Event) -> Result<Vec<Call>, String> {
    use ProviderType as Type;
    let skips_progress = matches!(settings.type_, Type::PagerDuty | Type::IncidentIo);
    if skips_progress && event.reason == "Progressing" {
        return Ok(Vec::new());
    }
    let call = match settings.type_ {
        Type::Generic => generic::plain(settings, event),
        Type::GenericHmac => generic::signed(settings, event),
        Type::Slack => chat::slack(settings, event),
        Type::Discord => chat::discord(settings, event),
        Type::Rocket => chat::rocket(settings, event),
        Type::MsTeams => chat::teams(settings, event),
        Type::GoogleChat => chat::google(settings, event),
        Type::Webex => room::webex(settings, event),
        Type::Matrix => room::matrix(settings, event),
        Type::Telegram => room::telegram(settings, event),
        Type::Lark => room::lark(settings, event),
        Type::Zulip => room::zulip(settings, event),
        Type::Zoom => room::zoom(settings, event),
        Type::Opsgenie => incident::opsgenie(settings, event),
        Type::PagerDuty => return incident::pagerduty(settings, event),
        Type::IncidentIo => incident::incident_io(settings, event),
        Type::Alertmanager => incident::alertmanager(settings, event),
        Type::Sentry => incident::sentry(settings, event),
        Type::Grafana => metric::grafana(settings, event),
        Type::Datadog => metric::datadog(settings, event),
        // Told by `forge`.
        Type::Github
        | Type::Gitlab
        | Type::Gitea
        | Type::Bitbucket
        | Type::GithubPullRequestComment
        | Type::GitlabMergeRequestComment
        | Type::GiteaPullRequestComment
        | Type::GithubDispatch => {
            return Ok(Vec::new());
        }
        Type::BitbucketServer
        | Type::AzureDevOps
        | Type::AzureEventHub
        | Type::GooglePubSub
        | Type::Nats
        | Type::Otel => {
            return Err(format!(
                "provider {} is not built yet in this version: the event was not sent; use the type generic or another that is",
                settings.type_
            ));
        }
    };
    call.map(|call| vec![call])
}

/// Words of a reason: `HealthCheckFailed` is `health check failed`. A word begins at a change of case, kind or digit.
pub(crate) fn words(reason: &str) -> String {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Lower,
        Upper,
        Digit,
        Other,
    }
    let kind = |c: char| match c {
        c if c.is_lowercase() => Kind::Lower,
        c if c.is_uppercase() => Kind::Upper,
        c if c.is_numeric() => Kind::Digit,
        _ => Kind::Other,
    };
    let mut runs: Vec<(Kind, String)> = Vec::new();
    for c in reason.chars() {
        match runs.last_mut() {
            Some((last, run)) if *last == kind(c) => run.push(c),
            _ => runs.push((kind(c), c.to_string())),
        }
    }
    // The last capital of a run belongs to the small letters that follow: PDFLoader is PDF and Loader.
    for i in 1..runs.len() {
        if runs[i - 1].0 == Kind::Upper
            && runs[i].0 == Kind::Lower
            && let Some(capital) = runs[i - 1].1.pop()
        {
            runs[i].1.insert(0, capital);
        }
    }
    let words: Vec<String> =
        runs.into_iter().map(|(_, run)| run.to_lowercase()).filter(|run| !run.trim().is_empty()).collect();
    words.join(" ")
}

/// The first of two texts that is not empty.
fn either<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}
