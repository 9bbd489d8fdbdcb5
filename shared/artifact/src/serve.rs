//! The file server of a [`Store`](crate::Store): plain files under the root, for whoever can reach the port.
//!
//! `GET` and `HEAD` with `Range` and `If-Modified-Since`; `/` answers 200, as the readiness probe of Flux's deployment
//! asks it; no directory listings (they would show every tenant's objects).

use std::path::Path;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower::ServiceExt;
use tower_http::services::ServeDir;

/// Routes that serve the files below `root`.
pub fn router(root: &Path) -> Router {
    let files = ServeDir::new(root).append_index_html_on_directories(false);
    Router::new().route("/", get(|| async { "" })).fallback(serve).with_state(files)
}

async fn serve(State(files): State<ServeDir>, request: Request) -> Response {
    // Lock files are of no use to a client.
    if request.uri().path().ends_with(".lock") {
        return StatusCode::NOT_FOUND.into_response();
    }
    match files.oneshot(request).await {
        // A directory, asked for without its slash: there is nothing to see there.
        Ok(response)
            if response.status().is_redirection() && response.headers().contains_key(header::LOCATION) =>
        {
            StatusCode::NOT_FOUND.into_response()
        }
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;

    async fn ask(root: &Path, method: &str, uri: &str, headers: &[(&str, &str)]) -> (u16, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router(root).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn files_are_served_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("k/ns/n")).unwrap();
        std::fs::write(root.join("k/ns/n/sha256:ab.tar.gz"), "content").unwrap();
        std::fs::write(root.join("k/ns/n/x.lock"), "").unwrap();
        std::os::unix::fs::symlink("sha256:ab.tar.gz", root.join("k/ns/n/latest.tar.gz")).unwrap();
        let later = ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT");
        for (method, uri, headers, status, body) in [
            ("GET", "/", &[][..], 200, ""),
            ("GET", "/k/ns/n/sha256:ab.tar.gz", &[], 200, "content"),
            ("GET", "/k/ns/n/sha256%3Aab.tar.gz", &[], 200, "content"),
            ("GET", "/k/ns/n/latest.tar.gz", &[], 200, "content"),
            ("HEAD", "/k/ns/n/latest.tar.gz", &[], 200, ""),
            ("GET", "/k/ns/n/latest.tar.gz", &[("range", "bytes=2-3")], 206, "nt"),
            ("GET", "/k/ns/n/latest.tar.gz", &[later], 304, ""),
            ("GET", "/k/ns/n/missing", &[], 404, ""),
            ("GET", "/k/ns/n/x.lock", &[], 404, ""),
            ("GET", "/k/ns/n", &[], 404, ""),
            ("GET", "/k/ns/n/", &[], 404, ""),
            ("GET", "/../secret", &[], 404, ""),
            ("GET", "/k/../../secret", &[], 404, ""),
            ("GET", "/%2e%2e/secret", &[], 404, ""),
            ("GET", "/k/ns/..%2f..%2f..%2fsecret", &[], 404, ""),
            ("PUT", "/k/ns/n/latest.tar.gz", &[], 405, ""),
        ] {
            let (got, bytes) = ask(&root, method, uri, headers).await;
            assert_eq!((got, String::from_utf8(bytes).unwrap().as_str()), (status, body), "{method} {uri}");
        }
    }
}
