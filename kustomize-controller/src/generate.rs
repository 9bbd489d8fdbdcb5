//! The kustomization file of a pass: the one in the source, or one generated for a directory without, merged with the
//! spec.
//!
//! Flux writes the result into the unpacked source. Here it is a value that goes to the engine, so that one unpacked
//! source serves any number of Kustomizations.

use sluice_api::kustomize::{KustomizationSpec, Selector as ApiSelector};
use sluice_kustomize::file::{API_VERSION, FILE_NAMES, Image, Kustomization, Patch, Selector, UnknownFields};
use sluice_kustomize::read_objects;
use std::path::{Path, PathBuf};

/// Namespace that Flux sets in a generated file without resources, so that the build accepts it.
const PLACEHOLDER: &str = "_placeholder";
/// Directories below each other that a generation enters.
const MAX_DEPTH: usize = 128;
/// Prefixes of component paths that are remote.
const REMOTE: [&str; 8] =
    ["git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/"];

/// Why there is no kustomization to build.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    /// A manifest that would become a resource is none.
    #[error("failed to decode Kubernetes YAML from {file}: {cause}")]
    Manifest {
        /// The file, relative to the source.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The file in the source cannot be read.
    #[error("{0}")]
    File(String),
    /// A component is not a local relative path.
    #[error("component path '{0}' must be local and relative")]
    Component(String),
    /// The disk failed.
    #[error("cannot read '{path}': {cause}")]
    Io {
        /// The path, relative to the source.
        path: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Directories below each other without end.
    #[error("directory '{0}' is nested too deep")]
    TooDeep(String),
}

/// The kustomization for `dir` (inside `root`), merged with the spec. Reads files; run it where blocking is allowed.
///
/// # Errors
/// See [`GenerateError`].
pub(crate) fn kustomization(
    root: &Path,
    dir: &Path,
    spec: &KustomizationSpec,
) -> Result<Kustomization, GenerateError> {
    let mut file = match find(dir) {
        Some(path) => read(root, &path)?,
        None => generate(root, dir)?,
    };
    // Without resources the engine would call the file empty.
    if file.resources.is_empty() && file.namespace != PLACEHOLDER {
        file.build_metadata = vec!["originAnnotations".to_owned()];
    }
    merge(&mut file, dir, spec)?;
    Ok(file)
}

fn find(dir: &Path) -> Option<PathBuf> {
    FILE_NAMES.iter().map(|name| dir.join(name)).find(|path| path.metadata().is_ok_and(|m| m.is_file()))
}

fn read(root: &Path, path: &Path) -> Result<Kustomization, GenerateError> {
    let text = std::fs::read_to_string(path).map_err(|cause| io(root, path, cause))?;
    Kustomization::parse(&text, UnknownFields::Drop).map_err(|err| GenerateError::File(err.to_string()))
}

fn generate(root: &Path, dir: &Path) -> Result<Kustomization, GenerateError> {
    let mut resources = Vec::new();
    collect(root, dir, Path::new("."), 0, &mut resources)?;
    let placeholder =
        if resources.is_empty() { format!("namespace: {PLACEHOLDER}\n") } else { String::new() };
    let text = format!("apiVersion: {API_VERSION}\nkind: Kustomization\n{placeholder}");
    let mut file = Kustomization::parse(&text, UnknownFields::Refuse)
        .map_err(|err| GenerateError::File(err.to_string()))?;
    file.resources = resources;
    Ok(file)
}

/// Adds what is below a directory, in lexical order, depth first.
fn collect(
    root: &Path,
    dir: &Path,
    relative: &Path,
    depth: usize,
    resources: &mut Vec<String>,
) -> Result<(), GenerateError> {
    if depth > MAX_DEPTH {
        return Err(GenerateError::TooDeep(shown(root, dir)));
    }
    let entries = std::fs::read_dir(dir).map_err(|cause| io(root, dir, cause))?;
    let mut entries: Vec<std::fs::DirEntry> =
        entries.collect::<Result<_, _>>().map_err(|cause| io(root, dir, cause))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(|cause| io(root, dir, cause))?);
        let relative = relative.join(entry.file_name());
        let Some(resource) = relative.to_str() else { continue };
        let resource = if resource.starts_with("./") { resource.to_owned() } else { format!("./{resource}") };
        if kind.is_dir() {
            if find(&path).is_some() {
                resources.push(resource);
            } else {
                collect(root, &path, &relative, depth + 1, resources)?;
            }
        } else if kind.is_file() && (resource.ends_with(".yaml") || resource.ends_with(".yml")) {
            let text = std::fs::read(&path).map_err(|cause| io(root, &path, cause))?;
            read_objects(&text).map_err(|err| GenerateError::Manifest {
                file: shown(root, &path),
                cause: err.to_string(),
            })?;
            resources.push(resource);
        }
    }
    Ok(())
}

fn merge(file: &mut Kustomization, dir: &Path, spec: &KustomizationSpec) -> Result<(), GenerateError> {
    for (field, value) in [
        (&mut file.namespace, &spec.target_namespace),
        (&mut file.name_prefix, &spec.name_prefix),
        (&mut file.name_suffix, &spec.name_suffix),
    ] {
        if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
            value.clone_into(field);
        }
    }
    file.patches.extend(spec.patches.iter().map(|patch| Patch {
        patch: patch.patch.clone(),
        target: patch.target.as_ref().map(selector),
        ..Patch::default()
    }));
    for component in &spec.components {
        if is_remote(component) {
            return Err(GenerateError::Component(component.clone()));
        }
        let exists = || dir.join(component.strip_prefix("file://").unwrap_or(component)).exists();
        if !spec.ignore_missing_components || exists() {
            file.components.push(component.clone());
        }
    }
    file.merge_images(spec.images.iter().map(|image| Image {
        name: image.name.clone(),
        new_name: image.new_name.clone().unwrap_or_default(),
        new_tag: image.new_tag.clone().unwrap_or_default(),
        digest: image.digest.clone().unwrap_or_default(),
        ..Image::default()
    }));
    if !spec.build_metadata.is_empty() {
        file.build_metadata = spec.build_metadata.iter().map(ToString::to_string).collect();
    }
    Ok(())
}

fn is_remote(component: &str) -> bool {
    let lower = component.to_ascii_lowercase();
    REMOTE.iter().any(|prefix| lower.starts_with(prefix))
        || lower.starts_with('/')
        || lower.starts_with("file:///")
}

fn selector(selector: &ApiSelector) -> Selector {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Selector {
        group: text(&selector.group),
        version: text(&selector.version),
        kind: text(&selector.kind),
        name: text(&selector.name),
        namespace: text(&selector.namespace),
        annotation_selector: text(&selector.annotation_selector),
        label_selector: text(&selector.label_selector),
    }
}

fn io(root: &Path, path: &Path, cause: std::io::Error) -> GenerateError {
    GenerateError::Io { path: shown(root, path), cause }
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests;
