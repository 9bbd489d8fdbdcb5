//! The build: layers are accumulated from the files up, then names, references and order are settled once.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_yaml::Value;

use crate::Built;
use crate::config::Config;
use crate::error::{BuildError, ErrorKind, Result, Within as _};
use crate::file::{FILE_NAMES, Kustomization, UnknownFields};
use crate::generate;
use crate::helm::{self, Charts};
use crate::loader::Files;
use crate::metadata::{self, BuildMetadata, Origin};
use crate::objects::Objects;
use crate::options::Options;
use crate::patch::Patch;
use crate::resource::{Resource, finish_annotations};
use crate::transform::{self, Affix, Subjects};
use crate::vars::{self, Vars};
use crate::{order, plugin, read, references, replacement};

/// Builds `dir`, with `given` in place of its kustomization file.
pub(crate) fn build(
    root: &Path,
    dir: &Path,
    given: Option<&Kustomization>,
    options: &Options,
) -> Result<Built> {
    let files = Files::new(root, options)?;
    let start = files.start(dir)?;
    let layer = match given {
        Some(given) => Layer::new(&files, given.clone(), FILE_NAMES[0], vec![start.clone()])?,
        None => Layer::open(&files, vec![start.clone()])?,
    };
    let metadata = BuildMetadata::new(&layer.file.build_metadata);
    let build = Build { files, options, start, metadata, warnings: RefCell::default() };
    let mut whole = build.accumulate(&layer, Accumulator::new())?;
    plugin::hash_names(&mut whole.objects)?;
    references::fix(&mut whole.objects, &whole.config)?;
    whole.vars.resolve(&mut whole.objects, &whole.config.var_reference, options.limits.added_bytes)?;
    let mut objects = build.finish(whole.objects)?;
    order::sort(&mut objects, layer.file.sort_options.as_ref(), options.order)?;
    let objects = objects.into_iter().map(Resource::into_value).collect::<Result<_>>()?;
    Ok(Built { objects, warnings: build.warnings.into_inner() })
}

/// The objects of a manifest file.
pub(crate) fn read_objects(bytes: &[u8]) -> Result<Vec<Value>> {
    read::objects(bytes, "")?.into_iter().map(Resource::into_value).collect()
}

/// What one build needs everywhere.
struct Build<'a> {
    files: Files<'a>,
    options: &'a Options,
    /// The directory that is built: origins are relative to it.
    start: PathBuf,
    metadata: BuildMetadata,
    /// Deprecations in the files read so far.
    warnings: RefCell<Vec<String>>,
}

/// One kustomization of the tree.
struct Layer {
    file: Kustomization,
    file_name: &'static str,
    warnings: Vec<String>,
    /// The directories from the root of the build to this one, which is the last.
    visited: Vec<PathBuf>,
    /// The namespace of the nearest kustomization above that names one.
    namespace_above: String,
}

impl Layer {
    /// Reads the kustomization file of the last directory.
    fn open(files: &Files<'_>, visited: Vec<PathBuf>) -> Result<Self> {
        let dir = visited.last().cloned().unwrap_or_default();
        let mut found = None;
        for name in FILE_NAMES {
            if let Some(content) = files.read_candidate(&dir, name)? {
                if found.is_some() {
                    let text = format!("Found multiple kustomization files under: {}\n", files.shown(&dir));
                    return Err(BuildError::invalid(text));
                }
                found = Some((name, content));
            }
        }
        let Some((name, content)) = found else {
            let text = format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
                files.shown(&dir)
            );
            return Err(BuildError::new(ErrorKind::Missing, text));
        };
        let text = read::text_of(&content).map_err(|error| error.within("invalid Kustomization"))?;
        let file = Kustomization::parse(&text, UnknownFields::Refuse)?;
        Self::new(files, file, name, visited)
    }

    fn new(
        files: &Files<'_>,
        mut file: Kustomization,
        file_name: &'static str,
        visited: Vec<PathBuf>,
    ) -> Result<Self> {
        if file.is_empty() {
            return Err(BuildError::invalid("kustomization.yaml is empty"));
        }
        let warnings = file.fix();
        helm::convert_deprecated(&mut file);
        let layer = Self { file, file_name, warnings, visited, namespace_above: String::new() };
        let problems = layer.file.kind_problems();
        if !problems.is_empty() {
            let root = files.shown(layer.dir());
            let text = format!("Failed to read kustomization file under {root}:\n{}", problems.join("\n"));
            return Err(BuildError::invalid(text));
        }
        layer.refuse_unsupported(files)?;
        Ok(layer)
    }

    /// The namespace that counts here.
    fn namespace(&self) -> &str {
        let own = &self.file.namespace;
        if own.is_empty() { &self.namespace_above } else { own }
    }

    fn dir(&self) -> &Path {
        self.visited.last().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Nothing is ignored: what is not built is an error.
    fn refuse_unsupported(&self, files: &Files<'_>) -> Result<()> {
        let file = &self.file;
        let fields = [
            ("validators", !file.validators.is_empty()),
            ("crds", !file.crds.is_empty()),
            ("openapi", !file.openapi.is_empty()),
        ];
        match fields.iter().find(|(_, used)| *used) {
            None => Ok(()),
            Some((field, _)) => Err(BuildError::unsupported(format!(
                "field \"{field}\" of kustomization {} is not supported yet",
                files.shown(&self.dir().join(self.file_name))
            ))),
        }
    }
}

/// The objects of a layer and everything below it, with the configuration that they brought.
struct Accumulator {
    objects: Objects,
    config: Arc<Config>,
    vars: Vars,
}

impl Accumulator {
    fn new() -> Self {
        Self { objects: Objects::default(), config: Config::default_shared(), vars: Vars::default() }
    }
}

impl Build<'_> {
    /// Runs one kustomization: on nothing for a base or an overlay, on what its parent has so far for a component.
    fn accumulate(&self, layer: &Layer, mut acc: Accumulator) -> Result<Accumulator> {
        self.warnings.borrow_mut().extend(layer.warnings.iter().cloned());
        for path in &layer.file.resources {
            self.resource(layer, path, &mut acc).within(|| "accumulating resources".into())?;
        }
        for path in &layer.file.configurations {
            let content = self.files.read(layer.dir(), path)?;
            let config = Config::parse(&read::text_of(&content)?)?;
            Arc::make_mut(&mut acc.config).merge(&config)?;
        }
        self.generate(layer, &mut acc)?;
        for path in &layer.file.components {
            acc = self.component(layer, path, acc)?;
        }
        self.transform(layer, &mut acc)?;
        acc.vars.bind(&layer.file.vars, &mut acc.objects).within(|| vars::listed(&layer.file.vars))?;
        Ok(acc)
    }

    fn resource(&self, layer: &Layer, path: &str, acc: &mut Accumulator) -> Result<()> {
        let dir = layer.dir();
        if path.is_empty() || self.files.is_directory(dir, path) || crate::loader::is_remote(path) {
            return self.base(layer, path, acc);
        }
        let from = || format!("accumulating resources from '{path}'");
        let content = self.files.read(dir, path).within(from)?;
        let read = read::objects(&content, path);
        let objects = read.within(from)?;
        let mut own = Objects::default();
        for object in objects {
            own.append(object, self.options.limits.objects).within(from)?;
        }
        let origin = self
            .metadata
            .origins
            .then(|| Arc::new(Origin { path: self.relative(&dir.join(path)), ..Origin::default() }));
        for mut object in own.into_vec() {
            object.origin.clone_from(&origin);
            acc.objects
                .append(object, self.options.limits.objects)
                .within(|| format!("merging resources from '{path}'"))?;
        }
        Ok(())
    }

    fn base(&self, layer: &Layer, path: &str, acc: &mut Accumulator) -> Result<()> {
        let below = self.enter(layer, path)?;
        let root = self.files.shown(below.dir());
        if below.file.is_component() {
            return Err(BuildError::invalid(format!("expected kind != 'Component' for path '{root}'")));
        }
        let below = self
            .accumulate(&below, Accumulator::new())
            .within(|| format!("recursed accumulation of path '{root}'"))?;
        if !Arc::ptr_eq(&acc.config, &below.config) {
            Arc::make_mut(&mut acc.config).merge(&below.config)?;
        }
        acc.vars.merge(below.vars)?;
        acc.objects.charge(below.objects.charged(), 1, self.options.limits.added_bytes)?;
        for object in below.objects.into_vec() {
            acc.objects
                .append(object, self.options.limits.objects)
                .within(|| format!("recursed merging from path '{root}'"))?;
        }
        Ok(())
    }

    fn component(&self, layer: &Layer, path: &str, acc: Accumulator) -> Result<Accumulator> {
        let quoted = |stage: &str, error: BuildError| {
            BuildError::new(error.kind(), format!("accumulating components: {stage} {:?}", error.to_string()))
        };
        let dir = self.files.enter(&layer.visited, path).map_err(|error| quoted("loader.New", error))?;
        let inside = || {
            let below = self.open(layer, dir)?;
            let root = self.files.shown(below.dir());
            if !below.file.is_component() {
                let kind = &below.file.kind;
                return Err(BuildError::invalid(format!(
                    "expected kind 'Component' for path '{root}' but got '{kind}'"
                )));
            }
            self.accumulate(&below, acc).within(|| format!("recursed accumulation of path '{root}'"))
        };
        inside().map_err(|error| quoted("accumulateDirectory:", error))
    }

    fn enter(&self, layer: &Layer, path: &str) -> Result<Layer> {
        let dir = self.files.enter(&layer.visited, path)?;
        self.open(layer, dir)
    }

    fn open(&self, layer: &Layer, dir: PathBuf) -> Result<Layer> {
        let mut visited = layer.visited.clone();
        let root = self.files.shown(&dir);
        visited.push(dir);
        let mut below =
            Layer::open(&self.files, visited).within(|| format!("couldn't make target for path '{root}'"))?;
        layer.namespace().clone_into(&mut below.namespace_above);
        Ok(below)
    }

    fn generate(&self, layer: &Layer, acc: &mut Accumulator) -> Result<()> {
        let (file, dir) = (&layer.file, layer.dir());
        let global = file.generator_options.as_ref();
        let mut absorb = |mut generated: generate::Generated, kind: &str| {
            if self.metadata.origins {
                let origin = Origin::built_in(&self.configured_in(layer), kind);
                generated.resource.origin = Some(Arc::new(origin));
            }
            generate::absorb(&mut acc.objects, generated, self.options.limits.objects)
                .within(|| format!("merging from generator {kind}"))
        };
        for args in &file.config_map_generator {
            let pairs = generate::load(&self.files, dir, &args.sources)?;
            absorb(generate::config_map(args, pairs, global)?, "ConfigMapGenerator")?;
        }
        for args in &file.secret_generator {
            let pairs = generate::load(&self.files, dir, &args.sources)?;
            absorb(generate::secret(args, pairs, global)?, "SecretGenerator")?;
        }
        self.charts(layer, acc)?;
        for config in self.configs(layer, &file.generators).within(|| "loading generator plugins".into())? {
            let mut generated = plugin::generator(&self.files, dir, &config)?;
            if self.metadata.origins {
                generated.resource.origin = Some(plugin::origin(&self.config_file(layer, &config), &config));
            }
            generate::absorb(&mut acc.objects, generated, self.options.limits.objects)
                .within(|| format!("merging from generator {}", config.kind()))?;
        }
        Ok(())
    }

    fn charts(&self, layer: &Layer, acc: &mut Accumulator) -> Result<()> {
        let charts = Charts {
            files: &self.files,
            dir: layer.dir(),
            namespace: layer.namespace(),
            globals: layer.file.helm_globals.as_ref(),
            helm: self.options.helm.as_ref(),
        };
        for entry in &layer.file.helm_charts {
            for mut object in charts.objects(entry)? {
                if self.metadata.origins {
                    let origin = Origin::built_in(&self.configured_in(layer), helm::GENERATOR);
                    object.origin = Some(Arc::new(origin));
                }
                acc.objects
                    .append(object, self.options.limits.objects)
                    .within(|| format!("merging from generator {}", helm::GENERATOR))?;
            }
        }
        Ok(())
    }

    /// The configuration objects of `generators` or `transformers`: inline, in files, or of a kustomization.
    fn configs(&self, layer: &Layer, entries: &[String]) -> Result<Vec<Resource>> {
        let mut acc = Accumulator::new();
        for entry in entries {
            let inline = read::objects(entry.as_bytes(), "").ok().filter(|objects| !objects.is_empty());
            match inline {
                Some(objects) => {
                    for object in objects {
                        acc.objects.append(object, self.options.limits.objects)?;
                    }
                }
                None => self.resource(layer, entry, &mut acc)?,
            }
        }
        Ok(acc.objects.into_vec())
    }

    /// The file that a configuration object stands in: its own, or the kustomization for an inline one.
    fn config_file(&self, layer: &Layer, config: &Resource) -> String {
        match &*config.place.file {
            "" => self.configured_in(layer),
            file => self.relative(&layer.dir().join(file)),
        }
    }

    /// The transformers in kustomize's fixed order. Everything is read before the first one runs.
    fn transform(&self, layer: &Layer, acc: &mut Accumulator) -> Result<()> {
        let (file, dir) = (&layer.file, layer.dir());
        let config = Arc::clone(&acc.config);
        let strategic =
            read_all(&file.patches_strategic_merge, |entry| Patch::strategic(&self.files, dir, entry))?;
        let patches = read_all(&file.patches, |entry| Patch::new(&self.files, dir, entry))?;
        let json6902 = read_all(&file.patches_json6902, |entry| Patch::json6902(&self.files, dir, entry))?;
        let label_specs = read_all(&file.labels, |entry| transform::label_specs(entry, &config))?;

        let replacements = replacement::load(&self.files, dir, &file.replacements)?;
        let configs = self.configs(layer, &file.transformers)?;
        let plugins = read_all(&configs, |config| plugin::transformer(&self.files, dir, config))?;

        let objects = &mut acc.objects;
        let limit = self.options.limits.added_bytes;
        let everywhere = [&file.common_labels, &file.common_annotations];
        let everywhere = everywhere.into_iter().chain(file.labels.iter().map(|entry| &entry.pairs));
        let pairs: usize = everywhere.flatten().map(|(key, value)| key.len() + value.len()).sum();
        let names = file.namespace.len() + file.name_prefix.len() + file.name_suffix.len();
        let images: usize = file.images.iter().map(|entry| entry.new_name.len() + entry.new_tag.len()).sum();
        objects.charge(pairs + names + images, objects.as_slice().len(), limit)?;
        if !strategic.is_empty() {
            strategic.iter().try_for_each(|patch| patch.apply(objects, limit))?;
            self.done(layer, "PatchStrategicMergeTransformer", objects);
        }
        for patch in &patches {
            patch.apply(objects, limit)?;
            self.done(layer, "PatchTransformer", objects);
        }
        if !file.namespace.is_empty() {
            transform::namespace(objects, &file.namespace, &config.namespace, Subjects::DefaultOnly, false)?;
            self.done(layer, "NamespaceTransformer", objects);
        }
        if !file.name_prefix.is_empty() {
            transform::affix(objects, Affix::Prefix, &file.name_prefix, &config.name_prefix)?;
            self.done(layer, "PrefixTransformer", objects);
        }
        if !file.name_suffix.is_empty() {
            transform::affix(objects, Affix::Suffix, &file.name_suffix, &config.name_suffix)?;
            self.done(layer, "SuffixTransformer", objects);
        }
        for (entry, specs) in file.labels.iter().zip(&label_specs) {
            transform::labels(objects, &entry.pairs, specs)?;
            self.done(layer, "LabelTransformer", objects);
        }
        if !file.labels.is_empty() || !file.common_labels.is_empty() {
            transform::labels(objects, &file.common_labels, &config.common_labels)?;
            self.done(layer, "LabelTransformer", objects);
        }
        if !file.common_annotations.is_empty() {
            transform::annotations(objects, &file.common_annotations, &config.common_annotations)?;
            self.done(layer, "AnnotationsTransformer", objects);
        }
        for patch in &json6902 {
            patch.apply(objects, limit)?;
            self.done(layer, "PatchJson6902Transformer", objects);
        }
        for entry in &file.replicas {
            transform::replicas(objects, entry, &config.replicas)?;
            self.done(layer, "ReplicaCountTransformer", objects);
        }
        for entry in &file.images {
            transform::images(objects, entry, &config.images)?;
            self.done(layer, "ImageTagTransformer", objects);
        }
        if !replacements.is_empty() {
            replacement::replacements(objects, &replacements, limit)?;
            self.done(layer, "ReplacementTransformer", objects);
        }
        for (transformer, config) in plugins.iter().zip(&configs) {
            transformer.apply(objects, limit)?;
            self.record(plugin::origin(&self.config_file(layer, config), config), objects);
        }
        Ok(())
    }

    /// After a transformer: empty objects go, and the others remember it if asked to.
    fn done(&self, layer: &Layer, transformer: &str, objects: &mut Objects) {
        self.record(Arc::new(Origin::built_in(&self.configured_in(layer), transformer)), objects);
    }

    fn record(&self, record: Arc<Origin>, objects: &mut Objects) {
        objects.drop_empty();
        if self.metadata.transformations {
            for object in objects.items_mut() {
                object.transformations.push(Arc::clone(&record));
            }
        }
    }

    fn configured_in(&self, layer: &Layer) -> String {
        self.relative(&layer.dir().join(layer.file_name))
    }

    /// A path relative to the directory that is built.
    fn relative(&self, path: &Path) -> String {
        let path = crate::loader::clean(path);
        let mut up = 0;
        let mut base = self.start.as_path();
        loop {
            if let Ok(rest) = path.strip_prefix(base) {
                return format!("{}{}", "../".repeat(up), rest.display());
            }
            let Some(parent) = base.parent() else { return path.display().to_string() };
            base = parent;
            up += 1;
        }
    }

    /// What happens to the final objects: local ones go, annotations are cleaned, metadata is added.
    fn finish(&self, objects: Objects) -> Result<Vec<Resource>> {
        objects.check_unique()?;
        let mut out = objects.into_vec();
        out.retain(|resource| !is_local(resource));
        for resource in &mut out {
            finish_annotations(resource);
            if self.metadata.managed_by {
                resource.set_metadata("labels", "app.kubernetes.io/managed-by", &self.options.managed_by);
            }
            metadata::annotate(resource, self.metadata);
        }
        Ok(out)
    }
}

fn read_all<T, P>(entries: &[T], read: impl FnMut(&T) -> Result<P>) -> Result<Vec<P>> {
    entries.iter().map(read).collect()
}

/// Objects that only serve the build.
fn is_local(resource: &Resource) -> bool {
    const LOCAL: &str = "config.kubernetes.io/local-config";
    let node = resource.map.get("metadata").and_then(|metadata| metadata.at(&["annotations", LOCAL]));
    node.is_some_and(|node| node.as_text() != Some("false"))
}
