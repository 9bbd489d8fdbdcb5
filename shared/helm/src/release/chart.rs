//! The chart in a stored release: metadata, templates, files and defaults, without the subcharts.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sluice_yaml::json::{self, Html};

use super::Time;
use super::time::ZERO;
use crate::chart::{ChartFile, Lock, OrNull};
use crate::{Instance, Metadata, yaml};

/// The chart of a stored release. Cheap to clone.
///
/// The JSON is kept as it was read or first written: a revision is rewritten whenever its status changes, and neither
/// is anything lost then nor are templates decoded that nobody looks at.
#[derive(Clone)]
pub struct StoredChart(Arc<Inner>);

struct Inner {
    metadata: Metadata,
    body: Box<RawValue>,
}

impl StoredChart {
    /// What is stored of a chart as a release uses it.
    pub(crate) fn of(instance: &Instance) -> Self {
        let body = json::encode(&Body(instance)).ok().and_then(|text| RawValue::from_string(text).ok());
        match body {
            Some(body) => Self(Arc::new(Inner { metadata: instance.metadata.clone(), body })),
            // Texts, numbers and lists of them always are JSON.
            None => Self::default(),
        }
    }

    /// Takes over the JSON of a chart.
    ///
    /// # Errors
    /// What does not fit about the metadata.
    pub(super) fn read(body: Box<RawValue>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            metadata: Value,
        }
        let head: Option<Head> = serde_json::from_str(body.get()).map_err(|_| "the chart is no map")?;
        let metadata = head.map(|head| Metadata::stored(head.metadata)).transpose()?.unwrap_or_default();
        Ok(Self(Arc::new(Inner { metadata, body })))
    }

    /// `Chart.yaml`, with the chart's version as it was used.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The chart's defaults, those of its subcharts included. Numbers are floats.
    #[must_use]
    pub fn values(&self) -> Map<String, Value> {
        #[derive(Deserialize)]
        struct Values {
            #[serde(default)]
            values: Option<Map<String, Value>>,
        }
        let read: Option<Values> = serde_json::from_str(self.0.body.get()).ok();
        let mut values = Value::Object(read.and_then(|read| read.values).unwrap_or_default());
        yaml::to_floats(&mut values);
        match values {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// The JSON of the chart as it is stored.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.body.get()
    }

    pub(super) fn body(&self) -> &RawValue {
        &self.0.body
    }
}

impl Default for StoredChart {
    /// No chart.
    fn default() -> Self {
        static NONE: LazyLock<StoredChart> =
            LazyLock::new(|| StoredChart(Arc::new(Inner { metadata: Metadata::default(), body: null() })));
        NONE.clone()
    }
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

impl std::fmt::Debug for StoredChart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let metadata = &self.0.metadata;
        write!(f, "{}@{}", metadata.name, metadata.version)
    }
}

impl PartialEq for StoredChart {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.body.get() == other.0.body.get()
    }
}

/// The fields of a chart in Helm's order.
struct Body<'a>(&'a Instance);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (instance, chart) = (self.0, &self.0.chart);
        let changed = |name: &str| chart.raw_file(name).map_or_else(|| ZERO.to_owned(), modified);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("metadata", &instance.metadata)?;
        map.serialize_entry("lock", &chart.lock.as_ref().map(with_valid_time))?;
        map.serialize_entry("templates", &OrNull(&chart.templates.iter().map(File).collect::<Vec<_>>()))?;
        let values = Value::Object((*instance.defaults).clone());
        let values = RawValue::from_string(json::to_string(&values, Html::Escape));
        map.serialize_entry("values", &values.map_err(serde::ser::Error::custom)?)?;
        map.serialize_entry("schema", &chart.schema.as_ref().map(|schema| STANDARD.encode(schema)))?;
        map.serialize_entry("schemamodtime", &changed("values.schema.json"))?;
        map.serialize_entry("files", &OrNull(&chart.files.iter().map(File).collect::<Vec<_>>()))?;
        map.serialize_entry("modtime", &changed("Chart.yaml"))?;
        map.end()
    }
}

struct File<'a>(&'a ChartFile);

impl Serialize for File<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.0.name)?;
        map.serialize_entry("data", &STANDARD.encode(&self.0.data))?;
        map.serialize_entry("modtime", &modified(self.0))?;
        map.end()
    }
}

/// When a file was changed; Go's zero time where nothing tells.
fn modified(file: &ChartFile) -> String {
    let at = file.modified.and_then(|at| Timestamp::try_from(at).ok());
    at.map_or_else(|| ZERO.to_owned(), |at| Time::utc(at).to_string())
}

/// A lock that Go can read: whatever else a chart says there, it takes no other text than a time.
fn with_valid_time(lock: &Lock) -> Lock {
    let generated = match Time::read(&lock.generated) {
        Ok(Some(time)) => time.to_string(),
        _ => ZERO.to_owned(),
    };
    Lock { generated, ..lock.clone() }
}
