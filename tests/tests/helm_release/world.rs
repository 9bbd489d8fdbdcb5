//! A registry with charts, source-controller and helm-controller, and one HelmRelease.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use sluice_helm::release::{self, Release};
use sluice_tests::flux::{self, NAMESPACE};
use sluice_tests::{Cluster, Controller, Kind, eventually};
use source_controller::testing::Registry;

/// The HelmRelease, its release and its source.
pub(crate) const APP: &str = "app";
/// The repository of the chart.
const REPOSITORY: &str = "charts/app";

/// A ConfigMap that says who it is for, and a Service that the API server refuses with a bad port.
const TEMPLATES: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n\
     data:\n  chart: {{ .Chart.Version | quote }}\n  greeting: {{ .Values.greeting | quote }}\n---\n\
     apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  selector: {app: {{ .Release.Name }}}\n  \
     ports: [{name: http, port: {{ .Values.port | int }}, targetPort: 80, protocol: TCP}]\n";
/// A test that the API server refuses with a bad port.
const TEST: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}-test\n  annotations: {helm.sh/hook: test}\n\
     spec:\n  selector: {app: none}\n  ports: [{port: {{ .Values.testPort | int }}, protocol: TCP}]\n";
pub(crate) struct World<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) registry: Registry,
    pub(crate) source: Controller,
    pub(crate) helm: Controller,
}

impl<'a> World<'a> {
    /// Starts the controllers, with version 1.0.0 of the chart in the registry.
    pub(crate) async fn new(cluster: &'a Cluster) -> Result<Self> {
        flux::install(cluster).await?;
        let program = env!("CARGO_BIN_EXE_controller");
        let source = Controller::start(cluster, program, Kind::Source, &[]).await?;
        let helm = Controller::start(cluster, program, Kind::Helm, &["--requeue-dependency=1s"]).await?;
        let world = Self { cluster, registry: Registry::start().await?, source, helm };
        world.push("1.0.0")?;
        world.offer("1.0.0").await?;
        Ok(world)
    }

    /// Stores a version of the chart in the registry.
    pub(crate) fn push(&self, version: &str) -> Result<String> {
        let metadata = json!({"apiVersion": "v2", "name": APP, "version": version, "appVersion": "7"});
        let files = [
            ("Chart.yaml", metadata.to_string()),
            ("values.yaml", "greeting: hello\nport: 80\ntestPort: 80\n".to_owned()),
            ("templates/all.yaml", TEMPLATES.to_owned()),
            ("templates/test.yaml", TEST.to_owned()),
        ];
        let mut archive =
            tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("{APP}/{name}"), content.as_bytes())?;
        }
        let mut packer = archive.into_inner()?;
        packer.flush()?;
        Ok(self.registry.push_chart(REPOSITORY, version, &metadata, packer.finish()?))
    }

    /// Makes the OCIRepository point at a version.
    pub(crate) async fn offer(&self, version: &str) -> Result<()> {
        let mut repository = flux::oci_repository(APP, &self.registry.url(REPOSITORY), version);
        repository["spec"]["layerSelector"] = json!({
            "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy",
        });
        self.cluster.apply(&repository).await.map(drop)
    }

    /// Applies the HelmRelease with a chartRef and what a test adds.
    pub(crate) async fn apply(&self, more: Value) -> Result<()> {
        self.cluster.apply(&release(more)).await.map(drop)
    }

    /// Waits until the HelmRelease is as `wanted` says of its status.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.helm.check()?;
        let object =
            flux::until(self.cluster, "HelmRelease", APP, what, |object| wanted(&object.data["status"]))
                .await?;
        Ok(object.data["status"].clone())
    }

    /// Waits until the HelmRelease is Ready at its newest generation with the newest revision being `version`.
    pub(crate) async fn ready(&self, version: i64) -> Result<Value> {
        let what = format!("to be Ready at revision {version}");
        let object = flux::until(self.cluster, "HelmRelease", APP, &what, |object| {
            flux::is_ready(object) && object.data["status"]["history"][0]["version"] == version
        })
        .await?;
        ensure!(flux::condition(&object, "Reconciling").is_none(), "Ready and Reconciling: {}", object.data);
        ensure!(flux::condition(&object, "Stalled").is_none(), "Ready and Stalled: {}", object.data);
        Ok(object.data["status"].clone())
    }

    /// Waits until the HelmRelease is Stalled.
    pub(crate) async fn stalled(&self) -> Result<Value> {
        self.until("to be Stalled", |status| condition(status, "Stalled").is_some()).await
    }

    pub(crate) async fn object(&self) -> Result<DynamicObject> {
        Ok(flux::objects(self.cluster, "HelmRelease")?.get(APP).await?)
    }

    /// Changes the spec of the HelmRelease by a merge patch.
    pub(crate) async fn patch(&self, patch: Value) -> Result<()> {
        let api = flux::objects(self.cluster, "HelmRelease")?;
        api.patch(APP, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Deletes the HelmRelease and waits for its end.
    pub(crate) async fn delete(&self) -> Result<()> {
        let api = flux::objects(self.cluster, "HelmRelease")?;
        api.delete(APP, &DeleteParams::default()).await?;
        eventually("the end of the HelmRelease", async || Ok(api.get_opt(APP).await?.is_none().then_some(())))
            .await
    }

    pub(crate) fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.cluster.client(), NAMESPACE)
    }

    /// What the release's ConfigMap says under a key; none if there is no release.
    pub(crate) async fn says(&self, key: &str) -> Result<Option<String>> {
        let found = self.config_maps().get_opt(APP).await?;
        Ok(found.and_then(|map| map.data?.get(key).cloned()))
    }

    pub(crate) async fn until_says(&self, greeting: &str) -> Result<()> {
        eventually(&format!("the greeting to be {greeting}"), async || {
            Ok((self.says("greeting").await?.as_deref() == Some(greeting)).then_some(()))
        })
        .await
    }

    /// Asks for passes until one costs nothing but the write that tells of it: nothing is read, compared or downloaded when
    /// nothing has moved, as soon as all watches are up.
    pub(crate) async fn settled_pass(&self) -> Result<()> {
        eventually("a pass that costs one write", async || {
            self.cluster.forget_requests()?;
            flux::reconcile(self.cluster, "HelmRelease", APP).await?;
            let requests = self.cluster.requests()?;
            let own = requests.iter().filter(|request| request.user_agent.starts_with("helm-controller"));
            let sent: Vec<&str> = own
                .filter(|request| request.verb != "watch" && !request.uri.contains("/events"))
                .map(|request| request.verb.as_str())
                .collect();
            Ok((sent == ["patch"]).then_some(()))
        })
        .await
    }

    /// The revisions in storage, oldest first.
    pub(crate) async fn stored(&self) -> Result<Vec<Release>> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client(), NAMESPACE);
        let list = secrets.list(&ListParams::default().labels(&release::selector(APP))).await?;
        let mut releases = Vec::new();
        for secret in list {
            let name = secret.name_any();
            let data =
                secret.data.unwrap_or_default().remove("release").context("no release in the Secret")?;
            releases.push(release::decode(&data.0).with_context(|| format!("{name} cannot be read"))?);
        }
        releases.sort_by_key(|release| release.version);
        Ok(releases)
    }

    /// `status:description` of the revisions in storage, oldest first.
    pub(crate) async fn revisions(&self) -> Result<Vec<String>> {
        let stored = self.stored().await?;
        Ok(stored
            .iter()
            .map(|it| format!("{}:{}", it.info.status, first_line(&it.info.description)))
            .collect())
    }

    /// Ends both controllers, which must do so with success.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.helm.stop().await?;
        self.source.stop().await
    }
}

/// What Helm clients see in a Secret is base64 in base64: fails where it is not.
pub(crate) fn is_text_of_base64(data: &[u8]) -> bool {
    STANDARD.decode(data).is_ok()
}

fn first_line(text: &str) -> &str {
    text.split([':', '\n']).next().unwrap_or_default()
}

/// The HelmRelease with a chartRef and what a test adds.
pub(crate) fn release(more: Value) -> Value {
    let mut spec =
        json!({"interval": "1h", "timeout": "1m", "chartRef": {"kind": "OCIRepository", "name": APP}});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"namespace": NAMESPACE, "name": APP}, "spec": spec})
}

/// A condition of a status.
pub(crate) fn condition<'a>(status: &'a Value, type_: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// `status reason: message` of a condition.
pub(crate) fn told(status: &Value, type_: &str) -> String {
    let Some(condition) = condition(status, type_) else { return "none".to_owned() };
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}
