//! The transformer configuration: which fields each transformer changes, from the defaults and the `configurations`
//! files.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::error::{BuildError, Result};
use crate::field_spec::FieldSpec;
use crate::file;
use crate::id::Gvk;
use crate::tables;

/// Fields that hold the name of an object of this kind.
#[derive(Debug, Clone)]
pub(crate) struct NameReference {
    pub(crate) target: Gvk,
    pub(crate) fields: Vec<FieldSpec>,
}

/// The fields of every transformer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    pub(crate) common_labels: Vec<FieldSpec>,
    pub(crate) labels: Vec<FieldSpec>,
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) claim_template_labels: Vec<FieldSpec>,
    pub(crate) common_annotations: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
    pub(crate) var_reference: Vec<FieldSpec>,
    pub(crate) name_reference: Vec<NameReference>,
}

static DEFAULT: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(Config::built_in()));

impl Config {
    /// What kustomize has built in. Immutable and shared.
    pub(crate) fn default_shared() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    fn built_in() -> Self {
        let specs = |table: &[tables::Spec]| table.iter().map(FieldSpec::from_table).collect::<Vec<_>>();
        let spec = |kind: &str, path: String| {
            FieldSpec::new(Gvk { kind: kind.to_owned(), ..Gvk::default() }, &path, false)
        };
        let mut common_labels = specs(tables::TEMPLATE_LABELS);
        common_labels.extend(specs(tables::SELECTORS));
        common_labels.extend(specs(tables::CLAIM_TEMPLATE_LABELS));
        let mut var_reference = specs(tables::VAR_FIELDS);
        for (kind, pod_spec) in tables::VAR_POD_SPECS {
            for containers in ["containers", "initContainers"] {
                for field in tables::VAR_CONTAINER_FIELDS {
                    var_reference.push(spec(kind, format!("{pod_spec}/{containers}/{field}")));
                }
            }
        }
        let name_reference = tables::NAME_REFERENCES.iter().map(|target| {
            let (pod_specs, fields) = target.in_pod_specs;
            let below = pod_specs.iter().flat_map(|(version, kind, pod_spec)| {
                fields.iter().map(move |field| {
                    let gvk = Gvk { group: String::new(), version: (*version).into(), kind: (*kind).into() };
                    FieldSpec::new(gvk, &format!("{pod_spec}/{field}"), false)
                })
            });
            NameReference {
                target: Gvk {
                    group: target.group.into(),
                    version: target.version.into(),
                    kind: target.kind.into(),
                },
                fields: below.chain(target.fields.iter().map(FieldSpec::from_table)).collect(),
            }
        });
        Self {
            name_prefix: specs(tables::NAMES),
            name_suffix: specs(tables::NAMES),
            namespace: specs(tables::NAMESPACE),
            common_labels,
            labels: Vec::new(),
            template_labels: specs(tables::TEMPLATE_LABELS),
            claim_template_labels: specs(tables::CLAIM_TEMPLATE_LABELS),
            common_annotations: specs(tables::COMMON_ANNOTATIONS),
            images: specs(tables::IMAGES),
            replicas: specs(tables::REPLICAS),
            var_reference,
            name_reference: name_reference.collect(),
        }
    }

    /// Adds what another configuration has.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        add("NamePrefix", &mut self.name_prefix, &other.name_prefix)?;
        add("NameSuffix", &mut self.name_suffix, &other.name_suffix)?;
        add("Namespace", &mut self.namespace, &other.namespace)?;
        add("CommonLabels", &mut self.common_labels, &other.common_labels)?;
        add("Labels", &mut self.labels, &other.labels)?;
        add("TemplateLabels", &mut self.template_labels, &other.template_labels)?;
        add("VolumeClaimTemplateLabels", &mut self.claim_template_labels, &other.claim_template_labels)?;
        add("CommonAnnotations", &mut self.common_annotations, &other.common_annotations)?;
        add("Images", &mut self.images, &other.images)?;
        add("Replicas", &mut self.replicas, &other.replicas)?;
        add("VarReference", &mut self.var_reference, &other.var_reference)?;
        for reference in &other.name_reference {
            match self.name_reference.iter_mut().find(|old| old.target == reference.target) {
                Some(old) => add("NameReference", &mut old.fields, &reference.fields)?,
                None => self.name_reference.push(reference.clone()),
            }
        }
        Ok(())
    }

    /// Reads a `configurations` file.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value = sluice_yaml::from_str(text)
            .map_err(|error| BuildError::invalid(format!("error converting YAML to JSON: {error}")))?;
        if value.is_null() {
            return Ok(Self::default());
        }
        let file: ConfigFile = serde_json::from_value(value).map_err(|error| {
            BuildError::invalid(format!(
                "error unmarshaling JSON: while decoding JSON: json: {}",
                go_text(&error)
            ))
        })?;
        let specs = |list: Vec<file::FieldSpec>| list.iter().map(FieldSpec::from_file).collect::<Vec<_>>();
        Ok(Self {
            name_prefix: specs(file.name_prefix),
            name_suffix: specs(file.name_suffix),
            namespace: specs(file.namespace),
            common_labels: specs(file.common_labels),
            labels: specs(file.labels),
            template_labels: specs(file.template_labels),
            claim_template_labels: specs(file.volume_claim_template_labels),
            common_annotations: specs(file.common_annotations),
            images: specs(file.images),
            replicas: specs(file.replicas),
            var_reference: specs(file.var_reference),
            name_reference: file
                .name_reference
                .into_iter()
                .map(|entry| NameReference {
                    target: Gvk { group: entry.group, version: entry.version, kind: entry.kind },
                    fields: specs(entry.field_specs),
                })
                .collect(),
        })
    }
}

/// serde's text for an unknown field, as Go says it.
fn go_text(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        Some((field, _)) => format!("unknown field \"{field}\""),
        None => text,
    }
}

/// Adds specifications to a list; the same one with another `create` is a conflict.
pub(crate) fn add(name: &str, list: &mut Vec<FieldSpec>, new: &[FieldSpec]) -> Result<()> {
    for spec in new {
        let same = list.iter().find(|old| {
            old.path == spec.path && spec.gvk.selects(&old.gvk.group, &old.gvk.version, &old.gvk.kind)
        });
        match same {
            Some(old) if old.create != spec.create => {
                return Err(BuildError::invalid(format!(
                    "failed to merge {name} fieldSpec: conflicting fieldspecs"
                )));
            }
            Some(_) => {}
            None => list.push(spec.clone()),
        }
    }
    Ok(())
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ConfigFile {
    name_prefix: Vec<file::FieldSpec>,
    name_suffix: Vec<file::FieldSpec>,
    namespace: Vec<file::FieldSpec>,
    common_labels: Vec<file::FieldSpec>,
    labels: Vec<file::FieldSpec>,
    template_labels: Vec<file::FieldSpec>,
    volume_claim_template_labels: Vec<file::FieldSpec>,
    common_annotations: Vec<file::FieldSpec>,
    images: Vec<file::FieldSpec>,
    replicas: Vec<file::FieldSpec>,
    var_reference: Vec<file::FieldSpec>,
    name_reference: Vec<NameReferenceFile>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct NameReferenceFile {
    group: String,
    version: String,
    kind: String,
    field_specs: Vec<file::FieldSpec>,
}
