//! Charts of a repository with an index.

use serde_json::json;
use sha2::{Digest, Sha256};
use sluice_api::ArtifactSource;
use sluice_runtime::Outcome;
use sluice_runtime::conditions::{READY, STALLED};

use super::*;
use crate::kind::{ARTIFACT_IN_STORAGE, BUILD_FAILED, FETCH_FAILED, SOURCE_VERIFIED};

const LOGIN: &str = "Basic dXNlcjpwYXNz";

#[tokio::test]
async fn the_highest_version_is_stored_as_it_was_published() {
    let (server, bytes) = (Website::start().await.unwrap(), packed("app", "1.1.0", &[]));
    server.put("/charts/app-1.1.0.tgz", bytes.clone());
    let digest = hex::encode(Sha256::digest(&bytes));
    let mut bench = bench(spec("HelmRepository", json!({"version": "1.x"})));
    let entries = [
        ("app", "1.0.0", "app-1.0.0.tgz", ""),
        ("app", "1.1.0", "app-1.1.0.tgz", digest.as_str()),
        ("app", "2.0.0", "app-2.0.0.tgz", ""),
    ];
    let url = json!({"url": format!("{}/charts", server.url())});
    put_repository(&bench, url.clone(), &store_index(&bench, "r1", &entries));
    let outcome = bench.pass().await;
    assert!(matches!(outcome, Outcome::Interval(_)), "{outcome:?}");
    let object = bench.object();
    let artifact = object.artifact().unwrap();
    assert_eq!(artifact.path, "helmchart/flux-system/app/app-1.1.0.tgz");
    assert_eq!((artifact.revision.as_str(), artifact.digest.clone()), ("1.1.0", format!("sha256:{digest}")));
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.observed_chart_name.as_deref(), Some("app"));
    assert_eq!(status.observed_source_artifact_revision.as_deref(), Some("r1"));
    assert_eq!(status.url.as_deref(), Some("http://files/helmchart/flux-system/app/latest.tar.gz"));
    let message = "pulled 'app' chart with version '1.1.0'";
    assert_eq!(bench.condition(READY).unwrap(), format!("True ChartPullSucceeded {message}"));
    assert_eq!(bench.condition(ARTIFACT_IN_STORAGE).unwrap(), format!("True ChartPullSucceeded {message}"));
    assert_eq!(bench.events(), [format!("info ChartPullSucceeded {message}")]);
    assert_eq!(std::fs::read(bench.file()).unwrap(), bytes);

    // An index that has not moved is not read, and nobody is asked.
    server.take_requests();
    bench.requests();
    bench.pass().await;
    assert!(server.take_requests().is_empty());
    assert_eq!(bench.requests(), [format!("GET {REPOSITORIES}/src")]);

    // Another index that leads to the same chart costs no download.
    put_repository(&bench, url.clone(), &store_index(&bench, "r2", &entries));
    bench.pass().await;
    assert!(server.take_requests().is_empty());
    let seen = bench.object().status.unwrap().observed_source_artifact_revision;
    assert_eq!(seen.as_deref(), Some("r2"));

    server.put("/charts/app-1.2.0.tgz", packed("app", "1.2.0", &[]));
    let newer = [("app", "1.2.0", "app-1.2.0.tgz", "")];
    put_repository(&bench, url, &store_index(&bench, "r3", &newer));
    bench.events();
    bench.pass().await;
    assert_eq!(revision(&bench), "1.2.0");
    assert_eq!(bench.events(), ["info ChartPullSucceeded pulled 'app' chart with version '1.2.0'"]);
    // A change of the spec builds again, and nobody is told of the same chart.
    server.take_requests();
    bench.edit(|object| object["spec"]["interval"] = json!("2m"));
    bench.pass().await;
    assert_eq!(server.take_requests(), ["/charts/app-1.2.0.tgz -"]);
    assert!(bench.events()[0].starts_with("trace ArtifactUpToDate"));
}

#[tokio::test]
async fn what_is_not_in_the_index_stalls_until_there_is_another() {
    let server = Website::start().await.unwrap();
    server.put("/app-3.0.0.tgz", packed("app", "3.0.0", &[]));
    let bench = bench(spec("HelmRepository", json!({"version": ">=3"})));
    let url = json!({"url": server.url()});
    put_repository(&bench, url.clone(), &store_index(&bench, "r1", &[("app", "2.0.0", "x.tgz", "")]));
    assert!(matches!(bench.pass().await, Outcome::Terminal(_)));
    let message = "invalid chart reference: failed to get chart version for remote reference: no 'app' chart with version matching '>=3' found";
    for type_ in [STALLED, FETCH_FAILED] {
        assert_eq!(bench.condition(type_).unwrap(), format!("True InvalidChartReference {message}"));
    }
    let status = bench.object().status.unwrap();
    assert_eq!(
        (status.observed_source_artifact_revision.as_deref(), status.observed_generation),
        (Some("r1"), 1)
    );
    put_repository(&bench, url, &store_index(&bench, "r2", &[("app", "3.0.0", "app-3.0.0.tgz", "")]));
    bench.pass().await;
    assert_eq!(bench.types(), [READY, ARTIFACT_IN_STORAGE]);
    assert_eq!(revision(&bench), "3.0.0");
}

#[tokio::test]
async fn without_a_source_or_its_artifact_the_chart_waits() {
    let bench = bench(spec("HelmRepository", json!({})));
    assert!(matches!(bench.pass().await, Outcome::Failed(_)));
    assert_eq!(
        bench.condition(FETCH_FAILED).unwrap(),
        "True SourceUnavailable failed to get source: helmrepositories \"src\" not found"
    );
    bench.api.put(&format!("{REPOSITORIES}/src"), repository("src", json!({"url": "http://localhost"})));
    assert!(matches!(bench.pass().await, Outcome::After(_)));
    assert_eq!(
        bench.condition(FETCH_FAILED).unwrap(),
        "True NoSourceArtifact no artifact available for HelmRepository source 'src'"
    );
    assert_eq!(bench.object().status.unwrap().observed_generation, -1);
}

#[tokio::test]
async fn a_chart_that_cannot_be_trusted_is_not_stored() {
    let server = Website::start().await.unwrap();
    server.put("/good.tgz", packed("app", "1.0.0", &[]));
    server.put("/page.tgz", "<html><body>Sign in</body></html>");
    server.put("/large.tgz", vec![0; 65 << 10]);
    let wrong = "0".repeat(64);
    for (url, digest, want) in [
        ("good.tgz", wrong.as_str(), "but the index says sha256:0000"),
        ("page.tgz", "", "stream does not appear to be a valid chart file"),
        ("large.tgz", "", "chart exceeds the maximum chart file size of 65536 bytes"),
        ("missing.tgz", "", "404 Not Found"),
        ("ftp://example.com/x.tgz", "", "scheme 'ftp' is not http or https"),
        ("file:///etc/passwd", "", "scheme 'file' is not http or https"),
    ] {
        let bench = bench(spec("HelmRepository", json!({})));
        let index = store_index(&bench, "r1", &[("app", "1.0.0", url, digest)]);
        put_repository(&bench, json!({"url": server.url()}), &index);
        assert!(matches!(bench.pass().await, Outcome::Failed(_)));
        let failed = bench.condition(FETCH_FAILED).unwrap();
        assert!(
            failed.starts_with("True ChartPullError chart pull error: ") && failed.contains(want),
            "{failed}"
        );
        assert!(bench.object().artifact().is_none());
    }
    for (name, version, want) in [
        ("../app", "*", "invalid chart reference: invalid chart name '../app'"),
        ("App", "*", "invalid chart reference: invalid chart name 'App'"),
        ("app", "one two", "invalid version or range 'one two'"),
    ] {
        let bench = bench(spec("HelmRepository", json!({"chart": name, "version": version})));
        let index = store_index(&bench, "r1", &[("app", "1.0.0", "good.tgz", "")]);
        put_repository(&bench, json!({"url": server.url()}), &index);
        assert!(matches!(bench.pass().await, Outcome::Terminal(_)));
        let failed = bench.condition(STALLED).unwrap();
        assert!(failed.starts_with("True InvalidChartReference ") && failed.contains(want), "{failed}");
    }
}

#[tokio::test]
async fn a_password_follows_neither_addresses_nor_redirects_to_other_hosts() {
    let (own, other) = (Website::start().await.unwrap(), Website::start().await.unwrap());
    for server in [&own, &other] {
        server.put("/app.tgz", packed("app", "1.0.0", &[]));
    }
    own.demand(LOGIN);
    own.redirect("/moved.tgz", &format!("{}/app.tgz", other.url()));
    let elsewhere = format!("{}/app.tgz", other.url());
    for (url, pass, to_own, to_other) in [
        ("app.tgz", false, Some(LOGIN), None),
        (elsewhere.as_str(), false, None, Some("-")),
        (elsewhere.as_str(), true, None, Some(LOGIN)),
        ("moved.tgz", false, Some(LOGIN), Some("-")),
        ("moved.tgz", true, Some(LOGIN), Some("-")),
    ] {
        let bench = bench(spec("HelmRepository", json!({})));
        bench.add_secret("login", "Opaque", &[("username", "user"), ("password", "pass")]);
        let index = store_index(&bench, "r1", &[("app", "1.0.0", url, "")]);
        let repository = json!({"url": own.url(), "secretRef": {"name": "login"}, "passCredentials": pass});
        put_repository(&bench, repository, &index);
        bench.pass().await;
        assert!(bench.condition(READY).unwrap().starts_with("True"), "{:?}", bench.condition(READY));
        let sent = |server: &Website| {
            server.take_requests().first().map(|seen| seen.split_once(' ').unwrap().1.to_owned())
        };
        assert_eq!((sent(&own).as_deref(), sent(&other).as_deref()), (to_own, to_other), "{url} {pass}");
    }
}

#[tokio::test]
async fn a_wrong_password_shows_as_flux_shows_it() {
    let server = Website::start().await.unwrap();
    server.demand(LOGIN);
    let mut bench = bench(spec("HelmRepository", json!({})));
    bench.add_secret("login", "Opaque", &[("username", "user"), ("password", "hunter2")]);
    let index = store_index(&bench, "r1", &[("app", "1.0.0", "app.tgz?token=hunter2", "")]);
    put_repository(&bench, json!({"url": server.url(), "secretRef": {"name": "login"}}), &index);
    bench.pass().await;
    let failed = bench.condition(FETCH_FAILED).unwrap();
    assert!(
        failed.starts_with(
            "True Unknown unknown build error: failed to authenticate with the Helm repository: "
        ) && failed.contains("401"),
        "{failed}"
    );
    let event = bench.events().remove(0);
    assert!(
        event.starts_with("error AuthenticationFailed failed to authenticate with the Helm repository: ")
    );
    assert!(!failed.contains("hunter2") && !event.contains("hunter2"), "{failed}");
}

#[tokio::test]
async fn values_files_become_the_defaults_of_a_chart_of_its_own_version() {
    let server = Website::start().await.unwrap();
    let more = [("prod.yaml", "image: {tag: two}\n"), ("ci/eu.yaml", "replicas: 3\n")];
    server.put("/app.tgz", packed("app", "1.0.0", &more));
    let files = json!({"valuesFiles": ["values.yaml", "prod.yaml", "ci/eu.yaml"]});
    let mut digests = Vec::new();
    for _ in 0..2 {
        let mut bench = bench(spec("HelmRepository", files.clone()));
        let index = store_index(&bench, "r1", &[("app", "1.0.0", "app.tgz", "")]);
        put_repository(&bench, json!({"url": server.url()}), &index);
        bench.pass().await;
        let message = "packaged 'app' chart with version '1.0.0+1' and merged values files [values.yaml prod.yaml ci/eu.yaml]";
        assert_eq!(bench.condition(READY).unwrap(), format!("True ChartPackageSucceeded {message}"));
        assert_eq!(bench.events(), [format!("info ChartPackageSucceeded {message}")]);
        let chart = stored(&bench);
        assert_eq!(chart.metadata.version, "1.0.0+1");
        assert_eq!(json!(chart.values), json!({"image": {"tag": "two", "debug": false}, "replicas": 3.0}));
        let values = String::from_utf8(chart.raw_file("values.yaml").unwrap().data.to_vec()).unwrap();
        assert_eq!(values, "image:\n  debug: false\n  tag: two\nreplicas: 3\n");
        digests.push(digest(&bench));
        // Another index that leads there makes no other chart.
        put_repository(
            &bench,
            json!({"url": server.url()}),
            &store_index(&bench, "r2", &[("app", "1.0.0", "app.tgz", "")]),
        );
        server.take_requests();
        bench.pass().await;
        assert!(server.take_requests().is_empty());
        assert_eq!(bench.condition(READY).unwrap(), format!("True ChartPackageSucceeded {message}"));
        // Its generation is part of the version.
        bench.edit(|object| object["spec"]["valuesFiles"] = json!(["./values.yaml"]));
        bench.pass().await;
        assert_eq!(
            (revision(&bench), digest(&bench)),
            ("1.0.0".to_owned(), {
                let bytes = packed("app", "1.0.0", &more);
                format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
            })
        );
        assert!(bench.object().status.unwrap().observed_values_files.is_empty());
    }
    assert_eq!(digests[0], digests[1], "the same input gives the same chart");

    let bench = bench(spec("HelmRepository", json!({"valuesFiles": ["prod.yaml", "none.yaml"]})));
    let index = store_index(&bench, "r1", &[("app", "1.0.0", "app.tgz", "")]);
    put_repository(&bench, json!({"url": server.url()}), &index);
    assert!(matches!(bench.pass().await, Outcome::Terminal(_)));
    assert_eq!(
        bench.condition(BUILD_FAILED).unwrap(),
        "True ValuesFilesError values files merge error: failed to merge chart values: no values file found at path 'none.yaml'"
    );
    bench.edit(|object| object["spec"]["ignoreMissingValuesFiles"] = json!(true));
    bench.pass().await;
    assert_eq!(bench.object().status.unwrap().observed_values_files, ["prod.yaml"]);
    assert_eq!(bench.condition(BUILD_FAILED), None);
}

#[tokio::test]
async fn a_small_archive_of_much_is_refused_when_it_is_opened() {
    let server = Website::start().await.unwrap();
    let nothing = String::from_utf8(vec![b' '; 101 << 20]).unwrap();
    let bomb = {
        let zip = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
        let mut tar = tar::Builder::new(zip);
        for (name, text) in
            [("app/big", nothing.as_str()), ("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n")]
        {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    };
    let large = super::super::Sizes { chart: 1 << 20, ..SIZES };
    server.put("/app.tgz", bomb);
    for files in [json!([]), json!(["values.yaml", "more.yaml"])] {
        let charts = Charts::new(Sources::default(), large, Arc::default()).unwrap();
        let bench = Bench::new(charts, spec("HelmRepository", json!({"valuesFiles": files})));
        let index = store_index(&bench, "r1", &[("app", "1.0.0", "app.tgz", "")]);
        put_repository(&bench, json!({"url": server.url()}), &index);
        bench.pass().await;
        let ready = bench.condition(READY).unwrap();
        assert!(ready.contains("decompressed chart is larger than the maximum size"), "{ready}");
    }
}

#[tokio::test]
async fn a_signature_that_cannot_be_checked_is_not_good() {
    let server = Website::start().await.unwrap();
    let bench = bench(spec("HelmRepository", json!({"verify": {"provider": "cosign"}})));
    let index = store_index(&bench, "r1", &[("app", "1.0.0", "app.tgz", "")]);
    put_repository(&bench, json!({"url": server.url()}), &index);
    assert!(matches!(bench.pass().await, Outcome::Failed(_)));
    let message = "chart verification error: not implemented";
    assert_eq!(bench.condition(BUILD_FAILED).unwrap(), format!("True ChartVerificationError {message}"));
    assert_eq!(bench.condition(SOURCE_VERIFIED).unwrap(), format!("False VerificationError {message}"));
    assert_eq!(bench.condition(READY).unwrap(), format!("False VerificationError {message}"));
    assert!(server.take_requests().is_empty(), "nothing is downloaded");
}
