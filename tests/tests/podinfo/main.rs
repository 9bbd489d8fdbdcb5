//! A real repository, from Git and from an OCI registry, through its life: installed, changed, reverted, deleted. What
//! reaches the cluster is compared with what the manifests say.

mod compare;
mod input;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_git::testing::{GitServer, Options, Repository};
use sluice_tests::flux::{self, Flux};
use sluice_tests::{Cluster, eventually, on_both_servers};
use source_controller::testing::Registry;

use crate::compare::{Reader, name};
use crate::input::APPS;

on_both_servers!(from_git, from_a_registry);

const SOURCE: &str = "podinfo";

async fn from_git(cluster: &Cluster) -> Result<()> {
    let server = GitServer::start(Options::default()).await;
    let origin = Git { url: server.url("podinfo.git"), repository: server.repository("podinfo.git") };
    carry(cluster, &origin).await
}

async fn from_a_registry(cluster: &Cluster) -> Result<()> {
    carry(cluster, &Oci(Registry::start().await?)).await
}

/// Where the files come from.
trait Origin {
    /// The source object.
    fn source(&self) -> Value;
    /// Offers the files of a folder as the newest revision, and returns what that revision ends with.
    fn publish(&self, tree: &Path) -> Result<String>;
    /// Offers what was offered first, which `tree` holds again, as the newest revision.
    fn revert(&self, first: &str) -> Result<String>;
}

struct Git {
    url: String,
    repository: Repository,
}

impl Origin for Git {
    fn source(&self) -> Value {
        flux::git_repository(SOURCE, &self.url)
    }

    fn publish(&self, tree: &Path) -> Result<String> {
        input::copy(tree, self.repository.work())?;
        Ok(self.repository.commit("a release"))
    }

    fn revert(&self, _: &str) -> Result<String> {
        self.repository.git(&["revert", "--no-edit", "HEAD"]);
        Ok(self.repository.head())
    }
}

struct Oci(Registry);

impl Origin for Oci {
    fn source(&self) -> Value {
        flux::oci_repository(SOURCE, &self.0.url("podinfo"), "latest")
    }

    fn publish(&self, tree: &Path) -> Result<String> {
        let (_, packed) = sluice_artifact::pack(tree, |_, _| true, Vec::new())?;
        Ok(self.0.push_tar_gz("podinfo", "latest", packed))
    }

    fn revert(&self, first: &str) -> Result<String> {
        self.0.tag("podinfo", "latest", first);
        Ok(first.to_owned())
    }
}

async fn carry(cluster: &Cluster, origin: &impl Origin) -> Result<()> {
    let controllers = Flux::start(cluster, env!("CARGO_BIN_EXE_controller"), &[]).await?;
    cluster.namespace("podinfo").await?;
    let tree = tempfile::tempdir()?;
    input::copy(&input::tree(), tree.path())?;
    let reader = Reader::new(cluster);
    let installed = expected(cluster, tree.path())?;
    if cluster.is_real() {
        provide_volumes(cluster, &installed).await?;
    }

    let first = origin.publish(tree.path())?;
    let source = origin.source();
    let kind = source["kind"].as_str().context("a source has a kind")?;
    cluster.apply(&source).await?;
    for (name, path, target_namespace) in APPS {
        let mut kustomization = flux::kustomization(name, kind, SOURCE, path);
        if let Some(namespace) = target_namespace {
            kustomization["spec"]["targetNamespace"] = namespace.into();
        }
        cluster.apply(&kustomization).await?;
    }
    arrived(&reader, cluster, &first, &installed, &[]).await?;
    autoscalers_are_left_alone(&reader, cluster, &installed).await?;

    input::change(tree.path())?;
    let changed = expected(cluster, tree.path())?;
    ensure!(changed != installed, "the change changes nothing");
    let second = origin.publish(tree.path())?;
    flux::fetch(cluster, kind, SOURCE, &second).await?;
    arrived(&reader, cluster, &second, &changed, &installed).await?;

    let third = origin.revert(&first)?;
    flux::fetch(cluster, kind, SOURCE, &third).await?;
    arrived(&reader, cluster, &third, &installed, &changed).await?;

    for (name, ..) in APPS {
        flux::objects(cluster, "Kustomization")?.delete(name, &DeleteParams::default()).await?;
    }
    eventually("everything to be deleted", async || {
        for object in &installed {
            if reader.api(object).await?.get_opt(name(object)?).await?.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    controllers.stop().await
}

/// The objects of all apps.
fn expected(cluster: &Cluster, tree: &Path) -> Result<Vec<Value>> {
    let objects: Result<Vec<Vec<Value>>> =
        APPS.iter().map(|app| input::objects(tree, app, cluster.is_real())).collect();
    Ok(objects?.concat())
}

/// All apps are Ready at the revision, the cluster has all of `objects`, and none that only `before` has.
async fn arrived(
    reader: &Reader<'_>,
    cluster: &Cluster,
    revision: &str,
    objects: &[Value],
    before: &[Value],
) -> Result<()> {
    let mut listed = 0;
    for (name, ..) in APPS {
        listed += flux::inventory(&flux::applied(cluster, name, revision).await?).len();
    }
    ensure!(listed == objects.len(), "{listed} objects are in the inventories instead of {}", objects.len());
    for object in objects {
        reader.is_what_git_says(object).await?;
    }
    let id = |object: &Value| {
        let metadata = &object["metadata"];
        (object["kind"].clone(), metadata["namespace"].clone(), metadata["name"].clone())
    };
    for object in before.iter().filter(|old| !objects.iter().any(|new| id(new) == id(old))) {
        ensure!(reader.live(object).await?.is_none(), "{:?} is still there", id(object));
    }
    Ok(())
}

/// Nothing in Git says how many replicas an autoscaled Deployment has: what the autoscaler sets stays.
async fn autoscalers_are_left_alone(reader: &Reader<'_>, cluster: &Cluster, objects: &[Value]) -> Result<()> {
    let autoscaler =
        PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
    let mut scaled = Vec::new();
    for object in objects.iter().filter(|object| object["kind"] == "HorizontalPodAutoscaler") {
        let mut target = object["spec"]["scaleTargetRef"].clone();
        target["metadata"] = json!({"name": target["name"], "namespace": object["metadata"]["namespace"]});
        let scale = json!({"spec": {"replicas": object["spec"]["minReplicas"]}});
        reader.api(&target).await?.patch_scale(name(&target)?, &autoscaler, &Patch::Merge(scale)).await?;
        scaled.push((target, object["spec"]["minReplicas"].clone()));
    }
    ensure!(
        scaled.iter().any(|(_, replicas)| *replicas != 1),
        "no autoscaler wants another number of replicas"
    );
    for (app, ..) in APPS {
        let object = flux::reconcile(cluster, "Kustomization", app).await?;
        ensure!(flux::is_ready(&object), "{app} is not Ready any more: {:#}", object.data["status"]);
    }
    for (target, replicas) in scaled {
        let live = reader.live(&target).await?.context("an autoscaled object is gone")?;
        ensure!(
            live.data["spec"]["replicas"] == replicas,
            "{target} does not have {replicas} replicas any more"
        );
    }
    Ok(())
}

/// Makes a volume for each claim, as the administrator of a cluster without storage classes does.
async fn provide_volumes(cluster: &Cluster, objects: &[Value]) -> Result<()> {
    for claim in objects.iter().filter(|object| object["kind"] == "PersistentVolumeClaim") {
        let name =
            format!("{}-{}", claim["metadata"]["namespace"], claim["metadata"]["name"]).replace('"', "");
        let spec = json!({
            "capacity": claim["spec"]["resources"]["requests"], "accessModes": claim["spec"]["accessModes"],
            "hostPath": {"path": "/nonexistent"}});
        cluster
            .apply(&json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}))
            .await?;
    }
    Ok(())
}
