//! A Redis server in a folder of its own.
//!
//! Tests that use it need `redis-server` and `redis-cli` (in Debian's package `redis-server`) and are ignored unless
//! they are asked for (`cargo test -- --include-ignored`); without the programs they fail then.

use crate::support::Settings;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A port that was free when this was called.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A test authority and certificates of it, as files.
struct Certificates {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
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

/// How the server is set up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// TLS with certificates on both sides, and a password.
    Guarded,
    /// A cluster of one.
    Cluster,
    /// A master with a sentinel.
    Sentinel,
}

/// A running server.
pub(crate) struct RedisServer {
    kind: Kind,
    folder: TempDir,
    certificates: Certificates,
    port: u16,
    child: Option<Child>,
    sentinel: Option<(Child, u16)>,
}

/// Starts the program and waits until it is ready; `None` if it ends before.
fn run(arguments: &[String], folder: &Path) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run redis-server, which this test needs: {error}"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = ["Ready to accept connections", "Sentinel ID is"];
    let is_ready = lines.by_ref().any(|line| {
        let line = line.unwrap_or_default();
        ready.iter().any(|ready| line.contains(ready))
    });
    if is_ready {
        // Reads the rest of the output, so that the pipe does not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    child.wait().unwrap();
    None
}

impl RedisServer {
    pub(crate) fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::new(folder.path());
        let mut server = Self { kind, folder, certificates, port: 0, child: None, sentinel: None };
        // Another process may take the port first.
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
                &path(&self.certificates.authority),
                "--tls-cert-file",
                &path(&self.certificates.certificate),
                "--tls-key-file",
                &path(&self.certificates.key),
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

    /// The output of `redis-cli` for a command.
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
                    "authorities": self.certificates.authority,
                    "certificate": self.certificates.certificate,
                    "privateKey": self.certificates.key,
                })
            }
        }
    }

    /// Settings of a service with its state on this server.
    pub(crate) fn configure(&self, settings: Settings) -> Settings {
        settings.with("store", json!({ "redis": self.settings() }))
    }

    /// Kills the server, as a loss of power does.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts the server again, with what is on its disk.
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
