//! What the demo shows, with the controllers as processes of their own: each is up, or down, when the other does its part.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use sluice_git::testing::{GitServer, Options, Repository};
use sluice_tests::flux::{self, Flux, NAMESPACE};
use sluice_tests::{Cluster, Controller, Kind, eventually, on_both_servers};

on_both_servers!(a_commit_reaches_the_cluster);

const PROGRAM: &str = env!("CARGO_BIN_EXE_controller");
const APP: &str = "myapp";
const SOURCE: &str = "myapp-source";
const SETTINGS: &str = "myapp-settings";
const FEATURES: &str = "myapp-features";
const FIRST_IMAGE: &str = "ghcr.io/stefanprodan/podinfo:6.8.0";
const SECOND_IMAGE: &str = "ghcr.io/stefanprodan/podinfo:6.9.0";
const REPLICAS: i32 = 2;

async fn a_commit_reaches_the_cluster(cluster: &Cluster) -> Result<()> {
    let server = GitServer::start(Options::default()).await;
    let story = Story { cluster, repository: server.repository("myapp-manifests.git") };
    let first = story.first_commit();
    let mut flux = story.starts_in_the_wrong_order(&server.url("myapp-manifests.git")).await?;
    story.runs(&first, FIRST_IMAGE, &[SETTINGS]).await?;

    let second = story.second_commit();
    story.is_fetched_without_kustomize_controller(&mut flux, &second).await?;
    story.runs(&second, SECOND_IMAGE, &[SETTINGS, FEATURES]).await?;

    story.repository.remove("myapp/manifests/settings.yaml");
    let third = story.repository.commit("remove the settings");
    flux::fetch(cluster, "GitRepository", SOURCE, &third).await?;
    story.runs(&third, SECOND_IMAGE, &[FEATURES]).await?;

    story.drift_is_put_right_without_source_controller(&mut flux, &third).await?;
    story.drift_that_nobody_saw_is_put_right(&mut flux, &third).await?;

    story.a_bad_commit_leaves_the_app_alone().await?;
    story.repository.git(&["revert", "--no-edit", "HEAD"]);
    let reverted = story.repository.head();
    flux::fetch(cluster, "GitRepository", SOURCE, &reverted).await?;
    story.runs(&reverted, SECOND_IMAGE, &[FEATURES]).await?;

    story.is_deleted_by_whoever_is_up(&mut flux).await?;
    flux.stop().await
}

/// What the steps act on.
struct Story<'a> {
    cluster: &'a Cluster,
    repository: Repository,
}

impl Story<'_> {
    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.cluster.client(), NAMESPACE)
    }

    fn services(&self) -> Api<Service> {
        Api::namespaced(self.cluster.client(), NAMESPACE)
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.cluster.client(), NAMESPACE)
    }

    fn write(&self, file: &str, object: &serde_json::Value) {
        self.repository.write(&format!("myapp/manifests/{file}"), object.to_string());
    }

    fn first_commit(&self) -> String {
        self.write("deployment.yaml", &deployment(FIRST_IMAGE));
        self.write(
            "service.yaml",
            &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": APP, "namespace": NAMESPACE},
                "spec": {"selector": {"app": APP}, "ports": [{"name": "http", "port": 80, "targetPort": 9898}]}}),
        );
        self.write("settings.yaml", &config_map(SETTINGS, "greeting", "hello"));
        self.repository.commit("add myapp")
    }

    fn second_commit(&self) -> String {
        self.write("deployment.yaml", &deployment(SECOND_IMAGE));
        self.write("features.yaml", &config_map(FEATURES, "beta", "on"));
        self.repository.commit("update myapp and add its features")
    }

    /// kustomize-controller before its own kind exists, its object before the source, the source before source-controller.
    async fn starts_in_the_wrong_order(&self, url: &str) -> Result<Flux> {
        let cluster = self.cluster;
        let kustomize = Controller::start(cluster, PROGRAM, Kind::Kustomize, &[]).await?;
        flux::install(cluster).await?;
        let mut kustomization = flux::kustomization(APP, "GitRepository", SOURCE, "./myapp/manifests");
        kustomization["spec"]["interval"] = "10m".into();
        cluster.apply(&kustomization).await?;
        let ready = flux::failed(cluster, "Kustomization", APP, "ArtifactFailed").await?;
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(message.contains(SOURCE), "the message does not name the source that is missing: {message}");
        cluster.apply(&flux::git_repository(SOURCE, url)).await?;
        flux::until(cluster, "Kustomization", APP, "to say that the source has no artifact", |object| {
            let ready = flux::condition(object, "Ready").map(|ready| ready["message"].to_string());
            ready.is_some_and(|message| message.contains("artifact not found"))
        })
        .await?;
        let source = Controller::start(cluster, PROGRAM, Kind::Source, &[]).await?;
        Ok(Flux { source, kustomize })
    }

    /// The app is Ready at a commit and consists of what the commit holds: no object more, none less.
    async fn runs(&self, commit: &str, image: &str, config_maps: &[&str]) -> Result<()> {
        let kustomization = flux::applied(self.cluster, APP, commit).await?;
        let mut wanted: Vec<String> =
            config_maps.iter().map(|name| format!("{NAMESPACE}_{name}__ConfigMap")).collect();
        wanted.push(format!("{NAMESPACE}_{APP}__Service"));
        wanted.push(format!("{NAMESPACE}_{APP}_apps_Deployment"));
        wanted.sort_unstable();
        let inventory = flux::inventory(&kustomization);
        ensure!(inventory == wanted, "the inventory is {inventory:?} instead of {wanted:?}");
        let deployment = self.deployments().get(APP).await?;
        let status = deployment.status.clone().unwrap_or_default();
        ensure!(
            status.updated_replicas == Some(REPLICAS) && status.ready_replicas == Some(REPLICAS),
            "the Kustomization is Ready, but the Deployment is not: {status:?}"
        );
        ensure!(image_of(&deployment) == Some(image), "the Deployment runs {:?}", image_of(&deployment));
        self.services().get(APP).await?;
        for name in [SETTINGS, FEATURES] {
            let is_there = self.config_maps().get_opt(name).await?.is_some();
            ensure!(is_there == config_maps.contains(&name), "ConfigMap {name} is there: {is_there}");
        }
        Ok(())
    }

    /// source-controller alone stores the new commit and the app stays; kustomize-controller finds it when it is back.
    async fn is_fetched_without_kustomize_controller(&self, flux: &mut Flux, commit: &str) -> Result<()> {
        flux.kustomize.stop().await?;
        flux::fetch(self.cluster, "GitRepository", SOURCE, commit).await?;
        let deployment = self.deployments().get(APP).await?;
        ensure!(image_of(&deployment) == Some(FIRST_IMAGE), "somebody else has applied the commit");
        flux.kustomize.resume().await
    }

    /// Scales the Deployment and deletes the Service by hand.
    async fn meddle(&self) -> Result<Option<String>> {
        let scale = json!({"spec": {"replicas": REPLICAS + 3}});
        let scaled = self.deployments().patch(APP, &PatchParams::default(), &Patch::Merge(scale)).await?;
        ensure!(replicas(&scaled) == Some(REPLICAS + 3), "scaling the Deployment by hand had no effect");
        let service = self.services().get(APP).await?.uid();
        self.services().delete(APP, &DeleteParams::default()).await?;
        Ok(service)
    }

    async fn is_put_right(&self, service: Option<String>) -> Result<()> {
        eventually("the Deployment to be scaled back and the Service to return", async || {
            let scaled_back = replicas(&self.deployments().get(APP).await?) == Some(REPLICAS);
            let returned = self.services().get_opt(APP).await?.is_some_and(|found| found.uid() != service);
            Ok((scaled_back && returned).then_some(()))
        })
        .await
    }

    /// The next planned pass is ten minutes away: the drift itself wakes kustomize-controller, which needs no artifact.
    async fn drift_is_put_right_without_source_controller(
        &self,
        flux: &mut Flux,
        commit: &str,
    ) -> Result<()> {
        flux.source.stop().await?;
        let service = self.meddle().await?;
        self.is_put_right(service).await?;
        self.runs(commit, SECOND_IMAGE, &[FEATURES]).await?;
        flux.source.resume().await
    }

    /// Drift while kustomize-controller was down is found when it starts.
    async fn drift_that_nobody_saw_is_put_right(&self, flux: &mut Flux, commit: &str) -> Result<()> {
        flux.kustomize.stop().await?;
        let service = self.meddle().await?;
        flux.kustomize.resume().await?;
        self.is_put_right(service).await?;
        self.runs(commit, SECOND_IMAGE, &[FEATURES]).await
    }

    async fn a_bad_commit_leaves_the_app_alone(&self) -> Result<()> {
        let before = self.deployments().get(APP).await?;
        self.repository
            .write("myapp/manifests/deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\n\tspec: [\n");
        self.repository.remove("myapp/manifests/features.yaml");
        let commit = self.repository.commit("break myapp");
        flux::fetch(self.cluster, "GitRepository", SOURCE, &commit).await?;
        let object = flux::until(self.cluster, "Kustomization", APP, "to fail at the bad commit", |object| {
            let attempted = object.data["status"]["lastAttemptedRevision"].as_str().unwrap_or_default();
            attempted.ends_with(&commit)
                && flux::condition(object, "Ready").is_some_and(|ready| ready["status"] == "False")
        })
        .await?;
        let ready = flux::condition(&object, "Ready").context("Ready is gone")?;
        ensure!(ready["reason"] == "BuildFailed", "Ready is False for another reason: {ready}");
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(message.contains("deployment.yaml"), "the message does not name the file: {message}");
        let after = self.deployments().get(APP).await?;
        ensure!(
            before.uid() == after.uid() && before.metadata.generation == after.metadata.generation,
            "the running Deployment was touched"
        );
        self.config_maps().get(FEATURES).await.context("an object was pruned although the build failed")?;
        Ok(())
    }

    /// Without source-controller the app can be deleted; the source goes when source-controller is back, and its files
    /// with it.
    async fn is_deleted_by_whoever_is_up(&self, flux: &mut Flux) -> Result<()> {
        let kustomizations = flux::objects(self.cluster, "Kustomization")?;
        let sources = flux::objects(self.cluster, "GitRepository")?;
        flux.source.stop().await?;
        sources.delete(SOURCE, &DeleteParams::default()).await?;
        kustomizations.delete(APP, &DeleteParams::default()).await?;
        eventually("the Kustomization to go", async || {
            Ok(kustomizations.get_opt(APP).await?.is_none().then_some(()))
        })
        .await?;
        eventually("the app to go", async || {
            let left = self.deployments().get_opt(APP).await?.is_some()
                || self.services().get_opt(APP).await?.is_some()
                || self.config_maps().get_opt(FEATURES).await?.is_some();
            Ok((!left).then_some(()))
        })
        .await?;
        let files = self.cluster.folder().join("artifacts/gitrepository").join(NAMESPACE).join(SOURCE);
        ensure!(files.is_dir(), "the artifacts are not in {}", files.display());
        ensure!(sources.get_opt(SOURCE).await?.is_some(), "the source went without source-controller");
        flux.source.resume().await?;
        eventually("the source to go", async || {
            Ok((sources.get_opt(SOURCE).await?.is_none() && !files.exists()).then_some(()))
        })
        .await
    }
}

fn deployment(image: &str) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APP, "namespace": NAMESPACE},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {"app": APP}}, "template": {
            "metadata": {"labels": {"app": APP}},
            "spec": {"containers": [{"name": APP, "image": image, "ports": [{"containerPort": 9898}]}]}}}})
}

fn config_map(name: &str, key: &str, value: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": {key: value}})
}

fn image_of(deployment: &Deployment) -> Option<&str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.first()?.image.as_deref()
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref()?.replicas
}
