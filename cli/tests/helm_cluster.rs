//! `sluice helm template --dry-run=server`, on both API servers, against what Helm printed: `helm-cluster/*.txt` (see
//! [`cases`]).
//!
//! The cases are written anew on the real server:
//!
//! ```text
//! SLUICE_REGENERATE=1 cargo test -p sluice --features real-cluster --test helm_cluster on_a_real_server
//! ```

mod cases;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{Cluster, on_both_servers};

on_both_servers!(charts_are_rendered_for_a_cluster);

async fn charts_are_rendered_for_a_cluster(cluster: &Cluster) -> Result<()> {
    for object in objects() {
        cluster.apply(&object).await?;
    }
    let kubeconfig = cluster.kubeconfig().to_owned();
    let renew = cluster.is_real() && std::env::var_os("SLUICE_REGENERATE").is_some();
    let (count, different) = tokio::task::spawn_blocking(move || {
        if renew {
            let helm = sluice_tests::oracle::find("helm").expect("helm");
            cases::regenerate("helm-cluster", &helm, Some(&kubeconfig));
        }
        cases::differences("helm-cluster", Some(&kubeconfig))
    })
    .await?;
    ensure!(different.is_empty(), "{different}");
    ensure!(count >= 40, "only {count} commands were run");
    Ok(())
}

/// What the cases find on the cluster.
fn objects() -> Vec<Value> {
    let owned = |name: &str, manager: &str, release: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"release": release}, "metadata": {
            "name": name, "namespace": "shop", "labels": {"app.kubernetes.io/managed-by": manager},
            "annotations": {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": "shop"}}})
    };
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "web"}}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password", "namespace": "shop"},
            "stringData": {"admin": "hunter2"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}, "clusterIP": "None"}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "served": true,
            "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}}),
        owned("mine", "Helm", "r"),
        owned("theirs", "Helm", "other"),
        owned("nobodys", "kubectl", "r"),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nosy", "namespace": "shop"}}),
    ]
}
