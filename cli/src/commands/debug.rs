//! `debug`: what a controller knows of an object and works with, as YAML.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::arguments::DebugHelmRelease;
use crate::kinds;
use crate::session::Session;
use crate::talk;

const STATUS_DOCUMENTATION: &str = "https://fluxcd.io/flux/components/helm/helmreleases/#helmrelease-status";
const HISTORY_DOCUMENTATION: &str = "https://fluxcd.io/flux/components/helm/helmreleases/#history";

/// Prints the part of a HelmRelease that was asked for.
///
/// # Errors
/// Where not exactly one part is asked for, or the HelmRelease is missing.
pub(crate) async fn run(session: &Session, options: &DebugHelmRelease) -> Result<()> {
    let Some(name) = &options.name else { bail!("HelmRelease name is required") };
    let (status, history) = (options.show_status, options.show_history);
    if usize::from(status) + usize::from(history) != 1 {
        bail!("exactly one of --show-status or --show-history must be set");
    }
    let object = session.get(&kinds::HELM_RELEASE, &session.namespace, name).await?;
    let text = if status {
        let status = object.get("status").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        format!("# Status documentation: {STATUS_DOCUMENTATION}\n{}", sluice_yaml::to_string(&status))
    } else {
        let history = object.pointer("/status/history").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        format!("# History documentation: {HISTORY_DOCUMENTATION}\n{}", sluice_yaml::to_string(&history))
    };
    Ok(talk::data(&text)?)
}
