//! Generator and transformer configurations: objects of `apiVersion: builtin` that run a built-in with own fields.

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sluice_yaml::Node;

use crate::error::{BuildError, Result, Within as _};
use crate::field_spec::{Create, FieldSpec, set_text};
use crate::file;
use crate::file::plugin as shapes;
use crate::generate::{self, Generated};
use crate::id::Gvk;
use crate::loader::Files;
use crate::metadata::{ConfiguredBy, Origin};
use crate::objects::Objects;
use crate::patch::Patch;
use crate::patch::selector::Selector;
use crate::replacement;
use crate::resource::Resource;
use crate::transform::{self, Affix, Subjects};

/// A transformer that a configuration object describes, read and ready.
pub(crate) enum Transformer {
    Labels(shapes::Labels),
    Annotations(shapes::Annotations),
    Affixes(shapes::Affixes),
    Namespace(shapes::Namespace, Subjects),
    Image(shapes::ImageTag),
    Replica(shapes::ReplicaCount),
    Patches(Vec<Patch>),
    Replacements(Vec<file::Replacement>),
    AddValue(shapes::ValueAdd),
    Hash,
}

/// Reads a transformer configuration.
pub(crate) fn transformer(files: &Files<'_>, dir: &Path, config: &Resource) -> Result<Transformer> {
    let kind = check_builtin(config)?;
    let fails = || format!("plugin {} fails configuration", config.id());
    let transformer = match kind {
        "LabelTransformer" => Transformer::Labels(decode(config)?),
        "AnnotationsTransformer" => Transformer::Annotations(decode(config)?),
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" => {
            let mut affixes: shapes::Affixes = decode(config)?;
            if kind == "PrefixTransformer" {
                affixes.suffix.clear();
            }
            if kind == "SuffixTransformer" {
                affixes.prefix.clear();
            }
            if affixes.field_specs.is_empty() && kind != "PrefixSuffixTransformer" {
                return Err(BuildError::invalid("fieldSpecs is not expected to be nil")).within(fails);
            }
            Transformer::Affixes(affixes)
        }
        "NamespaceTransformer" => {
            let namespace: shapes::Namespace = decode(config)?;
            let subjects = match namespace.set_role_binding_subjects.as_str() {
                "" | "defaultOnly" => Subjects::DefaultOnly,
                "allServiceAccounts" => Subjects::AllServiceAccounts,
                "none" => Subjects::None,
                other => {
                    let text = format!(
                        "invalid value {other:?} for setRoleBindingSubjects: must be one of \"defaultOnly\", \"none\" or \"allServiceAccounts\""
                    );
                    return Err(BuildError::invalid(text)).within(fails);
                }
            };
            Transformer::Namespace(namespace, subjects)
        }
        "ImageTagTransformer" => Transformer::Image(decode(config)?),
        "ReplicaCountTransformer" => Transformer::Replica(decode(config)?),
        "PatchTransformer" => {
            let patch: file::Patch = decode(config)?;
            Transformer::Patches(vec![Patch::new(files, dir, &patch).within(fails)?])
        }
        "PatchJson6902Transformer" => {
            let patch: shapes::Json6902 = decode(config)?;
            let patch = file::Patch {
                path: patch.path,
                patch: patch.json_op,
                target: patch.target,
                ..file::Patch::default()
            };
            Transformer::Patches(vec![Patch::json6902(files, dir, &patch).within(fails)?])
        }
        "PatchStrategicMergeTransformer" => {
            let patches: shapes::StrategicMerge = decode(config)?;
            let texts = Some(&patches.patches).filter(|text| !text.is_empty());
            let all = patches.paths.iter().chain(texts);
            Transformer::Patches(
                all.map(|entry| Patch::strategic(files, dir, entry)).collect::<Result<_>>().within(fails)?,
            )
        }
        "ReplacementTransformer" => {
            let config: shapes::Replacements = decode(config)?;
            Transformer::Replacements(replacement::load(files, dir, &config.replacements).within(fails)?)
        }
        "ValueAddTransformer" => {
            let mut add: shapes::ValueAdd = decode(config)?;
            if !add.target_file_path.is_empty() {
                return Err(BuildError::unsupported("field \"targetFilePath\" is not supported yet"))
                    .within(fails);
            }
            if add.value.is_empty() {
                add.value =
                    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            }
            Transformer::AddValue(add)
        }
        "HashTransformer" => Transformer::Hash,
        "ConfigMapGenerator" | "SecretGenerator" | "HelmChartInflationGenerator" | "IAMPolicyGenerator" => {
            return Err(BuildError::invalid(format!("plugin {} not a transformer", config.id())));
        }
        _ => return Err(unknown(config)),
    };
    Ok(transformer)
}

/// Runs a generator configuration.
pub(crate) fn generator(files: &Files<'_>, dir: &Path, config: &Resource) -> Result<Generated> {
    match check_builtin(config)? {
        "ConfigMapGenerator" => {
            let mut args: file::ConfigMapArgs = decode(config)?;
            own_name(&mut args.name, &mut args.namespace, config);
            merge_env(&mut args.sources);
            generate::config_map(&args, generate::load(files, dir, &args.sources)?, None)
        }
        "SecretGenerator" => {
            let mut args: file::SecretArgs = decode(config)?;
            own_name(&mut args.name, &mut args.namespace, config);
            merge_env(&mut args.sources);
            generate::secret(&args, generate::load(files, dir, &args.sources)?, None)
        }
        kind @ ("HelmChartInflationGenerator" | "IAMPolicyGenerator") => {
            Err(BuildError::unsupported(format!("generator {kind} is not supported yet")))
        }
        kind if kind.ends_with("Transformer") => Err(BuildError::invalid(format!(
            "failed to load generator: plugin {} not a generator",
            config.id()
        ))),
        _ => Err(unknown(config)),
    }
    .within(|| "loading generator plugins".into())
}

fn own_name(name: &mut String, namespace: &mut String, config: &Resource) {
    if name.is_empty() {
        config.name().clone_into(name);
    }
    if namespace.is_empty() {
        config.namespace().clone_into(namespace);
    }
}

fn merge_env(sources: &mut file::KvSources) {
    if !sources.env.is_empty() {
        sources.envs.push(std::mem::take(&mut sources.env));
    }
}

fn check_builtin(config: &Resource) -> Result<&str> {
    if config.api_version() != "builtin" {
        return Err(BuildError::invalid(format!(
            "external plugins disabled; unable to load external plugin '{}'",
            config.kind()
        )));
    }
    Ok(config.kind())
}

fn unknown(config: &Resource) -> BuildError {
    BuildError::invalid(format!("unable to load builtin {}", config.gvk()))
}

/// Decodes leniently: unknown fields are ignored, numbers and booleans become texts.
fn decode<T: DeserializeOwned>(config: &Resource) -> Result<T> {
    let value = Node::Map(config.map.clone()).into_value().map_err(BuildError::invalid)?;
    shapes::decode(value, config.kind())
        .map_err(|why| BuildError::invalid(format!("plugin {} fails configuration: {why}", config.id())))
}

impl Transformer {
    /// Runs the transformer.
    pub(crate) fn apply(&self, objects: &mut Objects, limit: usize) -> Result<()> {
        let specs = |list: &[file::FieldSpec]| list.iter().map(FieldSpec::from_file).collect::<Vec<_>>();
        match self {
            Self::Labels(config) => transform::labels(objects, &config.labels, &specs(&config.field_specs)),
            Self::Annotations(config) => {
                transform::annotations(objects, &config.annotations, &specs(&config.field_specs))
            }
            Self::Affixes(config) => {
                let specs = specs(&config.field_specs);
                transform::affix(objects, Affix::Prefix, &config.prefix, &specs)?;
                transform::affix(objects, Affix::Suffix, &config.suffix, &specs)
            }
            Self::Namespace(config, subjects) => {
                let specs = specs(&config.field_specs);
                transform::namespace(
                    objects,
                    &config.metadata.namespace,
                    &specs,
                    *subjects,
                    config.unset_only,
                )
            }
            Self::Image(config) => transform::images(objects, &config.image_tag, &specs(&config.field_specs)),
            Self::Replica(config) => {
                transform::replicas(objects, &config.replica, &specs(&config.field_specs))
            }
            Self::Patches(patches) => patches.iter().try_for_each(|patch| patch.apply(objects, limit)),
            Self::Replacements(entries) => replacement::replacements(objects, entries, limit),
            Self::AddValue(config) => add_value(objects, config),
            Self::Hash => hash_names(objects),
        }
    }
}

/// Adds the content hash to the names that want one.
pub(crate) fn hash_names(objects: &mut Objects) -> Result<()> {
    for resource in objects.items_mut().iter_mut().filter(|resource| resource.needs_hash) {
        let name = format!("{}-{}", resource.name(), generate::suffix(resource)?);
        resource.remember();
        resource.set_name(&name);
    }
    Ok(())
}

fn add_value(objects: &mut Objects, config: &shapes::ValueAdd) -> Result<()> {
    for target in &config.targets {
        let selector = target.selector.clone().unwrap_or_default();
        let selector = Selector::new(&selector).map_err(BuildError::invalid)?;
        let spec = FieldSpec::new(Gvk::default(), &target.field_path, true);
        for resource in objects.items_mut().iter_mut().filter(|resource| selector.selects(resource)) {
            if spec.is_path("metadata/namespace") || spec.is_path("metadata/name") {
                resource.remember();
            }
            spec.apply(resource, Create::Scalar, &mut |node| {
                let position = target.file_path_position;
                match usize::try_from(position).ok().filter(|at| *at > 0) {
                    None => set_text(node, &config.value),
                    // Counts the segments of a file path from 1.
                    Some(at) => {
                        let old = node.as_text().unwrap_or("").to_owned();
                        let mut segments: Vec<_> = old.split('/').collect();
                        segments.insert((at - 1).min(segments.len()), &config.value);
                        set_text(node, &segments.join("/"))
                    }
                }
            })?;
        }
    }
    Ok(())
}

/// What annotations about the build say of a configuration object.
pub(crate) fn origin(configured_in: &str, config: &Resource) -> Arc<Origin> {
    Arc::new(Origin {
        configured_in: configured_in.to_owned(),
        configured_by: Some(ConfiguredBy {
            api_version: config.api_version().into(),
            kind: config.kind().into(),
            name: config.name().into(),
            namespace: config.namespace().into(),
        }),
        ..Origin::default()
    })
}
