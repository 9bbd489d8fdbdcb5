//! `debug`: what a controller knows of an object and works with, as YAML.

use anyhow::{Context, Result, bail};
use helm_controller::values::{self, Secrets};
use serde_json::Value;
use sluice_api::helm::HelmRelease;

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
    let parts = [options.show_status, options.show_values, options.show_history];
    if parts.iter().filter(|part| **part).count() != 1 {
        bail!("exactly one of --show-status, --show-values, or --show-history must be set");
    }
    let object = session.get(&kinds::HELM_RELEASE, &session.namespace, name).await?;
    let text = if options.show_values {
        let secrets = if options.show_secrets { Secrets::Shown } else { Secrets::Masked };
        let release: HelmRelease = serde_json::from_value(object)
            .with_context(|| format!("cannot read HelmRelease {}/{name}", session.namespace))?;
        let values = values::compose(&session.client, &release, secrets).await?;
        sluice_yaml::to_string(&Value::Object(values))
    } else if options.show_status {
        let status = object.get("status").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        format!("# Status documentation: {STATUS_DOCUMENTATION}\n{}", sluice_yaml::to_string(&status))
    } else {
        let history = object.pointer("/status/history").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        format!("# History documentation: {HISTORY_DOCUMENTATION}\n{}", sluice_yaml::to_string(&history))
    };
    Ok(talk::data(&text)?)
}
