//! Connections: accepted up to a limit, with timeouts, and drained before the service stops.
//!
//! When the limit is reached, the connection that was idle for the longest time makes room for a new one, of the peer
//! that has the most of them. Addresses of peers are used for counting alone, are forgotten with the last connection,
//! and are never logged.

mod link;
mod proxy_header;
mod requests;
mod table;
mod wire;

use crate::configuration::{Limits, PeerSettings, PeerSource};
use crate::metrics::Closing;
use crate::minimum_rate::MinimumRate;
use crate::service::Service;
use crate::tls::ServerTls;
use axum::Router;
use futures_util::future;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use link::{Due, Link, Watched};
use requests::Requests;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use table::{Admission, Place, Table};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

/// Concurrent requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Bytes of one body that a peer may send before the service reads them.
const STREAM_WINDOW: u32 = 256 << 10;
/// Pause after a failed `accept`: the process may have too many open files.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);
/// How long the other requests of a connection may take that ends because memory for its answers is needed for others.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted. The system has a smaller limit (Linux: `net.core.somaxconn`, 4,096 by default), and it is
/// the one to set: what comes while the queue is full is not answered, and its client tries again after a second.
const BACKLOG: u32 = 32_768;

/// Bound addresses, with the router that answers their requests.
///
/// The router gets of each request the method, the path, the body, and the header fields that the endpoints of this
/// crate read.
pub struct Listener {
    sockets: Vec<TcpListener>,
    tls: Option<ServerTls>,
    peers: PeerSettings,
    router: Router,
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart does not wait for connections of the process before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Listener {
    /// Binds addresses. Port 0 binds a free port; [`Listener::addresses`] has its number.
    ///
    /// # Errors
    /// If one of the addresses cannot be bound; the message names it.
    #[expect(clippy::unused_async, reason = "sockets need a runtime, and callers await it")]
    pub async fn bind(addresses: &[SocketAddr], router: Router) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            let socket = listen(*address).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            })?;
            sockets.push(socket);
        }
        Ok(Self { sockets, tls: None, peers: PeerSettings::default(), router })
    }

    /// Serves HTTPS, or HTTP with `None`.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// Sets by what connections are counted; without it, by the address that they come from.
    #[must_use]
    pub fn with_peers(mut self, settings: PeerSettings) -> Self {
        self.peers = settings;
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
        let (drain, draining) = watch::channel(());
        let (close, must_close) = watch::channel(());
        let (open, mut all_closed) = mpsc::channel(1);
        let acceptor = Acceptor {
            table: Table::new(service.limits()),
            service: Arc::clone(service),
            tls: self.tls,
            peers: self.peers,
            router: self.router,
            draining,
            must_close,
            open,
        };
        {
            let accepting = self.sockets.iter().map(|socket| acceptor.accept_all(socket));
            let accepting = future::join_all(accepting);
            tokio::pin!(stop, accepting);
            future::select(stop, accepting).await;
        }
        // New connections go to another node, or are refused.
        drop((self.sockets, acceptor, drain));
        // Completes when no connection holds a part of the service any longer.
        let drained = tokio::time::timeout(service.limits().drain_timeout, all_closed.recv()).await;
        if drained.is_err() {
            tracing::warn!("connections that are still open after limits.drainSeconds are closed");
            drop(close);
            let closed: Option<()> = all_closed.recv().await;
            debug_assert!(closed.is_none(), "connections send nothing on this channel");
        }
    }
}

struct Acceptor {
    service: Arc<Service>,
    table: Arc<Table>,
    tls: Option<ServerTls>,
    peers: PeerSettings,
    router: Router,
    /// Closed when connections must end after their requests.
    draining: watch::Receiver<()>,
    /// Closed when connections must end at once.
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

/// Completes when the sender of the channel was dropped.
async fn ended(receiver: &mut watch::Receiver<()>) {
    while receiver.changed().await.is_ok() {}
}

impl Acceptor {
    async fn accept_all(&self, socket: &TcpListener) {
        loop {
            let (stream, address) = match socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files, or a peer that disconnected at once.
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.table.free_descriptors();
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            };
            let source = match &self.peers.source {
                PeerSource::None => None,
                PeerSource::Connection => Some(address.ip()),
                PeerSource::ProxyHeader { proxies } => {
                    let from = address.ip().to_canonical();
                    if proxies.iter().any(|proxies| proxies.contains(&from)) {
                        self.spawn(self.forwarded(stream));
                    } else {
                        self.service.metrics().connection_ended(Closing::Stranger);
                    }
                    continue;
                }
            };
            // Without addresses all wait while one does, in the order in which they have come.
            if let Some(place) = admit(&self.table, &self.service, source).await {
                self.spawn(self.connection(stream, place));
            }
        }
    }

    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let (mut must_close, open) = (self.must_close.clone(), self.open.clone());
        tokio::spawn(async move {
            // Declared first, so that it is dropped last: `Listener::serve` waits for it.
            let _open = open;
            tokio::select! {
                () = connection => {}
                () = ended(&mut must_close) => {}
            }
        });
    }

    /// A connection from a balancer that says whose it is.
    fn forwarded(&self, mut stream: TcpStream) -> impl Future<Output = ()> + Send + use<> {
        let limit = self.service.limits().header_timeout;
        let (table, service) = (Arc::clone(&self.table), Arc::clone(&self.service));
        let serving = self.serving();
        async move {
            let read = proxy_header::read(&mut stream);
            match tokio::time::timeout(limit, read).await {
                Ok(Ok(source)) => {
                    if let Some(place) = admit(&table, &service, source).await {
                        serving.run(stream, place).await;
                    }
                }
                Ok(Err(_)) => service.metrics().connection_ended(Closing::Protocol),
                Err(_) => service.metrics().connection_ended(Closing::Slow),
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        place: Place,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.serving().run(stream, place)
    }

    fn serving(&self) -> Serving {
        Serving {
            service: Arc::clone(&self.service),
            tls: self.tls.clone(),
            router: self.router.clone(),
            draining: self.draining.clone(),
        }
    }
}

/// A place in the table as soon as there is one. `None` if the service works for all connections that might make room.
async fn admit(
    table: &Arc<Table>,
    service: &Service,
    source: Option<std::net::IpAddr>,
) -> Option<Place> {
    loop {
        match table.admit(source) {
            Admission::Admitted { place, replaced } => {
                if replaced {
                    service.metrics().connection_ended(Closing::Replaced);
                }
                return Some(place);
            }
            Admission::Later(time) => sleep_until(time).await,
            Admission::Refused => {
                service.metrics().connection_ended(Closing::Refused);
                return None;
            }
        }
    }
}

/// What a connection needs to be served.
struct Serving {
    service: Arc<Service>,
    tls: Option<ServerTls>,
    router: Router,
    draining: watch::Receiver<()>,
}

impl Serving {
    /// Serves one connection from its TLS handshake to its end.
    async fn run(self, stream: TcpStream, place: Place) {
        let _guard = ConnectionGuard::new(&self.service);
        let link = Arc::clone(&place.link);
        let service = Arc::clone(&self.service);
        tokio::select! {
            // What moves on the connection changes when it is overdue: that is looked at afterwards.
            biased;
            () = self.accept(stream, Arc::clone(&link)) => {}
            // The table has counted it.
            () = link.closed() => {}
            () = link.overdue(Due::Slow) => service.metrics().connection_ended(Closing::Slow),
        }
        drop(place);
    }

    async fn accept(self, stream: TcpStream, link: Arc<Link>) {
        if let Err(error) = stream.set_nodelay(true) {
            // The peer has disconnected, which serving finds as well.
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let mut draining = self.draining.clone();
        let Some(tls) = self.tls.clone() else {
            // Nothing is set up for the connection before its first byte.
            tokio::select! {
                readable = stream.readable() => if readable.is_err() { return },
                () = ended(&mut draining) => return,
            }
            return self.serve_http(stream, HttpVersion::Any, link).await;
        };
        let stream = tokio::select! {
            stream = tls.0.accept(stream) => stream,
            () = ended(&mut draining) => return,
        };
        let Ok((stream, is_http2)) = stream else { return };
        link.established();
        let version = if is_http2 { HttpVersion::Http2 } else { HttpVersion::Http1 };
        self.serve_http(stream, version, link).await;
    }

    async fn serve_http<S>(self, stream: S, version: HttpVersion, link: Arc<Link>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { service, router, mut draining, .. } = self;
        let limits = service.limits().clone();
        let builder = builder(&limits, version);
        let rate = MinimumRate::new(stream, limits.answer_timeout, limits.answer_bytes_per_second);
        let stream = TokioIo::new(Watched::new(rate, Arc::clone(&link)));
        let requests = Requests { router, link: Arc::clone(&link), service: Arc::clone(&service) };
        let mut connection = std::pin::pin!(builder.serve_connection(stream, requests));
        // `None` if memory is needed at once.
        let limit = tokio::select! {
            biased;
            // An error is one of the peer: it disconnected or broke the protocol.
            _ = connection.as_mut() => return,
            () = link.overdue(Due::Idle) => {
                service.metrics().connection_ended(Closing::Idle);
                Some(limits.header_timeout)
            }
            // Other requests of the connection may be those of other clients of a balancer. When the last of them is over, or
            // overdue as well, the link is.
            () = link.overdue(Due::Stalled) => Some(limits.request_timeout + limits.answer_timeout),
            () = link.must_make_room() => None,
            () = ended(&mut draining) => Some(limits.drain_timeout),
        };
        // The peer of HTTP/2 is told that no further request is taken. Those that are on their way are answered.
        connection.as_mut().graceful_shutdown();
        if let Some(limit) = limit {
            tokio::select! {
                _ = tokio::time::timeout(limit, connection.as_mut()) => return,
                () = link.must_make_room() => {}
            }
        }
        service.metrics().connection_ended(Closing::Memory);
        // It is over, whether its other requests were answered or not.
        let _ = tokio::time::timeout(ROOM_TIMEOUT, connection).await;
    }
}

enum HttpVersion {
    /// HTTP/1.1 or HTTP/2, which the first bytes of a connection tell.
    Any,
    Http1,
    Http2,
}

fn builder(limits: &Limits, version: HttpVersion) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The time for a head is limited by the link: here it would also be the time between two requests.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_frame_size(u32::try_from(wire::MAX_FRAME_BYTES).ok())
        .initial_stream_window_size(STREAM_WINDOW)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        // A peer that is gone without a word is found before it would count as idle.
        .keep_alive_interval(Some(limits.idle_timeout / 2))
        .keep_alive_timeout(limits.header_timeout);
    match version {
        HttpVersion::Any => builder,
        HttpVersion::Http1 => builder.http1_only(),
        HttpVersion::Http2 => builder.http2_only(),
    }
}
