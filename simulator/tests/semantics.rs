//! What clients rely on, seen through kube-rs: conflicts, watches, ownership, deletion, definitions, access.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, PartialObjectMeta};
use kube::{Client, Config, Error};
use serde_json::json;
use sluice_simulator::{Options, Server};

async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn server() -> (Server, Client) {
    let server = Server::start(Options::default()).await.unwrap();
    let client = client(&server.kubeconfig()).await;
    (server, client)
}

fn map(name: &str, key: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {key: value}})).unwrap()
}

fn code(error: &Error) -> (u16, String) {
    match error {
        Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("not an answer of the server: {other}"),
    }
}

/// Watches until `done`, with what was there before.
async fn until<K>(api: &Api<K>, name: &str, done: impl Fn(Option<&K>) -> bool)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let watch = async {
        loop {
            let now = api.get_opt(name).await.unwrap();
            if done(now.as_ref()) {
                return;
            }
            let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
            let now = api.get_opt(name).await.unwrap();
            if done(now.as_ref()) {
                return;
            }
            let watch = WatchParams::default().fields(&format!("metadata.name={name}"));
            let mut events = api.watch(&watch, &version).await.unwrap().boxed();
            let _ = events.next().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), watch)
        .await
        .unwrap_or_else(|_| panic!("{name} never got there"));
}

#[tokio::test]
async fn a_stale_update_is_refused_and_an_unchanged_one_is_no_write() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let first = maps.create(&PostParams::default(), &map("a", "k", "1")).await.unwrap();
    let again = maps.create(&PostParams::default(), &map("a", "k", "1")).await.unwrap_err();
    assert_eq!(code(&again), (409, "AlreadyExists".into()));

    let mut second = first.clone();
    second.data.as_mut().unwrap().insert("k".into(), "2".into());
    let second = maps.replace("a", &PostParams::default(), &second).await.unwrap();
    assert_ne!(first.metadata.resource_version, second.metadata.resource_version);
    let stale = maps.replace("a", &PostParams::default(), &first).await.unwrap_err();
    assert_eq!(code(&stale), (409, "Conflict".into()));
    let same = maps.replace("a", &PostParams::default(), &second).await.unwrap();
    assert_eq!(same.metadata.resource_version, second.metadata.resource_version);
}

#[tokio::test]
async fn server_side_apply_keeps_owners_apart() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let apply = |manager: &'static str, data: serde_json::Value, force: bool| {
        let maps = maps.clone();
        async move {
            let body =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
            let params = PatchParams { force, ..PatchParams::apply(manager) };
            maps.patch("a", &params, &Patch::Apply(&body)).await
        }
    };
    let one = apply("one", json!({"x": "1", "y": "1"}), false).await.unwrap();
    let same = apply("one", json!({"x": "1", "y": "1"}), false).await.unwrap();
    assert_eq!(one.metadata.resource_version, same.metadata.resource_version, "nothing changed");

    let refused = apply("two", json!({"x": "2"}), false).await.unwrap_err();
    let Error::Api(status) = &refused else { panic!("{refused}") };
    assert_eq!(status.code, 409);
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .data.x");

    apply("two", json!({"x": "2"}), true).await.unwrap();
    let left = apply("one", json!({"y": "1"}), false).await.unwrap();
    assert_eq!(left.data.unwrap()["x"], "2", "it belongs to the other now");
    let gone = apply("two", json!({}), false).await.unwrap();
    assert_eq!(gone.data.unwrap().keys().collect::<Vec<_>>(), ["y"], "what its last owner drops is removed");
}

#[tokio::test]
async fn watches_continue_from_a_version_and_end_when_it_is_too_old() {
    let server = Server::start(Options { watch_history: 4, ..Options::default() }).await.unwrap();
    let client = client(&server.kubeconfig()).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let start = maps.create(&PostParams::default(), &map("a", "k", "0")).await.unwrap();
    let start = start.metadata.resource_version.unwrap();
    maps.create(&PostParams::default(), &map("b", "k", "0")).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();

    let events = maps.watch(&WatchParams::default(), &start).await.unwrap();
    let seen: Vec<String> = events
        .take(2)
        .map_ok(|event| match event {
            WatchEvent::Added(map) => format!("added {}", map.metadata.name.unwrap()),
            WatchEvent::Deleted(map) => format!("deleted {}", map.metadata.name.unwrap()),
            other => format!("{other:?}"),
        })
        .try_collect()
        .await
        .unwrap();
    assert_eq!(seen, ["added b", "deleted a"]);

    for number in 0..6 {
        let patch = json!({"data": {"k": number.to_string()}});
        maps.patch("b", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
    let mut events = maps.watch(&WatchParams::default(), &start).await.unwrap().boxed();
    let Some(Ok(WatchEvent::Error(status))) = events.next().await else { panic!("an error was expected") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn a_selective_watch_shows_objects_come_and_go() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let version =
        maps.create(&PostParams::default(), &map("a", "k", "0")).await.unwrap().metadata.resource_version;
    let events = maps.watch(&WatchParams::default().labels("on=yes"), &version.unwrap()).await.unwrap();
    for value in [json!("yes"), json!(null)] {
        let patch = json!({"metadata": {"labels": {"on": value}}});
        maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
    let seen: Vec<_> = events.take(2).try_collect().await.unwrap();
    assert!(matches!(seen.as_slice(), [WatchEvent::Added(_), WatchEvent::Deleted(_)]), "{seen:?}");
}

#[tokio::test]
async fn lists_come_in_pages_of_one_moment() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    until(&maps, "kube-root-ca.crt", |map| map.is_some()).await;
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &map(name, "k", "0")).await.unwrap();
    }
    let page = maps.list(&ListParams::default().limit(2)).await.unwrap();
    let token = page.metadata.continue_.clone().unwrap();
    maps.create(&PostParams::default(), &map("d", "k", "0")).await.unwrap();
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    let rest = maps.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    let names: Vec<String> =
        page.items.into_iter().chain(rest.items).map(|map| map.metadata.name.unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "kube-root-ca.crt"]);
}

#[tokio::test]
async fn metadata_can_be_asked_for_alone() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    maps.create(&PostParams::default(), &map("a", "k", "0")).await.unwrap();
    let partial: PartialObjectMeta<ConfigMap> = maps.get_metadata("a").await.unwrap();
    assert_eq!(partial.metadata.name.as_deref(), Some("a"));
    let all = maps.list_metadata(&ListParams::default().fields("metadata.name=a")).await.unwrap();
    assert_eq!(all.items.len(), 1);
}

#[tokio::test]
async fn finalizers_hold_an_object_and_its_namespace() {
    let (_server, client) = server().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, "n");
    let mut held = map("a", "k", "0");
    held.metadata.finalizers = Some(vec!["example.org/hold".into()]);
    maps.create(&PostParams::default(), &held).await.unwrap();

    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    until(&maps, "a", |map| map.is_some_and(|map| map.metadata.deletion_timestamp.is_some())).await;
    let refused = maps.create(&PostParams::default(), &map("b", "k", "0")).await.unwrap_err();
    assert_eq!(code(&refused), (403, "Forbidden".into()));
    let label = json!({"metadata": {"labels": {"still": "here"}}});
    namespaces.patch("n", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
    assert!(namespaces.get_opt("n").await.unwrap().is_some());

    let free = json!({"metadata": {"finalizers": null}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(&free)).await.unwrap();
    until(&namespaces, "n", |namespace| namespace.is_none()).await;
    let missing = maps.create(&PostParams::default(), &map("b", "k", "0")).await.unwrap_err();
    let Error::Api(status) = &missing else { panic!("{missing}") };
    assert_eq!((status.code, status.message.as_str()), (404, "namespaces \"n\" not found"));
}

fn deployment(simulate: Option<&str>) -> Deployment {
    let mut value = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}}},
    });
    if let Some(simulate) = simulate {
        value["metadata"]["annotations"] = json!({"sluice.dev/simulate": simulate});
    }
    serde_json::from_value(value).unwrap()
}

fn progressing(deployment: Option<&Deployment>, reason: &str) -> bool {
    let Some((deployment, status)) = deployment.and_then(|d| Some((d, d.status.as_ref()?))) else {
        return false;
    };
    status.observed_generation == deployment.metadata.generation
        && status
            .conditions
            .iter()
            .flatten()
            .any(|c| c.type_ == "Progressing" && c.reason.as_deref() == Some(reason))
}

#[tokio::test]
async fn deployments_roll_out_and_take_what_they_own_with_them() {
    let (_server, client) = server().await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    deployments.create(&PostParams::default(), &deployment(None)).await.unwrap();
    until(&deployments, "web", |d| progressing(d, "NewReplicaSetAvailable")).await;
    assert_eq!(pods.list(&ListParams::default().labels("app=web")).await.unwrap().items.len(), 2);

    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}});
    deployments.patch("web", &PatchParams::default(), &Patch::Strategic(&image)).await.unwrap();
    until(&deployments, "web", |d| {
        progressing(d, "NewReplicaSetAvailable")
            && d.and_then(|d| d.status.as_ref()?.updated_replicas) == Some(2)
    })
    .await;

    deployments.delete("web", &DeleteParams::foreground()).await.unwrap();
    until(&deployments, "web", |d| d.is_none()).await;
    let sets: Api<ReplicaSet> = Api::namespaced(client, "default");
    assert!(sets.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_deployment_fails_when_it_is_told_to() {
    let (_server, client) = server().await;
    let deployments: Api<Deployment> = Api::namespaced(client, "default");
    deployments.create(&PostParams::default(), &deployment(Some("fail"))).await.unwrap();
    until(&deployments, "web", |d| progressing(d, "ProgressDeadlineExceeded")).await;
}

#[tokio::test]
async fn a_definition_is_served_at_once_and_takes_its_objects_with_it() {
    let (_server, client) = server().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "spec": {"type": "object", "required": ["size"], "properties": {
                        "size": {"type": "integer", "minimum": 1}, "colour": {"type": "string", "default": "red"}}},
                    "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
                },
            }}}],
        },
    }))
    .unwrap();
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.org", "v1", "Thing"), "things");
    let things: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    let thing = |size: i64| {
        DynamicObject::new("a", &resource)
            .data(json!({"spec": {"size": size, "unknown": true}, "status": {"seen": 9}}))
    };
    let refused = things.create(&PostParams::default(), &thing(0)).await.unwrap_err();
    assert_eq!(code(&refused), (422, "Invalid".into()));
    let made = things.create(&PostParams::default(), &thing(3)).await.unwrap();
    assert_eq!(
        made.data,
        json!({"spec": {"size": 3, "colour": "red"}}),
        "defaulted, pruned, without a status"
    );

    let status = json!({"status": {"seen": 1}, "spec": {"size": 7}});
    let seen = things.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!((&seen.data["spec"]["size"], &seen.data["status"]["seen"]), (&json!(3), &json!(1)));
    assert_eq!(seen.metadata.generation, Some(1));

    definitions.delete("things.example.org", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(&things.get("a").await.unwrap_err()).0, 404);
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    assert!(things.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_restart_cuts_connections_and_keeps_the_data() {
    let (server, client) = server().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let version =
        maps.create(&PostParams::default(), &map("a", "k", "0")).await.unwrap().metadata.resource_version;
    let mut events = maps.watch(&WatchParams::default(), version.as_deref().unwrap()).await.unwrap().boxed();
    server.suspend().await;
    assert!(!matches!(events.next().await, Some(Ok(_))), "the watch is cut");
    assert!(maps.get("a").await.is_err(), "nobody answers");
    server.resume().await.unwrap();
    assert_eq!(maps.get("a").await.unwrap().metadata.resource_version, version);
    maps.patch("a", &PatchParams::default(), &Patch::Merge(&json!({"data": {"k": "1"}}))).await.unwrap();
    let mut events = maps.watch(&WatchParams::default(), version.as_deref().unwrap()).await.unwrap().boxed();
    assert!(
        matches!(events.next().await, Some(Ok(WatchEvent::Modified(_)))),
        "the watch goes on where it was"
    );
}

#[tokio::test]
async fn service_accounts_may_do_what_their_roles_say() {
    let (server, admin) = server().await;
    let token = server.service_account_token("default", "robot");
    let robot = client(&server.kubeconfig_for("robot", &token)).await;
    let maps: Api<ConfigMap> = Api::namespaced(robot.clone(), "default");
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    let Error::Api(status) = &refused else { panic!("{refused}") };
    assert_eq!(
        status.message,
        "configmaps is forbidden: User \"system:serviceaccount:default:robot\" cannot list resource \"configmaps\" in \
         API group \"\" in the namespace \"default\""
    );
    let bindings: Api<k8s_openapi::api::rbac::v1::RoleBinding> = Api::namespaced(admin, "default");
    let binding = serde_json::from_value(json!({
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }))
    .unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    maps.create(&PostParams::default(), &map("a", "k", "0")).await.unwrap();
    let elsewhere: Api<ConfigMap> = Api::namespaced(robot, "kube-system");
    assert_eq!(code(&elsewhere.get("a").await.unwrap_err()), (403, "Forbidden".into()));
}
