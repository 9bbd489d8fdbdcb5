//! What a hostile tree may not do: read outside its root, run forever, or fill the memory.

use std::fs;
use std::path::Path;

use sluice_kustomize::{BuildError, ErrorKind, Limits, LoadRestrictions, Options, build};

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, text).expect("a file");
        }
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn flux() -> Options {
    Options { shown_root: Some(String::new()), ..Options::flux() }
}

fn fails(tree: &Tree, root: &str, dir: &str, options: &Options) -> BuildError {
    build(&tree.path().join(root), Path::new(dir), options).expect_err("the build fails")
}

const CM: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn nothing_outside_the_root_is_read() {
    let tree = Tree::new(&[
        ("secret.yaml", CM),
        ("base/kustomization.yaml", "resources: []\n"),
        ("root/file/kustomization.yaml", "resources: [../../secret.yaml]\n"),
        ("root/absent/kustomization.yaml", "resources: [../../nothing.yaml]\n"),
        ("root/base/kustomization.yaml", "resources: [../../base]\n"),
        ("root/link/kustomization.yaml", "resources: [s.yaml]\n"),
        ("root/dirlink/kustomization.yaml", "resources: [b]\n"),
        (
            "root/generator/kustomization.yaml",
            "configMapGenerator: [{name: a, files: [../../secret.yaml]}]\n",
        ),
        ("root/patch/kustomization.yaml", "patches: [{path: ../../secret.yaml}]\n"),
        ("root/component/kustomization.yaml", "components: [../../base]\n"),
        ("root/replacement/kustomization.yaml", "replacements: [{path: ../../secret.yaml}]\n"),
        ("root/configuration/kustomization.yaml", "configurations: [../../secret.yaml]\n"),
    ]);
    std::os::unix::fs::symlink(tree.path().join("secret.yaml"), tree.path().join("root/link/s.yaml"))
        .expect("a link");
    std::os::unix::fs::symlink(tree.path().join("base"), tree.path().join("root/dirlink/b")).expect("a link");
    for dir in [
        "file",
        "absent",
        "base",
        "link",
        "dirlink",
        "generator",
        "patch",
        "component",
        "replacement",
        "configuration",
    ] {
        let error = fails(&tree, "root", dir, &flux());
        assert_eq!(error.kind(), ErrorKind::Outside, "{dir}: {error}");
        let root = tree.path().join("root").canonicalize().expect("the root").display().to_string();
        assert!(!error.to_string().contains(&root), "{dir} shows the root: {error}");
    }
    assert_eq!(fails(&tree, "root", "../base", &flux()).kind(), ErrorKind::Outside);
    assert_eq!(fails(&tree, "root", "/etc", &flux()).kind(), ErrorKind::Outside);
}

#[test]
fn a_link_that_stays_inside_is_followed() {
    let tree = Tree::new(&[("a/r.yaml", CM), ("b/kustomization.yaml", "resources: [r.yaml]\n")]);
    std::os::unix::fs::symlink("../a/r.yaml", tree.path().join("b/r.yaml")).expect("a link");
    assert_eq!(build(tree.path(), Path::new("b"), &flux()).expect("it builds").len(), 1);
    let strict = Options { load_restrictions: LoadRestrictions::RootOnly, ..flux() };
    assert_eq!(fails(&tree, "", "b", &strict).kind(), ErrorKind::Outside);
}

#[test]
fn siblings_may_be_read_without_restrictions_only() {
    let tree = Tree::new(&[("r.yaml", CM), ("b/kustomization.yaml", "resources: [../r.yaml]\n")]);
    assert_eq!(build(tree.path(), Path::new("b"), &flux()).expect("it builds").len(), 1);
    let strict = Options { load_restrictions: LoadRestrictions::RootOnly, ..flux() };
    let error = fails(&tree, "", "b", &strict);
    assert_eq!(
        error.to_string(),
        "accumulating resources: accumulating resources from '../r.yaml': security; file '/r.yaml' is not in or below '/b'"
    );
}

#[test]
fn special_files_are_refused_without_being_opened() {
    let tree = Tree::new(&[("kustomization.yaml", "resources: [pipe]\n")]);
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.path().join("pipe"), rustix::fs::Mode::RUSR).expect("a pipe");
    assert!(fails(&tree, "", ".", &flux()).to_string().ends_with("'/pipe' is not a regular file"));
}

#[test]
fn sizes_and_counts_are_bounded() {
    let tree = Tree::new(&[
        ("big/kustomization.yaml", "resources: [r.yaml]\n"),
        ("big/r.yaml", &format!("{CM}data: {{a: {}}}\n", "x".repeat(2000))),
        ("many/kustomization.yaml", "resources: [r.yaml]\n"),
        (
            "many/r.yaml",
            &(0..20)
                .map(|i| format!("---\n{}", CM.replace("name: a", &format!("name: a{i}"))))
                .collect::<String>(),
        ),
        ("wide/kustomization.yaml", "components: [../c, ../c, ../c, ../c]\n"),
        (
            "c/kustomization.yaml",
            &format!("kind: Component\n# {}\ncommonAnnotations: {{a: b}}\n", "x".repeat(900)),
        ),
    ]);
    let with = |limits: Limits| Options { limits, ..flux() };
    let limits = Limits { file_bytes: 1000, ..Limits::default() };
    assert_eq!(fails(&tree, "", "big", &with(limits)).kind(), ErrorKind::TooLarge);
    let limits = Limits { objects: 10, ..Limits::default() };
    assert_eq!(fails(&tree, "", "many", &with(limits)).kind(), ErrorKind::TooLarge);
    let limits = Limits { total_bytes: 3000, ..Limits::default() };
    assert_eq!(fails(&tree, "", "wide", &with(limits)).kind(), ErrorKind::TooLarge);
}

#[test]
fn nothing_multiplies_without_bound() {
    let objects: String =
        (0..100).map(|i| format!("---\n{}", CM.replace("name: a", &format!("name: a{i}")))).collect();
    let long = "x".repeat(100_000);
    let doubling = (0..40)
        .map(|_| "- source: {name: a1, fieldPath: data}\n  targets: [{select: {name: ^a1$}, fieldPaths: [data.x, data.y], options: {create: true}}]\n")
        .collect::<String>();
    for (name, file) in [
        ("labels", format!("labels: [{{pairs: {{a: {long}}}}}]\n")),
        ("prefix", format!("namePrefix: {long}\n")),
        (
            "patch",
            format!(
                "patches: [{{target: {{kind: ConfigMap}}, patch: \"{{kind: a, metadata: {{name: a}}, data: {{a: {long}}}}}\"}}]\n"
            ),
        ),
        (
            "json patch",
            format!(
                "patches: [{{target: {{kind: ConfigMap}}, patch: '[{{\"op\":\"add\",\"path\":\"/x\",\"value\":\"{long}\"}}]'}}]\n"
            ),
        ),
        (
            "replacement",
            format!(
                "replacements: [{{sourceValue: {long}, targets: [{{select: {{kind: ConfigMap}}, fieldPaths: [data.a], options: {{create: true}}}}]}}]\n"
            ),
        ),
        (
            "doubling replacement",
            format!(
                "patches: [{{target: {{name: a1}}, patch: \"- {{op: add, path: /data, value: {{a: b}}}}\"}}]\nreplacements:\n{doubling}"
            ),
        ),
    ] {
        let tree = Tree::new(&[
            ("kustomization.yaml", &format!("resources: [r.yaml]\n{file}")),
            ("r.yaml", &objects),
        ]);
        let options = Options { limits: Limits { added_bytes: 5_000_000, ..Limits::default() }, ..flux() };
        let error = fails(&tree, "", ".", &options);
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{name}: {error}");
    }
}

#[test]
fn endless_and_deep_trees_end() {
    let tree = Tree::new(&[
        ("a/kustomization.yaml", "resources: [../b]\n"),
        ("b/kustomization.yaml", "resources: [../a]\n"),
        ("c/kustomization.yaml", "components: [../d]\n"),
        ("d/kustomization.yaml", "kind: Component\ncomponents: [../d]\n"),
    ]);
    for dir in ["a", "c"] {
        let error = fails(&tree, "", dir, &flux()).to_string();
        assert!(error.contains("cycle detected: candidate root"), "{error}");
    }
    // Two references each: without a bound, 2^30 directories.
    let names: Vec<_> = (0..30)
        .map(|i| (format!("k{i}/kustomization.yaml"), format!("resources: [../k{0}, ../k{0}/.]\n", i + 1)))
        .collect();
    let mut files: Vec<_> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    files.push(("k30/kustomization.yaml", "resources: []\n"));
    let tree = Tree::new(&files);
    let options = Options { limits: Limits { files: 1000, ..Limits::default() }, ..flux() };
    assert_eq!(fails(&tree, "", "k0", &options).kind(), ErrorKind::TooLarge);
    let names: Vec<_> = (0..40)
        .map(|i| (format!("k{i}/kustomization.yaml"), format!("resources: [../k{}]\n", i + 1)))
        .collect();
    let mut files: Vec<_> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    files.push(("k40/kustomization.yaml", "resources: []\n"));
    let tree = Tree::new(&files);
    let options = Options { limits: Limits { depth: 30, ..Limits::default() }, ..flux() };
    assert_eq!(fails(&tree, "", "k0", &options).kind(), ErrorKind::TooLarge);
    assert!(build(tree.path(), Path::new("k0"), &flux()).is_ok());
}
