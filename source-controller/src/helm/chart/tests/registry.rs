//! Charts of a registry.

use serde_json::json;
use sluice_runtime::Outcome;
use sluice_runtime::conditions::{READY, STALLED};

use super::*;
use crate::kind::{BUILD_FAILED, FETCH_FAILED};
use crate::oci::select::HELM_LAYER;
use crate::testing::{Auth, Registry};

fn push(registry: &Registry, version: &str) -> Vec<u8> {
    let bytes = packed("app", version, &[]);
    registry.push("charts/app", &version.replace('+', "_"), &[(HELM_LAYER, bytes.clone())], &[]);
    bytes
}

fn put(bench: &Bench<Charts>, registry: &Registry, extra: Value) {
    let mut spec = json!({"type": "oci", "url": registry.url("charts/")});
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    bench.api.put(&format!("{REPOSITORIES}/src"), repository("src", spec));
}

#[tokio::test]
async fn a_whole_version_is_pulled_without_a_look_at_the_tags() {
    let registry = Registry::start().await.unwrap();
    let bytes = push(&registry, "0.1.0+x");
    let mut bench = bench(spec("HelmRepository", json!({"version": "0.1.0+x"})));
    put(&bench, &registry, json!({}));
    bench.pass().await;
    assert_eq!(
        bench.condition(READY).unwrap(),
        "True ChartPullSucceeded pulled 'app' chart with version '0.1.0+x'"
    );
    assert_eq!(bench.events(), ["info ChartPullSucceeded pulled 'app' chart with version '0.1.0+x'"]);
    assert_eq!(std::fs::read(bench.file()).unwrap(), bytes);
    let asked = registry.take_requests();
    assert_eq!(asked[0], "GET /v2/charts/app/manifests/0.1.0_x");
    assert!(asked[1].starts_with("GET /v2/charts/app/blobs/sha256:") && asked.len() == 2, "{asked:?}");
    bench.pass().await;
    assert!(registry.take_requests().is_empty(), "the stored chart is the one");
}

#[tokio::test]
async fn a_range_takes_the_highest_tag_that_is_a_version() {
    let registry = Registry::start().await.unwrap();
    for version in ["1.0.0", "1.2.0", "1.3.0-rc.1", "2.0.0"] {
        push(&registry, version);
    }
    for tag in ["v1.9.0", "1.8", "latest", "01.7.0"] {
        registry.push("charts/app", tag, &[(HELM_LAYER, packed("app", "9.0.0", &[]))], &[]);
    }
    for (range, want) in [("1.x", "1.2.0"), ("*", "2.0.0"), ("", "2.0.0"), (">=1.2.1-0 <2", "1.3.0-rc.1")] {
        let bench = bench(spec("HelmRepository", json!({"version": range})));
        put(&bench, &registry, json!({}));
        bench.pass().await;
        assert_eq!(revision(&bench), want, "{range}");
        registry.take_requests();
        bench.pass().await;
        assert_eq!(registry.take_requests(), ["GET /v2/charts/app/tags/list"]);
    }
    let bench = bench(spec("HelmRepository", json!({"version": "3.x"})));
    put(&bench, &registry, json!({}));
    assert!(matches!(bench.pass().await, Outcome::Failed(_)), "retried: a tag may come");
    assert!(bench.condition(FETCH_FAILED).unwrap().starts_with("True ChartPullError chart pull error: failed to get chart version for remote reference: no 'app' chart with version matching '3.x' found"));
}

#[tokio::test]
async fn a_registry_s_login_is_a_password_or_a_docker_config() {
    let auth = Auth::Token("user".to_owned(), "pass".to_owned());
    let registry = Registry::start_with(auth).await.unwrap();
    push(&registry, "1.0.0");
    let mut bench = bench(spec("HelmRepository", json!({})));
    put(&bench, &registry, json!({"secretRef": {"name": "login"}}));
    let config = |host: &str, password: &str| {
        json!({"auths": {host: {"username": "user", "password": password}}}).to_string()
    };
    for (key, value, want) in [
        (
            "username",
            "user".to_owned(),
            "invalid 'login' secret data: required fields 'username' and 'password'",
        ),
        (".dockerconfigjson", config("ghcr.io", "pass"), "in the docker-registry Secret 'login'"),
        (
            ".dockerconfigjson",
            config(registry.host(), "wrong"),
            "failed to authenticate with the Helm repository: ",
        ),
    ] {
        bench.add_secret("login", "Opaque", &[(key, &value)]);
        bench.pass().await;
        let failed = bench.condition(FETCH_FAILED).unwrap();
        assert!(
            failed.starts_with("True Unknown unknown build error: ") && failed.contains(want),
            "{failed}"
        );
        assert!(bench.events()[0].starts_with("error AuthenticationFailed "));
    }
    bench.add_secret("login", "Opaque", &[(".dockerconfigjson", &config(registry.host(), "pass"))]);
    bench.pass().await;
    assert!(bench.condition(READY).unwrap().starts_with("True"), "{:?}", bench.condition(READY));
    bench.add_secret("login", "Opaque", &[("username", "user"), ("password", "pass")]);
    bench.edit(|object| object["spec"]["interval"] = json!("2m"));
    bench.pass().await;
    assert!(bench.condition(READY).unwrap().starts_with("True"), "{:?}", bench.condition(READY));
}

#[tokio::test]
async fn what_is_no_chart_is_named() {
    let registry = Registry::start().await.unwrap();
    registry.push_tar_gz("charts/app", "1.0.0", packed("app", "1.0.0", &[]));
    let bench = bench(spec("HelmRepository", json!({})));
    put(&bench, &registry, json!({}));
    bench.pass().await;
    assert!(bench.condition(FETCH_FAILED).unwrap().contains("holds no layer of type"));
    push(&registry, "1.0.0");
    registry.corrupt_blobs();
    bench.pass().await;
    assert!(
        bench.condition(FETCH_FAILED).unwrap().contains("layer has digest"),
        "{:?}",
        bench.condition(FETCH_FAILED)
    );
    bench.edit(|object| object["spec"]["verify"] = json!({"provider": "cosign"}));
    registry.take_requests();
    bench.pass().await;
    assert!(bench.condition(BUILD_FAILED).unwrap().contains("signatures are not supported"));
    assert!(registry.take_requests().is_empty());
    bench.api.put(
        &format!("{REPOSITORIES}/src"),
        repository("src", json!({"type": "oci", "url": format!("{}:1.0", registry.url("charts"))})),
    );
    bench.edit(|object| drop(object["spec"].as_object_mut().unwrap().remove("verify")));
    bench.pass().await;
    assert!(bench.condition(STALLED).unwrap().starts_with("True URLInvalid invalid Helm repository URL: "));
    assert!(bench.condition(FETCH_FAILED).unwrap().starts_with("True Unknown unknown build error: "));
}
