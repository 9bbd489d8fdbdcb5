//! The commands about HelmReleases and charts.

use serde_json::{Value, json};
use sluice_api::helm::HelmRelease;
use sluice_api::source::{HelmChart, HelmRepository};

use crate::cluster::{Cluster, answer, artifact, ready};

impl Cluster {
    async fn helm_repository(&self, name: &str, spec: Value) {
        let mut status = json!({});
        if spec["type"] != "oci" {
            status = json!({
                "observedGeneration": 1, "artifact": artifact("index"),
                "conditions": [ready("True", "stored artifact")],
            });
        }
        self.create::<HelmRepository>(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": {"name": name, "namespace": "flux-system"}, "spec": spec, "status": status,
        }))
        .await;
    }

    /// A HelmRelease and the HelmChart that its controller would keep.
    async fn release(&self, name: &str, repository: &str) {
        self.create::<HelmRelease>(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"interval": "1m", "chart": {"spec": {
                "chart": "podinfo", "sourceRef": {"kind": "HelmRepository", "name": repository},
            }}},
            "status": {
                "observedGeneration": 1,
                "history": [{
                    "name": name, "namespace": "flux-system", "version": 2, "status": "deployed",
                    "chartName": "podinfo", "chartVersion": "6.1.0", "appVersion": "6.1.0",
                    "configDigest": "sha256:ab", "digest": "sha256:cd", "action": "upgrade",
                    "firstDeployed": "2026-01-01T00:00:00Z", "lastDeployed": "2026-01-02T00:00:00Z",
                }],
                "conditions": [ready("True", "Helm upgrade succeeded")],
            },
        }))
        .await;
        self.create::<HelmChart>(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
            "metadata": {"name": format!("flux-system-{name}"), "namespace": "flux-system"},
            "spec": {
                "interval": "1m", "chart": "podinfo",
                "sourceRef": {"kind": "HelmRepository", "name": repository},
            },
            "status": {
                "observedGeneration": 1,
                "artifact": {
                    "path": "p", "url": "http://source-controller/p", "revision": "6.1.0",
                    "digest": "sha256:ab", "lastUpdateTime": "2026-01-01T00:00:00Z",
                },
                "conditions": [ready("True", "pulled")],
            },
        }))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_reconciled_after_its_chart_and_that_after_its_repository() {
    let cluster = Cluster::start().await;
    let http = json!({"interval": "1m", "url": "https://example.com/charts"});
    cluster.helm_repository("charts", http).await;
    cluster.helm_repository("registry", json!({"url": "oci://example.com/charts", "type": "oci"})).await;
    cluster.release("web", "charts").await;
    cluster.release("api", "registry").await;
    let handled = |request: &str| json!({"lastHandledReconcileAt": request});
    let forced = |request: &str| json!({"lastHandledReconcileAt": request, "lastHandledForceAt": request});
    let client = || cluster.client.clone();
    let controllers = [
        tokio::spawn(answer::<HelmRepository>(client(), "charts", handled)),
        tokio::spawn(answer::<HelmChart>(client(), "flux-system-web", handled)),
        tokio::spawn(answer::<HelmChart>(client(), "flux-system-api", handled)),
        tokio::spawn(answer::<HelmRelease>(client(), "web", forced)),
        tokio::spawn(answer::<HelmRelease>(client(), "api", handled)),
    ];

    let web = cluster.run("reconcile hr web --with-source --force --reset").await;
    assert_eq!(
        web.stderr
            .lines()
            .filter(|line| line.starts_with('►') || line.contains("revision"))
            .collect::<Vec<_>>(),
        [
            "► annotating HelmRepository charts in flux-system namespace",
            "✔ fetched revision index@sha1:696f056df216eea4f9401adbee0ff744d4df390f",
            "► annotating HelmChart flux-system-web in flux-system namespace",
            "✔ fetched revision 6.1.0",
            "► annotating HelmRelease web in flux-system namespace",
            "✔ applied revision 6.1.0",
        ],
        "{web:?}"
    );
    let api: kube::Api<HelmRelease> = kube::Api::namespaced(client(), "flux-system");
    let annotations = api.get("web").await.unwrap().metadata.annotations.unwrap();
    let requested = &annotations["reconcile.fluxcd.io/requestedAt"];
    assert_eq!(&annotations["reconcile.fluxcd.io/forceAt"], requested);
    assert_eq!(&annotations["reconcile.fluxcd.io/resetAt"], requested);

    // A registry has nothing to reconcile; the chart goes on.
    let registry = cluster.run("reconcile helmrelease api --with-source").await;
    assert_eq!(registry.code, Some(0), "{registry:?}");
    assert!(registry.stderr.starts_with("✔ reconciliation not supported by the object\n"), "{registry:?}");
    let annotations = api.get("api").await.unwrap().metadata.annotations.unwrap();
    assert!(!annotations.contains_key("reconcile.fluxcd.io/forceAt"), "{annotations:?}");

    let chart = cluster.run("reconcile source chart flux-system-web --with-source").await;
    assert!(chart.stderr.starts_with("► annotating HelmRepository charts"), "{chart:?}");
    assert!(chart.stderr.ends_with("✔ fetched revision 6.1.0\n"), "{chart:?}");

    controllers.iter().for_each(tokio::task::JoinHandle::abort);
    cluster.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn composed_values_are_shown_without_what_secrets_hold() {
    let cluster = Cluster::start().await;
    let namespaced = |kind: &str, name: &str, field: &str, data: Value| {
        json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "flux-system"},
            field: data,
        })
    };
    let settings =
        namespaced("ConfigMap", "settings", "data", json!({"values.yaml": "replicas: 2\ndb: {host: a}\n"}));
    let secret = namespaced(
        "Secret",
        "login",
        "stringData",
        json!({
            "values.yaml": "db: {password: hunter2, ports: [1, 2]}\n", "token": "s3cret",
        }),
    );
    let parameters = kube::api::PostParams::default();
    let config_maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(cluster.client.clone(), "flux-system");
    config_maps.create(&parameters, &serde_json::from_value(settings).unwrap()).await.unwrap();
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(cluster.client.clone(), "flux-system");
    secrets.create(&parameters, &serde_json::from_value(secret).unwrap()).await.unwrap();
    cluster
        .create::<HelmRelease>(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "web", "namespace": "flux-system"},
            "spec": {
                "interval": "1m", "chartRef": {"kind": "OCIRepository", "name": "web"},
                "values": {"db": {"host": "b"}},
                "valuesFrom": [
                    {"kind": "ConfigMap", "name": "settings"},
                    {"kind": "Secret", "name": "login"},
                    {"kind": "Secret", "name": "login", "valuesKey": "token", "targetPath": "api.token"},
                ],
            },
        }))
        .await;
    let masked = cluster.run("debug hr web --show-values").await;
    assert_eq!(
        masked.stdout,
        "api:\n  token: '***'\ndb:\n  host: b\n  password: '***'\n  ports: '***'\nreplicas: 2\n",
        "{masked:?}"
    );
    let shown = cluster.run("debug hr web --show-values --show-secrets").await;
    assert_eq!(
        shown.stdout,
        "api:\n  token: s3cret\ndb:\n  host: b\n  password: hunter2\n  ports:\n  - 1\n  - 2\nreplicas: 2\n",
        "{shown:?}"
    );
    cluster.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_and_debug_print_what_the_status_remembers() {
    let cluster = Cluster::start().await;
    cluster.helm_repository("charts", json!({"interval": "1m", "url": "https://example.com/charts"})).await;
    cluster.release("web", "charts").await;
    let history = cluster.run("history hr web").await;
    let lines: Vec<_> = history.stdout.lines().collect();
    assert!(lines[0].starts_with("REVISION\tLAST DEPLOYED"), "{history:?}");
    assert!(lines[1].contains("podinfo-6.1.0") && lines[1].contains("upgrade"), "{history:?}");
    let yaml = cluster.run("debug helmrelease web --show-history").await;
    assert!(
        yaml.stdout.starts_with(
            "# History documentation: https://fluxcd.io/flux/components/helm/helmreleases/#history\n- "
        ),
        "{yaml:?}"
    );
    let status = cluster.run("debug hr web --show-status").await;
    assert!(status.stdout.contains("\nobservedGeneration: 1\n"), "{status:?}");
    let both = cluster.run("debug hr web --show-status --show-history").await;
    assert_eq!(both.code, Some(1));
    assert!(both.stderr.starts_with("✗ exactly one of "), "{both:?}");
    let values = cluster.run("debug hr web --show-values").await;
    assert_eq!(values.stdout, "{}\n", "{values:?}");
    let missing = cluster.run("history hr other").await;
    assert!(missing.stderr.contains("\"other\" not found"), "{missing:?}");
    cluster.server.stop().await;
}
