//! The digests by which Flux tells whether a release, or the values for it, are what they were.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sluice_yaml::{Layout, json};

use super::Release;
use super::codec::{self, WrittenHook, WrittenInfo};
use crate::Metadata;
use crate::chart::OrNull;
use crate::manifest::HookEvent;

/// The digest of a snapshot in `status.history`: `sha256:…` of [`snapshot_text`].
#[must_use]
pub fn snapshot_digest(release: &Release, oci_digest: &str) -> String {
    sha256(snapshot_text(release, oci_digest).as_bytes())
}

/// What digests of snapshots are made of: JSON as Flux writes an observation (helm-controller, `internal/release`).
///
/// Test hooks are left out, so that a `helm test` by hand is no change. `oci_digest` is that of the chart's artifact,
/// empty if it came otherwise.
#[must_use]
pub fn snapshot_text(release: &Release, oci_digest: &str) -> String {
    let hooks: Vec<_> = release
        .hooks
        .iter()
        .filter(|stored| !stored.hook.runs_at(HookEvent::Test))
        .map(WrittenHook::of)
        .collect();
    let observation = Observation {
        name: &release.name,
        version: release.version,
        info: WrittenInfo::of(&release.info),
        chart_metadata: release.chart.metadata(),
        config: codec::map(&release.config),
        manifest: &release.manifest,
        hooks: OrNull(&hooks),
        namespace: &release.namespace,
        oci_digest,
    };
    // Texts, numbers and raw JSON always can be written.
    let mut text = json::encode(&observation).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Observation<'a> {
    name: &'a str,
    version: u32,
    info: WrittenInfo<'a>,
    chart_metadata: &'a Metadata,
    config: Option<Box<RawValue>>,
    manifest: &'a str,
    hooks: OrNull<'a, WrittenHook<'a>>,
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    oci_digest: &'a str,
}

/// The digest of values: `sha256:…` of [`config_text`].
#[must_use]
pub fn config_digest(values: &Map<String, Value>) -> String {
    sha256(config_text(values).as_bytes())
}

/// What digests of values are made of: YAML with keys sorted by bytes; nothing for no values.
#[must_use]
pub fn config_text(values: &Map<String, Value>) -> String {
    if values.is_empty() {
        return String::new();
    }
    sluice_yaml::to_string_with(&Value::Object(values.clone()), Layout::SORTED)
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
