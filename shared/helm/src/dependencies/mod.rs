//! Which subcharts take part in a release, and under which names.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::chart::{Chart, Metadata};

/// A chart as one release uses it: aliased, without disabled subcharts, with imported values.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The chart as it was loaded.
    pub chart: Arc<Chart>,
    /// Its metadata, with the alias as name, the aliases of its dependencies and without the disabled ones.
    pub metadata: Metadata,
    /// `c/charts/sub`: the prefix of its files' names.
    pub path: String,
    /// Its default values, with what it imports from its children.
    pub defaults: Arc<Map<String, Value>>,
    /// The subcharts that take part.
    pub children: Vec<Instance>,
}

impl Instance {
    /// The alias, or the chart's name. It is the key of this chart's values in its parent's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }
}
