//! Which subcharts take part in a release, and under which names.
//!
//! Two steps. A [`Plan`](plan::Plan) is what the user's values decide: aliases, tags, conditions. An [`Instance`] is
//! what follows from a plan alone: the charts' defaults with the imported values. Releases with equal plans share it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::chart::{Chart, Metadata};
use crate::values::coalesce::Node;

mod import;
pub(crate) mod plan;
pub(crate) mod wanted;

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

impl Node for Instance {
    fn name(&self) -> &str {
        &self.metadata.name
    }

    fn defaults(&self) -> &Map<String, Value> {
        &self.defaults
    }

    fn children(&self) -> &[Self] {
        &self.children
    }
}

/// The names of dependencies that `Chart.yaml` asks for and `charts/` does not hold, in order.
#[must_use]
pub fn missing(chart: &Chart) -> Vec<&str> {
    chart
        .metadata
        .dependencies
        .iter()
        .map(|wanted| wanted.name.as_str())
        .filter(|name| chart.dependencies.iter().all(|subchart| subchart.name() != *name))
        .collect()
}
