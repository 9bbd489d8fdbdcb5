//! The API server goes away in the middle of each step, and comes back: the controllers live on, the result is what Git
//! says, and nothing that Git holds was deleted meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use sluice_git::testing::{Fault, GitServer, Options, Repository};
use sluice_tests::flux::{self, Flux};
use sluice_tests::{Cluster, Request, eventually, on_both_servers};

on_both_servers!(an_interrupted_step_is_finished_later);

const APP: &str = "app";
/// Enough objects that an apply or a prune of them can be met in its middle.
const OBJECTS: usize = 300;
/// Objects that Git holds from the first commit to the last.
const KEPT: usize = 20;

async fn an_interrupted_step_is_finished_later(cluster: &Cluster) -> Result<()> {
    let controllers = Flux::start(cluster, env!("CARGO_BIN_EXE_controller"), &[]).await?;
    cluster.namespace(APP).await?;
    let server = GitServer::start(Options::default()).await;
    let app = App { cluster, controllers, repository: server.repository("app.git") };
    app.write(0..KEPT);
    let first = app.repository.commit("add what stays");
    let mut source = flux::git_repository(APP, &server.url("app.git"));
    source["spec"]["timeout"] = "3s".into();
    cluster.apply(&source).await?;
    cluster.apply(&flux::kustomization(APP, "GitRepository", APP, "app")).await?;
    flux::applied(cluster, APP, &first).await?;
    let kept = app.uids().await?;
    ensure!(kept.len() == KEPT, "{} objects are there instead of {KEPT}", kept.len());

    app.fetching(&server).await?;
    app.is_what_git_says(KEPT, &kept).await?;
    app.applying().await?;
    app.is_what_git_says(OBJECTS, &kept).await?;
    app.waiting().await?;
    app.is_what_git_says(OBJECTS, &kept).await?;
    app.pruning().await?;
    app.is_what_git_says(KEPT, &kept).await?;
    app.controllers.stop().await
}

struct App<'a> {
    cluster: &'a Cluster,
    controllers: Flux,
    repository: Repository,
}

impl App<'_> {
    fn write(&self, indices: std::ops::Range<usize>) {
        for index in indices {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": format!("map-{index}"), "namespace": APP}, "data": {"index": index.to_string()}});
            self.repository.write(&format!("app/map-{index}.yaml"), object.to_string());
        }
    }

    /// The Git server does not answer until the API server is away; then source-controller cannot say that it has no
    /// commit, and later that it has one.
    async fn fetching(&self, server: &GitServer) -> Result<()> {
        self.repository.write("README.md", "fetched while the API server was away");
        let commit = self.repository.commit("describe the app");
        let asked = server.requests();
        server.fault(Fault::Hang);
        flux::request(self.cluster, "GitRepository", APP).await?;
        eventually("source-controller to ask the Git server", async || {
            Ok((server.requests() > asked).then_some(()))
        })
        .await?;
        self.outage("source-controller", async || {
            server.fault(Fault::None);
            Ok(())
        })
        .await?;
        self.arrives(&commit).await
    }

    /// Some of the objects are applied when the API server goes.
    async fn applying(&self) -> Result<()> {
        self.write(KEPT..OBJECTS);
        let commit = self.repository.commit("add objects");
        self.outage_at("patch", &commit).await?;
        self.arrives(&commit).await
    }

    /// A Deployment does not become ready when the API server goes; the commit that makes it ready comes after that.
    async fn waiting(&self) -> Result<()> {
        let deployment = |simulate: &str| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": APP},
                "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
                    "metadata": {"labels": {"app": "web"}, "annotations": {"sluice.dev/simulate": simulate}},
                    "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:v1"}]}}}})
            .to_string()
        };
        self.repository.write("app/web.yaml", deployment("never"));
        let stuck = self.repository.commit("add a Deployment");
        flux::fetch(self.cluster, "GitRepository", APP, &stuck).await?;
        flux::until(self.cluster, "Kustomization", APP, "to wait for health", |object| {
            let attempted = object.data["status"]["lastAttemptedRevision"].as_str().unwrap_or_default();
            let ready = flux::condition(object, "Ready").is_some_and(|ready| ready["status"] == "Unknown");
            let what =
                flux::condition(object, "Reconciling").map(|condition| condition["message"].to_string());
            attempted.ends_with(&stuck) && ready && what.is_some_and(|what| what.contains("health"))
        })
        .await?;
        self.outage("kustomize-controller", async || Ok(())).await?;
        self.repository.write("app/web.yaml", deployment(""));
        let commit = self.repository.commit("let the Deployment become ready");
        flux::fetch(self.cluster, "GitRepository", APP, &commit).await?;
        self.arrives(&commit).await?;
        self.repository.remove("app/web.yaml");
        let commit = self.repository.commit("remove the Deployment");
        flux::fetch(self.cluster, "GitRepository", APP, &commit).await?;
        self.arrives(&commit).await
    }

    /// Some of the objects are deleted when the API server goes.
    async fn pruning(&self) -> Result<()> {
        for index in KEPT..OBJECTS {
            self.repository.remove(&format!("app/map-{index}.yaml"));
        }
        let commit = self.repository.commit("remove objects");
        self.outage_at("delete", &commit).await?;
        self.arrives(&commit).await
    }

    /// Fetches a commit, and takes the API server away when kustomize-controller has begun with the objects.
    async fn outage_at(&self, verb: &str, commit: &str) -> Result<()> {
        let objects = format!("/namespaces/{APP}/configmaps/");
        let is_one = |request: &Request| {
            request.verb == verb
                && request.uri.contains(&objects)
                && request.user_agent.starts_with("kustomize-controller")
        };
        self.cluster.forget_requests()?;
        flux::request(self.cluster, "GitRepository", APP).await?;
        let deadline = tokio::time::Instant::now() + sluice_tests::PATIENCE;
        while !self.cluster.requests()?.iter().any(is_one) {
            ensure!(tokio::time::Instant::now() < deadline, "{commit} leads to no {verb} of an object");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut begun = 0;
        self.outage("kustomize-controller", async || {
            begun = self.cluster.requests()?.iter().filter(|request| is_one(request)).count();
            Ok(())
        })
        .await?;
        // A pass of which nobody saw the middle proves nothing.
        ensure!(begun < OBJECTS - KEPT, "the pass was over before the API server went");
        Ok(())
    }

    /// Takes the API server away until a controller has met that, and brings it back.
    async fn outage(&self, controller: &str, meanwhile: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        let log = self.cluster.folder().join(format!("{controller}.log"));
        self.cluster.suspend().await?;
        let length = std::fs::metadata(&log)?.len();
        meanwhile().await?;
        eventually(&format!("{controller} to notice that the API server is away"), async || {
            self.controllers.check()?;
            Ok((std::fs::metadata(&log)?.len() > length).then_some(()))
        })
        .await?;
        self.cluster.resume().await
    }

    async fn arrives(&self, commit: &str) -> Result<()> {
        flux::applied(self.cluster, APP, commit).await?;
        self.controllers.check()
    }

    /// The objects of the app, by name.
    async fn uids(&self) -> Result<BTreeMap<String, String>> {
        let maps: Api<ConfigMap> = Api::namespaced(self.cluster.client(), APP);
        let own = ListParams::default().labels(&format!("kustomize.toolkit.fluxcd.io/name={APP}"));
        maps.list(&own)
            .await?
            .iter()
            .map(|map| Ok((map.name_any(), map.uid().context("an object has no uid")?)))
            .collect()
    }

    /// As many objects as Git holds are there and in the inventory; those that were there from the beginning still are.
    async fn is_what_git_says(&self, count: usize, kept: &BTreeMap<String, String>) -> Result<()> {
        let uids = self.uids().await?;
        ensure!(uids.len() == count, "{} objects are there instead of {count}", uids.len());
        let missing: Vec<&String> =
            kept.iter().filter(|(name, uid)| uids.get(*name) != Some(*uid)).map(|(name, _)| name).collect();
        ensure!(missing.is_empty(), "{missing:?} were deleted although Git holds them");
        let object = flux::objects(self.cluster, "Kustomization")?.get(APP).await?;
        let listed = flux::inventory(&object).len();
        ensure!(listed == count, "{listed} objects are in the inventory instead of {count}");
        Ok(())
    }
}
