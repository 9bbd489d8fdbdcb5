//! The checks, as their tables say them.
//!
//! A check is a list of requests in a namespace of its own. A step is a map with one key that is a method and a target,
//! whose value is the body:
//!
//! ```yaml
//! - check: a second create is refused
//!   steps:
//!   - POST configmaps: {metadata: {name: a}}
//!   - POST configmaps: {metadata: {name: a}}
//!     show: [/reason, /message]
//! ```
//!
//! | word | meaning |
//! |---|---|
//! | `GET`, `POST`, `PUT`, `DELETE` | the method, with a JSON body |
//! | `JSON`, `MERGE`, `STRATEGIC`, `APPLY` | `PATCH` with that kind of patch |
//! | `WATCH` | `GET`, of whose stream the first `{events: N}` are kept |
//! | `configmaps/a`, `deployments.apps/a/scale?x=y` | a target in the namespace of the check; the version is `v1` |
//! | `/api/v1/nodes` | a target as it is |
//! | `headers` | more headers |
//! | `raw` | the body as a text instead |
//! | `show` | the parts of the answer that are kept (JSON pointers); absent: all; empty: the status code |
//! | `save` | names for parts of the answer: `${name}` in later steps; `${ns}` is the namespace |
//! | `until` | repeat until these parts have these values; `code` is the status code |
//! | `quiet` | keep nothing of this step |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One row of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) check: String,
    pub(crate) steps: Vec<Step>,
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(crate) struct Step {
    pub(crate) verb: String,
    pub(crate) target: String,
    pub(crate) body: Value,
    pub(crate) more: More,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct More {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) raw: Option<String>,
    pub(crate) show: Option<Vec<String>>,
    pub(crate) save: BTreeMap<String, String>,
    pub(crate) until: BTreeMap<String, Value>,
    pub(crate) quiet: bool,
}

impl TryFrom<Map<String, Value>> for Step {
    type Error = anyhow::Error;

    fn try_from(map: Map<String, Value>) -> Result<Self> {
        let is_request = |key: &str| key.starts_with(|c: char| c.is_ascii_uppercase());
        let (mut requests, more): (Vec<_>, Map<_, _>) = {
            let (requests, more): (Vec<_>, Vec<_>) = map.into_iter().partition(|(key, _)| is_request(key));
            (requests, more.into_iter().collect())
        };
        let Some((request, body)) = requests.pop().filter(|_| requests.is_empty()) else {
            bail!("a step has one request");
        };
        let (verb, target) = request.split_once(' ').context("a request is a verb and a target")?;
        let more = serde_json::from_value(Value::Object(more)).with_context(|| request.clone())?;
        Ok(Self { verb: verb.to_owned(), target: target.to_owned(), body, more })
    }
}

impl Check {
    /// The namespace of this check.
    pub(crate) fn namespace(&self) -> String {
        let words: String = self
            .check
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
        words.join("-").chars().take(50).collect::<String>().trim_end_matches('-').to_owned()
    }
}

/// A table and where its expectations are kept.
pub(crate) struct Table {
    pub(crate) topic: String,
    pub(crate) checks: Vec<Check>,
}

impl Table {
    pub(crate) fn expectations(&self) -> PathBuf {
        folder().join("expected").join(format!("{}.yaml", self.topic))
    }
}

/// Reads all tables, in the order of their names.
///
/// # Errors
/// When one is not as this module describes, or two checks would share a namespace.
pub(crate) fn tables() -> Result<Vec<Table>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder().join("tables"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut namespaces = std::collections::BTreeSet::new();
    let mut tables = Vec::new();
    for file in files {
        let topic = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file)?;
        let value = sluice_yaml::from_str(&text).with_context(|| file.display().to_string())?;
        let checks: Vec<Check> = serde_json::from_value(value).with_context(|| file.display().to_string())?;
        for check in &checks {
            ensure!(namespaces.insert(check.namespace()), "{topic}: two checks are called {:?}", check.check);
        }
        tables.push(Table { topic, checks });
    }
    Ok(tables)
}

/// The steps that the embedded server is known to answer otherwise.
pub(crate) fn gaps_file() -> PathBuf {
    folder().join("gaps.yaml")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}
