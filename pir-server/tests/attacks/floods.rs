//! One peer with many connections, or with few that cost much, against a client with another address.
//!
//! The service runs in a process of its own, so that its memory is seen. `URLFILTER_ATTACKS=20` has the default limits:
//! 5,000 connections, 20,000 of one peer against them, for a minute each.

use crate::factor;
use crate::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, connect,
    field, frame, head, opening, repeated, stay_alive,
};
use crate::process::{PROGRAM, Process};
use crate::support::{Case, Settings};
use bytes::Bytes;
use filter_client::{
    ClientOptions, EmptyWallet, Exchange, ObliviousTransport, PirClient, Transport, TransportError,
};
use http::{Request, Response};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::Instant;

const HOST: &str = "pir.example.com";
const CASE: &str = "synthetic_small_logt5";
pub(crate) const DIRECTORY: &str = "/.well-known/private-token-issuer-directory";
pub(crate) const GATEWAY: &str = "/.well-known/ohttp-gateway";
/// What an attack may cost in memory.
const MAX_GROWTH: u64 = 256 << 20;
/// The time in which an honest lookup is answered at the latest. The aim is one second, on a machine that does nothing
/// else and a release build; here it is long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The limit of connections: a quarter of those that attackers have at once.
fn max_connections() -> usize {
    250 * factor().min(20)
}

/// The resident memory of a process, and the most that it had, in bytes.
fn memory(id: u32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    };
    (value("VmRSS:"), value("VmHWM:"))
}

/// An address that attackers do not have.
pub(crate) const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// Sends each request over a connection of its own, from an address.
pub(crate) struct FromAddress(pub(crate) reqwest::Client);

impl FromAddress {
    pub(crate) fn new(address: impl Into<IpAddr>) -> Self {
        let address: IpAddr = address.into();
        let builder = reqwest::Client::builder().local_address(address).pool_max_idle_per_host(0);
        Self(builder.timeout(PATIENCE).build().unwrap())
    }
}

impl Transport for FromAddress {
    fn send(&self, request: Request<Bytes>, _: usize) -> Exchange<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).unwrap();
            let failed = |error: reqwest::Error| match error.is_connect() {
                true => TransportError::Unreachable,
                false => TransportError::Broken,
            };
            let answer = self.0.execute(request).await.map_err(failed)?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await.map_err(failed)?;
            Ok(response)
        })
    }
}

/// A service with limits in proportion to the number of attempts.
pub(crate) struct Target {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    honest: Arc<Honest>,
    pub(crate) use_case: String,
    _folder: TempDir,
}

/// A client with another address, and what it looks up.
struct Honest {
    direct: PirClient,
    through_gateway: PirClient,
    keyword: String,
    value: Option<String>,
}

impl Honest {
    /// A lookup, and the time that it took.
    async fn look_up(&self, client: &PirClient) -> Duration {
        // Otherwise the client remembers.
        client.reset_answers();
        let begun = Instant::now();
        let found = client.lookup(&[self.keyword.as_bytes()]).await.unwrap();
        assert_eq!(found[0].as_deref(), self.value.as_deref().map(str::as_bytes));
        begun.elapsed()
    }
}

/// Threads of attackers. They give way to the honest client on the processors that both have: elsewhere it has a machine
/// of its own, and what it waits for here is the service.
static ATTACKERS: LazyLock<Runtime> = LazyLock::new(|| {
    let lowest = || {
        // Elsewhere the priority is one of the whole process.
        #[cfg(target_os = "linux")]
        rustix::process::nice(19).expect("a thread may lower its own priority");
    };
    Builder::new_multi_thread().enable_all().on_thread_start(lowest).build().unwrap()
});

/// The service that is attacked: another build of it, if `URLFILTER_SERVICE` names one.
fn program() -> Command {
    let named = std::env::var_os("URLFILTER_SERVICE");
    Command::new(named.as_deref().unwrap_or(PROGRAM.as_ref()))
}

impl Target {
    async fn start(peers: serde_json::Value) -> Self {
        Self::start_with(peers, json!({}), ELSEWHERE, |_| json!({})).await
    }

    /// With more limits, clients at an address, and more settings of the use case.
    pub(crate) async fn start_with(
        peers: serde_json::Value,
        more_limits: serde_json::Value,
        client_address: [u8; 4],
        use_case: impl FnOnce(&Path) -> serde_json::Value,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let case = Case::new(CASE);
        let many = 1_000_000_000;
        let mut limits = json!({
            "connections": max_connections(),
            "tokens": { "tier1": { "perHour": many, "perDay": many } },
        });
        let installed = case.install(folder.path(), "data");
        let mut served = json!({
            "name": installed.name,
            "fileStem": installed.stem,
            "shardCount": installed.shards,
        });
        for (object, more) in [(&mut limits, more_limits), (&mut served, use_case(folder.path()))] {
            for (key, value) in more.as_object().unwrap() {
                object[key] = value.clone();
            }
        }
        let settings = Settings::new(Vec::new())
            .with("usecases", json!([served]))
            .with("limits", limits)
            .with("peers", peers)
            .with("gateway", json!({ "hosts": [HOST] }));
        let process = Process::start_by(program(), folder.path(), &settings, &[]);
        let address = process.url.strip_prefix("http://").unwrap().parse().unwrap();
        // This client looks more up within a minute than wallets are made for.
        let mut options = ClientOptions::default();
        options.wallet.when_empty = EmptyWallet::Fetch;
        // Attackers have the same processors as the service: what is asked may be closed before it was read. A page that is
        // loaded again asks again; here the client does, within `PATIENCE`.
        options.retry.max_attempts = 20;
        let client = |url: &str, transport: &dyn Fn() -> Arc<dyn Transport>| {
            PirClient::builder(url, case.use_case())
                .user_token("AAAA")
                .options(options.clone())
                .transport(transport())
                .issuer_transport(transport())
                .build()
                .unwrap()
        };
        let from = || Arc::new(FromAddress::new(client_address)) as Arc<dyn Transport>;
        let direct = client(&process.url, &from);
        let relay = format!("{}{GATEWAY}", process.url);
        let keys = reqwest::get(&relay).await.unwrap().bytes().await.unwrap().to_vec();
        let relay: http::Uri = relay.parse().unwrap();
        let through = || {
            let oblivious = ObliviousTransport::new(from(), relay.clone(), keys.clone());
            Arc::new(oblivious.unwrap()) as Arc<dyn Transport>
        };
        let through_gateway = client(&format!("https://{HOST}"), &through);
        let (keyword, value) = case.expected().swap_remove(0);
        let honest = Arc::new(Honest { direct, through_gateway, keyword, value });
        let use_case = case.use_case();
        let target = Self { process, address, honest, use_case, _folder: folder };
        target.lookup().await;
        target
    }

    /// Honest lookups, directly and through the gateway, and the time of the slower one. They have a thread and a
    /// runtime of their own: in that of the attackers they would wait for thousands of tasks.
    pub(crate) async fn lookup(&self) -> Duration {
        let honest = Arc::clone(&self.honest);
        let lookups = move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let direct = honest.look_up(&honest.direct).await;
                direct.max(honest.look_up(&honest.through_gateway).await)
            })
        };
        tokio::task::spawn_blocking(lookups).await.unwrap()
    }

    /// Lets `hostile` run, many times at once and again whenever it ends, while honest lookups go on.
    async fn under<F>(&self, name: &str, at_once: usize, hostile: impl Fn(SocketAddr) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if std::env::var("URLFILTER_FLOOD").is_ok_and(|part| !name.contains(&part)) {
            return;
        }
        let (before, _) = memory(self.process.id());
        // What a lookup takes at the moment without the attack.
        let mut quiet = Duration::ZERO;
        for _ in 0..3 {
            quiet = quiet.max(self.lookup().await);
        }
        let begun = Instant::now();
        let seconds = if factor() == 1 { 1 } else { 3 * factor().min(20) as u64 };
        let end = begun + Duration::from_secs(seconds);
        let (mut most, mut started) = (0, 0);
        let mut times = Vec::new();
        let mut attacks = JoinSet::new();
        while Instant::now() < end {
            // A part at a time: they are started on the processors of the honest client.
            for _ in 0..(at_once - attacks.len()).min(max_connections()) {
                attacks.spawn_on(hostile(self.address), ATTACKERS.handle());
                started += 1;
            }
            while attacks.try_join_next().is_some() {}
            times.push(self.lookup().await);
            most = most.max(memory(self.process.id()).0);
        }
        times.sort_unstable();
        let worst = *times.last().expect("time passes during a lookup");
        println!(
            "{name}: {started} attempts, {} at the end, {:.0} s; {} lookups, the slowest {:.3} s, {} above a second, half below {:.3} s \
             ({:.3} s before); memory {} to {} MB",
            attacks.len(),
            begun.elapsed().as_secs_f64(),
            times.len(),
            worst.as_secs_f64(),
            times.iter().filter(|time| time.as_secs() >= 1).count(),
            times[times.len() / 2].as_secs_f64(),
            quiet.as_secs_f64(),
            before >> 20,
            most >> 20,
        );
        attacks.shutdown().await;
        assert!(worst < PATIENCE, "{name}: {worst:?}");
        assert!(most < before + MAX_GROWTH, "{name}: {before} to {most}");
    }
}

/// Opens a connection and sends `bytes`; then it does what keeps a connection of HTTP/2 alive.
pub(crate) async fn send_and_stay(address: SocketAddr, bytes: Vec<u8>) {
    let Ok(mut stream) = connect(address).await else { return };
    if stream.write_all(&bytes).await.is_ok() {
        stay_alive(&mut stream).await;
    }
}

/// Opens a connection that reads nothing, with the smallest buffer that the system has.
pub(crate) async fn deaf(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(1)?;
    socket.connect(address).await
}

/// Heads of so many requests, each on a stream of its own.
pub(crate) fn requests(count: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    (0..count).flat_map(|index| frame(HEADERS, END_HEADERS | flags, 2 * index + 1, block)).collect()
}

async fn hpack(address: SocketAddr) {
    let first = [head("POST", GATEWAY), field("content-type", "message/ohttp-req"), field("a", "")];
    let again = [head("POST", GATEWAY), vec![0x80 | 63], repeated(450)].concat();
    let others: Vec<u8> =
        (1..128).flat_map(|index| frame(HEADERS, END_HEADERS, 2 * index + 1, &again)).collect();
    let first = frame(HEADERS, END_HEADERS, 1, &first.concat());
    send_and_stay(address, [opening(None), first, others].concat()).await;
}

async fn resets(address: SocketAddr) {
    let Ok(mut stream) = connect(address).await else { return };
    let (mut reading, mut writing) = stream.split();
    let writing = async move {
        writing.write_all(&opening(None)).await?;
        let block = head("GET", DIRECTORY);
        for id in (1..u32::MAX >> 1).step_by(2) {
            let pair = [
                frame(HEADERS, END_HEADERS | END_STREAM, id, &block),
                frame(RST_STREAM, 0, id, &[0, 0, 0, 8]),
            ];
            writing.write_all(&pair.concat()).await?;
        }
        std::io::Result::Ok(())
    };
    let mut rest = Vec::new();
    let _ = tokio::join!(writing, reading.read_to_end(&mut rest));
}

async fn pings(address: SocketAddr) {
    let Ok(mut stream) = connect(address).await else { return };
    let (mut reading, mut writing) = stream.split();
    let writing = async move {
        let pings = frame(PING, 0, 0, &[7; 8]).repeat(100);
        let mut sent = writing.write_all(&opening(None)).await;
        while sent.is_ok() {
            sent = writing.write_all(&pings).await;
        }
    };
    let mut buffer = vec![0; 64 << 10];
    let reading =
        async move { while reading.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    let _ = tokio::join!(writing, reading);
}

async fn slow_readers(address: SocketAddr) {
    let Ok(mut stream) = deaf(address).await else { return };
    let request = format!("GET {DIRECTORY} HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = stream.write_all(request.repeat(60).as_bytes()).await;
    // One byte now and then.
    while stream.read_u8().await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn trickles(address: SocketAddr) {
    let Ok(mut stream) = connect(address).await else { return };
    for byte in b"POST /config HTTP/1.1\r\nHost: a.example\r\n".iter().cycle() {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The attacks, with connections counted as `peers` says.
async fn attack(peers: serde_json::Value) {
    let target = Target::start(peers).await;
    let many = 1000 * factor().min(20);
    let few = 20 * factor().min(20);
    let directory = head("GET", DIRECTORY);
    target.under("idle connections of HTTP/2", many, |to| send_and_stay(to, opening(None))).await;
    let one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    target.under("idle connections of HTTP/1.1", many, |to| send_and_stay(to, one.to_vec())).await;
    target.under("silent connections", many, |to| send_and_stay(to, Vec::new())).await;
    target.under("heads of many fields", few, hpack).await;
    let stalled = [opening(Some(0)), requests(128, END_STREAM, &directory)].concat();
    target.under("stalled answers", few, |to| send_and_stay(to, stalled.clone())).await;
    target.under("rapid resets", few, resets).await;
    target.under("pings", few, pings).await;
    target.under("slow readers", many, slow_readers).await;
    target.under("heads a byte at a time", many, trickles).await;
    let cut = [opening(None), frame(HEADERS, 0, 1, &directory)].concat();
    target.under("heads without an end", many, |to| send_and_stay(to, cut.clone())).await;
    // Bodies for the gateway that are announced and stay away, after as much as fits into the windows.
    let block = [head("POST", GATEWAY), field("content-type", "message/ohttp-req")].concat();
    let mut bodies = opening(None);
    for id in [1, 3, 5, 7] {
        bodies.extend(frame(HEADERS, END_HEADERS, id, &block));
        bodies.extend(frame(DATA, 0, id, &[7; 16_000]).repeat(16));
    }
    target.under("bodies without an end", few, |to| send_and_stay(to, bodies.clone())).await;
    let metrics = reqwest::get(format!("{}/metrics", target.process.admin)).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in metrics.lines().filter(|line| line.starts_with("pir_connections")) {
        println!("{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_does_not_stop_others() {
    attack(json!({})).await;
}

/// As behind a balancer: all connections come from it.
#[tokio::test(flavor = "multi_thread")]
async fn many_connections_do_not_stop_others_without_addresses() {
    attack(json!({ "address": "none" })).await;
}

/// At one below the limit, at, and one above.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_too_many_fields_ends_its_connection() {
    let target = Target::start(json!({})).await;
    for (fields, is_answered) in [(127, true), (128, true), (129, false), (450, false)] {
        let block = [head("GET", DIRECTORY), field("a", ""), repeated(fields - 1)].concat();
        let mut stream = connect(target.address).await.unwrap();
        let bytes = [opening(None), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)].concat();
        stream.write_all(&bytes).await.unwrap();
        let found = loop {
            match crate::frames::read(&mut stream).await {
                Some((HEADERS, ..)) => break true,
                Some(_) => {}
                None => break false,
            }
        };
        assert_eq!(found, is_answered, "{fields}");
    }
    target.lookup().await;
}

/// Once the end of a connection was announced, heads of further requests are neither answered nor refused.
#[tokio::test(flavor = "multi_thread")]
async fn heads_after_the_end_was_announced_end_the_connection() {
    let limits = json!({ "answerSeconds": 1 });
    let target = Target::start_with(json!({}), limits, ELSEWHERE, |_| json!({})).await;
    let mut stream = connect(target.address).await.unwrap();
    // One answer is not taken, and another request goes on: so the end is announced, and the connection goes on.
    let waiting = [head("POST", GATEWAY), field("content-type", "message/ohttp-req")].concat();
    let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", DIRECTORY));
    let second = frame(HEADERS, END_HEADERS, 3, &waiting);
    stream.write_all(&[opening(Some(0)), first, second].concat()).await.unwrap();
    loop {
        let (kind, flags, _, payload) = crate::frames::read(&mut stream).await.unwrap();
        let answer = match (kind, flags & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            (GOAWAY, _) if payload[..4] == [0, 0, 0, 3] => break,
            _ => continue,
        };
        stream.write_all(&answer).await.unwrap();
    }
    let heads = |first: u32| -> Vec<u8> {
        (0..128)
            .flat_map(|i| frame(HEADERS, END_HEADERS | END_STREAM, first + 2 * i, &[]))
            .collect()
    };
    let mut sent = 0;
    while stream.write_all(&heads(5 + 2 * sent)).await.is_ok() {
        sent += 128;
        assert!(sent < 1_000_000, "{sent} heads");
    }
    println!("{sent} heads");
    target.lookup().await;
}

/// At one below the limit, at, and one above.
#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_on_a_connection_are_limited() {
    const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
    let target = Target::start(json!({})).await;
    // Each waits for its body.
    let block = [head("POST", GATEWAY), field("content-type", "message/ohttp-req")].concat();
    for (count, refused) in [(127, 0), (128, 0), (129, 1)] {
        let mut stream = connect(target.address).await.unwrap();
        let ping = frame(PING, 0, 0, &[7; 8]);
        let bytes = [opening(None), requests(count, 0, &block), ping].concat();
        stream.write_all(&bytes).await.unwrap();
        let mut found = 0;
        loop {
            match crate::frames::read(&mut stream).await.expect("the connection goes on") {
                (PING, flags, ..) if flags & ACK != 0 => break,
                (RST_STREAM, _, _, reason) => found += usize::from(reason == REFUSED_STREAM),
                _ => {}
            }
        }
        assert_eq!(found, refused, "{count}");
    }
}
