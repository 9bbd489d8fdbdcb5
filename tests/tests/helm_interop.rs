//! The real `helm` and our actions on the same releases: each goes on where the other stopped.
//!
//! helm is one of the binaries that `tests/controlplane/build` makes, so both halves need the feature.

#![cfg(feature = "real-cluster")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};
use sluice_helm::Chart;
use sluice_helm::chart::LoadOptions;
use sluice_helm::release::{Release, snapshot_digest};
use sluice_release::{
    Cluster as Identified, Helm, Identity, Install, LoadedChart, Rollback, Target, Test, Uninstall, Upgrade,
};
use sluice_tests::{Cluster, on_both_servers, oracle};
use tokio_util::sync::CancellationToken;

on_both_servers!(
    helm_goes_on_with_what_we_released,
    we_go_on_with_what_helm_released,
    the_same_chart_is_stored_the_same,
    a_release_of_the_client_side_stays_one
);

const NAMESPACE: &str = "default";

async fn helm_goes_on_with_what_we_released(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster)?;
    let (first, second) = (world.chart("1.0.0")?, world.chart("1.1.0")?);
    world.ours().install(&first, &values(json!({"color": "blue"})), &Install::default()).await.result?;
    world.ours().upgrade(&second, &values(json!({"color": "green"})), &Upgrade::default()).await.result?;
    let ours = world.ours().last().await?.context("released")?;

    let list = world.json(&["list", "-o", "json"]).await?;
    let shown = |key: &str| list[0][key].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        ["name", "revision", "status", "chart", "app_version"].map(shown),
        ["web", "2", "deployed", "app-1.1.0", "7"]
    );
    let history = world.json(&["history", "web", "-o", "json"]).await?;
    let lines: Vec<_> = history
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| format!("{} {} {}", it["revision"], text(it, "status"), text(it, "description")))
        .collect();
    assert_eq!(lines, ["1 superseded Install complete", "2 deployed Upgrade complete"]);
    assert_eq!(world.json(&["get", "values", "web", "-o", "json"]).await?, json!({"color": "green"}));
    assert_eq!(world.helm(&["get", "manifest", "web"]).await?.trim(), ours.manifest.trim());
    assert!(world.helm(&["get", "notes", "web"]).await?.contains("hello web"));
    assert!(world.helm(&["get", "hooks", "web"]).await?.contains("name: web-check"));

    let digest = snapshot_digest(&ours, "");
    world.helm(&["test", "web"]).await?;
    let tested = world.ours().last().await?.context("released")?;
    assert_eq!(tested.hooks[0].last_run.phase.as_str(), "Succeeded");
    assert_eq!(snapshot_digest(&tested, ""), digest, "a test by hand is no change");

    // The fields are another manager's, as with Flux.
    world.helm(&["rollback", "web", "1", "--wait", "--force-conflicts"]).await?;
    let back = world.ours().last().await?.context("rolled back")?;
    assert_eq!(told(&back), "3 deployed Rollback to 1 app@1.0.0 {\"color\":\"blue\"}");
    assert_eq!(world.color().await?.as_deref(), Some("blue"));
    world.helm(&["uninstall", "web", "--wait"]).await?;
    assert!(world.ours().last().await?.is_none());
    assert_eq!(world.color().await?, None);
    Ok(())
}

async fn we_go_on_with_what_helm_released(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster)?;
    let (first, second) = (world.folder("1.0.0")?, world.folder("1.1.0")?);
    world.helm(&["install", "web", path(&first), "--set", "color=blue"]).await?;
    world.helm(&["upgrade", "web", path(&second), "--set", "color=green"]).await?;
    let theirs = world.ours().last().await?.context("released")?;
    assert_eq!(told(&theirs), "2 deployed Upgrade complete app@1.1.0 {\"color\":\"green\"}");
    assert!(theirs.server_side());
    let report = world.ours().drift(&theirs, &sluice_release::DriftOptions::default()).await?;
    assert!(!report.has_changes() && report.errors.is_empty(), "{report:?}");

    let done = world.ours().test(&Test::default()).await;
    assert_eq!(done.result?.hooks[0].last_run.phase.as_str(), "Succeeded");
    world.ours().rollback(1, &Rollback::default()).await.result?;
    assert_eq!(world.color().await?.as_deref(), Some("blue"));
    let third = world.chart("1.2.0")?;
    world.ours().upgrade(&third, &values(json!({})), &Upgrade::default()).await.result?;
    assert_eq!(world.color().await?.as_deref(), Some("red"));
    let history = world.json(&["history", "web", "-o", "json"]).await?;
    let statuses: Vec<_> = history.as_array().into_iter().flatten().map(|it| text(it, "status")).collect();
    assert_eq!(statuses, ["superseded", "superseded", "superseded", "deployed"]);

    let keep = Uninstall { keep_history: true, ..Uninstall::default() };
    world.ours().uninstall(&keep).await.result?;
    assert_eq!(world.color().await?, None);
    let list = world.json(&["list", "--uninstalled", "-o", "json"]).await?;
    assert_eq!(text(&list[0], "status"), "uninstalled");
    world.helm(&["rollback", "web", "2", "--force-conflicts"]).await?;
    assert_eq!(world.color().await?.as_deref(), Some("green"), "helm brings back what we removed");
    world.ours().uninstall(&Uninstall::default()).await.result?;
    assert_eq!(world.json(&["list", "-a", "-o", "json"]).await.unwrap_or(json!([])), json!([]));
    Ok(())
}

async fn the_same_chart_is_stored_the_same(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster)?;
    let folder = world.folder("1.0.0")?;
    world.helm(&["package", path(&folder), "-d", path(&world.files)]).await?;
    let package = world.files.join("app-1.0.0.tgz");
    world.helm(&["install", "web", path(&package), "--set", "color=blue"]).await?;
    let theirs = world.ours().last().await?.context("released")?;
    world.ours().uninstall(&Uninstall::default()).await.result?;
    let chart = LoadedChart::new(Chart::load(&package, &LoadOptions::default())?);
    let ours =
        world.ours().install(&chart, &values(json!({"color": "blue"})), &Install::default()).await.result?;
    assert_eq!(ours.chart.as_json(), theirs.chart.as_json(), "byte for byte");
    assert_eq!(
        (&ours.config, ours.apply_method, &ours.info.notes),
        (&theirs.config, theirs.apply_method, &theirs.info.notes)
    );
    assert_eq!(ours.info.description, theirs.info.description);
    Ok(())
}

async fn a_release_of_the_client_side_stays_one(cluster: &Cluster) -> Result<()> {
    let world = World::new(cluster)?;
    let folder = world.folder("1.0.0")?;
    world.helm(&["install", "web", path(&folder), "--server-side=false", "--set", "color=blue"]).await?;
    let chart = world.chart("1.1.0")?;
    let done = world.ours().upgrade(&chart, &values(json!({"color": "green"})), &Upgrade::default()).await;
    assert!(!done.result?.server_side());
    assert_eq!(world.color().await?.as_deref(), Some("green"));
    world.helm(&["upgrade", "web", path(&folder), "--set", "color=red"]).await?;
    assert_eq!(world.color().await?.as_deref(), Some("red"));
    world.ours().uninstall(&Uninstall::default()).await.result?;
    Ok(())
}

/// `<revision> <status> <description> <chart> <values>`
fn told(release: &Release) -> String {
    let Release { version, info, config, .. } = release;
    let chart = release.versioned_chart();
    format!("{version} {} {} {chart} {}", info.status, info.description, Value::Object(config.clone()))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn values(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// A cluster, the real helm, and charts.
struct World<'a> {
    cluster: &'a Cluster,
    identified: Identified,
    program: PathBuf,
    files: PathBuf,
}

impl<'a> World<'a> {
    fn new(cluster: &'a Cluster) -> Result<Self> {
        let files = cluster.folder().join("charts");
        std::fs::create_dir_all(&files)?;
        Ok(Self {
            cluster,
            identified: Identified::new(cluster.client()),
            program: oracle::find("helm")?,
            files,
        })
    }

    /// A fresh handle on the release `web`.
    fn ours(&self) -> Helm {
        let target = Target {
            release: "web".into(),
            namespace: NAMESPACE.into(),
            storage_namespace: NAMESPACE.into(),
        };
        let identity = Identity { field_manager: "helm-controller".into(), ..Identity::default() };
        Helm::new(&self.identified, target, identity, CancellationToken::new())
    }

    /// Runs helm and returns what it prints.
    async fn helm(&self, arguments: &[&str]) -> Result<String> {
        let output = tokio::process::Command::new(&self.program)
            .args(arguments)
            .arg("--namespace")
            .arg(NAMESPACE)
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .env("HOME", self.cluster.folder())
            .output()
            .await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm {}: {errors}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.helm(arguments).await?)?)
    }

    /// A version of the chart as a folder.
    fn folder(&self, version: &str) -> Result<PathBuf> {
        let folder = self.files.join(version);
        std::fs::create_dir_all(folder.join("templates"))?;
        let metadata = format!("apiVersion: v2\nname: app\nversion: {version}\nappVersion: \"7\"\n");
        for (name, content) in [
            ("Chart.yaml", metadata.as_str()),
            ("values.yaml", "color: red\nsize: 1.5\n"),
            ("README.md", "An app.\n"),
            ("templates/NOTES.txt", "hello {{ .Release.Name }}\n"),
            ("templates/config.yaml", CONFIG),
            ("templates/app.yaml", DEPLOYMENT),
            ("templates/check.yaml", CHECK),
        ] {
            std::fs::write(folder.join(name), content)?;
        }
        Ok(folder)
    }

    fn chart(&self, version: &str) -> Result<LoadedChart> {
        Ok(LoadedChart::new(Chart::load(&self.folder(version)?, &LoadOptions::default())?))
    }

    /// What the release's ConfigMap says, if it is there.
    async fn color(&self) -> Result<Option<String>> {
        let kind = kube::core::GroupVersionKind::gvk("", "v1", "ConfigMap");
        let resource = kube::api::ApiResource::from_gvk(&kind);
        let maps: Api<DynamicObject> = Api::namespaced_with(self.cluster.client(), NAMESPACE, &resource);
        let map = maps.get_opt("web").await?;
        Ok(map.and_then(|map| map.data["data"]["color"].as_str().map(str::to_owned)))
    }
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  color: {{ .Values.color }}\n";
const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: app
        image: app:{{ .Chart.Version }}
        ports:
        - containerPort: 80
";
/// A test that is over at once.
const CHECK: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-check\n  annotations:\n    helm.sh/hook: test\n";
