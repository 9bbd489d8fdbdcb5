//! Uninstalls a release: because its HelmRelease goes, or because it is to be another release now.

use super::{helm_of, options, told_of, with_logs};
use crate::ReleaseName;
use crate::attempt::{Attempt, Stop};
use crate::context::RELEASED;
use crate::history::{self, action};
use sluice_api::helm::{ChartNameChangeStrategy, ReleaseSnapshot};
use sluice_artifact::Algorithm;
use sluice_release::{ActionError, Cluster, Done};
use sluice_runtime::conditions;
use sluice_runtime::events::Event;
use tracing::{info, warn};

/// Why what was released is another release than the one that the spec wants now.
pub(crate) fn moved(attempt: &mut Attempt<'_>, wanted: &ReleaseName, chart: &str) -> Option<&'static str> {
    let in_place =
        attempt.policy().spec.upgrade.as_ref().and_then(|upgrade| upgrade.chart_name_change_strategy)
            == Some(ChartNameChangeStrategy::InPlaceUpdate);
    let status = attempt.status();
    let storage = status.storage_namespace.as_deref().filter(|namespace| !namespace.is_empty())?;
    let newest = status.history.first()?;
    if storage != wanted.storage {
        Some("storage namespace differs from current release")
    } else if newest.namespace != wanted.namespace {
        Some("release namespace differs from current release")
    } else if newest.name != wanted.name {
        Some("release name differs from current release")
    } else if newest.chart_name != chart && !in_place {
        Some("chart name differs from current release")
    } else {
        None
    }
}

/// Uninstalls the newest release of the history, with the settings that the spec has now.
pub(crate) async fn uninstall(attempt: &mut Attempt<'_>, cluster: &Cluster) -> Result<(), Stop> {
    let (cx, policy, generation) = (attempt.cx, attempt.policy(), attempt.generation());
    let status = attempt.status();
    let storage = status.storage_namespace.clone().unwrap_or_default();
    let Some(current) = status.history.first().cloned().filter(|_| !storage.is_empty()) else {
        return Ok(());
    };
    let name = ReleaseName { name: current.name.clone(), namespace: current.namespace.clone(), storage };
    let helm = helm_of(attempt, cluster, &name);
    let options = options::uninstall(&policy);
    let done = attempt.during(helm.uninstall(&options)).await?;
    attempt.cx.unmoved.forget(&attempt.pass.key);
    let release = history::full_name(&current);
    let gone = match &done.result {
        Err(ActionError::NotFound(_)) => {
            Some(format!("Release {release} was not found, assuming it is uninstalled"))
        }
        Err(ActionError::Failed(text)) if text.contains("is already deleted") => {
            Some(format!("Release {release} was already uninstalled"))
        }
        _ => None,
    };
    if let Some(text) = gone {
        info!("{text}");
        let status = attempt.status();
        conditions::mark_false(&mut status.conditions, generation, RELEASED, "UninstallSucceeded", text);
        status.inventory = None;
        super::summarize(attempt);
        return Ok(());
    }
    let algorithm = cx.config.snapshot_digest_algo;
    let outcome = observed(&mut attempt.status().history, &current, &done, action::UNINSTALL, algorithm);
    let subject = format!("release {release} with chart {}", history::versioned_chart(&current));
    let list = &mut attempt.status().conditions;
    match outcome {
        Ok(()) => {
            let text = format!("Helm uninstall succeeded for {subject}");
            info!("{text}");
            conditions::mark_false(list, generation, RELEASED, "UninstallSucceeded", text.clone());
            attempt.event(told_of(Event::info("UninstallSucceeded", text), &current));
            attempt.status().inventory = None;
            super::summarize(attempt);
            Ok(())
        }
        Err(None) => Err(Stop::Shutdown),
        Err(Some(cause)) => {
            let text = format!("Helm uninstall failed for {subject}: {}", cause.trim());
            warn!("{text}");
            conditions::mark_false(list, generation, RELEASED, "UninstallFailed", text.clone());
            attempt.status().failures += 1;
            attempt.event(told_of(Event::error("UninstallFailed", with_logs(&text, &done.logs)), &current));
            super::summarize(attempt);
            Err(Stop::Action(text))
        }
    }
}

/// Takes in what an uninstall stored.
///
/// # Errors
/// Why it does not count as done; nothing if the process ends.
pub(super) fn observed(
    history: &mut [ReleaseSnapshot],
    current: &ReleaseSnapshot,
    done: &Done,
    name: &str,
    algorithm: Algorithm,
) -> Result<(), Option<String>> {
    let last = done.result.as_ref().ok();
    for release in done.written.iter().chain(last) {
        if let Some(known) = history.iter_mut().find(|known| history::is_of(known, release)) {
            *known = history::refreshed(known, release, algorithm);
            known.action = Some(name.to_owned());
        }
    }
    match &done.result {
        Err(ActionError::Canceled) => Err(None),
        Err(err) => Err(Some(err.to_string())),
        Ok(release) if !history::is_of(current, release) => Err(Some(format!(
            "release mismatch: uninstalled release {} != current release {}",
            release.full_name(),
            history::full_name(current)
        ))),
        Ok(_) if history.first().map(|newest| &newest.digest) == Some(&current.digest) => {
            Err(Some("uninstall completed with error: release not updated in Helm storage".to_owned()))
        }
        Ok(_) => Ok(()),
    }
}
