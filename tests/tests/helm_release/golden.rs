//! Whole statuses at the turning points of stories, as they are stored beside this file.
//!
//! `SLUICE_RECORD=1` writes them anew. What differs from run to run has a name in its place.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::Value;

/// What differs from run to run.
const NAMES: [(&str, &str); 4] = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"sha256:[0-9a-f]{64}", "<digest>"),
    (r"\+[0-9a-f]{12}\b", "+<digest>"),
    (r"(lastAttemptedReleaseActionDuration: ).*", "${1}<duration>"),
];

/// Compares a status with the stored one.
pub(crate) fn check(name: &str, status: &Value) -> Result<()> {
    let mut text = sluice_yaml::to_string(status);
    for (pattern, put) in NAMES {
        text = Regex::new(pattern)?.replace_all(&text, put).into_owned();
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helm_release/golden").join(format!("{name}.yaml"));
    if std::env::var_os("SLUICE_RECORD").is_some() {
        std::fs::write(&path, &text)?;
    }
    let stored = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(text == stored, "the status is not that of {name}.yaml but\n{text}");
    Ok(())
}
