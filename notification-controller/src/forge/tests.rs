use super::*;
use crate::event::tests::{example, failure};
use crate::http::{answer, read, serve};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_api::notification::{Alert, Provider};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const COMMIT: &str = "69b59063470310ebbd88a9156325322a124e55a3";
const ID: &str = "kustomization/apps/0c9c2e41";

/// `METHOD path?query`, an authenticating header, and the body.
type Asked = (String, String, Value);

/// A forge that answers every GET with `known`, and notes what it is asked.
async fn forge(known: Value) -> (String, Arc<Mutex<Vec<Asked>>>) {
    forge_that(move |_| known.clone()).await
}

/// A forge with an answer for each GET, null for 404.
async fn forge_that(
    known: impl Fn(&String) -> Value + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Asked>>>) {
    sluice_runtime::process::install_crypto();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let noted = asked.clone();
    tokio::spawn(serve(listener, CancellationToken::new(), move |request| {
        let (known, noted) = (known.clone(), noted.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = read(body).await.unwrap_or_default();
            let header = ["authorization", "private-token"].iter().find_map(|name| parts.headers.get(*name));
            let header = header.map_or("", |value| value.to_str().unwrap()).to_owned();
            let line = format!("{} {}", parts.method, parts.uri);
            let known = known(&line);
            noted.lock().push((line, header, serde_json::from_slice(&body).unwrap_or_default()));
            match parts.method == http::Method::GET {
                true if known.is_null() => answer(StatusCode::NOT_FOUND, "nothing"),
                true => answer(StatusCode::OK, known.to_string()),
                false => answer(StatusCode::CREATED, "{}"),
            }
        }
    }));
    (address, asked)
}

fn provider(spec: Value) -> Provider {
    serde_json::from_value(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
        "metadata": {"name": "p", "namespace": "ns", "uid": "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a"}, "spec": spec,
    }))
    .unwrap()
}

fn settings(type_: &str, address: &str, token: &str) -> Settings {
    let data = [("token".to_owned(), k8s_openapi::ByteString(token.as_bytes().to_vec()))].into();
    let secret = k8s_openapi::api::core::v1::Secret { data: Some(data), ..Default::default() };
    Settings::new(&provider(json!({"type": type_, "address": address})), Some(&secret), None, None).unwrap()
}

#[tokio::test]
async fn a_state_is_written_once() {
    let github_list = format!("/api/v3/repos/foo/bar/commits/{COMMIT}/statuses?per_page=50");
    let gitlab_list = format!(
        "/api/v4/projects/foo%2Fbar/repository/commits/{COMMIT}/statuses?name=kustomization%2Fapps%2F0c9c2e41"
    );
    let gitea_list = format!("/api/v1/repos/foo/bar/commits/{COMMIT}/statuses?limit=50&page=1");
    for (type_, token, list, post, body, known) in [
        (
            "github",
            "Bearer t",
            github_list,
            format!("/api/v3/repos/foo/bar/statuses/{COMMIT}"),
            json!({"state": "success", "description": "reconciliation succeeded", "context": ID}),
            json!([{"context": ID, "state": "success", "description": "reconciliation succeeded"}]),
        ),
        (
            "gitlab",
            "t",
            gitlab_list,
            format!("/api/v4/projects/foo%2Fbar/statuses/{COMMIT}"),
            json!({"state": "success", "name": ID, "description": "reconciliation succeeded"}),
            json!([{"sha": COMMIT, "status": "success", "description": "reconciliation succeeded", "name": ID}]),
        ),
        (
            "gitea",
            "token t",
            gitea_list,
            format!("/api/v1/repos/foo/bar/statuses/{COMMIT}"),
            json!({"state": "success", "target_url": "", "description": "reconciliation succeeded", "context": ID}),
            json!([{"context": ID, "status": "success", "description": "reconciliation succeeded"}]),
        ),
    ] {
        let (address, asked) = forge(json!([])).await;
        let address = format!("{address}/foo/bar.git");
        tell(&settings(type_, &address, "t"), &example(), ID).await.unwrap().unwrap();
        let want = [
            (format!("GET {list}"), token.to_owned(), Value::Null),
            (format!("POST {post}"), token.to_owned(), body),
        ];
        assert_eq!(*asked.lock(), want);

        let (address, asked) = forge(known).await;
        let settings = settings(type_, &format!("{address}/foo/bar"), "t");
        tell(&settings, &example(), ID).await.unwrap().unwrap();
        assert_eq!(asked.lock().len(), 1, "{type_} was told already");
        tell(&settings, &failure(), ID).await.unwrap().unwrap();
        assert_eq!(asked.lock().len(), 3, "another state of {type_} is news");
    }
}

#[tokio::test]
async fn bitbucket_has_short_keys() {
    let (address, asked) = forge(Value::Null).await;
    let settings = settings("bitbucket", "https://bitbucket.org/foo/bar", "user:pass");
    status::bitbucket_at(&address.parse().unwrap(), &settings, &failure(), ID).await.unwrap();
    let path = format!("/repositories/foo/bar/commit/{COMMIT}/statuses/build");
    let key = "534add2e1e94c46fbe0f8e657ba36c652fa8d2dd";
    let body = json!({"key": key, "url": "https://bitbucket.org", "state": "FAILED", "name": "kustomization/apps",
        "description": "health check failed"});
    let basic = "Basic dXNlcjpwYXNz".to_owned();
    let want =
        [(format!("GET {path}/{key}"), basic.clone(), Value::Null), (format!("POST {path}"), basic, body)];
    assert_eq!(*asked.lock(), want);
}

#[tokio::test]
async fn a_comment_is_written_once_and_then_rewritten() {
    let uid = "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a";
    let mut event = example();
    event.metadata.insert("change_request".into(), "42".into());
    for (type_, key, me, list, write, rewrite) in [
        (
            "githubpullrequestcomment",
            "pr",
            "/api/v3/user",
            "/api/v3/repos/foo/bar/issues/42/comments",
            "/api/v3/repos/foo/bar/issues/42/comments",
            "PATCH /api/v3/repos/foo/bar/issues/comments/7",
        ),
        (
            "gitlabmergerequestcomment",
            "mr",
            "/api/v4/user",
            "/api/v4/projects/foo%2Fbar/merge_requests/42/notes",
            "/api/v4/projects/foo%2Fbar/merge_requests/42/notes",
            "PUT /api/v4/projects/foo%2Fbar/merge_requests/42/notes/7",
        ),
        (
            "giteapullrequestcomment",
            "pr",
            "/api/v1/user",
            "/api/v1/repos/foo/bar/issues/42/comments",
            "/api/v1/repos/foo/bar/issues/42/comments",
            "PATCH /api/v1/repos/foo/bar/issues/comments/7",
        ),
    ] {
        let marker = format!("<!-- flux-{key}-comment-key:{uid}/Kustomization/flux-system/apps -->");
        let comment = |author: &str, body: &str| {
            let account = json!({"login": author, "username": author});
            json!({"id": 7, "user": account, "author": account, "body": body})
        };
        for (comments, found) in [
            (json!([]), false),
            (json!([comment("other", &marker)]), false),
            (json!([comment("me", "something else")]), false),
            (json!([comment("other", &marker), comment("me", &format!("{marker} old"))]), true),
        ] {
            let (address, asked) = comments_at(me, list, comments).await;
            let settings = settings(type_, &format!("{address}/foo/bar"), "t");
            tell(&settings, &event, "").await.unwrap().unwrap();
            let asked = asked.lock();
            let (line, _, body) = asked.last().unwrap();
            let want = if found { rewrite.to_owned() } else { format!("POST {write}") };
            assert_eq!(*line, want);
            let revision = format!("main@sha1:{COMMIT}");
            let text = format!(
                "{marker}\n\n## Flux Status\n\nℹ️ Kustomization/flux-system/apps\n\nApplied revision: {revision}\n\nMetadata:\n* `revision`: {revision}\n* `summary`: prod-eu\n"
            );
            assert_eq!(body["body"], text);
        }
    }
    for (value, want) in [(None, "missing \"change_request\""), (Some("../1"), "invalid \"change_request\"")]
    {
        let mut event = example();
        event.metadata.extend(value.map(|value| ("change_request".to_owned(), value.to_owned())));
        let settings = settings("githubpullrequestcomment", "https://github.com/foo/bar", "t");
        let err = tell(&settings, &event, "").await.unwrap().unwrap_err();
        assert!(err.starts_with(want), "{err}");
    }
}

/// A forge of which `me` is the account of the token, with comments on the first page of `list`.
async fn comments_at(me: &str, list: &str, comments: Value) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let (me, list) = (format!("GET {me}"), format!("GET {list}?"));
    forge_that(move |line| {
        if *line == me {
            json!({"login": "me", "username": "me"})
        } else if line.starts_with(&list) && line.ends_with("page=1") {
            comments.clone()
        } else {
            json!([])
        }
    })
    .await
}

#[tokio::test]
async fn a_dispatch_carries_the_event() {
    let (address, asked) = forge(Value::Null).await;
    let settings = settings("githubdispatch", &format!("{address}/foo/bar"), "t");
    tell(&settings, &example(), "").await.unwrap().unwrap();
    let body = json!({"event_type": "Kustomization/apps.flux-system", "client_payload": example()});
    assert_eq!(
        *asked.lock(),
        [("POST /api/v3/repos/foo/bar/dispatches".to_owned(), "Bearer t".to_owned(), body)]
    );
}

#[tokio::test]
async fn what_is_missing_is_named() {
    sluice_runtime::process::install_crypto();
    let no_revision = crate::event::Event { metadata: Default::default(), ..example() };
    for (type_, address, token, event, want) in [
        (
            "github",
            "https://github.com/a/b",
            "",
            example(),
            "github token or github app details must be specified",
        ),
        ("github", "https://github.com/a/b/c", "t", example(), "invalid repository id: 'a/b/c'"),
        ("gitlab", "https://gitlab.com/a/b", "", example(), "gitlab token cannot be empty"),
        ("gitea", "https://gitea.io/a/b", "", example(), "gitea token cannot be empty"),
        (
            "bitbucket",
            "https://bitbucket.org/a/b",
            "token",
            example(),
            "invalid token format, expected to be <user>:<password>",
        ),
        ("github", "https://github.com/a/b", "t", no_revision, "missing revision metadata"),
    ] {
        let err = tell(&settings(type_, address, token), &event, ID).await.unwrap().unwrap_err();
        assert!(err.contains(want), "{err}");
    }
}

#[test]
fn statuses_are_named_by_object_and_provider_or_by_an_expression() {
    let alert: Alert = serde_json::from_value(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert", "metadata": {"name": "a"},
        "spec": {"providerRef": {"name": "p"}, "eventSources": []},
    }))
    .unwrap();
    for (expression, want) in [
        ("", Some(ID)),
        ("event.involvedObject.kind + '/' + event.metadata.summary", Some("Kustomization/prod-eu")),
        ("alert.metadata.name + provider.metadata.name", Some("ap")),
        ("event.involvedObject.name.lowerAscii()", Some("apps")),
        ("notification.x", None),
        ("event.metadata.missing", None),
        ("1 == 1", None),
        ("((", None),
    ] {
        let provider = provider(json!({"type": "github", "commitStatusExpr": expression}));
        let got = status_id(&provider, &alert, &example());
        assert_eq!(got.as_deref().ok(), want, "{expression}: {got:?}");
    }
}
