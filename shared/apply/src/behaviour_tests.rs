//! Whole passes against the small API server of [`crate::testing`], counting what they send.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    Action, Cluster, Move, ObjectId, Options, Target, WaitOptions, inventory,
    status::Kind,
    testing::{Mock, applier, owned, owner, until},
};

const WEB: &str = "/apis/apps/v1/namespaces/a/deployments/web";

fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}, "data": {"k": value}})
}

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/a/configmaps/{name}")
}

fn id(name: &str) -> ObjectId {
    ObjectId::of(&config(name, "")).0
}

fn entry(name: &str) -> inventory::Entry {
    inventory::Entry { id: id(name), version: "v1".into() }
}

fn annotate(object: &mut Value, key: &str, value: &str) {
    object["metadata"]["annotations"][key] = json!(value);
}

async fn watched(cluster: &Cluster, name: &str) {
    until("the watch is synced", || cluster.inner.is_watched(&id(name))).await;
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_pass_sends_nothing() {
    let mock = Mock::new();
    let (cluster, drifts) = mock.cluster();
    let objects = vec![owned(&cluster, config("x", "1")), owned(&cluster, config("y", "1"))];
    let pass = applier(&mock, &cluster, Options::default());
    let first = pass.apply(objects.clone()).await.unwrap();
    assert_eq!(first.lines(true), "ConfigMap/a/x created\nConfigMap/a/y created");
    let mut sent = mock.requests();
    sent.sort();
    assert_eq!(sent, ["APPLY configmaps/x", "APPLY configmaps/y", "TRY configmaps/x", "TRY configmaps/y"]);
    watched(&cluster, "x").await;
    let second = pass.apply(objects).await.unwrap();
    assert_eq!(second.count(Action::Unchanged), 2);
    let options = WaitOptions::default();
    pass.wait(&second.targets(), &options, &CancellationToken::new()).await.unwrap();
    assert_eq!(mock.requests(), Vec::<String>::new());
    let third =
        pass.apply(vec![owned(&cluster, config("x", "2")), owned(&cluster, config("y", "1"))]).await.unwrap();
    assert_eq!(third.lines(false), "ConfigMap/a/x configured");
    assert_eq!(mock.requests(), ["APPLY configmaps/x"], "what is there is known, and nothing else changed");
    pass.apply(vec![owned(&cluster, config("x", "3")), owned(&cluster, config("y", "3"))]).await.unwrap();
    let mut sent = mock.requests();
    sent.sort();
    assert_eq!(sent, ["APPLY configmaps/x", "APPLY configmaps/y", "TRY configmaps/x", "TRY configmaps/y"]);
    assert!(drifts.lock().is_empty(), "own applies are no drift");
}

#[tokio::test(start_paused = true)]
async fn the_only_change_of_a_stage_is_refused_and_forced_as_any_other() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let pass = applier(&mock, &cluster, Options::default());
    let with = |key: &str, value: &str| {
        let mut object = config("x", "1");
        object["data"][key] = json!(value);
        owned(&cluster, object)
    };
    pass.apply(vec![with("fixed", "1")]).await.unwrap();
    watched(&cluster, "x").await;
    let error = pass.apply(vec![with("refuse", "me")]).await.unwrap_err();
    assert!(error.to_string().starts_with("ConfigMap/a/x dry-run failed (Invalid): "), "{error}");
    assert!(error.reached().0.is_empty());

    pass.apply(vec![with("fixed", "1")]).await.unwrap();
    watched(&cluster, "x").await;
    mock.requests();
    let forced = applier(&mock, &cluster, Options { force: true, ..Options::default() });
    let done = forced.apply(vec![with("fixed", "2")]).await.unwrap();
    assert_eq!(done.lines(false), "ConfigMap/a/x created");
    assert_eq!(mock.get(&path("x")).unwrap()["data"]["fixed"], "2");

    // Somebody says that it is to be left alone: the apply must not overlook that.
    watched(&cluster, "x").await;
    mock.edit(&path("x"), false, |object| annotate(object, "kustomize.toolkit.fluxcd.io/ssa", "Ignore"));
    until("the annotation is seen", || cluster.inner.current(&id("x"), &owner()).is_none()).await;
    assert_eq!(pass.apply(vec![with("fixed", "2")]).await.unwrap().count(Action::Skipped), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_applies_again_and_finds_nothing_changed() {
    let mock = Mock::new();
    for want in [Action::Created, Action::Unchanged] {
        let (cluster, _) = mock.cluster();
        let done = applier(&mock, &cluster, Options::default())
            .apply(vec![owned(&cluster, config("x", "1"))])
            .await
            .unwrap();
        assert_eq!(done.count(want), 1, "{want}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_watch_one_look_at_the_metadata_is_enough() {
    let mock = Mock::new();
    mock.deny_watch();
    let (cluster, _) = mock.cluster();
    let pass = applier(&mock, &cluster, Options::default());
    pass.apply(vec![owned(&cluster, config("x", "1"))]).await.unwrap();
    mock.requests();
    assert_eq!(
        pass.apply(vec![owned(&cluster, config("x", "1"))]).await.unwrap().count(Action::Unchanged),
        1
    );
    assert_eq!(mock.requests(), ["GET configmaps/x"]);
    mock.edit(&path("x"), true, |object| object["data"]["k"] = json!("9"));
    assert_eq!(
        pass.apply(vec![owned(&cluster, config("x", "1"))]).await.unwrap().count(Action::Configured),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_at_once_and_put_right() {
    let mock = Mock::new();
    let (cluster, drifts) = mock.cluster();
    let pass = applier(&mock, &cluster, Options::default());
    let objects = vec![owned(&cluster, config("x", "1"))];
    pass.apply(objects.clone()).await.unwrap();
    watched(&cluster, "x").await;
    mock.edit(&path("x"), false, |object| object["status"] = json!({"seen": true}));
    mock.edit(&path("x"), true, |object| object["data"]["k"] = json!("9"));
    until("the change is told", || !drifts.lock().is_empty()).await;
    let told: Vec<_> = drifts.lock().drain(..).collect();
    assert_eq!(told.len(), 1, "a change of status is no drift: {told:?}");
    assert_eq!((&told[0].owner, &told[0].id, told[0].moved), (&owner(), &id("x"), Move::Changed));
    assert_eq!(pass.apply(objects.clone()).await.unwrap().count(Action::Configured), 1);
    assert_eq!(mock.get(&path("x")).unwrap()["data"]["k"], "1");

    mock.remove(&path("x"));
    until("the deletion is told", || drifts.lock().iter().any(|d| d.moved == Move::Deleted)).await;
    assert_eq!(pass.apply(objects).await.unwrap().count(Action::Created), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_object_leaves_its_stage_untouched_and_all_refusals_are_named() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let mut bad = config("bad", "1");
    bad["data"]["refuse"] = json!("x1");
    let mut secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}});
    secret["data"] = json!({"refuse": "aHVudGVyMg=="});
    let mut lost = config("lost", "1");
    lost["metadata"]["namespace"] = json!("nowhere");
    let unknown =
        json!({"apiVersion": "e.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "a"}});
    let homeless = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "h"}});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}});
    let objects =
        [config("good", "1"), bad, secret, lost, unknown, homeless, namespace].map(|o| owned(&cluster, o));
    let error = applier(&mock, &cluster, Options::default()).apply(objects.to_vec()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ConfigMap/h namespace not specified: the server could not find the requested resource\n\
         ConfigMap/a/bad dry-run failed (Invalid): ConfigMap \"bad\" is invalid: data.refuse: Invalid value: \"x1\": nope\n\
         ConfigMap/nowhere/lost not found: namespaces \"nowhere\" not found\n\
         Secret/a/s dry-run failed (Invalid): Secret \"s\" is invalid: data.refuse: Invalid value: \"***\": nope\n\
         Widget/a/w dry-run failed: no matches for kind \"Widget\" in version \"e.com/v1\"\n\
         Namespace/b created\n"
    );
    assert!(mock.get(&path("good")).is_none());
    assert_eq!(error.reached().0.len(), 1, "the namespace of the first stage");
}

#[tokio::test(start_paused = true)]
async fn objects_land_in_a_namespace_of_the_same_pass_and_cluster_scoped_ids_lose_theirs() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let mut object = config("x", "1");
    object["metadata"]["namespace"] = json!("b");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b", "namespace": "stray"}});
    let done = applier(&mock, &cluster, Options::default())
        .apply(vec![owned(&cluster, object), owned(&cluster, namespace)])
        .await
        .unwrap();
    let ids: Vec<String> = done.inventory().iter().map(|entry| inventory::format(&entry.id)).collect();
    assert_eq!(ids, ["_b__Namespace", "b_x__ConfigMap"]);
}

#[tokio::test(start_paused = true)]
async fn annotations_on_either_side_keep_an_object_as_it_is() {
    for (key, value, on_live, live_exists, want) in [
        ("reconcile", "disabled", true, true, Action::Skipped),
        ("ssa", "Ignore", true, true, Action::Skipped),
        ("ssa", "ignore", false, true, Action::Skipped),
        ("ssa", "Ignore", false, false, Action::Skipped),
        ("ssa", "IfNotPresent", false, true, Action::Skipped),
        ("ssa", "IfNotPresent", false, false, Action::Created),
        ("reconcile", "enabled", true, true, Action::Configured),
    ] {
        let mock = Mock::new();
        let (cluster, _) = mock.cluster();
        let key = format!("kustomize.toolkit.fluxcd.io/{key}");
        let (mut live, mut manifest) = (config("x", "old"), config("x", "new"));
        annotate(if on_live { &mut live } else { &mut manifest }, &key, value);
        if live_exists {
            mock.put(&path("x"), live);
        }
        let done = applier(&mock, &cluster, Options::default())
            .apply(vec![owned(&cluster, manifest)])
            .await
            .unwrap();
        assert_eq!(done.0[0].action, want, "{key} {value} {on_live} {live_exists}");
        let stays = live_exists && want == Action::Skipped;
        assert_eq!(mock.get(&path("x")).is_some_and(|o| o["data"]["k"] == "old"), stays, "{key} {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn force_recreates_what_must_not_change_but_never_on_a_typo() {
    let fixed = |value: &str| {
        let mut object = config("x", "1");
        object["data"]["fixed"] = json!(value);
        object
    };
    for force in [false, true] {
        let mock = Mock::new();
        let (cluster, drifts) = mock.cluster();
        let pass = applier(&mock, &cluster, Options { force, ..Options::default() });
        pass.apply(vec![owned(&cluster, fixed("1"))]).await.unwrap();
        mock.requests();
        let outcome = pass.apply(vec![owned(&cluster, fixed("2"))]).await;
        if force {
            assert_eq!(outcome.unwrap().lines(false), "ConfigMap/a/x created");
            assert_eq!(mock.get(&path("x")).unwrap()["data"]["fixed"], "2");
            assert!(drifts.lock().is_empty(), "own deletion is no drift");
        } else {
            assert!(outcome.unwrap_err().to_string().contains("field is immutable"));
            assert_eq!(mock.get(&path("x")).unwrap()["data"]["fixed"], "1");
        }
        mock.requests();
        let mut typo = config("x", "1");
        typo["data"]["refuse"] = json!("typo");
        assert!(pass.apply(vec![owned(&cluster, typo)]).await.is_err());
        assert!(!mock.requests().iter().any(|r| r.starts_with("DELETE")), "force {force}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forced_deletion_that_hangs_ends_with_the_reason() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let pass = applier(
        &mock,
        &cluster,
        Options { force: true, stage_timeout: Duration::from_secs(5), ..Options::default() },
    );
    let mut object = config("x", "1");
    object["data"]["fixed"] = json!("1");
    pass.apply(vec![owned(&cluster, object.clone())]).await.unwrap();
    mock.edit(&path("x"), false, |live| live["metadata"]["finalizers"] = json!(["e.com/hold"]));
    object["data"]["fixed"] = json!("2");
    let error = pass.apply(vec![owned(&cluster, object)]).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "ConfigMap/a/x immutable field detected, failed to wait for object to be deleted: timed out after 5s, held by finalizers [\"e.com/hold\"]\n"
    );
}

#[tokio::test(start_paused = true)]
async fn fields_of_kubectl_are_taken_over_by_one_patch() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let mut live = config("x", "1");
    annotate(&mut live, "kubectl.kubernetes.io/last-applied-configuration", "{}");
    live["metadata"]["managedFields"] = json!([{"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:data": {"f:extra": {}}}}]);
    mock.put(&path("x"), live.clone());
    let pass = applier(&mock, &cluster, Options::default());
    let done = pass.apply(vec![owned(&cluster, config("x", "1"))]).await.unwrap();
    assert_eq!(done.0[0].action, Action::Configured);
    assert_eq!(
        mock.requests(),
        ["TRY configmaps/x", "GET configmaps/x", "PATCH configmaps/x", "APPLY configmaps/x"]
    );
    let after = mock.get(&path("x")).unwrap();
    assert_eq!(after["metadata"]["annotations"], json!({}));
    assert_eq!(after["metadata"]["managedFields"].as_array().unwrap().len(), 1);

    mock.put(&path("x"), live);
    let mut merging = config("x", "2");
    annotate(&mut merging, "kustomize.toolkit.fluxcd.io/ssa", "Merge");
    pass.apply(vec![owned(&cluster, merging)]).await.unwrap();
    assert!(!mock.requests().iter().any(|r| r.starts_with("PATCH")));
}

#[tokio::test(start_paused = true)]
async fn managed_fields_move_to_the_version_of_the_manifest_where_asked_to() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let mut old = config("x", "0");
    let entry = json!({"manager": "other", "operation": "Update", "apiVersion": "v1beta1", "fieldsV1": {"f:data": {}}});
    old["metadata"]["managedFields"] = json!([entry]);
    mock.put(&path("x"), old);
    let options = Options { migrate_versions: true, ..Options::default() };
    let objects = [config("x", "1"), config("new", "1")].map(|object| owned(&cluster, object));
    applier(&mock, &cluster, options).apply(objects.to_vec()).await.unwrap();
    let sent = mock.requests();
    assert_eq!(sent.iter().filter(|request| *request == "PATCH configmaps/x").count(), 1, "{sent:?}");
    assert!(!sent.contains(&"PATCH configmaps/new".to_owned()), "{sent:?}");
    assert_eq!(mock.get(&path("x")).unwrap()["metadata"]["managedFields"][0]["apiVersion"], "v1");
}

#[tokio::test(start_paused = true)]
async fn prune_deletes_only_what_is_ours_and_not_kept() {
    let mock = Mock::new();
    let (cluster, drifts) = mock.cluster();
    let pass = applier(&mock, &cluster, Options::default());
    let mut kept = config("kept", "1");
    annotate(&mut kept, "kustomize.toolkit.fluxcd.io/prune", "Disabled");
    let mut stuck = config("stuck", "1");
    annotate(&mut stuck, "mock/undeletable", "");
    let objects = [config("plain", "1"), kept, stuck, config("adopted", "1")].map(|o| owned(&cluster, o));
    pass.apply(objects.to_vec()).await.unwrap();
    watched(&cluster, "plain").await;
    mock.edit(&path("adopted"), false, |o| {
        o["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = json!("other")
    });
    until("adoption is seen", || !drifts.lock().is_empty()).await;
    drifts.lock().clear();
    let stale = ["plain", "kept", "stuck", "adopted", "gone"].map(entry);
    let pruned = pass.prune(&stale).await;
    assert_eq!(
        pruned.changes.lines(true),
        "ConfigMap/a/plain deleted\nConfigMap/a/kept skipped\nConfigMap/a/gone deleted\nConfigMap/a/adopted skipped"
    );
    assert_eq!(pruned.survivors, [entry("stuck")]);
    assert_eq!(
        pruned.result().unwrap_err().to_string(),
        "delete failed, errors: ConfigMap/a/stuck delete failed: deletion is denied;"
    );
    assert!(mock.get(&path("plain")).is_none() && mock.get(&path("adopted")).is_some());
    let unknown =
        inventory::Entry { id: inventory::parse("a_w_e.com_Widget").unwrap(), version: "v1".into() };
    let error = pass.prune(&[unknown]).await.result().unwrap_err().to_string();
    assert_eq!(
        error,
        "delete failed, errors: Widget/a/w query failed: no matches for kind \"Widget\" in version \"e.com/v1\";"
    );
    assert!(drifts.lock().is_empty(), "own deletions are no drift: {:?}", drifts.lock());
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"}, "spec": {"replicas": 1}})
}

fn rolled_out() -> Value {
    json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1, "conditions": [{"type": "Available", "status": "True"}]})
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_woken_by_the_watch() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let pass = applier(&mock, &cluster, Options::default());
    let done = pass.apply(vec![owned(&cluster, deployment())]).await.unwrap();
    let id = done.0[0].id.clone();
    until("the watch is synced", || cluster.inner.is_watched(&id)).await;
    mock.requests();
    // Without a poll: the watch alone tells.
    let options = WaitOptions {
        interval: Duration::from_secs(1000),
        timeout: Duration::from_secs(2000),
        ..WaitOptions::default()
    };
    let start = tokio::time::Instant::now();
    let targets = done.targets();
    let cancel = CancellationToken::new();
    let roll_out = async {
        mock.edit(WEB, false, |object| object["status"] = json!({"replicas": 1}));
        until("the first step is seen", || cluster.inner.health(&id) == Some(Kind::InProgress)).await;
        mock.edit(WEB, false, |object| object["status"] = rolled_out());
    };
    let (healths, ()) = tokio::join!(pass.wait(&targets, &options, &cancel), roll_out);
    assert_eq!(healths.unwrap().len(), 1);
    assert!(start.elapsed() < Duration::from_secs(10), "woken, not polled");
    assert_eq!(mock.requests(), Vec::<String>::new(), "each step is told, none is asked for");
    pass.wait(&targets, &options, &cancel).await.unwrap();
    assert_eq!(mock.requests(), Vec::<String>::new(), "known to be ready");
}

#[tokio::test(start_paused = true)]
async fn waits_end_with_fluxs_texts() {
    let mock = Mock::new();
    let (cluster, _) = mock.cluster();
    let pass = applier(&mock, &cluster, Options::default());
    let target = |group: &str, kind: &str, namespace: &str, name: &str| Target {
        id: ObjectId {
            group: group.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        },
        vanishes: false,
    };
    mock.put(WEB, deployment());
    let targets = [
        target("apps", "Deployment", "a", "web"),
        target("", "ConfigMap", "a", "none"),
        target("apps", "Deployment", "", "web"),
    ];
    let options = WaitOptions { timeout: Duration::from_secs(20), ..WaitOptions::default() };
    let cancel = CancellationToken::new();
    let error = pass.wait(&targets, &options, &cancel).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout waiting for: [ConfigMap/a/none status: 'NotFound', Deployment/a/web status: 'InProgress', can't determine status for Deployment/web]"
    );
    mock.edit(WEB, false, |o| o["status"] = json!({"conditions": [{"type": "Stalled", "status": "True"}]}));
    let error = pass.wait(&targets, &options, &cancel).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed early due to stalled resources: [Deployment/a/web status: 'Failed']"
    );
    let slow = WaitOptions { fail_fast: false, ..options.clone() };
    let error = pass.wait(&targets, &slow, &cancel).await.unwrap_err();
    assert!(error.to_string().starts_with("timeout waiting for: "), "{error}");
    cancel.cancel();
    assert_eq!(pass.wait(&targets[1..], &options, &cancel).await.unwrap_err(), crate::WaitError::Canceled);
    let job = Target { id: ObjectId { kind: "ConfigMap".into(), ..targets[1].id.clone() }, vanishes: true };
    pass.wait(&[job], &options, &CancellationToken::new()).await.unwrap();
}
