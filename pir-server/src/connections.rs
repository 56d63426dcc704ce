//! Connections: accepted up to a limit, with timeouts, and drained before the service stops.
//!
//! Peer addresses are neither read nor logged.

use crate::configuration::Limits;
use crate::minimum_rate::MinimumRate;
use crate::service::Service;
use axum::Router;
use futures_util::future;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// Concurrent requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Pause after a failed `accept`: the process may have too many open files.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Bound addresses, with the router that answers their requests.
pub struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
}

impl Listener {
    /// Binds addresses. Port 0 binds a free port; [`Listener::addresses`] has its number.
    ///
    /// # Errors
    /// If one of the addresses cannot be bound; the message names it.
    pub async fn bind(addresses: &[SocketAddr], router: Router) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            let socket = TcpListener::bind(address).await.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            })?;
            sockets.push(socket);
        }
        Ok(Self { sockets, tls: None, router })
    }

    /// Serves HTTPS with this configuration, or HTTP with `None`.
    #[must_use]
    pub fn with_tls(mut self, config: Option<Arc<rustls::ServerConfig>>) -> Self {
        self.tls = config;
        self
    }

    /// The bound addresses, with the numbers of free ports that were taken.
    ///
    /// # Errors
    /// If the system does not report the address of a socket.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Serves until `stop` completes. Then no new connection is accepted, requests that have begun are
    /// answered, and after `limits.drainSeconds` the remaining connections are closed.
    pub async fn serve(self, service: &Arc<Service>, stop: impl Future<Output = ()>) {
        let (close, must_close) = watch::channel(());
        let (open, mut all_closed) = mpsc::channel(1);
        let acceptor = Acceptor {
            service: Arc::clone(service),
            permits: Arc::new(Semaphore::new(service.limits().connections)),
            tls: self.tls.map(TlsAcceptor::from),
            router: TowerToHyperService::new(self.router),
            graceful: GracefulShutdown::new(),
            must_close,
            open,
        };
        let accepting = self.sockets.iter().map(|socket| acceptor.accept_all(socket));
        let accepting = future::join_all(accepting);
        {
            tokio::pin!(stop, accepting);
            future::select(stop, accepting).await;
        }
        // New connections go to another node, or are refused.
        drop(self.sockets);
        let drained = acceptor.graceful.shutdown();
        if tokio::time::timeout(service.limits().drain_timeout, drained).await.is_err() {
            tracing::warn!("connections that are still open after limits.drainSeconds are closed");
        }
        drop((close, acceptor.open));
        // Completes when no connection holds a part of the service any longer.
        let closed: Option<()> = all_closed.recv().await;
        debug_assert!(closed.is_none(), "connections send nothing on this channel");
    }
}

struct Acceptor {
    service: Arc<Service>,
    /// One for each connection that may be open.
    permits: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    router: TowerToHyperService<Router>,
    graceful: GracefulShutdown,
    /// Changes when connections must close at once.
    must_close: watch::Receiver<()>,
    /// Held by each connection for as long as it is open.
    open: mpsc::Sender<()>,
}

/// Counts a connection in the metrics for as long as it is open.
struct ConnectionGuard(Arc<Service>);

impl ConnectionGuard {
    fn new(service: &Arc<Service>) -> Self {
        service.metrics().connection_opened();
        Self(Arc::clone(service))
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.metrics().connection_closed();
    }
}

impl Acceptor {
    async fn accept_all(&self, socket: &TcpListener) {
        loop {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return };
            let stream = match socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, or a peer that disconnected at once.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                // The peer has disconnected, which serving finds as well.
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
            let guard = ConnectionGuard::new(&self.service);
            let connection = serve_connection(
                self.service.limits().clone(),
                stream,
                self.tls.clone(),
                self.router.clone(),
                self.graceful.watcher(),
            );
            let (mut must_close, open) = (self.must_close.clone(), self.open.clone());
            tokio::spawn(async move {
                // Declared first, so that it is dropped last: `Listener::serve` waits for it.
                let _open = open;
                let _held = (permit, guard);
                tokio::select! {
                    () = connection => {}
                    _ = must_close.changed() => {}
                }
            });
        }
    }
}

/// Serves one connection from its TLS handshake to its end.
async fn serve_connection(
    limits: Limits,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: TowerToHyperService<Router>,
    watcher: Watcher,
) {
    let timeout = limits.header_timeout;
    let Some(tls) = tls else {
        // Nothing is set up for the connection before its first byte.
        if let Ok(Ok(())) = tokio::time::timeout(timeout, stream.readable()).await {
            serve_http(&limits, stream, HttpVersion::Any, router, watcher).await;
        }
        return;
    };
    let Ok(Ok(stream)) = tokio::time::timeout(timeout, tls.accept(stream)).await else { return };
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => HttpVersion::Http2,
        _ => HttpVersion::Http1,
    };
    serve_http(&limits, stream, version, router, watcher).await;
}

enum HttpVersion {
    /// HTTP/1.1 or HTTP/2, which the first bytes of a connection tell.
    Any,
    Http1,
    Http2,
}

async fn serve_http<S>(
    limits: &Limits,
    stream: S,
    version: HttpVersion,
    router: TowerToHyperService<Router>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(limits.idle_timeout / 2))
        .keep_alive_timeout(limits.header_timeout);
    let builder = match version {
        HttpVersion::Any => builder,
        HttpVersion::Http1 => builder.http1_only(),
        HttpVersion::Http2 => builder.http2_only(),
    };
    let stream = TokioIo::new(MinimumRate::new(stream, limits.idle_timeout));
    let connection = builder.serve_connection(stream, router);
    // An error is one of the peer: it disconnected or broke the protocol.
    let _ = watcher.watch(connection.into_owned()).await;
}
