//! What is generated for directories without a kustomization file, and how specs are merged.

use super::*;
use serde_json::json;

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn spec(value: serde_json::Value) -> KustomizationSpec {
    let mut full =
        json!({"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "x"}});
    full.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    serde_json::from_value(full).unwrap()
}

fn run(files: &[(&str, &str)], value: serde_json::Value) -> Result<Kustomization, String> {
    let root = tree(files);
    kustomization(root.path(), root.path(), &spec(value)).map_err(|err| err.to_string())
}

#[test]
fn manifests_are_collected_in_lexical_order() {
    let file = run(
        &[
            ("b.yaml", CONFIG_MAP),
            ("a/z.yml", CONFIG_MAP),
            ("a/.hidden/h.yaml", CONFIG_MAP),
            ("sub/kustomization.yml", "resources: []"),
            ("sub/not-listed.yaml", "not: kubernetes"),
            ("UPPER.YAML", "not: kubernetes"),
            ("x.json", "{}"),
            ("empty.yaml", "# only a comment\n"),
        ],
        json!({}),
    )
    .unwrap();
    assert_eq!(file.resources, ["./a/.hidden/h.yaml", "./a/z.yml", "./b.yaml", "./empty.yaml", "./sub"]);
    assert_eq!((file.namespace.as_str(), file.build_metadata.len()), ("", 0));
}

#[test]
fn an_empty_directory_builds_nothing() {
    let file = run(&[("README.md", "")], json!({})).unwrap();
    assert_eq!((file.namespace.as_str(), file.resources.len()), ("_placeholder", 0));
}

#[test]
fn one_file_that_is_no_manifest_fails_everything() {
    let err = run(&[("a.yaml", CONFIG_MAP), ("values.yaml", "replicas: 1\n")], json!({})).unwrap_err();
    assert_eq!(err, "failed to decode Kubernetes YAML from values.yaml: missing Resource metadata");
}

#[test]
fn the_spec_is_merged_over_the_file() {
    let file = run(
        &[
            ("Kustomization", "resources: [x.yaml]\nnamePrefix: own-\nnameSuffix: -own\nimages: [{name: app, newTag: v1}]\npatches: [{path: p.yaml}]\n"),
        ],
        json!({
            "targetNamespace": "apps", "namePrefix": "spec-",
            "patches": [{"patch": "text", "target": {"kind": "Deployment"}}],
            "images": [{"name": "app", "newName": "r/app"}, {"name": "new", "newTag": "v2"}],
            "buildMetadata": ["originAnnotations"],
        }),
    )
    .unwrap();
    assert_eq!(
        (file.namespace.as_str(), file.name_prefix.as_str(), file.name_suffix.as_str()),
        ("apps", "spec-", "-own")
    );
    assert_eq!(file.patches.len(), 2);
    assert_eq!(file.patches[1].target.as_ref().unwrap().kind, "Deployment");
    let images: Vec<_> =
        file.images.iter().map(|i| (i.name.as_str(), i.new_name.as_str(), i.new_tag.as_str())).collect();
    assert_eq!(images, [("app", "r/app", "v1"), ("new", "", "v2")]);
    assert_eq!(file.build_metadata, ["originAnnotations"]);
}

#[test]
fn a_file_without_resources_gets_origin_annotations_unless_the_spec_says_otherwise() {
    let files = [(
        "kustomization.yaml",
        "configMapGenerator: [{name: a, literals: [x=y]}]\nbuildMetadata: [transformerAnnotations]\n",
    )];
    assert_eq!(run(&files, json!({})).unwrap().build_metadata, ["originAnnotations"]);
    let own = json!({"buildMetadata": ["transformerAnnotations"]});
    assert_eq!(run(&files, own).unwrap().build_metadata, ["transformerAnnotations"]);
}

#[test]
fn components_are_local_and_may_be_missing_only_if_the_spec_says_so() {
    let files = [
        ("kustomization.yaml", "resources: [a.yaml]\ncomponents: [own]\n"),
        ("there/kustomization.yaml", ""),
    ];
    let with = |components: serde_json::Value, ignore: bool| {
        run(&files, json!({"components": components, "ignoreMissingComponents": ignore}))
            .map(|f| f.components)
    };
    assert_eq!(with(json!(["there", "gone"]), false).unwrap(), ["own", "there", "gone"]);
    assert_eq!(with(json!(["there", "gone"]), true).unwrap(), ["own", "there"]);
    for remote in ["https://x/y", "GIT@host:x", "git::https://x", "github.com/a/b", "/abs", "file:///abs"] {
        let err = with(json!([remote]), true).unwrap_err();
        assert_eq!(err, format!("component path '{remote}' must be local and relative"));
    }
}
