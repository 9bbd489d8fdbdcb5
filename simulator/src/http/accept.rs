//! The listener: TLS, HTTP/1.1 or HTTP/2 by ALPN, and how connections end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Context, route};

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts and serves connections until told to end.
pub(crate) struct Accept {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) context: Arc<Context>,
    /// Ends watches, lets requests under way finish.
    pub(crate) graceful: CancellationToken,
    /// Cuts every connection.
    pub(crate) abrupt: CancellationToken,
    /// How long a graceful end may take.
    pub(crate) grace: Duration,
}

impl Accept {
    pub(crate) async fn run(self) {
        let acceptor = TlsAcceptor::from(self.tls.clone());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.abrupt.cancelled() => return, // dropping the set cuts the connections
                () = self.graceful.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (acceptor, context, graceful) = (acceptor.clone(), self.context.clone(), self.graceful.clone());
                        connections.spawn(connection(stream, acceptor, context, graceful));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await; // out of file descriptors: let some close
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = self.abrupt.cancelled() => {}
            _ = tokio::time::timeout(self.grace, all) => {}
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    context: Arc<Context>,
    graceful: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let service = service_fn(|request| {
        let (context, graceful) = (context.clone(), graceful.clone());
        async move { Ok::<_, Infallible>(route::serve(context, request, graceful).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(1000)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = graceful.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error = &*error, "connection ended");
    }
}
