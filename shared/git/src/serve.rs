//! Serves repositories over smart HTTP, by running `git http-backend` as CGI.
//!
//! For demonstrations and tests: the Git program does the work, which makes it an honest other side.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};
use tokio_util::io::ReaderStream;

/// Bound on the header lines that the backend writes.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Bound on a request's body: wants and haves, or a push.
const MAX_BODY_BYTES: usize = 256 << 20;

/// Why repositories cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The git program cannot be run.
    #[error(
        "cannot run git, which is needed to serve repositories: {0}; install git and see that it is on PATH"
    )]
    NoGit(std::io::Error),
    /// Git is there, but without `git-http-backend`.
    #[error("git has no http-backend: '{}' does not exist; some distributions have it in a package of its own", .0.display())]
    NoBackend(PathBuf),
}

/// Bare repositories below one directory, readable by anyone who can reach the server.
#[derive(Clone, Debug)]
pub struct Repositories {
    root: PathBuf,
    backend: PathBuf,
    protocol_v2: bool,
}

impl Repositories {
    /// Serves the repositories below `root`; looks for `git http-backend` with `git --exec-path`.
    ///
    /// # Errors
    /// [`ServeError`] when git is not installed. Blocks while git runs.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, ServeError> {
        let output =
            std::process::Command::new("git").arg("--exec-path").output().map_err(ServeError::NoGit)?;
        let backend = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("git-http-backend");
        if !backend.is_file() {
            return Err(ServeError::NoBackend(backend));
        }
        Ok(Self { root: root.into(), backend, protocol_v2: true })
    }

    /// Speaks protocol v0, as old servers do, when `false`.
    #[must_use]
    pub fn protocol_v2(mut self, enabled: bool) -> Self {
        self.protocol_v2 = enabled;
        self
    }

    /// The routes: `/<path of a repository below the root>/info/refs` and so on.
    pub fn router(self) -> Router {
        Router::new().fallback(handle).with_state(Arc::new(self))
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self.run(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(%error, "git http-backend failed");
                (StatusCode::INTERNAL_SERVER_ERROR, format!("git http-backend failed: {error}\n"))
                    .into_response()
            }
        }
    }

    async fn run(&self, request: Request<Body>) -> std::io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let text = |name: HeaderName| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let body: Bytes = match axum::body::to_bytes(body, MAX_BODY_BYTES).await {
            Ok(body) => body,
            Err(_) => return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        };
        let mut command = Command::new(&self.backend);
        command
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            // The files may belong to another user than the server.
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .env("REQUEST_METHOD", parts.method.as_str())
            .env("PATH_INFO", parts.uri.path())
            .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
            .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING))
            .env("REMOTE_ADDR", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if self.protocol_v2 {
            command.env("GIT_PROTOCOL", text(HeaderName::from_static("git-protocol")));
        } else {
            command.env_remove("GIT_PROTOCOL");
        }
        let mut child = command.spawn()?;
        let missing = || std::io::Error::other("no pipe to git http-backend");
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        // Beside reading, since the backend may answer before it has read everything. Ends with the process.
        let feed = async move {
            let written = stdin.write_all(&body).await;
            drop(stdin);
            written
        };
        let (_, head) = tokio::join!(feed, read_head(&mut stdout));
        let (status, headers) = head?;
        let stream = ReaderStream::new(WithChild { stdout, _child: child });
        let mut response = Response::new(Body::from_stream(stream));
        *response.status_mut() = status;
        for (name, value) in headers {
            response.headers_mut().append(name, value);
        }
        Ok(response)
    }
}

async fn handle(State(repositories): State<Arc<Repositories>>, request: Request<Body>) -> Response<Body> {
    repositories.answer(request).await
}

type Head = (StatusCode, Vec<(HeaderName, HeaderValue)>);

/// Reads the backend's header lines up to the empty one.
async fn read_head(stdout: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Head> {
    let mut status = StatusCode::OK;
    let mut headers = Vec::new();
    let mut total = 0;
    loop {
        let mut line = String::new();
        total += stdout.read_line(&mut line).await?;
        if total > MAX_HEADER_BYTES {
            return Err(std::io::Error::other("the header is too long"));
        }
        if line.is_empty() {
            return Err(std::io::Error::other("it ended without an answer"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split_whitespace().next().and_then(|code| code.parse().ok());
            status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name), HeaderValue::try_from(value.trim()))
        {
            headers.push((name, value));
        }
    }
}

/// The backend's output; the process is killed when nobody reads on.
struct WithChild<R> {
    stdout: R,
    _child: tokio::process::Child,
}

impl<R: tokio::io::AsyncRead + Unpin> tokio::io::AsyncRead for WithChild<R> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}
