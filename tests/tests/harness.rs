//! What the harness itself promises, and that both servers run pods.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use sluice_tests::{Cluster, eventually, on_both_servers};

on_both_servers!(pods_run, accounts_are_told_apart, an_interruption_loses_nothing, requests_are_seen);

async fn pods_run(cluster: &Cluster) -> Result<()> {
    let deployment = |name: &str, simulate: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}, "annotations": {"sluice.dev/simulate": simulate}},
                "spec": {"containers": [{"name": "app", "image": "registry.example.com/app:v1"}]}}}})
    };
    cluster.apply(&deployment("good", "")).await?;
    cluster.apply(&deployment("bad", "fail")).await?;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), "default");
    eventually("two ready pods", async || {
        let status = deployments.get("good").await?.status.unwrap_or_default();
        Ok((status.ready_replicas == Some(2)).then_some(()))
    })
    .await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    eventually("two crashing pods", async || {
        let pods = pods.list(&ListParams::default().labels("app=bad")).await?;
        let crashing = |pod: &Pod| {
            let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            statuses
                .filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref())
                .any(|reason| reason == "CrashLoopBackOff")
        };
        Ok((pods.items.iter().filter(|pod| crashing(pod)).count() == 2).then_some(()))
    })
    .await?;
    ensure!(deployments.get("bad").await?.status.unwrap_or_default().ready_replicas.unwrap_or(0) == 0);
    deployments.delete("good", &Default::default()).await?;
    eventually("the pods of a deleted Deployment to go", async || {
        let left = pods.list(&ListParams::default().labels("app=good")).await?;
        Ok(left.items.is_empty().then_some(()))
    })
    .await
}

async fn accounts_are_told_apart(cluster: &Cluster) -> Result<()> {
    cluster.namespace("team").await?;
    let client = cluster.client_of("team", "default").await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "team");
    let refused =
        maps.list(&ListParams::default()).await.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("system:serviceaccount:team:default"), "{refused}");
    cluster
        .apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "team", "namespace": "team"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "team"}]}))
        .await?;
    eventually("the account to be admitted", async || {
        Ok(maps.list(&ListParams::default()).await.ok().map(drop))
    })
    .await?;
    let elsewhere: Api<ConfigMap> = Api::namespaced(client, "default");
    ensure!(elsewhere.list(&ListParams::default()).await.is_err(), "the account may read another namespace");
    Ok(())
}

async fn an_interruption_loses_nothing(cluster: &Cluster) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "kept"}, "data": {"a": "b"}}))?;
    let made = maps.create(&PostParams::default(), &map).await?;
    cluster.suspend().await?;
    ensure!(maps.get("kept").await.is_err(), "a suspended server answers");
    cluster.resume().await?;
    ensure!(maps.get("kept").await?.resource_version() == made.resource_version());
    Ok(())
}

async fn requests_are_seen(cluster: &Cluster) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    cluster.forget_requests()?;
    let _ = maps.get_opt("absent").await?;
    let mine = |requests: &[sluice_tests::Request]| {
        requests.iter().any(|request| {
            request.verb == "get" && request.uri == "/api/v1/namespaces/default/configmaps/absent"
        })
    };
    eventually("the request to be told", async || Ok(mine(&cluster.requests()?).then_some(()))).await?;
    cluster.forget_requests()?;
    ensure!(!mine(&cluster.requests()?));
    Ok(())
}
