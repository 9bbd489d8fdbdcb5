//! What the controllers have to carry to the cluster: applications as Kustomizations, or as releases of a chart.

use std::collections::HashSet;

use anyhow::{Context, bail};
use futures::TryStreamExt;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use sluice_helm::chart::LoadOptions;
use sluice_helm::{Chart, ChartFile};
use source_controller::testing::Registry;

use super::cluster::{Bench, NAMESPACE, TARGET, Version, index, name, resource};

/// Name of the chart, of its repository object, and of its place in the registry.
const CHART: &str = "app";

/// All applications in both versions, in a registry of this process.
pub(crate) enum Workload {
    /// An artifact, an OCIRepository and a Kustomization for each.
    Kustomizations {
        registry: Registry,
        /// Digests of the artifacts, by application.
        first: Vec<String>,
        second: Vec<String>,
    },
    /// One chart of a registry, and a HelmRelease for each.
    Releases { registry: Registry },
}

impl Workload {
    /// Packs each application as an artifact.
    pub(crate) async fn kustomizations(apps: usize) -> anyhow::Result<Self> {
        let registry = Registry::start().await?;
        let mut digests = [Vec::new(), Vec::new()];
        for index in 0..apps {
            for (version, digests) in [Version::First, Version::Second].into_iter().zip(&mut digests) {
                let dir = tempfile::tempdir()?;
                sluice_bench::write_app(dir.path(), &name(index), TARGET, &version.image())?;
                let (_, bytes) = sluice_artifact::pack(dir.path(), |_, _| true, Vec::new())?;
                digests.push(registry.push_tar_gz(&format!("apps/{}", name(index)), version.tag(), bytes));
            }
        }
        let [first, second] = digests;
        Ok(Self::Kustomizations { registry, first, second })
    }

    /// Packs the chart of which each application is a release.
    pub(crate) async fn releases() -> anyhow::Result<Self> {
        let registry = Registry::start().await?;
        for version in [Version::First, Version::Second] {
            let metadata = json!({"apiVersion": "v2", "name": CHART, "version": chart_version(version), "type": "application"});
            let mut files = vec![file("Chart.yaml", metadata.to_string())];
            for object in
                sluice_bench::app("{{ .Release.Name }}", "{{ .Release.Namespace }}", &version.image())
            {
                let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
                files.push(file(&format!("templates/{kind}.yaml"), sluice_kustomize::to_yaml(&[object])));
            }
            let chart = Chart::from_files(files, &LoadOptions::default())?;
            let archive = sluice_helm::package::package(&chart, &Default::default())?;
            registry.push_chart(&format!("charts/{CHART}"), chart_version(version), &metadata, archive.data);
        }
        Ok(Self::Releases { registry })
    }

    /// Creates all objects that ask for the applications, and waits until all are ready.
    pub(crate) async fn install(&self, bench: &Bench) -> anyhow::Result<()> {
        let objects = match self {
            Self::Kustomizations { registry, .. } => (0..bench.apps)
                .flat_map(|index| {
                    let url = registry.url(&format!("apps/{}", name(index)));
                    kustomization(&name(index), &url)
                })
                .collect(),
            Self::Releases { registry } => [repository(&registry.url("charts"))]
                .into_iter()
                .chain((0..bench.apps).map(|index| release(&name(index))))
                .collect(),
        };
        self.until(bench, bench.apply_all(objects), |index, object| self.is_at(index, object, Version::First))
            .await
    }

    /// Moves all applications to the second version, and waits until all are there.
    pub(crate) async fn upgrade(&self, bench: &Bench) -> anyhow::Result<()> {
        let (moved, patch) = match self {
            Self::Kustomizations { .. } => (
                api(bench, "source.toolkit.fluxcd.io", "v1", "OCIRepository"),
                json!({"spec": {"ref": {"tag": Version::Second.tag()}}}),
            ),
            Self::Releases { .. } => (
                self.api(bench),
                json!({"spec": {"chart": {"spec": {"version": chart_version(Version::Second)}}}}),
            ),
        };
        self.until(bench, bench.patch_all(&moved, &patch), |index, object| {
            self.is_at(index, object, Version::Second)
        })
        .await
    }

    /// Asks for all to be reconciled, though nothing has changed, and waits until all were.
    pub(crate) async fn force(&self, bench: &Bench) -> anyhow::Result<()> {
        let token = format!("bench-{}", std::process::id());
        let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}});
        let objects = self.api(bench);
        self.until(bench, bench.patch_all(&objects, &patch), |_, object| {
            object["status"]["lastHandledReconcileAt"] == token.as_str() && ready(object)
        })
        .await
    }

    fn is_at(&self, index: usize, object: &Value, version: Version) -> bool {
        let status = &object["status"];
        let arrived = match self {
            Self::Kustomizations { first, second, .. } => {
                let digests = if matches!(version, Version::First) { first } else { second };
                status["lastAppliedRevision"]
                    .as_str()
                    .is_some_and(|revision| revision.ends_with(&digests[index]))
            }
            Self::Releases { .. } => status["history"][0]["chartVersion"] == chart_version(version),
        };
        arrived && ready(object)
    }

    /// The kind of which each application is one.
    fn api(&self, bench: &Bench) -> Api<DynamicObject> {
        match self {
            Self::Kustomizations { .. } => api(bench, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization"),
            Self::Releases { .. } => api(bench, "helm.toolkit.fluxcd.io", "v2", "HelmRelease"),
        }
    }

    /// Does the work and watches the applications until each fulfils `done` once.
    async fn until(
        &self,
        bench: &Bench,
        work: impl Future<Output = anyhow::Result<()>>,
        done: impl Fn(usize, &Value) -> bool,
    ) -> anyhow::Result<()> {
        let mut open: HashSet<String> = (0..bench.apps).map(name).collect();
        let mut last = Value::Null;
        let watch = async {
            let stream =
                watcher(self.api(bench), watcher::Config::default()).default_backoff().applied_objects();
            let mut stream = std::pin::pin!(stream);
            while !open.is_empty() {
                let Some(object) = stream.try_next().await? else { bail!("the watch ended") };
                let name = object.metadata.name.clone().unwrap_or_default();
                let Some(index) = index(&name) else { continue };
                let object = serde_json::to_value(&object)?;
                if done(index, &object) {
                    open.remove(&name);
                } else {
                    last = object["status"]["conditions"].clone();
                }
            }
            Ok(())
        };
        let both = async { tokio::try_join!(work, watch) };
        match tokio::time::timeout(bench.timeout, both).await {
            Ok(outcome) => outcome.map(drop).context("cannot carry the applications"),
            Err(_) => bail!(
                "{} of {} applications are not done after {:?}; the last one said {last}",
                open.len(),
                bench.apps,
                bench.timeout
            ),
        }
    }
}

fn api(bench: &Bench, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(bench.client.clone(), NAMESPACE, &resource(group, version, kind))
}

fn file(name: &str, text: String) -> ChartFile {
    ChartFile { name: name.into(), data: text.into(), modified: None }
}

fn chart_version(version: Version) -> &'static str {
    match version {
        Version::First => "1.0.0",
        Version::Second => "2.0.0",
    }
}

fn kustomization(name: &str, url: &str) -> [Value; 2] {
    let metadata = json!({"name": name, "namespace": NAMESPACE});
    [
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository", "metadata": metadata,
            "spec": {"interval": "60m", "url": url, "insecure": true, "ref": {"tag": Version::First.tag()}}}),
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata,
            "spec": {"interval": "60m", "path": "./", "prune": true, "wait": true, "timeout": "5m",
                "sourceRef": {"kind": "OCIRepository", "name": name}}}),
    ]
}

fn repository(url: &str) -> Value {
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"name": CHART, "namespace": NAMESPACE},
        "spec": {"type": "oci", "url": url, "insecure": true, "interval": "60m"}})
}

fn release(name: &str) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"interval": "60m", "timeout": "5m", "releaseName": name, "targetNamespace": TARGET,
            "chart": {"spec": {"chart": CHART, "version": chart_version(Version::First),
                "sourceRef": {"kind": "HelmRepository", "name": CHART}}}}})
}

/// Ready for the present generation.
fn ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let is =
        |kind: &str| conditions.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True");
    is("Ready")
        && !is("Reconciling")
        && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}
