//! The service behind the balancer of `deploy/`, with as few descriptors as many systems give.

use crate::frames::opening;
use crate::idle::{Certified, Stream, ask};
use crate::support::{Case, Running, Settings};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// Descriptors that a process may have, and may ask for: the usual limits of a session.
const DESCRIPTORS: &str = "--nofile=1024:4096";

/// HAProxy with the configuration of `deploy/`, in front of nodes.
pub(crate) struct Balancer {
    child: Child,
    pub(crate) address: String,
}

impl Balancer {
    /// With one or two nodes, and with TLS if there is a certificate.
    pub(crate) fn start(folder: &Path, nodes: &[&str], certified: Option<&Certified>) -> Self {
        let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/compose/haproxy.cfg");
        let address = {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().to_string()
        };
        let mut bind = format!("bind {address}");
        if let Some(Certified { chain, key, .. }) = certified {
            let path = folder.join("balancer.pem");
            fs::write(&path, format!("{chain}{key}")).unwrap();
            bind = format!("{bind} ssl crt {} alpn h2,http/1.1", path.display());
        }
        let mut text = fs::read_to_string(deployed).unwrap().replace("bind :8080", &bind);
        for number in 1..=2 {
            let name = format!("node{number}:8080");
            text = match nodes.get(number - 1) {
                Some(node) => text.replace(&name, node),
                None => {
                    let others = text.lines().filter(|line| !line.contains(&name));
                    others.map(|line| format!("{line}\n")).collect()
                }
            };
        }
        let path = folder.join("haproxy.cfg");
        fs::write(&path, text).unwrap();
        let mut command = Command::new("prlimit");
        command.arg(DESCRIPTORS).args(["haproxy", "-db", "-f"]).arg(path);
        let child = command.spawn().unwrap();
        Self { child, address }
    }

    /// Connects as soon as it listens.
    pub(crate) async fn connect(&self) -> TcpStream {
        let connecting = async {
            loop {
                match TcpStream::connect(&self.address).await {
                    Ok(stream) => return stream,
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        };
        timeout(PATIENCE, connecting).await.unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs haproxy and prlimit, and waits for 12 seconds"]
async fn idle_connections_outlive_the_time_for_a_head() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("synthetic_small_logt5");
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("peers", json!({ "address": "none" }));
    let running = Running::start(folder, settings).await;
    let node = running.url.strip_prefix("http://").unwrap();
    let certified = Arc::new(Certified::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let balancers = [
        Balancer::start(folders[0].path(), &[node], None),
        Balancer::start(folders[1].path(), &[node], Some(&certified)),
    ];
    let mut cases = JoinSet::new();
    for (tls, http2) in [(false, false), (false, true), (true, false), (true, true)] {
        let stream = balancers[usize::from(tls)].connect().await;
        let certified = Arc::clone(&certified);
        cases.spawn(async move {
            let mut stream: Box<dyn Stream> = match tls {
                true => certified.connect(stream, http2).await,
                false => Box::new(stream),
            };
            if http2 {
                stream.write_all(&opening(None)).await.unwrap();
            }
            timeout(PATIENCE, ask(&mut stream, http2, 0)).await.unwrap();
            // A head may take 10 seconds, at the balancer and at the service.
            sleep(Duration::from_secs(12)).await;
            timeout(PATIENCE, ask(&mut stream, http2, 1)).await.unwrap();
        });
    }
    while let Some(outcome) = cases.join_next().await {
        outcome.unwrap();
    }
}

#[cfg(feature = "redis")]
mod killed {
    use super::{Balancer, PATIENCE};
    use crate::process::Process;
    use crate::redis_server::{Kind, RedisServer};
    use crate::support::{Case, Settings};
    use filter_client::{ClientOptions, EmptyWallet, PirClient};
    use serde_json::json;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::task::{JoinSet, yield_now};
    use tokio::time::timeout;

    const CLIENTS: usize = 8;
    const LOOKUPS: usize = 80;

    /// How far the clients are.
    #[derive(Default)]
    struct Progress {
        answered: AtomicUsize,
        failed: AtomicUsize,
    }

    impl Progress {
        /// Waits until a counter is larger by `more`, or the clients have finished.
        async fn wait(&self, counter: &AtomicUsize, more: usize) {
            let goal = counter.load(Ordering::Relaxed) + more;
            let waiting = async {
                while counter.load(Ordering::Relaxed) < goal
                    && self.answered.load(Ordering::Relaxed) < CLIENTS * LOOKUPS
                {
                    yield_now().await;
                }
            };
            timeout(PATIENCE, waiting).await.expect("the clients get on");
        }

        async fn answers(&self, more: usize) {
            self.wait(&self.answered, more).await;
        }
    }

    fn client(balancer: &Balancer, use_case: &str) -> PirClient {
        let mut options = ClientOptions::default();
        options.wallet.when_empty = EmptyWallet::Fetch;
        options.outage_backoff = Duration::ZERO;
        PirClient::builder(format!("http://{}", balancer.address), use_case)
            .user_token("AAAA")
            .options(options)
            .build()
            .unwrap()
    }

    /// Asks until there is an answer, which must be right.
    async fn look_up(
        client: &PirClient,
        (keyword, value): &(String, Option<String>),
        progress: &Progress,
    ) {
        loop {
            client.reset_answers();
            match client.lookup(&[keyword.as_bytes()]).await {
                Ok(found) => {
                    let expected = value.as_ref().map(|value| value.as_bytes().to_vec());
                    assert_eq!(found, [expected], "{keyword}");
                    progress.answered.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    assert!(error.is_transient(), "{error}");
                    progress.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs haproxy, prlimit and redis-server"]
    async fn every_lookup_is_right_while_nodes_and_their_store_are_killed() {
        let mut server = RedisServer::start(Kind::Plain);
        let folder = tempfile::tempdir().unwrap();
        let case = Case::new("synthetic_small_logt5");
        let settings = Settings::new(vec![case.install(folder.path(), "data")])
            .with("peers", json!({ "address": "none" }));
        let settings = server.configure(settings);
        let folders: Vec<PathBuf> =
            (0..2).map(|node| folder.path().join(node.to_string())).collect();
        let mut nodes: Vec<Process> = Vec::new();
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            nodes.push(Process::start(folder, &settings, &[]));
        }
        let addresses: Vec<&str> =
            nodes.iter().map(|node| node.url.strip_prefix("http://").unwrap()).collect();
        let balancer = Balancer::start(folder.path(), &addresses, None);
        drop(balancer.connect().await);
        let progress = Arc::new(Progress::default());
        let expected = Arc::new(case.expected());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = client(&balancer, &case.use_case());
            let (progress, expected) = (Arc::clone(&progress), Arc::clone(&expected));
            clients.spawn(async move {
                for lookup in 0..LOOKUPS {
                    let row = &expected[(number + lookup) % expected.len()];
                    look_up(&client, row, &progress).await;
                }
            });
        }
        progress.answers(40).await;
        for node in [0, 1, 0, 1] {
            let killed = nodes.remove(node);
            let url = killed.url.clone();
            killed.kill();
            // The other node answers.
            progress.answers(30).await;
            nodes.insert(node, Process::start_again(&folders[node], &settings, &url, &[]));
            progress.answers(30).await;
        }
        server.kill();
        progress.wait(&progress.failed, 8).await;
        server.restart();
        while let Some(outcome) = clients.join_next().await {
            outcome.unwrap();
        }
        assert_eq!(progress.answered.load(Ordering::Relaxed), CLIENTS * LOOKUPS);
    }
}
