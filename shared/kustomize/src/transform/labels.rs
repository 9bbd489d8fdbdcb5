//! `labels`, `commonLabels` and `commonAnnotations`.

use sluice_yaml::Node;

use crate::config::{self, Config};
use crate::error::{BuildError, Result};
use crate::field_spec::{Create, FieldSpec, set_entry};
use crate::file::{Label, StringMap};
use crate::objects::Objects;
use crate::tables;

/// The fields that an entry of `labels` sets.
pub(crate) fn label_specs(entry: &Label, config: &Config) -> Result<Vec<FieldSpec>> {
    let mut specs: Vec<_> = entry.fields.iter().map(FieldSpec::from_file).collect();
    let mut add = |name: &str, new: &[FieldSpec]| {
        config::add(name, &mut specs, new)
            .map_err(|_| BuildError::invalid("failed to merge labels: conflicting fieldspecs"))
    };
    add("labels", &config.labels)?;
    if entry.include_selectors {
        add("labels", &config.common_labels)?;
        return Ok(specs);
    }
    if entry.include_templates {
        add("labels", &config.template_labels)?;
    }
    if entry.include_volume_claim_templates {
        add("labels", &config.claim_template_labels)?;
    }
    add("labels", &[FieldSpec::from_table(&tables::METADATA_LABELS)])?;
    Ok(specs)
}

/// Sets labels at the given fields.
pub(crate) fn labels(objects: &mut Objects, pairs: &StringMap, specs: &[FieldSpec]) -> Result<()> {
    set_pairs(objects, pairs, specs)
}

/// Sets annotations at the given fields.
pub(crate) fn annotations(objects: &mut Objects, pairs: &StringMap, specs: &[FieldSpec]) -> Result<()> {
    set_pairs(objects, pairs, specs)
}

fn set_pairs(objects: &mut Objects, pairs: &StringMap, specs: &[FieldSpec]) -> Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    for resource in objects.items_mut() {
        for spec in specs {
            if spec.matches(resource) {
                spec.apply(resource, Create::Map, &mut |node: &mut Node| {
                    pairs.iter().try_for_each(|(key, value)| set_entry(node, key, value))
                })?;
            }
        }
    }
    Ok(())
}
