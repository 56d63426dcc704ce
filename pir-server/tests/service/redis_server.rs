//! A real server of state, with a folder of its own.
//!
//! Needs `redis-server` (Debian's package of that name). Without it, tests that use it pass over, unless
//! `URLFILTER_REDIS` says that they must not.

use crate::support::Settings;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Whether there is a server to test with.
pub(crate) fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| {
        let here = match Command::new("redis-server").arg("--version").output() {
            Ok(output) => output.status.success(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => panic!("redis-server: {error}"),
        };
        assert!(here || std::env::var_os("URLFILTER_REDIS").is_none(), "redis-server is not here");
        here
    })
}

/// A port that nobody had a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Certificates of a test authority, as files.
struct Papers {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Papers {
    fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "the authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Self {
            authority: write("authority.pem", authority.pem()),
            certificate: write("redis.pem", certificate.pem()),
            key: write("redis-key.pem", key.serialize_pem()),
        }
    }
}

/// How a server is set up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// TLS with certificates on both sides, and a password.
    Guarded,
    /// A cluster of one.
    Cluster,
    /// Watched by a sentinel.
    Sentinel,
}

/// A server that runs.
pub(crate) struct RedisServer {
    kind: Kind,
    folder: TempDir,
    papers: Papers,
    port: u16,
    child: Option<Child>,
    sentinel: Option<(Child, u16)>,
}

/// Runs a program until it says that it is ready.
fn run(arguments: &[String], folder: &Path) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = ["Ready to accept connections", "Sentinel ID is"];
    let is_ready = lines.by_ref().any(|line| {
        let line = line.unwrap_or_default();
        ready.iter().any(|ready| line.contains(ready))
    });
    if is_ready {
        // What it says from now on has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    child.wait().unwrap();
    None
}

impl RedisServer {
    pub(crate) fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::new(folder.path());
        let mut server = Self { kind, folder, papers, port: 0, child: None, sentinel: None };
        // Another test may take the port first.
        for _ in 0..20 {
            server.port = free_port();
            if server.run() {
                break;
            }
        }
        assert!(server.child.is_some(), "redis-server does not start");
        match kind {
            Kind::Cluster => {
                server.command(&["cluster", "addslotsrange", "0", "16383"]);
                while !server.command(&["cluster", "info"]).contains("cluster_state:ok") {
                    std::thread::yield_now();
                }
            }
            Kind::Sentinel => server.watch(),
            Kind::Plain | Kind::Guarded => {}
        }
        server
    }

    fn run(&mut self) -> bool {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let port = self.port.to_string();
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
                .map(ToOwned::to_owned)
                .to_vec();
        let mut more = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        match self.kind {
            Kind::Guarded => more(&[
                "--port",
                "0",
                "--tls-port",
                &port,
                "--requirepass",
                PASSWORD,
                "--tls-ca-cert-file",
                &path(&self.papers.authority),
                "--tls-cert-file",
                &path(&self.papers.certificate),
                "--tls-key-file",
                &path(&self.papers.key),
            ]),
            Kind::Cluster => more(&["--port", &port, "--cluster-enabled", "yes"]),
            Kind::Plain | Kind::Sentinel => more(&["--port", &port]),
        }
        self.child = run(&arguments, self.folder.path());
        self.child.is_some()
    }

    fn watch(&mut self) {
        for _ in 0..20 {
            let port = free_port();
            let path = self.folder.path().join("sentinel.conf");
            let text = format!(
                "bind 127.0.0.1\nport {port}\nsentinel monitor the-master 127.0.0.1 {} 1\n",
                self.port
            );
            fs::write(&path, text).unwrap();
            let arguments = [path.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
            if let Some(child) = run(&arguments, self.folder.path()) {
                self.sentinel = Some((child, port));
                return;
            }
        }
        panic!("the sentinel does not start");
    }

    /// What `redis-cli` says to a command.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// `store.redis` of a configuration.
    pub(crate) fn settings(&self) -> Value {
        let port = match &self.sentinel {
            Some((_, port)) => *port,
            None => self.port,
        };
        match self.kind {
            Kind::Plain => json!({ "urls": [format!("redis://127.0.0.1:{port}/0")] }),
            Kind::Cluster => {
                json!({ "urls": [format!("redis://127.0.0.1:{port}")], "cluster": true })
            }
            Kind::Sentinel => json!({
                "urls": [format!("redis://127.0.0.1:{port}")], "sentinelMaster": "the-master",
            }),
            Kind::Guarded => {
                let password = self.folder.path().join("password");
                fs::write(&password, format!("{PASSWORD}\n")).unwrap();
                json!({
                    "urls": [format!("rediss://localhost:{port}")],
                    "passwordFile": password,
                    "authorities": self.papers.authority,
                    "certificate": self.papers.certificate,
                    "privateKey": self.papers.key,
                })
            }
        }
    }

    /// Settings of a service that keeps its state there.
    pub(crate) fn keeps(&self, settings: Settings) -> Settings {
        settings.with("store", json!({ "redis": self.settings() }))
    }

    /// As if the power went.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The same again, with what it had on its disk.
    pub(crate) fn restart(&mut self) {
        assert!(self.run(), "redis-server does not start again");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let sentinel = self.sentinel.take().map(|(child, _)| child);
        for mut child in self.child.take().into_iter().chain(sentinel) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
