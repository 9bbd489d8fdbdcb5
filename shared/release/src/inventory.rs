//! What a release consists of in the cluster.

use sluice_apply::ObjectId;
use sluice_apply::discovery::DiscoveryError;
use sluice_apply::inventory::Entry;
use sluice_apply::object::{metadata_map, text};
use sluice_helm::manifest::HOOK;
use sluice_helm::release::Release;

use crate::chart::LoadedChart;
use crate::helm::Helm;
use crate::object::parse;

/// The objects of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The objects of the manifest in its order, then the chart's CRDs.
    pub entries: Vec<Entry>,
    /// Objects whose namespace could not be worked out, in Flux's words.
    pub skipped: Vec<String>,
}

impl Helm {
    /// What a release consists of; with its chart, the CRDs of that are part of it.
    ///
    /// # Errors
    /// A manifest or a CRD file that cannot be read.
    pub async fn inventory(
        &self,
        release: &Release,
        chart: Option<&LoadedChart>,
    ) -> Result<Inventory, String> {
        let mut inventory = Inventory::default();
        for object in parse(&release.manifest)? {
            if metadata_map(&object, "annotations").is_some_and(|map| map.contains_key(HOOK)) {
                continue;
            }
            let (mut id, version) = ObjectId::of(&object);
            match self.discovery().resource(&id.group, &version, &id.kind).await {
                Ok(resource) if !resource.namespaced => id.namespace.clear(),
                Ok(_) if id.namespace.is_empty() => id.namespace.clone_from(&release.namespace),
                Ok(_) => {}
                Err(error) => {
                    let kind = &id.kind;
                    let error = match error {
                        DiscoveryError::Failed(cause) => cause,
                        missing => missing.to_string(),
                    };
                    inventory.skipped.push(format!(
                        "failed to determine if {kind} is namespace scoped, skipping namespace: {error}"
                    ));
                }
            }
            inventory.add(id, version);
        }
        let Some(chart) = chart else { return Ok(inventory) };
        for file in chart.renderer().crds(&release.config).map_err(|error| error.to_string())? {
            for object in parse(&file.text).map_err(|error| format!("{}: {error}", file.name))? {
                if text(&object, "kind") == "CustomResourceDefinition" {
                    let (id, version) = ObjectId::of(&object);
                    inventory.add(ObjectId { namespace: String::new(), ..id }, version);
                }
            }
        }
        Ok(inventory)
    }
}

impl Inventory {
    fn add(&mut self, id: ObjectId, version: String) {
        if !self.entries.iter().any(|entry| entry.id == id) {
            self.entries.push(Entry { id, version });
        }
    }
}
