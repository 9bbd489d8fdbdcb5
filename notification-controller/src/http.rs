//! The two HTTP endpoints: connections that are bounded in number, time and size.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Largest body, in bytes: Flux's 3 MiB.
pub(crate) const MAX_BODY: usize = 3 * 1024 * 1024;
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 256 * 1024;
/// Time for the head, and for the body.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// Time for requests in hand after the shutdown began.
const GRACE: Duration = Duration::from_secs(5);

/// An answer, whole in memory.
pub(crate) type Answer = Response<Full<Bytes>>;

/// An answer of a status and a text.
pub(crate) fn answer(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(text.into())));
    *response.status_mut() = status;
    response
}

/// Serves until `shutdown`.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    shutdown: CancellationToken,
    handler: H,
) -> Result<(), Infallible>
where
    H: Fn(Request<hyper::body::Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        // Never closed.
        let place = places.clone().acquire_owned().await.ok();
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, mostly: it passes, and trying at once would only spin.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (handler, shutdown) = (handler.clone(), shutdown.clone());
        connections.spawn(async move {
            let _place = place;
            let service = hyper::service::service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                debug!(%error, "connection broke off");
            }
        });
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

/// Reads a body whole.
///
/// # Errors
/// The answer to give: 413 for more than [`MAX_BODY`], 400 if it does not come.
pub(crate) async fn read<B>(body: B) -> Result<Bytes, Box<Answer>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Box::new(answer(StatusCode::PAYLOAD_TOO_LARGE, "")));
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Box::new(answer(StatusCode::PAYLOAD_TOO_LARGE, "")))
        }
        Ok(Err(_)) | Err(_) => Err(Box::new(answer(StatusCode::BAD_REQUEST, ""))),
    }
}
