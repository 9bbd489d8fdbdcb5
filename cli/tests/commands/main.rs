//! The commands as a user runs them: the program itself, on the embedded API server.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as expected")]

mod cluster;
mod helm_release;

use std::path::Path;
use std::process::Stdio;

use cluster::{Cluster, SHA1, answer, ready, run};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use sluice_api::kustomize::Kustomization;
use sluice_api::source::GitRepository;

#[tokio::test(flavor = "multi_thread")]
async fn get_prints_tables_and_says_where_nothing_is() {
    let cluster = Cluster::start().await;
    let missing = cluster.run("get kustomizations").await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert_eq!(missing.stderr, "✗ no Kustomization objects found in \"flux-system\" namespace\n");
    assert_eq!(missing.stdout, "");
    let nothing = cluster.run("get all").await;
    assert_eq!((nothing.code, nothing.stdout.as_str(), nothing.stderr.as_str()), (Some(0), "", ""));

    cluster.repository("repo").await;
    cluster.kustomization("apps", &[]).await;
    let git = cluster.run("get sources git").await;
    assert_eq!(
        git.stdout,
        "NAME\tREVISION          \tSUSPENDED\tREADY\tMESSAGE                                          \t\n\
         repo\tmain@sha1:696f056d\tFalse    \tTrue \tstored artifact for revision 'main@sha1:696f056d'\t\n"
    );
    assert_eq!((git.code, git.stderr.as_str()), (Some(0), ""));
    let source = cluster.run("get ks apps --show-source -A --no-header").await;
    assert_eq!(
        source.stdout,
        "flux-system\tapps\tGitRepository/flux-system/repo\tmain@sha1:696f056d\tFalse\tTrue\tApplied revision: main@sha1:696f056d\t\n"
    );
    let filtered = cluster.run("get sources git --status-selector ready=false").await;
    assert_eq!(
        (filtered.code, filtered.stdout.as_str()),
        (Some(0), "NAME\tREVISION\tSUSPENDED\tREADY\tMESSAGE\t\n")
    );
    let all = cluster.run("get all --no-header").await;
    assert_eq!(all.code, Some(0));
    assert!(all.stdout.starts_with("gitrepository/repo\t"), "{}", all.stdout);
    assert!(
        all.stdout.contains("\t\n\nkustomization/apps\t") && all.stdout.ends_with("\t\n\n"),
        "{}",
        all.stdout
    );
    let named = cluster.run("get kustomizations web").await;
    assert_eq!(named.stderr, "✗ Kustomization object 'web' not found in \"flux-system\" namespace\n");
    cluster.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_objects_are_not_reconciled_until_resumed() {
    let cluster = Cluster::start().await;
    cluster.kustomization("apps", &[]).await;
    let api: Api<Kustomization> = Api::namespaced(cluster.client.clone(), "flux-system");

    let suspend = cluster.run("suspend ks apps apps missing").await;
    assert_eq!(suspend.code, Some(0), "{suspend:?}");
    assert_eq!(
        suspend.stderr,
        "► suspending kustomization apps in flux-system namespace\n✔ kustomization suspended\n\
         ► suspending kustomization missing in flux-system namespace\n\
         ✗ Kustomization missing not found in flux-system namespace\n"
    );
    assert!(api.get("apps").await.unwrap().spec.suspend);
    assert!(cluster.run("get ks --no-header").await.stdout.contains("\tTrue\tTrue\t"));

    let reconcile = cluster.run("reconcile kustomization apps").await;
    assert_eq!(reconcile.code, Some(1));
    assert!(
        reconcile.stderr.starts_with("✗ resource is suspended\n\nhint: sluice resume kustomization apps"),
        "{reconcile:?}"
    );

    let resume = cluster.run("resume kustomization apps --wait=false").await;
    assert_eq!(resume.code, Some(0));
    assert_eq!(
        resume.stderr,
        "► resuming kustomization apps in flux-system namespace\n✔ kustomization resumed\n"
    );
    assert!(!api.get("apps").await.unwrap().spec.suspend);

    let unnamed = cluster.run("suspend source git").await;
    assert_eq!((unnamed.code, unnamed.stderr.as_str()), (Some(1), "✗ source git name is required\n"));
    let none = cluster.run("suspend source git --all").await;
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("no GitRepository objects found"), "{none:?}");
    cluster.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_asks_the_source_then_the_object_and_tells_the_outcome() {
    let cluster = Cluster::start().await;
    cluster.repository("repo").await;
    cluster.kustomization("apps", &[]).await;
    cluster.kustomization("broken", &[]).await;
    let handled = |request: &str| json!({"lastHandledReconcileAt": request});
    let failed = |request: &str| {
        json!({
            "lastHandledReconcileAt": request,
            "conditions": [
                ready("False", "no such file"),
                {"type": "Stalled", "status": "True", "reason": "Tested", "message": "no such file",
                 "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
        })
    };
    let controllers = [
        tokio::spawn(answer::<GitRepository>(cluster.client.clone(), "repo", handled)),
        tokio::spawn(answer::<Kustomization>(cluster.client.clone(), "apps", handled)),
        tokio::spawn(answer::<Kustomization>(cluster.client.clone(), "broken", failed)),
    ];

    let success = cluster.run("reconcile ks apps --with-source").await;
    assert_eq!(
        success.stderr,
        format!(
            "► annotating GitRepository repo in flux-system namespace\n✔ GitRepository annotated\n\
             ◎ waiting for GitRepository reconciliation\n✔ fetched revision main@sha1:{SHA1}\n\
             ► annotating Kustomization apps in flux-system namespace\n✔ Kustomization annotated\n\
             ◎ waiting for Kustomization reconciliation\n✔ applied revision main@sha1:{SHA1}\n"
        )
    );
    assert_eq!((success.code, success.stdout.as_str()), (Some(0), ""));
    let failure = cluster.run("reconcile ks broken").await;
    assert_eq!(failure.code, Some(1), "{failure:?}");
    assert!(failure.stderr.ends_with("✗ no such file\n"), "{failure:?}");
    let missing = cluster.run("reconcile source git other").await;
    assert_eq!(
        (missing.code, missing.stderr.as_str()),
        (Some(1), "✗ gitrepositories.source.toolkit.fluxcd.io \"other\" not found\n")
    );
    let unnamed = cluster.run("reconcile source git").await;
    assert_eq!(unnamed.stderr, "✗ GitRepository name is required\n");

    controllers.iter().for_each(tokio::task::JoinHandle::abort);
    // Nobody answers now: the time is up, and the last state is told.
    let unanswered = cluster.run("reconcile source git repo --timeout 1s").await;
    assert_eq!(unanswered.code, Some(1));
    assert!(
        unanswered.stderr.contains(
            "✗ context deadline exceeded\n\nhint: the last state of GitRepository flux-system/repo: stored"
        ),
        "{unanswered:?}"
    );
    cluster.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_follows_kustomizations_and_events_are_listed() {
    let cluster = Cluster::start().await;
    cluster
        .kustomization(
            "flux-system",
            &[
                "_flux-system__Namespace",
                "flux-system_flux-system_kustomize.toolkit.fluxcd.io_Kustomization",
                "flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization",
            ],
        )
        .await;
    cluster
        .kustomization(
            "apps",
            &[
                "apps_web_apps_Deployment",
                "flux-system_flux-system_kustomize.toolkit.fluxcd.io_Kustomization",
            ],
        )
        .await;
    let tree = cluster.run("tree kustomization flux-system").await;
    assert_eq!(
        tree.stdout,
        "Kustomization/flux-system/flux-system\n├── Namespace/flux-system\n└── Kustomization/flux-system/apps\n    └── Deployment/apps/web\n\n",
        "{tree:?}"
    );
    let compact = cluster.run("tree ks flux-system --compact -o json").await;
    let value: Value = serde_json::from_str(&compact.stdout).unwrap();
    assert_eq!(value["resources"].as_array().unwrap().len(), 1);
    assert_eq!(value["resources"][0]["resource"]["GroupKind"]["Kind"], "Kustomization");

    let none = cluster.run("events").await;
    assert_eq!((none.code, none.stderr.as_str()), (Some(0), "✗ No events found in flux-system namespace.\n"));
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), "flux-system");
    for (name, kind, message) in
        [("a", "Kustomization", "applied"), ("b", "GitRepository", "fetched"), ("c", "Deployment", "scaled")]
    {
        let event = json!({
            "metadata": {"name": name, "namespace": "flux-system"},
            "involvedObject": {"kind": kind, "name": if kind == "GitRepository" { "repo" } else { "apps" }, "namespace": "flux-system"},
            "type": "Normal", "reason": "Tested", "message": message,
            "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": "2020-01-01T00:00:00Z",
        });
        api.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap();
    }
    let events = cluster.run("events --for Kustomization/apps").await;
    assert!(events.stdout.starts_with("LAST SEEN\tTYPE  \tREASON\tOBJECT "), "{events:?}");
    assert!(
        events.stdout.contains("Kustomization/apps\tapplied") && events.stdout.contains("GitRepository/repo"),
        "{events:?}"
    );
    assert!(!events.stdout.contains("scaled"), "{events:?}");
    let warnings = cluster.run("events --types Warning").await;
    assert_eq!(warnings.stderr, "✗ No events found in flux-system namespace.\n");
    cluster.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn install_manifests_build_and_each_controller_stands_alone() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for (folder, crds, controllers) in [
        ("source-controller", 6, vec!["source-controller"]),
        ("kustomize-controller", 1, vec!["kustomize-controller"]),
        ("helm-controller", 1, vec!["helm-controller"]),
        ("notification-controller", 3, vec!["notification-controller"]),
        (
            ".",
            11,
            vec!["source-controller", "kustomize-controller", "helm-controller", "notification-controller"],
        ),
    ] {
        let built = run(&format!("kustomize build {}", deploy.join(folder).display())).await;
        assert_eq!((built.code, built.stderr.as_str()), (Some(0), ""), "{folder}");
        let objects = sluice_kustomize::read_objects(built.stdout.as_bytes()).unwrap();
        let of_kind = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).collect::<Vec<_>>();
        assert_eq!(of_kind("CustomResourceDefinition").len(), crds, "{folder}");
        assert_eq!(of_kind("Namespace").len(), 1, "{folder}");
        let deployments = of_kind("Deployment");
        let mut names: Vec<_> =
            deployments.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
        let mut expected = controllers.clone();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected, "{folder}");
        for object in &objects {
            assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/part-of"], "flux", "{object}");
        }
        for deployment in deployments {
            let (name, template) = (&deployment["metadata"]["name"], &deployment["spec"]["template"]);
            assert_eq!(deployment["spec"]["selector"]["matchLabels"], json!({"app": name}));
            assert_eq!(template["metadata"]["labels"]["app.kubernetes.io/component"], *name);
            let arguments = template["spec"]["containers"][0]["args"].as_array().unwrap();
            // The one that receives events sends none, and has one argument less.
            let index = if name == "notification-controller" { 3 } else { 4 };
            assert_eq!(arguments[index], "--enable-leader-election", "patches name arguments by index");
            if name == "source-controller" {
                assert_eq!(
                    arguments[6],
                    "--storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.cluster.local.",
                    "patches name arguments by index"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_command_lines_exit_with_1_and_groups_print_help() {
    let unknown = run("frobnicate").await;
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(1), "✗ unknown command \"frobnicate\" for \"sluice\"\n")
    );
    let group = run("get sources").await;
    assert_eq!(group.code, Some(0));
    assert!(group.stdout.contains("Usage: sluice get sources"), "{group:?}");
    let namespace = run("-n Not_A_Label get all").await;
    assert_eq!(
        (namespace.code, namespace.stderr.as_str()),
        (Some(1), "✗ namespace must be a valid DNS label: \"Not_A_Label\"\n")
    );
    let version = run("--version").await;
    assert_eq!(version.stdout, format!("sluice version {}\n", env!("CARGO_PKG_VERSION")));
    let nowhere = run("--kubeconfig /no/such/file get all").await;
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.starts_with("✗ cannot read the kubeconfig /no/such/file: "), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_start_serves_until_interrupted() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["cluster", "start", "--crds", "--kubeconfig"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), format!("export KUBECONFIG={}", file.display()));
    let kubeconfig = format!("--kubeconfig {}", file.display());
    let all = run(&format!("{kubeconfig} get ks")).await;
    assert_eq!(all.stderr, "✗ no Kustomization objects found in \"flux-system\" namespace\n");

    let id = child.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    assert!(child.wait().await.unwrap().success());
    let gone = run(&format!("{kubeconfig} get ks")).await;
    assert_eq!(gone.code, Some(1));
    assert!(
        gone.stderr.contains("✗ cannot talk to the API server: ") && gone.stderr.contains("\n\nhint: "),
        "{gone:?}"
    );
}
