//! A web server that knows files by their path, and tells what it was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// A web server on a port of the kernel's choice, over plain HTTP. It ends with the runtime.
#[derive(Debug)]
pub struct Website {
    url: String,
    files: Arc<Mutex<Files>>,
}

#[derive(Debug, Default)]
struct Files {
    files: BTreeMap<String, Vec<u8>>,
    /// Where a path really is.
    moved: BTreeMap<String, String>,
    wanted: Option<String>,
    requests: Vec<String>,
}

impl Website {
    /// Starts a server without files.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let files = Arc::<Mutex<Files>>::default();
        let router = Router::new().fallback(answer).with_state(files.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, files })
    }

    /// `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers a path, which begins with a slash, with these bytes.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) -> &Self {
        self.files.lock().files.insert(path.to_owned(), bytes.into());
        self
    }

    /// Redirects a path to an address.
    pub fn redirect(&self, path: &str, address: &str) {
        self.files.lock().moved.insert(path.to_owned(), address.to_owned());
    }

    /// Refuses every request whose `Authorization` header is another.
    pub fn demand(&self, authorization: &str) {
        self.files.lock().wanted = Some(authorization.to_owned());
    }

    /// Address and authorization (`-` for none) of the requests since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.files.lock().requests)
    }
}

async fn answer(files: State<Arc<Mutex<Files>>>, headers: HeaderMap, uri: Uri) -> Response {
    let mut files = files.0.lock();
    let login = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("-");
    files.requests.push(format!("{uri} {login}"));
    if files.wanted.as_deref().is_some_and(|wanted| login != wanted) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Some(address) = files.moved.get(uri.path()) {
        return (StatusCode::FOUND, [(header::LOCATION, address.clone())]).into_response();
    }
    match files.files.get(uri.path()) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
