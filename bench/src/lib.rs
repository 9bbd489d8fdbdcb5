//! Inputs of the benchmarks, generated from a size, so that anyone gets the same ones.

use std::{fs, io, path::Path};

use serde_json::{Value, json};

/// Objects per application: ServiceAccount, Deployment, Service, Ingress.
pub const OBJECTS_PER_APP: usize = 4;

/// The objects of one application.
pub fn app(name: &str, namespace: &str, image: &str) -> [Value; OBJECTS_PER_APP] {
    let metadata = json!({"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": name}});
    let selector = json!({"app.kubernetes.io/name": name});
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {
            "selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
            "replicas": 1, "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": selector}, "spec": {
                "serviceAccountName": name,
                "containers": [{"name": "app", "image": image,
                    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                    "env": [{"name": "LOG_LEVEL", "value": "info"}],
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}}}]}}}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": {
            "rules": [{"host": format!("{name}.example.com"), "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": name, "port": {"name": "http"}}}}]}}]}}),
    ]
}

/// Writes an application as a kustomization.
///
/// # Errors
/// What the file system says.
pub fn write_app(dir: &Path, name: &str, namespace: &str, image: &str) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("app.yaml"), sluice_kustomize::to_yaml(&app(name, namespace, image)))?;
    fs::write(
        dir.join("kustomization.yaml"),
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- app.yaml\n",
    )
}

/// Writes a tree of `files` text files of `bytes` each, twenty to a directory; half of each file repeats itself.
///
/// # Errors
/// What the file system says.
pub fn write_tree(root: &Path, files: usize, bytes: usize) -> io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in 0..files {
        let dir = root.join(format!("dir-{:04}", index / 20));
        fs::create_dir_all(&dir)?;
        let mut text = String::with_capacity(bytes + 32);
        while text.len() < bytes {
            // xorshift: the same text on every machine.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(&format!("key-{state:016x}: value\n"));
        }
        text.truncate(bytes);
        fs::write(dir.join(format!("file-{index:05}.yaml")), text)?;
    }
    Ok(())
}

/// Writes a base of `apps` applications and an overlay in `root/overlay` that renames, relabels, patches and generates.
///
/// # Errors
/// What the file system says.
pub fn write_overlay(root: &Path, apps: usize) -> io::Result<()> {
    let (base, overlay) = (root.join("base"), root.join("overlay"));
    fs::create_dir_all(&base)?;
    fs::create_dir_all(&overlay)?;
    let mut resources = String::new();
    for index in 0..apps {
        let name = format!("app-{index:04}");
        let objects = app(&name, "default", "registry.example.com/app:1.0.0");
        fs::write(base.join(format!("{name}.yaml")), sluice_kustomize::to_yaml(&objects))?;
        resources.push_str(&format!("- {name}.yaml\n"));
    }
    let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
    fs::write(base.join("kustomization.yaml"), format!("{head}resources:\n{resources}"))?;
    fs::write(
        overlay.join("kustomization.yaml"),
        format!(
            "{head}resources:\n- ../base\nnamespace: prod\nnamePrefix: prod-\nlabels:\n- pairs:\n    env: prod\n\
             images:\n- name: registry.example.com/app\n  newTag: 2.0.0\n\
             configMapGenerator:\n- name: settings\n  literals:\n  - LOG_LEVEL=debug\n\
             patches:\n- target:\n    kind: Deployment\n  patch: |-\n    - op: replace\n      path: /spec/replicas\n      value: 3\n"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn generated_overlays_build_and_trees_have_their_size() {
        let dir = tempfile::tempdir().unwrap();
        write_overlay(dir.path(), 3).unwrap();
        let built =
            sluice_kustomize::build(dir.path(), Path::new("overlay"), &sluice_kustomize::Options::flux())
                .unwrap();
        assert_eq!(built.len(), 3 * OBJECTS_PER_APP + 1);
        assert!(sluice_kustomize::to_yaml(&built).contains("registry.example.com/app:2.0.0"));

        let tree = tempfile::tempdir().unwrap();
        write_tree(tree.path(), 21, 100).unwrap();
        let (packed, _) = sluice_artifact::pack(tree.path(), |_, _| true, std::io::sink()).unwrap();
        assert_eq!(packed.files, 21);
        assert_eq!(std::fs::metadata(tree.path().join("dir-0001/file-00020.yaml")).unwrap().len(), 100);
    }
}
