//! `helm template --output-dir`: a file per template.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use sluice_helm::Rendered;
use sluice_helm::manifest::{self, Manifests, Selection};

use super::{Failure, print};

/// Writes every document to the file of its template, and tells of each. With patterns, only what they match is
/// written.
pub(super) fn write(
    folder: &Path,
    release: Option<&str>,
    rendered: &Rendered,
    manifests: &Manifests,
    selection: Selection,
    patterns: &[String],
) -> Result<(), Failure> {
    let below = release.map_or_else(|| folder.to_owned(), |release| folder.join(release));
    let crds = rendered.crds.iter().filter(|_| selection.include_crds);
    let crds = crds.map(|crd| (folder, crd.name.as_str(), crd.text.as_str()));
    let objects = manifests.objects.iter().map(|object| (object.name.as_str(), object.content.as_str()));
    let hooks =
        manifest::shown_hooks(manifests, selection).map(|hook| (hook.path.as_str(), hook.manifest.as_str()));
    let documents: Vec<_> =
        crds.chain(objects.chain(hooks).map(|(name, text)| (below.as_path(), name, text))).collect();
    let chosen = |name: &str| patterns.is_empty() || patterns.iter().any(|it| manifest::selects(it, name));
    for pattern in patterns {
        if !documents.iter().any(|(_, name, _)| manifest::selects(pattern, name)) {
            return Err(Failure::new(format!("could not find template {pattern} in chart")));
        }
    }
    let mut begun = BTreeSet::new();
    for (folder, name, text) in documents.into_iter().filter(|(_, name, _)| chosen(name)) {
        let path = inside(folder, name)?;
        let mut content = String::new();
        manifest::document(&mut content, name, text);
        let first = begun.insert(path.clone());
        write_file(&path, &content, first)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        print(&format!("wrote {}/{name}\n", folder.display()))?;
    }
    print("\n")
}

/// The path of a template below a folder; never outside of it.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let name = Path::new(name);
    if name.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(folder.join(name));
    }
    Err(Failure::new(format!("cannot write {}: the name leads out of {}", name.display(), folder.display())))
}

/// The first document of a file replaces what was there.
fn write_file(path: &Path, content: &str, first: bool) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file =
        std::fs::OpenOptions::new().create(true).write(true).truncate(first).append(!first).open(path)?;
    file.write_all(content.as_bytes())
}
