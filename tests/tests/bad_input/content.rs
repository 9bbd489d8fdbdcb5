//! What a repository may hold that cannot be built, and what the API server refuses of what can be.

use anyhow::Result;
use serde_json::{Value, json};
use sluice_git::testing::{GitServer, Options, Repository};
use sluice_tests::flux;

use crate::remote::fill;
use crate::world::{Case, Expect, GOOD, World};

const BUILD: &str = "BuildFailed";
const APPLY: &str = "ReconciliationFailed";
const ARTIFACT: &str = "ArtifactFailed";

/// A change of the repository or of the Kustomization that cannot work.
struct Row {
    name: &'static str,
    /// Files that are written, by path.
    files: Vec<(&'static str, Vec<u8>)>,
    /// The link that is made, and what it points at.
    link: Option<(&'static str, &'static str)>,
    /// What is changed in the spec of the Kustomization, and what puts it right again.
    spec: Option<(Value, Value)>,
    reason: &'static str,
    /// What the message says; `{ns}` stands for the namespace.
    says: Vec<&'static str>,
}

/// A row that writes files.
fn files(
    name: &'static str,
    files: &[(&'static str, &str)],
    reason: &'static str,
    says: &[&'static str],
) -> Row {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect();
    Row { name, files, link: None, spec: None, reason, says: says.to_vec() }
}

/// A row that puts something else in the place of the second ConfigMap.
fn second(name: &'static str, text: &str, reason: &'static str, says: &[&'static str]) -> Row {
    files(name, &[("app/second.yaml", text)], reason, says)
}

/// A row that changes the spec of the Kustomization.
fn spec(name: &'static str, bad: Value, good: Value, reason: &'static str, says: &[&'static str]) -> Row {
    Row { name, files: Vec::new(), link: None, spec: Some((bad, good)), reason, says: says.to_vec() }
}

/// Input that is refused before anything is sent to the API server.
fn not_built() -> Vec<Row> {
    let with = |resource: &str| format!("resources: [first.yaml, workload.yaml, {resource}]\n");
    let aliases: String = (1..12)
        .map(|n| format!("l{n}: &l{n} [*l{0},*l{0},*l{0},*l{0},*l{0},*l{0},*l{0},*l{0},*l{0}]\n", n - 1))
        .collect();
    let bomb = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: second}}\nl0: &l0 lol\n{aliases}");
    let deep = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: second}}\ndata: {}{}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    vec![
        second(
            "no-yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: second\n\tdata: x: y\n",
            BUILD,
            &["second.yaml"],
        ),
        Row {
            files: vec![("app/second.yaml", (0..=255).collect())],
            ..second("binary", "", BUILD, &["second.yaml"])
        },
        second(
            "duplicate-keys",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: second}\ndata: {a: b}\ndata: {a: c}\n",
            BUILD,
            &["second.yaml", "data"],
        ),
        second(
            "same-id",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first}\ndata: {a: other}\n",
            BUILD,
            &["ConfigMap", "first"],
        ),
        second("no-kind", "apiVersion: v1\nmetadata: {name: second}\n", BUILD, &["kind"]),
        second("no-name", "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n", BUILD, &["name"]),
        second("alias-bomb", &bomb, BUILD, &["second.yaml"]),
        second("too-deep", &deep, BUILD, &["second.yaml"]),
        files(
            "no-kustomization",
            &[("app/kustomization.yaml", "resources: first.yaml\n")],
            BUILD,
            &["invalid Kustomization", "resources"],
        ),
        files(
            "unknown-field",
            // In the file that the Kustomization names, Flux drops what it does not know.
            &[
                ("app/kustomization.yaml", "resources: [first.yaml, workload.yaml, ../base]\n"),
                ("base/kustomization.yaml", "resource: [second.yaml]\n"),
            ],
            BUILD,
            &["base", "unknown field \"resource\""],
        ),
        files("file-missing", &[("app/kustomization.yaml", &with("absent.yaml"))], BUILD, &["absent.yaml"]),
        files(
            "cycle",
            &[
                ("app/kustomization.yaml", "resources: [first.yaml, ../loop]\n"),
                ("loop/kustomization.yaml", "resources: [../app]\n"),
            ],
            BUILD,
            &["cycle"],
        ),
        files(
            "file-outside",
            &[("app/kustomization.yaml", &with("../../../../etc/hostname"))],
            BUILD,
            &["etc/hostname"],
        ),
        files(
            "absolute-file",
            &[("app/kustomization.yaml", &with("/etc/hostname"))],
            BUILD,
            &["/etc/hostname"],
        ),
        files("folder-outside", &[("app/kustomization.yaml", &with("../../.."))], BUILD, &["../../.."]),
        Row {
            link: Some(("app/second.yaml", "../../../../../etc/hostname")),
            ..files("link-outside", &[], BUILD, &["second.yaml"])
        },
        files(
            "remote-base",
            &[("app/kustomization.yaml", &with("https://example.com/base.git"))],
            BUILD,
            &["https://example.com/base.git"],
        ),
        spec(
            "path-missing",
            json!({"path": "./absent"}),
            json!({"path": "./app"}),
            ARTIFACT,
            &["kustomization path not found: stat absent: no such file or directory"],
        ),
        spec(
            "path-outside",
            json!({"path": "../../../etc"}),
            json!({"path": "./app"}),
            ARTIFACT,
            &["kustomization path not found: stat etc: no such file or directory"],
        ),
    ]
}

/// Objects that the API server refuses. The first ConfigMap changes with them, and must not be touched.
fn refused() -> Vec<Row> {
    let first = GOOD[1].1.replace("good", "changed");
    let row = |name, path, text: &str, says: &[&'static str]| {
        files(name, &[("app/first.yaml", &*first), (path, text)], APPLY, says)
    };
    let workload = |from: &str, to: &str| GOOD[3].1.replace(from, to);
    let large = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: second}}\ndata: {{a: '{}'}}\n",
        "x".repeat(10 << 20)
    );
    vec![
        row(
            "wrong-type",
            "app/workload.yaml",
            &workload("spec:\n  selector", "spec:\n  replicas: three\n  selector"),
            &["Deployment/{ns}/app dry-run failed", "replicas"],
        ),
        row(
            "invalid-value",
            "app/workload.yaml",
            &workload("spec:\n  selector", "spec:\n  replicas: -1\n  selector"),
            &["Deployment/{ns}/app dry-run failed (Invalid)", "spec.replicas", "-1"],
        ),
        row(
            "immutable-field",
            "app/workload.yaml",
            &workload("app: app", "app: other"),
            &["Deployment/{ns}/app dry-run failed (Invalid)", "spec.selector", "immutable"],
        ),
        row("large", "app/second.yaml", &large, &["ConfigMap/{ns}/second"]),
        row(
            "invalid-key",
            "app/second.yaml",
            &GOOD[2].1.replace("a: good", "'a b': c"),
            &["ConfigMap/{ns}/second dry-run failed (Invalid)", "data[a b]"],
        ),
        row(
            "invalid-name",
            "app/second.yaml",
            &GOOD[2].1.replace("second", "Not_A_Name"),
            &["ConfigMap/{ns}/Not_A_Name dry-run failed (Invalid)", "metadata.name"],
        ),
        row(
            "unknown-kind",
            "app/second.yaml",
            "apiVersion: example.com/v1\nkind: Absent\nmetadata: {name: second}\n",
            &[
                "Absent/{ns}/second dry-run failed",
                "no matches for kind \"Absent\" in version \"example.com/v1\"",
            ],
        ),
        Row {
            spec: Some((json!({"targetNamespace": "absent"}), json!({}))),
            ..row(
                "no-namespace",
                "app/second.yaml",
                GOOD[2].1,
                &["ConfigMap/absent/first", "namespaces \"absent\" not found"],
            )
        },
        Row {
            spec: Some((json!({"serviceAccountName": "default"}), json!({"serviceAccountName": null}))),
            ..row(
                "forbidden",
                "app/second.yaml",
                GOOD[2].1,
                &[
                    "ConfigMap/{ns}/first dry-run failed (Forbidden)",
                    "system:serviceaccount:flux-system:default",
                ],
            )
        },
    ]
}

/// A repository with bad content.
pub(crate) struct Content {
    row: Row,
    url: String,
    repository: Repository,
}

/// A case for each row, in repositories of one server, which has to live as long.
pub(crate) async fn cases() -> (GitServer, Vec<Content>) {
    let server = GitServer::start(Options::default()).await;
    let cases = not_built().into_iter().chain(refused()).map(|row| {
        let name = format!("{}.git", row.name);
        let repository = server.repository(&name);
        fill(&repository);
        repository.commit("Good");
        Content { url: server.url(&name), row, repository }
    });
    let cases = cases.collect();
    (server, cases)
}

impl Case for Content {
    fn name(&self) -> String {
        self.row.name.to_owned()
    }

    fn source_kind(&self) -> &'static str {
        "GitRepository"
    }

    async fn begin(&mut self, world: &World<'_>) -> Result<()> {
        world.cluster.apply(&flux::git_repository(self.row.name, &self.url)).await.map(drop)
    }

    async fn spoil(&mut self, world: &World<'_>) -> Result<Expect> {
        for (path, content) in &self.row.files {
            self.repository.write(path, content);
        }
        if let Some((path, target)) = self.row.link {
            self.repository.remove(path);
            std::os::unix::fs::symlink(target, self.repository.work().join(path))?;
        }
        self.repository.commit("Bad");
        if let Some((bad, _)) = &self.row.spec {
            world.patch("Kustomization", self.row.name, json!({"spec": bad})).await?;
        }
        let says = self.row.says.iter().map(|part| part.replace("{ns}", self.row.name)).collect();
        Ok(Expect { kind: "Kustomization", reason: self.row.reason, says })
    }

    async fn repair(&mut self, world: &World<'_>) -> Result<String> {
        if let Some((path, _)) = self.row.link {
            self.repository.remove(path);
        }
        fill(&self.repository);
        self.repository.write("app/second.yaml", GOOD[2].1.replace("good", "better"));
        let commit = self.repository.commit("Better");
        if let Some((_, good)) = &self.row.spec {
            let mut good = good.clone();
            good["targetNamespace"] = self.row.name.into();
            world.patch("Kustomization", self.row.name, json!({"spec": good})).await?;
        }
        Ok(commit)
    }
}
