//! `kustomize build`: what a kustomization on this machine builds.

use std::path::Path;

use anyhow::{Context, Result, bail};
use sluice_kustomize::{LoadRestrictions, Options};

use crate::arguments::KustomizeBuildOptions;
use crate::talk;

/// Builds, warns on standard error, and prints the objects as YAML.
///
/// # Errors
/// The first problem of the build, with the file it is in; nothing is printed then.
pub(crate) async fn build(options: KustomizeBuildOptions) -> Result<()> {
    let dir = options.dir.clone();
    let restrictions = match options.load_restrictor.as_str() {
        "LoadRestrictionsNone" => LoadRestrictions::None,
        _ => LoadRestrictions::RootOnly,
    };
    let built = tokio::task::spawn_blocking(move || build_dir(&dir, restrictions))
        .await
        .context("the build was aborted")??;
    for warning in &built.warnings {
        talk::warning(warning);
    }
    let text = sluice_kustomize::to_yaml(&built.objects);
    match &options.output {
        Some(file) => std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display())),
        None => Ok(talk::data(&text)?),
    }
}

fn build_dir(dir: &Path, load_restrictions: LoadRestrictions) -> Result<sluice_kustomize::Built> {
    let path = dir.canonicalize().with_context(|| format!("cannot build {}", dir.display()))?;
    if !path.is_dir() {
        bail!("cannot build {}: it is not a directory", dir.display());
    }
    // Bases may lie anywhere beside the directory; what each may read is up to the load restrictions.
    let root = path.ancestors().last().unwrap_or(&path);
    let options = Options { load_restrictions, ..Options::command_line() };
    Ok(sluice_kustomize::build_reporting(root, &path, None, &options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_a_directory_with_a_base_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("base/kustomization.yaml", "resources: [map.yaml]\n");
        write("base/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n");
        write("overlay/kustomization.yaml", "resources: [../base]\nnamePrefix: my-\n");
        let built = build_dir(&folder.path().join("overlay"), LoadRestrictions::RootOnly).unwrap();
        assert_eq!(
            sluice_kustomize::to_yaml(&built.objects),
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: my-map\n"
        );
    }

    #[test]
    fn names_a_directory_that_is_not_there() {
        let error = build_dir(Path::new("/no/such/dir"), LoadRestrictions::RootOnly).unwrap_err();
        assert!(format!("{error:#}").contains("cannot build /no/such/dir"), "{error:#}");
    }
}
