//! HelmRepository against a server in this process.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_api::{ArtifactSource, Reconcilable};
use sluice_runtime::Outcome;
use sluice_runtime::conditions::READY;

use super::repository::Repositories;
use crate::fake::Bench;
use crate::kind::FETCH_FAILED;

const INDEX: &str = "apiVersion: v1
entries:
  app:
  - {apiVersion: v2, name: app, version: 1.0.0, urls: [app-1.0.0.tgz]}
  - {apiVersion: v2, name: app, version: 1.1.0, urls: [app-1.1.0.tgz]}
";

#[derive(Default)]
struct Site {
    index: String,
    etag: Option<&'static str>,
    wants: Option<&'static str>,
    /// Path, authorization and validator of each request.
    seen: Vec<String>,
}

struct Server {
    site: Arc<Mutex<Site>>,
    url: String,
}

async fn serve(site: State<Arc<Mutex<Site>>>, headers: HeaderMap, uri: axum::http::Uri) -> Response {
    let mut site = site.0.lock();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
    site.seen.push(format!("{} {} {}", uri.path(), text("authorization"), text("if-none-match")));
    if site.wants.is_some_and(|wanted| text("authorization") != wanted) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if uri.path() != "/charts/index.yaml" {
        return StatusCode::NOT_FOUND.into_response();
    }
    match site.etag {
        Some(etag) if text("if-none-match") == etag => StatusCode::NOT_MODIFIED.into_response(),
        Some(etag) => ([("etag", etag)], site.index.clone()).into_response(),
        None => site.index.clone().into_response(),
    }
}

impl Server {
    async fn start(index: &str) -> Self {
        let site = Arc::new(Mutex::new(Site { index: index.to_owned(), ..Site::default() }));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/charts", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(site.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { site, url }
    }

    fn bench(&self, extra: Value) -> Bench<Repositories> {
        sluice_runtime::process::install_crypto();
        let mut spec = json!({"url": self.url, "interval": "1m"});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Bench::new(Repositories::new(64 << 10).unwrap(), spec)
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.site.lock().seen)
    }
}

#[tokio::test]
async fn an_index_is_stored_once_and_then_only_asked_for() {
    let server = Server::start(INDEX).await;
    server.site.lock().etag = Some("\"one\"");
    let mut bench = server.bench(json!({}));
    let outcome = bench.pass().await;
    assert!(matches!(outcome, Outcome::Interval(_)), "{outcome:?}");
    let object = bench.object();
    let artifact = object.artifact().unwrap();
    let digest = artifact.revision.strip_prefix("sha256:").unwrap();
    assert_eq!(artifact.path, format!("helmrepository/flux-system/app/index-{digest}.yaml"));
    assert_ne!(artifact.digest, artifact.revision, "the stored form has another digest than the sent one");
    assert_eq!(
        bench.condition(READY).unwrap(),
        format!("True Succeeded stored artifact: revision '{}'", artifact.revision)
    );
    let stored: Value = serde_json::from_slice(&std::fs::read(bench.file()).unwrap()).unwrap();
    assert_eq!(stored["entries"]["app"][0]["version"], "1.1.0");
    assert_eq!(
        bench.events(),
        [format!(
            "info NewArtifact stored fetched index of size {}B from '{}/'",
            artifact.size.unwrap(),
            server.url
        )]
    );
    assert_eq!(server.seen(), ["/charts/index.yaml - -"]);
    bench.requests();
    bench.pass().await;
    assert_eq!(server.seen(), ["/charts/index.yaml - \"one\""]);
    assert!(bench.requests().is_empty(), "nothing moved, nothing is written");

    // Another index under the same name is a new revision; a server without validators sends it again each time.
    {
        let mut site = server.site.lock();
        site.index = INDEX.replace("1.1.0", "1.2.0");
        site.etag = None;
    }
    bench.pass().await;
    assert_ne!(bench.object().artifact().unwrap().revision, artifact.revision);
    bench.requests();
    bench.pass().await;
    assert!(bench.requests().is_empty());
}

#[tokio::test]
async fn a_password_goes_where_it_belongs() {
    let server = Server::start(INDEX).await;
    server.site.lock().wants = Some("Basic dXNlcjpwYXNz");
    let bench = server.bench(json!({"secretRef": {"name": "login"}}));
    bench.add_secret("login", "Opaque", &[("username", "user")]);
    bench.pass().await;
    assert_eq!(
        bench.condition(FETCH_FAILED).unwrap(),
        "True AuthenticationFailed failed to detect authentication methods: malformed basic auth - has 'username' but missing 'password'"
    );
    bench.add_secret("login", "Opaque", &[("username", "user"), ("password", "wrong")]);
    bench.pass().await;
    let failed = bench.condition(FETCH_FAILED).unwrap();
    assert!(
        failed.starts_with("True Failed failed to fetch Helm repository index: ") && failed.contains("401"),
        "{failed}"
    );
    assert!(!failed.contains("wrong"), "{failed}");
    bench.add_secret("login", "Opaque", &[("username", "user"), ("password", "pass")]);
    bench.pass().await;
    assert!(bench.condition(READY).unwrap().starts_with("True Succeeded"));
    assert_eq!(bench.condition(FETCH_FAILED), None);
}

#[tokio::test]
async fn a_bad_index_keeps_the_good_one() {
    let server = Server::start(INDEX).await;
    let bench = server.bench(json!({}));
    bench.pass().await;
    let good = bench.object().artifact().cloned();
    let large = format!("{INDEX}# {}\n", "x".repeat(70 << 10));
    for (index, reason, want) in [
        (
            "entries: {}\n",
            "IndexationFailed",
            "failed to load Helm repository from index YAML: no API version specified",
        ),
        ("apiVersion: v1\napiVersion: v1\n", "IndexationFailed", "already defined"),
        ("<html>", "IndexationFailed", "not a map"),
        ("a: [\n", "IndexationFailed", "yaml: "),
        (large.as_str(), "Failed", "index exceeds the maximum index file size of 65536 bytes"),
    ] {
        server.site.lock().index = index.to_owned();
        bench.pass().await;
        let failed = bench.condition(FETCH_FAILED).unwrap();
        assert!(failed.starts_with(&format!("True {reason} ")) && failed.contains(want), "{failed}");
        assert!(bench.condition(READY).unwrap().starts_with("False"));
        assert_eq!(bench.object().artifact(), good.as_ref());
        assert!(bench.file().exists());
    }
    server.site.lock().index = INDEX.to_owned();
    bench.pass().await;
    assert!(bench.condition(READY).unwrap().starts_with("True"));
}

#[tokio::test]
async fn a_repository_of_type_oci_is_an_address_and_nothing_more() {
    let server = Server::start(INDEX).await;
    let bench = server.bench(json!({}));
    bench.pass().await;
    let file = bench.file();
    bench.edit(|object| {
        object["spec"]["type"] = json!("oci");
        object["spec"]["url"] = json!("oci://registry.example.com/charts");
    });
    bench.pass().await;
    bench.pass().await;
    let object = bench.object();
    assert!(object.conditions().is_empty() && object.artifact().is_none());
    assert!(object.metadata.finalizers.unwrap_or_default().is_empty());
    assert!(!file.exists(), "its artifacts are removed");
    bench.requests();
    assert!(matches!(bench.pass().await, Outcome::Done));
    assert!(bench.requests().is_empty());

    let bench = server.bench(json!({"url": "oci://registry.example.com/charts"}));
    bench.pass().await;
    assert_eq!(
        bench.condition("Stalled").unwrap(),
        "True URLInvalid invalid Helm repository URL: 'oci' URL scheme cannot be used with 'default' HelmRepository type"
    );
}
