//! `history`: what a HelmRelease released, as its status remembers it.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::arguments::HistoryOptions;
use crate::kinds;
use crate::objects::text;
use crate::session::Session;
use crate::table;
use crate::talk;

const HEADER: [&str; 8] =
    ["revision", "last_deployed", "status", "chart", "app_version", "action", "tests", "config"];

/// Prints the snapshots of the history, newest first.
///
/// # Errors
/// Where the HelmRelease is missing.
pub(crate) async fn run(session: &Session, options: &HistoryOptions) -> Result<()> {
    let Some(name) = &options.name else { bail!("HelmRelease name is required") };
    let object = session.get(&kinds::HELM_RELEASE, &session.namespace, name).await?;
    let none = Value::Array(Vec::new());
    let history = object.pointer("/status/history").unwrap_or(&none);
    let text = match options.output.as_deref() {
        Some("json") => format!("{}\n", serde_json::to_string_pretty(history)?),
        Some(_) => sluice_yaml::to_string(history),
        None => {
            let snapshots = history.as_array().map_or(&[][..], Vec::as_slice);
            if snapshots.is_empty() {
                bail!("HelmRelease {}/{name} has released nothing yet", session.namespace);
            }
            table::render(&HEADER, &snapshots.iter().map(row).collect::<Vec<_>>())
        }
    };
    Ok(talk::data(&text)?)
}

fn row(snapshot: &Value) -> Vec<String> {
    let cell = |pointer: &str| text(snapshot, pointer).to_owned();
    vec![
        snapshot["version"].to_string(),
        cell("/lastDeployed"),
        cell("/status"),
        // As `helm list` names it.
        format!("{}-{}", text(snapshot, "/chartName"), text(snapshot, "/chartVersion")),
        cell("/appVersion"),
        cell("/action"),
        tests(snapshot),
        table::shorten_hashes(text(snapshot, "/configDigest")),
    ]
}

/// How the tests went: absent is not the same as none.
fn tests(snapshot: &Value) -> String {
    let Some(hooks) = snapshot["testHooks"].as_object() else { return "-".to_owned() };
    let passed = hooks.values().filter(|hook| text(hook, "/phase") == "Succeeded").count();
    format!("{passed}/{}", hooks.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_tells_chart_action_and_tests() {
        let mut snapshot = json!({
            "version": 3, "lastDeployed": "2026-01-01T00:00:00Z", "status": "deployed", "action": "upgrade",
            "chartName": "podinfo", "chartVersion": "6.1.0", "appVersion": "6.1.0",
            "configDigest": format!("sha256:{}", "ab".repeat(32)),
        });
        let untested = row(&snapshot);
        assert_eq!(
            untested,
            [
                "3",
                "2026-01-01T00:00:00Z",
                "deployed",
                "podinfo-6.1.0",
                "6.1.0",
                "upgrade",
                "-",
                "sha256:abababab"
            ]
        );
        snapshot["testHooks"] = json!({"a": {"phase": "Succeeded"}, "b": {"phase": "Failed"}});
        assert_eq!(row(&snapshot)[6], "1/2");
        snapshot["testHooks"] = json!({});
        assert_eq!(row(&snapshot)[6], "0/0");
    }
}
