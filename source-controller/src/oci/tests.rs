//! OCIRepository against a registry in this process.

use std::fs::File;
use std::path::Path;

use serde_json::{Value, json};
use sluice_api::{ArtifactSource, Reconcilable};
use sluice_artifact::{Limits, Links, pack, unpack};
use sluice_runtime::Outcome;
use sluice_runtime::conditions::READY;

use super::Oci;
use crate::fake::Bench;
use crate::kind::{FETCH_FAILED, SOURCE_VERIFIED};
use crate::testing::{Auth, FLUX_CONTENT, Registry};

fn tar_gz(files: &[(&str, &str)]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    pack(dir.path(), |_, _| true, Vec::new()).unwrap().1
}

fn bench(registry: &Registry, extra: Value) -> Bench<Oci> {
    let mut spec = json!({"url": registry.url("org/app"), "interval": "1m"});
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Bench::new(Oci::default(), spec)
}

fn revision(bench: &Bench<Oci>) -> String {
    bench.object().artifact().unwrap().revision.clone()
}

fn files(bench: &Bench<Oci>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    unpack(File::open(bench.file()).unwrap(), dir.path(), Links::Refuse, &Limits::default()).unwrap();
    fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(dir.path(), dir.path(), &mut found);
    found.sort();
    found
}

#[tokio::test]
async fn a_tag_is_pulled_once_and_then_only_asked_for() {
    let registry = Registry::start().await.unwrap();
    let bytes = tar_gz(&[("a.yaml", "a: 1\n"), ("pic.png", "x")]);
    let annotations = [
        ("org.opencontainers.image.source", "https://git/x"),
        ("org.opencontainers.image.revision", "main@sha1:ab"),
    ];
    let digest = registry.push("org/app", "latest", &[(FLUX_CONTENT, bytes)], &annotations);
    let mut bench = bench(&registry, json!({}));
    let outcome = bench.pass().await;
    assert!(matches!(outcome, Outcome::Interval(_)), "{outcome:?}");
    assert_eq!(revision(&bench), format!("latest@{digest}"));
    assert_eq!(
        bench.condition(READY).unwrap(),
        format!("True Succeeded stored artifact for digest 'latest@{digest}'")
    );
    let object = bench.object();
    let artifact = object.artifact().unwrap();
    assert_eq!(artifact.path, format!("ocirepository/flux-system/app/{digest}.tar.gz"));
    assert_eq!(artifact.metadata["org.opencontainers.image.source"], "https://git/x");
    assert_eq!(
        object.status.as_ref().unwrap().url.as_deref(),
        Some("http://files/ocirepository/flux-system/app/latest.tar.gz")
    );
    assert_eq!(
        bench.events(),
        [format!(
            "info NewArtifact stored artifact with revision 'latest@{digest}' from '{}', origin source 'https://git/x', origin revision 'main@sha1:ab'",
            registry.url("org/app")
        )]
    );
    assert_eq!(bench.written().len(), 1, "a pass this quick shows its end only");
    assert_eq!(files(&bench), ["a.yaml"], "the default ignore rules apply");
    registry.take_requests();
    bench.requests();
    bench.pass().await;
    assert_eq!(registry.take_requests(), ["HEAD /v2/org/app/manifests/latest"]);
    assert!(bench.requests().is_empty());
}

#[tokio::test]
async fn moves_of_tags_and_digests_are_followed() {
    let registry = Registry::start().await.unwrap();
    let one = registry.push_tar_gz("org/app", "v1", tar_gz(&[("a", "1")]));
    let mut bench = bench(&registry, json!({"ref": {"tag": "v1"}}));
    bench.pass().await;
    let two = registry.push_tar_gz("org/app", "v1", tar_gz(&[("a", "2")]));
    bench.events();
    bench.pass().await;
    assert_eq!(revision(&bench), format!("v1@{two}"));
    assert!(bench.events()[0].starts_with("info NewArtifact"));
    // The same digest under another tag: a new revision of the same file, which is no news.
    registry.tag("org/app", "v2", &two);
    bench.edit(|object| object["spec"]["ref"] = json!({"tag": "v2"}));
    bench.pass().await;
    assert_eq!(revision(&bench), format!("v2@{two}"));
    assert!(bench.events()[0].starts_with("trace ArtifactUpToDate"));
    bench.edit(|object| object["spec"]["ref"] = json!({"digest": one.clone(), "tag": "v2"}));
    bench.pass().await;
    assert_eq!(revision(&bench), one);
}

#[tokio::test]
async fn semver_and_its_filter_choose_the_tag() {
    let registry = Registry::start().await.unwrap();
    for tag in ["6.1.0", "6.1.5", "6.1.6-rc.1", "6.2.0", "latest", "7.0.0"] {
        registry.push_tar_gz("org/app", tag, tar_gz(&[("a", tag)]));
    }
    for (reference, want) in [
        (json!({"semver": "6.1.x"}), "6.1.5@"),
        (json!({"semver": ">= 6.1.x-0 < 7", "semverFilter": ".*-rc.*"}), "6.1.6-rc.1@"),
        (json!({"semver": "*"}), "7.0.0@"),
    ] {
        let bench = bench(&registry, json!({"ref": reference}));
        bench.pass().await;
        assert!(revision(&bench).starts_with(want), "{reference}");
    }
    let none = bench(&registry, json!({"ref": {"semver": ">=8"}}));
    none.pass().await;
    assert_eq!(
        none.condition(READY).unwrap(),
        format!(
            "False ReadOperationFailed failed to determine the artifact tag for '{}': no match found for semver: >=8",
            registry.url("org/app")
        )
    );
}

#[tokio::test]
async fn layers_are_selected_extracted_or_copied() {
    let registry = Registry::start().await.unwrap();
    let chart = b"not even gzip".to_vec();
    registry.push(
        "org/app",
        "latest",
        &[(FLUX_CONTENT, tar_gz(&[("a", "1")])), ("application/chart", chart.clone())],
        &[],
    );
    let bench =
        bench(&registry, json!({"layerSelector": {"mediaType": "application/chart", "operation": "copy"}}));
    bench.pass().await;
    assert_eq!(std::fs::read(bench.file()).unwrap(), chart);
    assert!(bench.file().display().to_string().ends_with(".tar.gz"));
    let copied = revision(&bench);

    bench.edit(|object| object["spec"]["layerSelector"] = json!({"mediaType": FLUX_CONTENT}));
    bench.pass().await;
    assert_eq!(files(&bench), ["a"], "another selector at the same digest pulls again");
    assert_eq!(revision(&bench), copied);

    bench.edit(|object| object["spec"]["ignore"] = json!("a"));
    bench.pass().await;
    assert!(files(&bench).is_empty(), "another ignore rule at the same digest pulls again");

    bench.edit(|object| object["spec"]["layerSelector"] = json!({"mediaType": "application/chart"}));
    bench.pass().await;
    let ready = bench.condition(READY).unwrap();
    assert!(
        ready.starts_with("False OCIArtifactLayerOperationFailed failed to extract layer contents from artifact: requires gzip-compressed body: "),
        "{ready}"
    );
    bench.edit(|object| object["spec"]["layerSelector"] = json!({"mediaType": "missing"}));
    bench.pass().await;
    assert_eq!(
        bench.condition(FETCH_FAILED).unwrap(),
        "True OCIArtifactLayerOperationFailed failed to find layer with media type 'missing' in artifact"
    );
}

#[tokio::test]
async fn an_index_leads_to_the_linux_amd64_manifest() {
    let registry = Registry::start().await.unwrap();
    let image = registry.push_tar_gz("org/app", "image", tar_gz(&[("a", "1")]));
    let index = registry.push_index("org/app", "latest", &image);
    let bench = bench(&registry, json!({}));
    bench.pass().await;
    assert_eq!((revision(&bench), files(&bench)), (format!("latest@{index}"), vec!["a".to_owned()]));
}

#[tokio::test]
async fn pull_secrets_authenticate_and_wrong_ones_are_told() {
    for auth in [Auth::Basic("user".into(), "hunter2".into()), Auth::Token("user".into(), "hunter2".into())] {
        let registry = Registry::start_with(auth.clone()).await.unwrap();
        registry.push_tar_gz("org/app", "latest", tar_gz(&[("a", "1")]));
        let config = |password: &str| {
            json!({"auths": {registry.host(): {"username": "user", "password": password}}}).to_string()
        };
        // Anonymous: refused.
        let anonymous = bench(&registry, json!({}));
        assert!(matches!(anonymous.pass().await, Outcome::Failed(_)));
        let ready = anonymous.condition(READY).unwrap();
        assert!(
            ready.starts_with("False OCIArtifactPullFailed failed to determine artifact digest: "),
            "{ready}"
        );
        assert!(ready.contains("authentication"), "{ready}");
        // secretRef missing, then wrong, then right.
        let with_secret = bench(&registry, json!({"secretRef": {"name": "pull"}}));
        with_secret.pass().await;
        assert_eq!(
            with_secret.condition(READY).unwrap(),
            "False AuthenticationFailed failed to get credential: secrets \"pull\" not found"
        );
        for (password, want) in [("wrong-guess", "False"), ("hunter2", "True")] {
            with_secret.add_secret(
                "pull",
                "kubernetes.io/dockerconfigjson",
                &[(".dockerconfigjson", &config(password))],
            );
            with_secret.pass().await;
            let ready = with_secret.condition(READY).unwrap();
            assert!(ready.starts_with(want) && !ready.contains("wrong-guess"), "{auth:?}: {ready}");
        }
        // The pull secrets of a service account.
        let with_account = bench(&registry, json!({"serviceAccountName": "puller"}));
        with_account.pass().await;
        assert_eq!(
            with_account.condition(READY).unwrap(),
            "False AuthenticationFailed failed to get credential: serviceaccount 'flux-system/puller' not found"
        );
        with_account.api.put(
            "/api/v1/namespaces/flux-system/serviceaccounts/puller",
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"},
                   "imagePullSecrets": [{"name": "pull"}]}),
        );
        with_account.add_secret(
            "pull",
            "kubernetes.io/dockerconfigjson",
            &[(".dockerconfigjson", &config("hunter2"))],
        );
        with_account.pass().await;
        assert!(with_account.condition(READY).unwrap().starts_with("True"), "{auth:?}");
    }
}

#[tokio::test]
async fn a_token_is_kept_between_passes() {
    let registry = Registry::start_with(Auth::Token("u".into(), "p".into())).await.unwrap();
    registry.push_tar_gz("org/app", "latest", tar_gz(&[("a", "1")]));
    let bench = bench(&registry, json!({"secretRef": {"name": "pull"}}));
    let config = json!({"auths": {registry.host(): {"username": "u", "password": "p"}}}).to_string();
    bench.add_secret("pull", "kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", &config)]);
    bench.pass().await;
    registry.take_requests();
    bench.pass().await;
    assert_eq!(registry.take_requests(), ["HEAD /v2/org/app/manifests/latest"]);
}

#[tokio::test]
async fn failures_of_the_registry_are_named_and_the_artifact_stays() {
    let registry = Registry::start().await.unwrap();
    let first = registry.push_tar_gz("org/app", "latest", tar_gz(&[("a", "1")]));
    let bench = bench(&registry, json!({}));
    // Three answers of 503 would be an end; two are passed over.
    registry.fail_next(&[503, 429]);
    bench.pass().await;
    assert_eq!(revision(&bench), format!("latest@{first}"));

    registry.untag("org/app", "latest");
    assert!(matches!(bench.pass().await, Outcome::Failed(_)));
    assert_eq!(
        bench.condition(READY).unwrap(),
        format!(
            "False OCIArtifactPullFailed failed to determine artifact digest: GET http://{}/v2/org/app/manifests/latest: MANIFEST_UNKNOWN: manifest unknown",
            registry.host()
        )
    );
    assert!(bench.file().exists());

    registry.push_tar_gz("org/app", "latest", tar_gz(&[("a", "2")]));
    registry.corrupt_blobs();
    bench.pass().await;
    let ready = bench.condition(READY).unwrap();
    assert!(
        ready.starts_with("False OCIArtifactPullFailed failed to pull artifact from 'oci://")
            && ready.contains("layer has digest sha256:"),
        "{ready}"
    );
    assert_eq!(revision(&bench), format!("latest@{first}"), "nothing unverified is stored");
}

#[tokio::test]
async fn hostile_layers_are_refused() {
    let registry = Registry::start().await.unwrap();
    let mut header = [0u8; 512];
    header[..9].copy_from_slice(b"../escape");
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(b"00000000000\0");
    header[156] = b'0';
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &header).unwrap();
    registry.push_tar_gz("org/app", "latest", encoder.finish().unwrap());
    let bench = bench(&registry, json!({}));
    bench.pass().await;
    assert_eq!(
        bench.condition(READY).unwrap(),
        "False OCIArtifactLayerOperationFailed failed to extract layer contents from artifact: tar contained invalid name error \"../escape\""
    );
}

#[tokio::test]
async fn what_is_not_built_fails_closed() {
    let registry = Registry::start().await.unwrap();
    registry.push_tar_gz("org/app", "latest", tar_gz(&[("a", "1")]));
    let verify = bench(&registry, json!({"verify": {"provider": "cosign", "secretRef": {"name": "keys"}}}));
    assert!(matches!(verify.pass().await, Outcome::Failed(_)));
    let refused = verify.condition(SOURCE_VERIFIED).unwrap();
    assert!(
        refused
            .starts_with("False VerificationError failed to verify the signature using provider 'cosign': "),
        "{refused}"
    );
    assert_eq!(verify.condition(READY).unwrap(), refused);
    assert!(verify.object().artifact().is_none());
    assert!(registry.take_requests().iter().all(|request| request.starts_with("HEAD")), "nothing is pulled");
    verify.edit(|object| object["spec"].as_object_mut().unwrap().retain(|key, _| key != "verify"));
    verify.pass().await;
    assert_eq!(verify.condition(SOURCE_VERIFIED), None);
    assert!(verify.condition(READY).unwrap().starts_with("True"));

    let cloud = bench(&registry, json!({"provider": "aws"}));
    cloud.pass().await;
    let ready = cloud.condition(READY).unwrap();
    assert!(ready.starts_with("False AuthenticationFailed failed to get credential from aws: "), "{ready}");
    let gated = bench(&registry, json!({"provider": "gcp", "serviceAccountName": "x"}));
    gated.api.put(
        "/api/v1/namespaces/flux-system/serviceaccounts/x",
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}}),
    );
    assert!(matches!(gated.pass().await, Outcome::Terminal(_)));
    assert!(
        gated
            .condition(READY)
            .unwrap()
            .starts_with("False FeatureGateDisabled to use spec.serviceAccountName")
    );
}

#[tokio::test]
async fn bad_settings_are_told_before_anything_is_asked() {
    let registry = Registry::start().await.unwrap();
    for (extra, terminal, want) in [
        (
            json!({"url": format!("{}:1.0", registry.url("org/app"))}),
            true,
            "False URLInvalid URL validation failed for 'oci://",
        ),
        (
            json!({"ref": {"semver": "one"}}),
            false,
            "False ReadOperationFailed failed to determine the artifact tag for",
        ),
        (
            json!({"ref": {"digest": "sha256:short"}}),
            false,
            "False OCIArtifactPullFailed failed to determine artifact digest: invalid sha256 digest",
        ),
        (
            json!({"ref": {"tag": "../../../other/manifests/latest"}}),
            false,
            "False ReadOperationFailed failed to determine the artifact tag for",
        ),
        (
            json!({"certSecretRef": {"name": "tls"}}),
            false,
            "False AuthenticationFailed failed to generate transport for 'oci://",
        ),
        (
            json!({"proxySecretRef": {"name": "none"}}),
            false,
            "False AuthenticationFailed failed to get proxy address: secrets \"none\" not found",
        ),
    ] {
        let bench = bench(&registry, extra.clone());
        bench.add_secret("tls", "Opaque", &[("ca.crt", "garbage")]);
        let outcome = bench.pass().await;
        assert_eq!(matches!(outcome, Outcome::Terminal(_)), terminal, "{extra}");
        let ready = bench.condition(READY).unwrap();
        assert!(ready.starts_with(want), "{extra}: {ready}");
        assert!(registry.take_requests().is_empty(), "{extra}");
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_or_hangs_ends_with_a_clear_condition() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Accepts connections and never answers.
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let spec = json!({"url": format!("oci://{address}/org/app"), "interval": "1m", "timeout": "300ms"});
    let bench: Bench<Oci> = Bench::new(Oci::default(), spec);
    assert!(matches!(bench.pass().await, Outcome::Failed(_)));
    assert_eq!(
        bench.condition(READY).unwrap(),
        "False OCIArtifactPullFailed failed to determine artifact digest: no answer within the timeout of 300ms"
    );
    assert_eq!(bench.object().observed_generation(), Some(-1));
}
