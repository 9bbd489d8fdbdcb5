//! Releases as Helm stores them: the model, the Secret that holds one, and the digests that tell whether one was moved.
//!
//! Everything here is a pure function over values. What is written is what Helm 4 writes, field by field and in its
//! order, because other Helm clients read it and because Flux's digests are made of the same JSON. What is read may
//! come from any Helm since 3.0: unknown fields are ignored, zero times may be absent or empty.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

mod chart;
mod codec;
mod digest;
mod hooks;
mod name;
mod secret;
mod status;
mod time;

#[cfg(test)]
mod tests;

pub use chart::StoredChart;
pub use codec::{DecodeError, decode, encode};
pub use digest::{config_digest, config_text, snapshot_digest, snapshot_text};
pub use hooks::{HookPhase, HookRun, StoredHook};
pub use name::shorten;
pub use secret::{NAME, OWNER, SECRET_TYPE, STATUS, VERSION, labels, own_labels, secret_name, selector};
pub use status::{ApplyMethod, Status};
pub use time::Time;

/// One revision of a release.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Release {
    /// The release's name, at most 53 bytes.
    pub name: String,
    /// The namespace that it was released to; the Secret may live in another one.
    pub namespace: String,
    /// The revision, from 1.
    pub version: u32,
    /// When, how and with what outcome.
    pub info: Info,
    /// The chart, without its subcharts.
    pub chart: StoredChart,
    /// What the user gave, without the chart's defaults. Numbers are floats.
    pub config: Map<String, Value>,
    /// The objects, as [`Manifests::text`](crate::manifest::Manifests::text) writes them.
    pub manifest: String,
    /// The hooks with their last runs.
    pub hooks: Vec<StoredHook>,
    /// How objects are brought to the cluster; `None` is what Helm 3 wrote, and means client-side.
    pub apply_method: Option<ApplyMethod>,
    /// Labels of the Secret beyond Helm's own; not part of the JSON.
    pub labels: BTreeMap<String, String>,
}

/// When, how and with what outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info {
    /// When the first revision was deployed.
    pub first_deployed: Option<Time>,
    /// When this revision was deployed.
    pub last_deployed: Option<Time>,
    /// When the release was uninstalled.
    pub deleted: Option<Time>,
    /// One line for people, such as `Upgrade complete`.
    pub description: String,
    /// Where the revision stands.
    pub status: Status,
    /// The rendered `NOTES.txt`.
    pub notes: String,
}

impl Release {
    /// `<namespace>/<name>.v<version>`: how messages name a revision.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}.v{}", self.namespace, self.name, self.version)
    }

    /// `<chart>@<version>`: how messages name the chart.
    #[must_use]
    pub fn versioned_chart(&self) -> String {
        let metadata = self.chart.metadata();
        format!("{}@{}", metadata.name, metadata.version)
    }

    /// Whether objects are brought to the cluster by server-side apply.
    #[must_use]
    pub fn server_side(&self) -> bool {
        self.apply_method == Some(ApplyMethod::ServerSide)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_name())
    }
}
