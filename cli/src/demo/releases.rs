//! The second act: a chart from a registry and a chart from Git become releases, and stay what they should be.

use anyhow::{Context, Result, bail, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sluice_api::helm::HelmRelease;
use sluice_api::meta::Condition;

use super::charts::{self, BLOG, BLOG_PATH, BROKEN, FIRST, REPLICAS, SECOND, SHOP};
use super::manifests::{NAMESPACE, SOURCE};
use super::steps::{DRIFT_LIMIT, PATIENCE, Stage, replicas};
use super::wait::eventually;

impl Stage<'_> {
    fn releases(&self) -> Api<HelmRelease> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    /// A chart of the registry at `url` is installed.
    pub(super) async fn chart_is_installed(&self, url: &str) -> Result<String> {
        self.environment.apply(&charts::repository(url)).await?;
        self.environment.apply(&charts::release(SHOP, SHOP, FIRST, "HelmRepository", SHOP)).await?;
        self.released(SHOP, FIRST).await
    }

    /// Another version of the chart is an upgrade.
    pub(super) async fn release_is_upgraded(&self) -> Result<String> {
        self.set_version(SECOND).await?;
        self.released(SHOP, SECOND).await
    }

    /// An upgrade that fails is rolled back; the version before goes on running.
    pub(super) async fn failed_upgrade_is_rolled_back(&self) -> Result<String> {
        self.set_version(BROKEN).await?;
        let failed = eventually(self.environment, PATIENCE, "the upgrade to be rolled back", async || {
            let release = self.releases().get(SHOP).await?;
            let generation = release.metadata.generation;
            let status = release.status.unwrap_or_default();
            let of = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind).cloned();
            let rolled_back = of("Remediated").is_some_and(|condition| condition.status == "True");
            let stalled = of("Stalled").is_some();
            Ok((rolled_back && stalled && Some(status.observed_generation) == generation).then_some(status))
        })
        .await?;
        let ready =
            condition(&failed.conditions, "Ready").context("the HelmRelease has no condition Ready")?;
        ensure!(
            ready.status == "False" && ready.reason == "RollbackSucceeded",
            "Ready is {} for {}: {}",
            ready.status,
            ready.reason,
            ready.message
        );
        let newest = failed.history.first().context("the HelmRelease has no history")?;
        ensure!(newest.chart_version == SECOND, "revision {} is of {}", newest.version, newest.chart_version);
        let deployment = self.deployments().get(SHOP).await?;
        let label = deployment.metadata.labels.as_ref().and_then(|labels| labels.get("helm.sh/chart"));
        ensure!(
            label.is_some_and(|label| label.ends_with(SECOND)),
            "the Deployment is of chart {} instead of {SECOND}",
            label.map_or("none", String::as_str)
        );
        self.set_version(SECOND).await?;
        self.released(SHOP, SECOND).await?;
        Ok(format!("{BROKEN} failed, revision {} is {SECOND} again", newest.version))
    }

    /// What someone changes by hand in a release is put right within two seconds.
    pub(super) async fn release_drift_is_put_right(&self) -> Result<String> {
        let scale = json!({"spec": {"replicas": REPLICAS + 3}});
        let began = std::time::Instant::now();
        let scaled = self.deployments().patch(SHOP, &PatchParams::default(), &Patch::Merge(scale)).await?;
        ensure!(replicas(&scaled) == Some(REPLICAS + 3), "scaling the Deployment by hand had no effect");
        eventually(self.environment, PATIENCE, "the Deployment to be scaled back", async || {
            Ok((replicas(&self.deployments().get(SHOP).await?) == Some(REPLICAS)).then_some(()))
        })
        .await?;
        let took = began.elapsed();
        ensure!(took <= DRIFT_LIMIT, "it took {took:.1?}, which is more than {DRIFT_LIMIT:?}");
        self.released(SHOP, SECOND).await?;
        Ok(format!("replicas back to {REPLICAS} after {:.2}s, no new revision", took.as_secs_f64()))
    }

    /// A chart of the Git repository is installed, and upgraded by a commit.
    pub(super) async fn git_chart_is_released(&self) -> Result<String> {
        self.commit_chart(FIRST).await?;
        let path = format!("./{BLOG_PATH}");
        self.environment.apply(&charts::release(BLOG, &path, "\"*\"", "GitRepository", SOURCE)).await?;
        self.released(BLOG, FIRST).await?;
        self.commit_chart(SECOND).await?;
        self.released(BLOG, SECOND).await
    }

    /// The `helm` program, where there is one, lists both releases.
    pub(super) async fn helm_lists_them(&self) -> Result<String> {
        let listed = tokio::process::Command::new("helm")
            .args(["list", "--output", "json", "--namespace", NAMESPACE, "--kubeconfig"])
            .arg(self.environment.kubeconfig())
            .output()
            .await;
        let output = match listed {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok("there is no helm program here to ask".to_owned());
            }
            Err(error) => return Err(error).context("cannot run `helm list`"),
        };
        if !output.status.success() {
            bail!("`helm list` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let releases: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).context("`helm list` printed no JSON")?;
        let mut seen = Vec::new();
        for name in [BLOG, SHOP] {
            let release = releases
                .iter()
                .find(|release| release["name"] == name)
                .with_context(|| format!("`helm list` does not show {name}"))?;
            ensure!(release["status"] == "deployed", "helm says that {name} is {}", release["status"]);
            seen.push(release["chart"].as_str().unwrap_or_default().to_owned());
        }
        Ok(format!("{} are deployed, says helm", seen.join(" and ")))
    }

    async fn set_version(&self, version: &str) -> Result<()> {
        let patch = json!({"spec": {"chart": {"spec": {"version": version}}}});
        self.releases().patch(SHOP, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    async fn commit_chart(&self, version: &str) -> Result<()> {
        for (name, text) in charts::files(BLOG, version, "80") {
            self.repository.write(&format!("{BLOG_PATH}/{name}"), &text).await?;
        }
        let commit = self.repository.commit(&format!("{BLOG} {version}")).await?;
        self.reconcile_source(&commit).await
    }

    /// Waits until the newest release is of `version` and the HelmRelease is ready; checks the Deployment.
    async fn released(&self, name: &str, version: &str) -> Result<String> {
        let what = format!("HelmRelease {name} to release {version}");
        let newest = eventually(self.environment, PATIENCE, &what, async || {
            let release = self.releases().get(name).await?;
            let generation = release.metadata.generation;
            let status = release.status.unwrap_or_default();
            let ready = condition(&status.conditions, "Ready").is_some_and(|ready| ready.status == "True");
            let newest = status.history.into_iter().next();
            Ok(newest.filter(|newest| {
                ready && newest.chart_version == version && Some(status.observed_generation) == generation
            }))
        })
        .await?;
        let ready = self.deployments().get(name).await?.status.and_then(|status| status.ready_replicas);
        ensure!(ready == Some(REPLICAS), "{} of {REPLICAS} replicas are ready", ready.unwrap_or(0));
        Ok(format!("revision {} of {name} is {name}-{version}, {REPLICAS} replicas ready", newest.version))
    }
}

fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}
