//! The shared steps, on a kind that stores what it is told.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use sluice_api::source::GitRepository;
use sluice_api::{ArtifactSource, Reconcilable};
use sluice_runtime::Outcome;
use sluice_runtime::conditions::{READY, RECONCILING, STALLED};

use crate::fake::Bench;
use crate::kind::{
    ARTIFACT_IN_STORAGE, FETCH_FAILED, Failure, INCLUDE_UNAVAILABLE, Produced, SourceKind, Stop,
};
use crate::work::{Archive, Leave, Work};

/// Stores one file with the given text, or stops.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    delay: Duration,
    content: String,
    stop: Option<Stop>,
}

impl Scripted {
    fn content(&self, text: &str) {
        self.0.lock().content = text.to_owned();
    }

    fn stop(&self, stop: Stop) {
        self.0.lock().stop = Some(stop);
    }
}

impl SourceKind for Scripted {
    type Object = GitRepository;

    async fn produce(&self, work: &mut Work<GitRepository>) -> Result<Produced, Stop> {
        let (delay, content, stop) = {
            let mut script = self.0.lock();
            (script.delay, script.content.clone(), script.stop.take())
        };
        tokio::time::sleep(delay).await;
        if let Some(stop) = stop {
            return Err(stop);
        }
        let revision = format!("main@{}", sluice_artifact::Algorithm::Sha1.digest(&content));
        if work.artifact().is_none_or(|artifact| artifact.revision != revision) {
            work.outdated("NewRevision", &format!("new upstream revision '{revision}'")).await?;
            std::fs::write(work.dir().join("file"), &content).unwrap();
            work.store_directory(Archive {
                file: format!("{}.tar.gz", revision.rsplit(':').next().unwrap()),
                dir: work.dir().to_path_buf(),
                revision: revision.clone(),
                metadata: [].into(),
                leave: Leave::Ignored(None),
                link: None,
            })
            .await?;
        }
        work.mark_stored(format!("stored artifact for revision '{revision}'"));
        Ok(Produced::new(format!("stored artifact for commit '{content}'")))
    }
}

fn bench() -> (Scripted, Bench<Scripted>) {
    let script = Scripted::default();
    script.content("one");
    let spec = json!({"url": "https://example.com/repo", "interval": "1m"});
    (script.clone(), Bench::new(script, spec))
}

const ONE: &str = "main@sha1:fe05bcdcdc4928012781a5f1a2a77cbb5398e106";

#[tokio::test]
async fn the_first_pass_only_adds_the_finalizer() {
    let (_, bench) = bench();
    bench.edit(|object| object["metadata"]["finalizers"] = json!([]));
    assert!(matches!(bench.pass().await, Outcome::After(Duration::ZERO)));
    assert_eq!(bench.requests(), ["PATCH …"]);
    assert_eq!(bench.object().observed_generation(), Some(-1));
    assert_eq!(bench.object().metadata.finalizers.unwrap(), ["finalizers.fluxcd.io"]);
}

#[tokio::test]
async fn a_new_source_becomes_ready_with_one_write() {
    let (_, mut bench) = bench();
    let outcome = bench.pass().await;
    assert!(
        matches!(outcome, Outcome::Interval(interval) if interval == Duration::from_secs(60)),
        "{outcome:?}"
    );
    assert_eq!(bench.written(), [format!("stored artifact for revision '{ONE}'")]);
    assert_eq!(bench.types(), [READY, ARTIFACT_IN_STORAGE]);
    assert_eq!(
        bench.condition(READY).unwrap(),
        format!("True Succeeded stored artifact for revision '{ONE}'")
    );
    assert_eq!(bench.object().observed_generation(), Some(1));
    assert_eq!(bench.events(), ["info NewArtifact stored artifact for commit 'one'"]);
    let artifact = bench.object().artifact().unwrap().clone();
    assert_eq!(artifact.url, format!("http://files/{}", artifact.path));
    assert_eq!(
        artifact.path,
        "gitrepository/flux-system/app/fe05bcdcdc4928012781a5f1a2a77cbb5398e106.tar.gz"
    );
    assert_eq!(artifact.size, Some(std::fs::metadata(bench.file()).unwrap().len() as i64));
    bench.store.verify(&artifact.path, &artifact.digest).unwrap();
}

#[tokio::test]
async fn an_unchanged_pass_writes_nothing() {
    let (_, mut bench) = bench();
    bench.pass().await;
    bench.requests();
    bench.events();
    assert!(matches!(bench.pass().await, Outcome::Interval(_)));
    assert!(bench.requests().is_empty());
    assert!(bench.events().is_empty());
    bench.edit(|object| object["spec"]["interval"] = json!("2m"));
    bench.pass().await;
    assert_eq!(
        bench.events(),
        [format!("trace ArtifactUpToDate artifact up-to-date with remote revision: '{ONE}'")]
    );
}

#[tokio::test]
async fn a_request_is_echoed_also_by_failure_and_while_suspended() {
    let (script, bench) = bench();
    let ask = |at: &str| {
        let at = at.to_owned();
        bench.edit(move |object| {
            object["metadata"]["annotations"] = json!({"reconcile.fluxcd.io/requestedAt": at})
        });
    };
    ask("a");
    bench.pass().await;
    assert_eq!(bench.object().last_handled_reconcile_at(), Some("a"));
    ask("b");
    script.stop(Failure::fetch("GitOperationFailed", "no route").retry());
    bench.pass().await;
    assert_eq!(bench.object().last_handled_reconcile_at(), Some("b"));
    ask("c");
    bench.edit(|object| object["spec"]["suspend"] = json!(true));
    assert!(matches!(bench.pass().await, Outcome::Done));
    assert_eq!(bench.object().last_handled_reconcile_at(), Some("c"));
    assert_eq!(bench.object().observed_generation(), Some(2));
    assert!(bench.condition(RECONCILING).unwrap().starts_with("True ProgressingWithRetry"));
}

#[tokio::test]
async fn failures_keep_the_artifact_and_recovery_is_told_once() {
    let (script, mut bench) = bench();
    bench.pass().await;
    bench.events();
    script.stop(Failure::fetch("GitOperationFailed", "no route").retry());
    assert!(matches!(bench.pass().await, Outcome::Failed(error) if error.to_string() == "no route"));
    assert_eq!(bench.types(), [RECONCILING, READY, ARTIFACT_IN_STORAGE, FETCH_FAILED]);
    assert_eq!(bench.condition(READY).unwrap(), "False GitOperationFailed no route");
    assert_eq!(bench.condition(FETCH_FAILED).unwrap(), "True GitOperationFailed no route");
    assert_eq!(bench.condition(RECONCILING).unwrap(), "True ProgressingWithRetry reconciliation in progress");
    assert!(bench.condition(ARTIFACT_IN_STORAGE).unwrap().starts_with("True Succeeded"));
    assert!(bench.file().exists());
    assert_eq!(bench.events(), ["error GitOperationFailed no route"]);
    bench.pass().await;
    assert_eq!(bench.types(), [READY, ARTIFACT_IN_STORAGE]);
    assert_eq!(bench.events(), ["info Succeeded stored artifact for commit 'one'"]);
    bench.pass().await;
    assert!(bench.events().is_empty(), "success after success is no news");
}

#[tokio::test]
async fn a_stalled_source_is_not_retried_until_its_spec_changes() {
    let (script, mut bench) = bench();
    script.stop(Failure::fetch("URLInvalid", "bad url").stall());
    assert!(matches!(bench.pass().await, Outcome::Terminal(_)));
    assert_eq!(bench.types(), [STALLED, READY, FETCH_FAILED]);
    for type_ in [STALLED, FETCH_FAILED] {
        assert_eq!(bench.condition(type_).unwrap(), "True URLInvalid bad url");
    }
    assert_eq!(bench.condition(READY).unwrap(), "False URLInvalid bad url");
    assert_eq!(bench.object().observed_generation(), Some(1));
    assert_eq!(bench.events(), ["error URLInvalid bad url"]);
    bench.edit(|object| object["spec"]["url"] = json!("https://example.com/good"));
    bench.written();
    bench.pass().await;
    assert_eq!(bench.written(), [format!("stored artifact for revision '{ONE}'")]);
    assert_eq!(bench.types(), [READY, ARTIFACT_IN_STORAGE]);
    assert_eq!(bench.object().observed_generation(), Some(2));
}

#[tokio::test]
async fn waiting_is_no_alarm() {
    let (script, mut bench) = bench();
    let failure = Failure::new(INCLUDE_UNAVAILABLE, "NotFound", "no include");
    script.stop(Stop::Waiting(failure, Duration::from_secs(30)));
    assert!(matches!(bench.pass().await, Outcome::After(delay) if delay == Duration::from_secs(30)));
    assert_eq!(bench.condition(READY).unwrap(), "False NotFound no include");
    assert_eq!(bench.object().observed_generation(), Some(-1));
    assert_eq!(bench.events(), ["trace NotFound no include"]);
}

#[tokio::test]
async fn nothing_moved_refreshes_the_generation() {
    let (script, mut bench) = bench();
    bench.pass().await;
    bench.events();
    bench.edit(|object| object["spec"]["interval"] = json!("2m"));
    script.stop(Stop::Unchanged { reason: "GitOperationSucceeded", message: "no changes".to_owned() });
    assert!(matches!(bench.pass().await, Outcome::Interval(_)));
    assert_eq!(bench.events(), ["trace GitOperationSucceeded no changes"]);
    assert_eq!((bench.object().observed_generation(), bench.interval().as_secs()), (Some(2), 120));
}

#[tokio::test]
async fn a_damaged_or_lost_artifact_is_rebuilt_in_the_same_pass_without_an_alarm() {
    let (_, mut bench) = bench();
    bench.pass().await;
    bench.events();
    bench.written();
    std::fs::write(bench.file(), "tampered").unwrap();
    bench.pass().await;
    let events = bench.events();
    assert!(
        events[0]
            .starts_with("error ArtifactVerificationFailed failed to verify integrity of artifact: computed")
    );
    assert_eq!(events.len(), 1, "same digest, no news: {events:?}");
    assert_eq!(bench.written()[0], "building artifact: disappeared from storage");
    let artifact = bench.object().artifact().unwrap().clone();
    bench.store.verify(&artifact.path, &artifact.digest).unwrap();

    std::fs::remove_file(bench.file()).unwrap();
    bench.pass().await;
    assert!(bench.file().exists());
    assert!(bench.events().iter().all(|event| event.starts_with("trace")));

    bench.edit(|object| object["status"]["artifact"]["digest"] = json!(""));
    bench.pass().await;
    assert_eq!(bench.object().artifact().unwrap().digest, artifact.digest);
}

#[tokio::test]
async fn urls_follow_the_advertised_address() {
    let (_, bench) = bench();
    bench.pass().await;
    let path = bench.object().artifact().unwrap().path.clone();
    bench.edit(|object| object["status"]["artifact"]["url"] = json!(format!("http://old:1/{path}")));
    bench.pass().await;
    assert_eq!(bench.object().artifact().unwrap().url, format!("http://files/{path}"));
}

#[tokio::test]
async fn deletion_removes_files_and_finalizer_also_while_suspended() {
    let (_, mut bench) = bench();
    bench.pass().await;
    bench.events();
    let file = bench.file();
    bench.edit(|object| {
        object["spec"]["suspend"] = json!(true);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        object["metadata"]["finalizers"] = json!(["other", "finalizers.fluxcd.io"]);
    });
    assert!(matches!(bench.pass().await, Outcome::Done));
    assert!(!file.exists());
    assert_eq!(bench.object().metadata.finalizers.unwrap(), ["other"]);
    assert_eq!(
        bench.events(),
        ["trace GarbageCollectionSucceeded garbage collected artifacts for deleted resource"]
    );
    // Never had it: nothing to do, no error.
    assert!(matches!(bench.pass().await, Outcome::Done));
}

#[tokio::test]
async fn conditions_of_earlier_versions_and_of_others_are_handled() {
    let (_, bench) = bench();
    bench.edit(|object| {
        let at = "2020-01-01T00:00:00Z";
        let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "Old", "message": "", "lastTransitionTime": at});
        object["status"]["conditions"] =
            json!([condition("Stalled"), condition("FetchFailed"), condition("Reconciling"), condition("Foreign")]);
    });
    bench.pass().await;
    let mut types = bench.types();
    types.sort();
    assert_eq!(types, [ARTIFACT_IN_STORAGE, "Foreign", READY]);
}

#[tokio::test(start_paused = true)]
async fn a_new_source_that_takes_a_while_shows_each_step() {
    let (script, bench) = bench();
    script.0.lock().delay = Duration::from_secs(5);
    bench.pass().await;
    assert_eq!(
        bench.written(),
        [
            "processing object: new generation -1 -> 1".to_owned(),
            format!("building artifact: new upstream revision '{ONE}'"),
            format!("stored artifact for revision '{ONE}'"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_requested_pass_shows_itself_only_if_it_takes_a_while() {
    let (script, bench) = bench();
    bench.pass().await;
    let ask = |at: &str| {
        let at = at.to_owned();
        bench.edit(move |object| {
            object["metadata"]["annotations"] = json!({"reconcile.fluxcd.io/requestedAt": at})
        });
        bench.written();
    };
    ask("a");
    bench.pass().await;
    assert_eq!(bench.written(), [format!("stored artifact for revision '{ONE}'")], "one write, the last");
    script.0.lock().delay = Duration::from_secs(5);
    ask("b");
    bench.pass().await;
    let ready = format!("stored artifact for revision '{ONE}'");
    assert_eq!(bench.written(), ["reconciliation in progress".to_owned(), ready]);
    assert_eq!(bench.types(), [READY, ARTIFACT_IN_STORAGE]);
    assert_eq!(bench.object().last_handled_reconcile_at(), Some("b"));
}
