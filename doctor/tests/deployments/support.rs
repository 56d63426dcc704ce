//! A deployment on this machine, and what an examination of it finds.

use crate::{BUNDLE, TOKEN};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use blocklist::{Builder, Options};
use doctor::{Deployment, Findings, Severity};
use pir_dataset::configuration::Configuration as ProcessConfiguration;
use pir_dataset::processing::Run;
use pir_server::{Configuration, Listener, Service, endpoints};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

/// How a deployment differs from one that is in order.
pub(crate) struct Plan {
    pub(crate) list: &'static str,
    pub(crate) onboarding: bool,
    pub(crate) shards: u32,
    /// A data set of Apple's tool instead of the list, of which so many shards are served.
    pub(crate) recorded: Option<&'static str>,
    /// More keys of the service's configuration.
    pub(crate) more: Value,
    /// Changes the rows that are processed.
    pub(crate) rows: fn(String) -> String,
    /// Wraps the service.
    pub(crate) proxy: fn(Router) -> Router,
    pub(crate) tls: Option<Tls>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            list: "a.example\nb.example/path\nc.example\n",
            rows: |rows| rows,
            onboarding: true,
            shards: 2,
            recorded: None,
            more: json!({}),
            proxy: |router| router,
            tls: None,
        }
    }
}

/// A certificate, and the versions of HTTP that are offered with it.
#[derive(Clone, Copy)]
pub(crate) struct Tls {
    pub(crate) http2: bool,
    /// From now on; a negative number of days is the past.
    pub(crate) days: i64,
    /// Whether the certificate is that of an authority, as `openssl req -x509` makes it.
    pub(crate) is_authority: bool,
    /// Whether it has the name of the host as a subjectAltName.
    pub(crate) has_names: bool,
    /// The days of an intermediate certificate, if there is one.
    pub(crate) intermediate: Option<i64>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { http2: true, days: 365, is_authority: false, has_names: true, intermediate: None }
    }
}

/// Of a certificate that began a year before now and ends that many days after. The name is one that no authority of this machine
/// has.
fn parameters(name: &str, days: i64) -> CertificateParams {
    let day = Duration::from_secs(24 * 3600);
    let now = rcgen::date_time_ymd(1970, 1, 1) + std::time::UNIX_EPOCH.elapsed().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, format!("{name} of a test"));
    parameters.not_before = now - day * 365;
    let distance = day * u32::try_from(days.unsigned_abs()).unwrap();
    parameters.not_after = if days < 0 { now - distance } else { now + distance };
    parameters
}

fn authority(name: &str, days: i64) -> CertificateParams {
    let mut parameters = parameters(name, days);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

/// What a server has, and by which certificate it is trusted.
struct Certified {
    /// The server's certificate first.
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    authority: String,
}

/// Certificates for localhost.
fn certificates(tls: &Tls) -> Certified {
    let mut own = match tls.is_authority {
        true => authority("server", tls.days),
        false => parameters("server", tls.days),
    };
    if tls.has_names {
        own.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    }
    let key = KeyPair::generate().unwrap();
    let Some(days) = tls.intermediate else {
        let own = own.self_signed(&key).unwrap();
        let authority = own.pem();
        return Certified { chain: vec![own.der().clone()], key, authority };
    };
    let [root_key, middle_key] = [(); 2].map(|()| KeyPair::generate().unwrap());
    let root = authority("root", 3650).self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(authority("root", 3650), &root_key);
    let middle = authority("intermediate", days).signed_by(&middle_key, &root_issuer).unwrap();
    let middle_issuer = Issuer::new(authority("intermediate", days), &middle_key);
    let own = own.signed_by(&key, &middle_issuer).unwrap();
    let chain = vec![own.der().clone(), middle.der().clone()];
    Certified { chain, key, authority: root.pem() }
}

pub(crate) struct Deployed {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) runtime: Runtime,
    pub(crate) service: Arc<Service>,
}

pub(crate) fn build(list: &str, out: &Path, onboarding_entry: bool) {
    let builder = Builder::new(Options::default().with_onboarding_entry(onboarding_entry));
    let builder = builder.add_list("list", list.as_bytes(), None).unwrap();
    builder.finish().unwrap().write(out).unwrap();
}

pub(crate) fn process(folder: &Path, shards: u32) {
    let path = |name: &str| folder.join(name).display().to_string();
    let configuration = json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": path("input.txtpb"),
        "outputDatabase": path("urls-SHARD_ID.bin"),
        "outputPirParameters": path("urls-SHARD_ID.params.txtpb"),
        "sharding": { "shardCount": shards },
    });
    let configuration = ProcessConfiguration::parse(configuration.to_string().as_bytes()).unwrap();
    Run::new(&configuration).finish().unwrap();
}

/// Copies a data set of Apple's tool, with its first shards, beside a prefilter of its rows.
fn copy_recorded(case: &str, out: &Path, shards: u32) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let from = repository.join("testvectors/interop/pir").join(case);
    let rows = fs::read_to_string(from.join("input.txtpb")).unwrap();
    let keywords: Vec<&str> =
        rows.split("keyword: \"").skip(1).map(|row| row.split('"').next().unwrap()).collect();
    build(&keywords.join("\n"), out, false);
    let copy = |name: String, to: String| fs::copy(from.join(name), out.join(to)).unwrap();
    for shard in 0..shards {
        copy(format!("db-{shard}.bin"), format!("urls-{shard}.bin"));
        copy(format!("params-{shard}.txtpb"), format!("urls-{shard}.params.txtpb"));
    }
}

impl Deployed {
    pub(crate) fn new(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        match plan.recorded {
            Some(case) => copy_recorded(case, &dist, plan.shards),
            None => {
                build(plan.list, &dist, plan.onboarding);
                let input = dist.join("input.txtpb");
                let rows = fs::read_to_string(&input).unwrap();
                fs::write(&input, (plan.rows)(rows)).unwrap();
                process(&dist, plan.shards);
            }
        }
        let mut text = json!({
            "users": [
                { "tier": "tier1", "tokens": [TOKEN] },
                { "tier": "tier2", "tokens": ["BBBB"] },
            ],
            "usecases": [{
                "name": format!("{BUNDLE}.url.filtering"),
                "fileStem": dist.join("urls"),
                "shardCount": plan.shards,
            }],
            "store": { "directory": folder.path().join("state") },
            "gateway": { "hosts": ["127.0.0.1", "localhost"] },
        });
        for (key, value) in plan.more.as_object().unwrap() {
            text[key] = value.clone();
        }
        let configuration = Configuration::parse(text.to_string().as_bytes()).unwrap();
        let runtime = Runtime::new().unwrap();
        let certified = certificates(&plan.tls.unwrap_or_default());
        fs::write(folder.path().join("authority.pem"), &certified.authority).unwrap();
        let tls = plan.tls.map(|tls| {
            let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.key.serialize_der());
            let mut config = rustls::ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(certified.chain, key.into())
                .unwrap();
            let versions: &[&[u8]] = if tls.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
            config.alpn_protocols = versions.iter().map(|version| version.to_vec()).collect();
            Arc::new(config).into()
        });
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let (service, url) = runtime.block_on(async {
            let service =
                Service::open(&configuration, Arc::new(unix_clock::SystemClock)).await.unwrap();
            let service = Arc::new(service);
            let any = ["127.0.0.1:0".parse().unwrap()];
            let router = (plan.proxy)(endpoints::router(&service));
            let listener = Listener::bind(&any, router).await.unwrap().with_tls(tls);
            let url = format!("{scheme}:{}", listener.addresses().unwrap()[0].port());
            let serving = Arc::clone(&service);
            tokio::spawn(async move { listener.serve(&serving, std::future::pending()).await });
            (service, url)
        });
        Self { folder, url, runtime, service }
    }

    /// The deployment as an app from Xcode has it.
    pub(crate) fn deployment(&self) -> Deployment {
        Deployment::new(&self.url, BUNDLE, TOKEN)
            .development(true)
            // Tests share the machine: slowness is no finding.
            .max_latency(Duration::from_secs(600))
            .page_wait(Duration::from_secs(600))
    }

    pub(crate) fn examine(&self, deployment: Deployment) -> Report {
        Report::new(self.runtime.block_on(doctor::examine(&deployment)).unwrap())
    }

    /// The findings for an app from Xcode.
    pub(crate) fn examined(&self) -> Report {
        self.examine(self.deployment())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub(crate) struct Report {
    pub(crate) findings: Findings,
}

impl Report {
    pub(crate) fn new(findings: Findings) -> Self {
        let json = serde_json::to_value(&findings).unwrap();
        for finding in json.as_array().unwrap() {
            let is_good = finding["state"] == "good";
            assert_eq!(finding["cause"].is_null(), is_good, "{finding}");
            assert_eq!(finding["fix"].is_null(), is_good, "{finding}");
            assert!(!finding.to_string().contains(TOKEN), "{finding}");
        }
        Self { findings }
    }

    /// Everything is good except for this, which says so.
    #[track_caller]
    pub(crate) fn is_only(&self, check: &str, severity: Severity, seen: &str) {
        let others = self.findings.iter().filter(|finding| finding.severity != Severity::Good);
        let others: Vec<_> = others.map(|f| (f.check.name(), f.severity)).collect();
        assert_eq!(others, [(check, severity)], "{:#?}", self.findings);
        self.says(check, severity, seen);
        assert_eq!(self.findings.is_ready(), severity != Severity::Bad);
    }

    /// Something that is not good has this fix.
    #[track_caller]
    pub(crate) fn has_fix(&self, fix: &str) {
        let mut fixes = self.findings.iter().filter_map(|finding| finding.advice.as_ref());
        assert!(fixes.any(|advice| advice.fix.contains(fix)), "{:#?}", self.findings);
    }

    /// Something that is not good has this cause.
    #[track_caller]
    pub(crate) fn has_cause(&self, cause: &str) {
        let mut causes = self.findings.iter().filter_map(|finding| finding.advice.as_ref());
        assert!(causes.any(|advice| advice.cause.contains(cause)), "{:#?}", self.findings);
    }

    #[track_caller]
    pub(crate) fn says(&self, check: &str, severity: Severity, seen: &str) {
        let found = self.findings.iter().any(|finding| {
            finding.check.name() == check
                && finding.severity == severity
                && finding.seen.contains(seen)
        });
        assert!(found, "{:#?}", self.findings);
    }
}

/// A proxy that answers one path itself.
pub(crate) fn answers(path: &'static str, with: fn() -> Response) -> impl Fn(Router) -> Router {
    move |router| {
        router.layer(middleware::from_fn(move |request: Request, next: Next| async move {
            match request.uri().path() == path && request.method() != "OPTIONS" {
                true => with(),
                false => next.run(request).await,
            }
        }))
    }
}

/// Answers each question with one TXT record, or with none.
pub(crate) async fn name_server(socket: UdpSocket, text: Option<String>) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet).await {
        // The question ends with the root, a type and a class.
        let question = &packet[12..length];
        let name = question.iter().position(|&byte| byte == 0).unwrap();
        let mut answer = packet[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(text.is_some()), 0, 0, 0, 0]);
        answer.extend(&question[..name + 5]);
        if let Some(text) = &text {
            answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
            answer.extend((text.len() as u16 + 1).to_be_bytes());
            answer.push(text.len() as u8);
            answer.extend(text.as_bytes());
        }
        socket.send_to(&answer, from).await.unwrap();
    }
}
