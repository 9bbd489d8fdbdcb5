//! `kustomize build`: what a kustomization on this machine builds.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sluice_kustomize::{Helm, LoadRestrictions, Options};

use crate::arguments::KustomizeBuildOptions;
use crate::commands::helm::Inflator;
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
    let helm = options.enable_helm.then(|| Helm {
        renderer: Arc::new(Inflator),
        api_versions: options.helm_api_versions.clone(),
        kube_version: options.helm_kube_version.clone(),
    });
    let built = tokio::task::spawn_blocking(move || build_dir(&dir, restrictions, helm))
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

fn build_dir(
    dir: &Path,
    load_restrictions: LoadRestrictions,
    helm: Option<Helm>,
) -> Result<sluice_kustomize::Built> {
    let path = dir.canonicalize().with_context(|| format!("cannot build {}", dir.display()))?;
    if !path.is_dir() {
        bail!("cannot build {}: it is not a directory", dir.display());
    }
    // Bases may lie anywhere beside the directory; what each may read is up to the load restrictions.
    let root = path.ancestors().last().unwrap_or(&path);
    let options = Options { load_restrictions, helm, ..Options::command_line() };
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
        let built = build_dir(&folder.path().join("overlay"), LoadRestrictions::RootOnly, None).unwrap();
        assert_eq!(
            sluice_kustomize::to_yaml(&built.objects),
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: my-map\n"
        );
    }

    #[test]
    fn charts_are_rendered_where_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "kustomization.yaml",
            "namespace: team\nnamePrefix: my-\nhelmCharts: [{name: c, releaseName: r, valuesInline: {count: 3}}]\n",
        );
        write("charts/c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
        write(
            "charts/c/templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {ns: {{ .Release.Namespace }}, count: {{ quote .Values.count }}}\n",
        );
        let build = |helm| build_dir(folder.path(), LoadRestrictions::RootOnly, helm);
        let refused = build(None).unwrap_err();
        assert!(refused.to_string().ends_with("must specify --enable-helm"), "{refused}");
        let helm = Helm { renderer: Arc::new(Inflator), api_versions: Vec::new(), kube_version: None };
        assert_eq!(
            sluice_kustomize::to_yaml(&build(Some(helm)).unwrap().objects),
            "apiVersion: v1\ndata:\n  count: \"3\"\n  ns: team\nkind: ConfigMap\nmetadata:\n  name: my-r\n"
        );
    }

    #[test]
    fn names_a_directory_that_is_not_there() {
        let error = build_dir(Path::new("/no/such/dir"), LoadRestrictions::RootOnly, None).unwrap_err();
        assert!(format!("{error:#}").contains("cannot build /no/such/dir"), "{error:#}");
    }
}
