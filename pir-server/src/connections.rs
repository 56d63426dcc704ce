//! Connections: accepted up to a number, timed, and drained at the end.
//!
//! Addresses of peers are not looked at.

use crate::configuration::Limits;
use crate::pace::Paced;
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

/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 256;
/// Pause after the system cannot give a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Addresses that are listened on, with what they serve.
pub struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
}

impl Listener {
    /// Binds addresses. Port 0 takes a free one, see [`Listener::addresses`].
    ///
    /// # Errors
    /// If one of them cannot be had; its text names the address.
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

    /// Speaks TLS.
    #[must_use]
    pub fn with_tls(mut self, config: Option<Arc<rustls::ServerConfig>>) -> Self {
        self.tls = config;
        self
    }

    /// The addresses.
    ///
    /// # Errors
    /// If the system does not tell them.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Serves until `stop` is done, then finishes what has begun, for as long as the limits say.
    pub async fn serve(self, service: &Arc<Service>, stop: impl Future<Output = ()>) {
        let (cut, is_cut) = watch::channel(());
        let (alive, mut all_gone) = mpsc::channel(1);
        let acceptor = Acceptor {
            service: Arc::clone(service),
            room: Arc::new(Semaphore::new(service.limits().connections)),
            tls: self.tls.map(TlsAcceptor::from),
            router: TowerToHyperService::new(self.router),
            graceful: GracefulShutdown::new(),
            is_cut,
            alive,
        };
        let accepting = self.sockets.iter().map(|socket| acceptor.accept_all(socket));
        let accepting = future::join_all(accepting);
        {
            tokio::pin!(stop, accepting);
            future::select(stop, accepting).await;
        }
        // Nobody new: the next connection goes to another node, or is refused.
        drop(self.sockets);
        let _ =
            tokio::time::timeout(service.limits().drain_time(), acceptor.graceful.shutdown()).await;
        drop((cut, acceptor.alive));
        // Nothing of the service is held by a connection any more when this returns.
        let _: Option<()> = all_gone.recv().await;
    }
}

struct Acceptor {
    service: Arc<Service>,
    room: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    router: TowerToHyperService<Router>,
    graceful: GracefulShutdown,
    /// Changes when connections have to end at once.
    is_cut: watch::Receiver<()>,
    /// Held by each connection.
    alive: mpsc::Sender<()>,
}

/// Counts a connection for as long as it lives.
struct Open(Arc<Service>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics().connection_closed();
    }
}

impl Acceptor {
    async fn accept_all(&self, socket: &TcpListener) {
        loop {
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
            let stream = match socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, or a peer that went away at once.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            self.service.metrics().connection_opened();
            let open = Open(Arc::clone(&self.service));
            let conversation = converse(
                self.service.limits().clone(),
                stream,
                self.tls.clone(),
                self.router.clone(),
                self.graceful.watcher(),
            );
            let (mut is_cut, alive) = (self.is_cut.clone(), self.alive.clone());
            tokio::spawn(async move {
                // Dropped last.
                let _alive = alive;
                let _held = (room, open);
                tokio::select! {
                    () = conversation => {}
                    _ = is_cut.changed() => {}
                }
            });
        }
    }
}

/// Everything on one connection.
async fn converse(
    limits: Limits,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: TowerToHyperService<Router>,
    watcher: Watcher,
) {
    let patience = limits.header_time();
    let Some(tls) = tls else {
        // Waits for the first byte before anything is set up for it.
        if let Ok(Ok(())) = tokio::time::timeout(patience, stream.readable()).await {
            speak(&limits, stream, Version::Any, router, watcher).await;
        }
        return;
    };
    let Ok(Ok(stream)) = tokio::time::timeout(patience, tls.accept(stream)).await else { return };
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Version::Two,
        _ => Version::One,
    };
    speak(&limits, stream, version, router, watcher).await;
}

enum Version {
    Any,
    One,
    Two,
}

async fn speak<S>(
    limits: &Limits,
    stream: S,
    version: Version,
    router: TowerToHyperService<Router>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time())
        .max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(limits.idle_time() / 2))
        .keep_alive_timeout(limits.header_time());
    let builder = match version {
        Version::Any => builder,
        Version::One => builder.http1_only(),
        Version::Two => builder.http2_only(),
    };
    let stream = TokioIo::new(Paced::new(stream, limits.idle_time()));
    let connection = builder.serve_connection(stream, router);
    // How a connection ends is the peer's business.
    let _ = watcher.watch(connection.into_owned()).await;
}
