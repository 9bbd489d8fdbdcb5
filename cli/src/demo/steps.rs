//! The steps of the demo. Each one acts, then asks the API server whether what should have happened did.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::RECONCILE_REQUEST_ANNOTATION;
use sluice_api::source::GitRepository;

use super::environment::Environment;
use super::manifests::{
    APP, FEATURES, FIRST_IMAGE, KUSTOMIZATION, NAMESPACE, PATH, REPLICAS, SECOND_IMAGE, SETTINGS, SOURCE,
    broken_deployment, config_map, deployment, git_repository, kustomization, service,
};
use super::repository::Repository;
use super::wait::eventually;

/// How long a step may take before the demo gives it up.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// What the issue of a change by hand may last.
pub(super) const DRIFT_LIMIT: Duration = Duration::from_secs(2);

/// What the steps act on.
pub(super) struct Stage<'a> {
    pub(super) environment: &'a Environment,
    pub(super) repository: &'a Repository,
    pub(super) url: &'a str,
}

impl Stage<'_> {
    pub(super) fn client(&self) -> Client {
        self.environment.client.clone()
    }

    pub(super) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    fn services(&self) -> Api<Service> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    fn sources(&self) -> Api<GitRepository> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    fn kustomizations(&self) -> Api<Kustomization> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    /// Commits the app: Deployment, Service, ConfigMap.
    pub(super) async fn first_commit(&self) -> Result<String> {
        self.repository.write(&format!("{PATH}/deployment.yaml"), &deployment(FIRST_IMAGE)).await?;
        self.repository.write(&format!("{PATH}/service.yaml"), &service()).await?;
        self.repository
            .write(&format!("{PATH}/settings.yaml"), &config_map(SETTINGS, "greeting", "hello"))
            .await?;
        self.repository.commit("add myapp").await
    }

    /// Applies the `GitRepository` and the `Kustomization`.
    pub(super) async fn apply_objects(&self) -> Result<String> {
        self.environment.apply(&git_repository(self.url)).await?;
        self.environment.apply(&kustomization()).await?;
        let source = self.sources().get(SOURCE).await?;
        let kustomization = self.kustomizations().get(KUSTOMIZATION).await?;
        Ok(format!(
            "GitRepository/{} and Kustomization/{} are stored",
            source.name_any(),
            kustomization.name_any()
        ))
    }

    /// The app of the first commit becomes ready.
    pub(super) async fn becomes_ready(&self, commit: &str) -> Result<String> {
        let revision = self.applied(commit).await?;
        self.rolled_out(FIRST_IMAGE).await?;
        self.services().get(APP).await.context("the Service is missing")?;
        self.config_maps().get(SETTINGS).await.context("the ConfigMap is missing")?;
        let entries = self
            .kustomizations()
            .get(KUSTOMIZATION)
            .await?
            .status
            .and_then(|status| status.inventory)
            .map_or(0, |inventory| inventory.entries.len());
        ensure!(entries == 3, "the inventory has {entries} entries instead of 3");
        Ok(format!("{revision} applied, {REPLICAS} replicas ready, 3 objects in the inventory"))
    }

    /// A commit that changes the image and adds an object rolls out.
    pub(super) async fn rolls_out(&self) -> Result<String> {
        self.repository.write(&format!("{PATH}/deployment.yaml"), &deployment(SECOND_IMAGE)).await?;
        self.repository
            .write(&format!("{PATH}/features.yaml"), &config_map(FEATURES, "beta", "\"on\""))
            .await?;
        let commit = self.repository.commit("update myapp and add its features").await?;
        self.reconcile_source(&commit).await?;
        let revision = self.applied(&commit).await?;
        self.rolled_out(SECOND_IMAGE).await?;
        self.config_maps().get(FEATURES).await.context("the added ConfigMap is missing")?;
        Ok(format!("{revision} applied, image {SECOND_IMAGE}, ConfigMap {FEATURES} added"))
    }

    /// An object whose file was removed is pruned, and nothing else.
    pub(super) async fn is_pruned(&self) -> Result<String> {
        self.repository.remove(&format!("{PATH}/settings.yaml")).await?;
        let commit = self.repository.commit("remove the settings").await?;
        self.reconcile_source(&commit).await?;
        self.applied(&commit).await?;
        ensure!(self.config_maps().get_opt(SETTINGS).await?.is_none(), "ConfigMap {SETTINGS} is still there");
        self.config_maps().get(FEATURES).await.context("an object that Git still holds is gone")?;
        Ok(format!("ConfigMap {SETTINGS} is gone, the other 3 objects stay"))
    }

    /// What someone changes by hand is put right within two seconds.
    pub(super) async fn drift_is_put_right(&self) -> Result<String> {
        let before = self.services().get(APP).await?.metadata.uid;
        let scale = json!({"spec": {"replicas": REPLICAS + 3}});
        let began = std::time::Instant::now();
        let scaled = self.deployments().patch(APP, &PatchParams::default(), &Patch::Merge(scale)).await?;
        ensure!(replicas(&scaled) == Some(REPLICAS + 3), "scaling the Deployment by hand had no effect");
        self.services()
            .delete(APP, &DeleteParams::default())
            .await
            .context("cannot delete the Service by hand")?;
        eventually(
            self.environment,
            PATIENCE,
            "the Deployment to be scaled back and the Service to return",
            async || {
                let scaled_back = replicas(&self.deployments().get(APP).await?) == Some(REPLICAS);
                let service = self.services().get_opt(APP).await?;
                let returned = service.is_some_and(|service| service.metadata.uid != before);
                Ok((scaled_back && returned).then_some(()))
            },
        )
        .await?;
        let took = began.elapsed();
        ensure!(took <= DRIFT_LIMIT, "it took {took:.1?}, which is more than {DRIFT_LIMIT:?}");
        // The pass that corrected the drift must also end well.
        let kustomization = self.kustomizations().get(KUSTOMIZATION).await?;
        let revision =
            kustomization.status.and_then(|status| status.last_applied_revision).unwrap_or_default();
        self.applied(revision.rsplit(':').next().unwrap_or_default()).await?;
        Ok(format!("replicas back to {REPLICAS} and Service back after {:.2}s", took.as_secs_f64()))
    }

    /// A commit that cannot be built fails with a clear condition and leaves the running app alone.
    pub(super) async fn bad_commit_fails(&self) -> Result<String> {
        let before = self.deployments().get(APP).await?;
        self.repository.write(&format!("{PATH}/deployment.yaml"), &broken_deployment()).await?;
        self.repository.remove(&format!("{PATH}/features.yaml")).await?;
        let commit = self.repository.commit("break myapp").await?;
        self.reconcile_source(&commit).await?;
        let reason = eventually(
            self.environment,
            PATIENCE,
            "the Kustomization to report the bad commit",
            async || {
                let status = self.kustomizations().get(KUSTOMIZATION).await?.status.unwrap_or_default();
                if !status.last_attempted_revision.as_deref().unwrap_or_default().ends_with(&commit) {
                    return Ok(None);
                }
                let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready");
                Ok(ready.filter(|condition| condition.status == "False"))
            },
        )
        .await?;
        ensure!(reason.reason == "BuildFailed", "Ready is False for {}: {}", reason.reason, reason.message);
        ensure!(
            reason.message.contains("deployment.yaml"),
            "the message does not name the file: {}",
            reason.message
        );
        let after = self.deployments().get(APP).await?;
        ensure!(
            before.metadata.uid == after.metadata.uid
                && before.metadata.generation == after.metadata.generation,
            "the running Deployment was touched"
        );
        self.config_maps().get(FEATURES).await.context("an object was pruned although the build failed")?;
        let line = reason.message.lines().next().unwrap_or_default();
        let short: String = line.chars().take(72).collect();
        let dots = if short.len() < line.len() { "…" } else { "" };
        Ok(format!("Ready=False BuildFailed ({short}{dots}), app untouched"))
    }

    /// `git revert` makes the app ready again.
    pub(super) async fn revert_restores(&self) -> Result<String> {
        let commit = self.repository.revert().await?;
        self.reconcile_source(&commit).await?;
        let revision = self.applied(&commit).await?;
        self.rolled_out(SECOND_IMAGE).await?;
        Ok(format!("{revision} applied, Ready=True"))
    }

    /// Asks source-controller to look at the repository now, as `sluice reconcile source git` does, and waits until it
    /// has stored the commit.
    pub(super) async fn reconcile_source(&self, commit: &str) -> Result<()> {
        let annotation = json!({"metadata": {"annotations": {RECONCILE_REQUEST_ANNOTATION: jiff::Timestamp::now().to_string()}}});
        self.sources().patch(SOURCE, &PatchParams::default(), &Patch::Merge(annotation)).await?;
        eventually(self.environment, PATIENCE, "source-controller to store the commit", async || {
            let artifact = self.sources().get(SOURCE).await?.status.and_then(|status| status.artifact);
            Ok(artifact.filter(|artifact| artifact.revision.ends_with(commit)).map(drop))
        })
        .await
    }

    /// Waits until the Kustomization is Ready at `commit`, and returns the applied revision in short form.
    async fn applied(&self, commit: &str) -> Result<String> {
        let revision = eventually(
            self.environment,
            PATIENCE,
            "the Kustomization to be Ready at the new commit",
            async || {
                let kustomization = self.kustomizations().get(KUSTOMIZATION).await?;
                let status = kustomization.status.unwrap_or_default();
                let revision = status.last_applied_revision.unwrap_or_default();
                let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready");
                if let Some(ready) = &ready
                && ready.status == "False"
                // Neither is the end: the artifact was not there yet, or a newer pass took over.
                && !matches!(ready.reason.as_str(), "ArtifactFailed" | "HealthCheckCanceled")
                && status.last_attempted_revision.unwrap_or_default().ends_with(commit)
                {
                    bail!("Kustomization {KUSTOMIZATION} is not ready: {}: {}", ready.reason, ready.message);
                }
                let ready = ready.is_some_and(|condition| condition.status == "True");
                Ok((ready && revision.ends_with(commit)).then_some(revision))
            },
        )
        .await?;
        Ok(match revision.split_once(':') {
            Some((name, hash)) => format!("{name}:{}", hash.get(..8).unwrap_or(hash)),
            None => revision,
        })
    }

    /// Checks that the Deployment runs `image` on every replica.
    async fn rolled_out(&self, image: &str) -> Result<()> {
        let deployment = self.deployments().get(APP).await?;
        let containers =
            deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map(|pod| &pod.containers);
        let running = containers
            .and_then(|containers| containers.first())
            .and_then(|container| container.image.as_deref());
        ensure!(
            running == Some(image),
            "the Deployment runs {} instead of {image}",
            running.unwrap_or("no image")
        );
        let status = deployment.status.unwrap_or_default();
        ensure!(
            status.updated_replicas == Some(REPLICAS) && status.ready_replicas == Some(REPLICAS),
            "the Kustomization is Ready, but {} of {REPLICAS} replicas are",
            status.ready_replicas.unwrap_or(0)
        );
        Ok(())
    }
}

pub(super) fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref().and_then(|spec| spec.replicas)
}
