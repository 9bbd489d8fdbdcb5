//! The files that are carried to the cluster, and what two tools make of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::{Value, json};
use sluice_tests::flux::NAMESPACE;
use sluice_tests::oracle;

/// What is carried: name of the Kustomization, path, and the namespace that it is moved to, if it names none itself.
pub(crate) const APPS: [(&str, &str, Option<&str>); 4] = [
    ("podinfo", "kustomize", Some("podinfo")),
    ("dev", "deploy/overlays/dev", None),
    ("staging", "deploy/overlays/staging", None),
    ("production", "deploy/overlays/production", None),
];

/// The real repository where it is at hand, else the small one of the test with the same layout.
pub(crate) fn tree() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let real = here.join("../../shared/fleets/podinfo");
    if real.is_dir() { real } else { here.join("tests/podinfo/tree") }
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What a release changes: each image, the content of each configuration file, one object less and one more per app.
pub(crate) fn change(tree: &Path) -> Result<()> {
    let image = Regex::new(r"(?m)^(\s*(?:- )?image: \S+):\S+$")?;
    let (mut images, mut configurations) = (0, 0);
    for folder in ["kustomize", "deploy/bases"] {
        for file in files(&tree.join(folder))? {
            let text = fs::read_to_string(&file)?;
            let extension = file.extension().unwrap_or_default();
            if extension == "conf" {
                fs::write(&file, format!("{text}# changed\n"))?;
                configurations += 1;
            } else if extension == "yaml" && image.is_match(&text) {
                fs::write(&file, image.replace_all(&text, "${1}:changed").as_ref())?;
                images += 1;
            }
        }
    }
    ensure!(images > 2 && configurations > 0, "{images} images and {configurations} configurations changed");
    for (name, path, _) in APPS {
        let folder = tree.join(path);
        let added = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "added"}, "data": {"by": name}});
        fs::write(folder.join("added.yaml"), added.to_string())?;
        let file = folder.join("kustomization.yaml");
        let text = fs::read_to_string(&file)?;
        let text = text.replace("  - hpa.yaml\n", "").replace("resources:\n", "resources:\n  - added.yaml\n");
        fs::write(&file, text)?;
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// The objects that an app must consist of: the build of its folder, with the labels of its owner.
///
/// The target namespace is written into a copy of the files here, as a person without a controller would do it. With
/// `judged`, the real kustomize builds the same folder, and its bytes must be the same.
pub(crate) fn objects(tree: &Path, app: &(&str, &str, Option<&str>), judged: bool) -> Result<Vec<Value>> {
    let (name, path, target_namespace) = *app;
    let copied = tempfile::tempdir()?;
    copy(&tree.join("kustomize"), &copied.path().join("kustomize"))?;
    copy(&tree.join("deploy"), &copied.path().join("deploy"))?;
    let folder = copied.path().join(path);
    if let Some(namespace) = target_namespace {
        let file = folder.join("kustomization.yaml");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, format!("{text}namespace: {namespace}\n"))?;
    }
    let mut objects =
        sluice_kustomize::build(copied.path(), &folder, &sluice_kustomize::Options::command_line())?;
    if judged {
        let output = Command::new(oracle::find("kustomize")?).arg("build").arg(&folder).output()?;
        ensure!(
            output.status.success(),
            "kustomize build {path}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            sluice_kustomize::to_yaml(&objects) == String::from_utf8(output.stdout)?,
            "kustomize builds {path} otherwise"
        );
    }
    for object in &mut objects {
        let labels = &mut object["metadata"]["labels"];
        labels["kustomize.toolkit.fluxcd.io/name"] = name.into();
        labels["kustomize.toolkit.fluxcd.io/namespace"] = NAMESPACE.into();
    }
    Ok(objects)
}
