//! Secrets do not leave the service: they are planted in requests and searched for in everything that it writes.

use crate::process::Process;
use crate::support::{Case, Settings};
use pir_api::{Message, api};
use privacy_pass::{PendingToken, PublicKey, TokenChallenge};
use serde_json::json;

const USER_TOKEN: &str = "PLANTED-USER-TOKEN";
const WRONG_TOKEN: &str = "PLANTED-WRONG-TOKEN";
const USER: &str = "PLANTED-USER-IDENTIFIER";
const AGENT: &str = "PLANTED-AGENT iOS/26.0 PLANTED-DEVICE";
const REPORTED: &str = "planted-report.example/path";
const PATH: &str = "/planted-path";

/// How requests reach the service.
enum Way {
    Http(reqwest::Client),
    #[cfg(feature = "gateway")]
    Gateway(crate::gateway::Relay, Vec<u8>),
}

/// What a request has besides its path and body.
type Fields<'a> = [(&'a str, &'a str)];

impl Way {
    /// Sends a request to the service at `url`; returns status and body.
    async fn send(
        &self,
        (method, url, path): (&str, &str, &str),
        fields: &Fields<'_>,
        body: Vec<u8>,
    ) -> (u16, Vec<u8>) {
        match self {
            Self::Http(client) => {
                let mut request =
                    client.request(method.parse().unwrap(), format!("{url}{path}")).body(body);
                for (name, value) in fields {
                    request = request.header(*name, *value);
                }
                let response = request.send().await.unwrap();
                (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
            }
            #[cfg(feature = "gateway")]
            Self::Gateway(relay, keys) => {
                let part = |text: &str| text.as_bytes().to_vec();
                let host = crate::gateway::HOST;
                let mut message =
                    bhttp::Message::request(part(method), part("https"), part(host), part(path));
                for (name, value) in fields {
                    message.put_header(*name, *value);
                }
                message.write_content(&body);
                let answer = relay.send(keys, &message).await;
                (crate::gateway::status(&answer), answer.content().to_vec())
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_not_found() {
    let case = Case::new("synthetic_small_logt5");
    let folder = tempfile::tempdir().unwrap();
    let mut use_case = case.install(folder.path(), "data");
    use_case.name = "com.example.app.url.filtering".to_owned();
    // Report files rotate at each report.
    let reports = folder.path().join("reports");
    let users = json!([{ "tier": "tier1", "tokens": [USER_TOKEN] }]);
    let settings = Settings::new(vec![use_case])
        .with("users", users)
        .with("reportDirectory", json!(reports))
        .with("reports", json!({ "fileBytes": 1 }))
        .with("userTokens", json!({ "command": ["false-that-is-no-program"] }));
    #[cfg(feature = "gateway")]
    let settings = settings.with("gateway", json!({ "hosts": [crate::gateway::HOST] }));
    let arguments = ["--log-level", "trace", "--log-format", "json"];
    #[cfg(feature = "otel")]
    let collector = crate::traces::Collector::start().await;
    #[cfg(feature = "otel")]
    let command = collector.command();
    #[cfg(not(feature = "otel"))]
    let command = std::process::Command::new(crate::process::PROGRAM);
    let process = Process::start_by(command, folder.path(), &settings, &arguments);
    let local = || reqwest::Client::builder().local_address(Some("127.0.0.9".parse().unwrap()));
    let http = local().build().unwrap();
    let mut ways =
        vec![Way::Http(http.clone()), Way::Http(local().http2_prior_knowledge().build().unwrap())];
    #[cfg(feature = "gateway")]
    {
        let relay = crate::gateway::Relay::at(&process.url);
        let keys = relay.keys().await;
        ways.push(Way::Gateway(relay, keys));
    }
    let mut said = String::new();
    let mut tokens = Vec::new();

    let config =
        api::ConfigRequest { usecases: vec!["planted-use-case".to_owned()], ..Default::default() };
    let mut queries = api::Requests::decode(&case.first("/queries").request[..]).unwrap();
    let secret_query = queries.requests[0].encode_to_vec();
    for request in &mut queries.requests {
        request.usecase = "com.example.app.url.filtering".to_owned();
    }
    let good = queries.encode_to_vec();
    queries.requests[0].usecase = "planted-use-case".to_owned();
    let requests: Vec<(&str, Vec<u8>)> = vec![
        ("/config", config.encode_to_vec()),
        ("/config", b"planted-body".to_vec()),
        ("/queries", good.clone()),
        ("/key", case.first("/key").request),
        ("/queries", good.clone()),
        ("/queries", queries.encode_to_vec()),
        ("/queries", good[..good.len() / 2].to_vec()),
        ("/key", b"planted-body".to_vec()),
        (
            "/report",
            pir_api::report::UrlFilterReport { urls: vec![REPORTED.to_owned()] }.encode_to_vec(),
        ),
        ("/report", b"planted-body".to_vec()),
        (PATH, Vec::new()),
    ];
    for way in &ways {
        let bearer = |token: &str| format!("Bearer {token}");
        let user = bearer(USER_TOKEN);
        let key = ("GET", &*process.url, "/token-key-for-user-token");
        let (_, key) = way.send(key, &[("authorization", &user)], Vec::new()).await;
        let key = PublicKey::from_spki(&key).unwrap();
        let mut statuses = Vec::new();
        for (path, body) in &requests {
            let challenge = TokenChallenge::for_issuer("i").unwrap();
            let pending = PendingToken::new(&challenge, &key).unwrap();
            let issue = ("POST", &*process.url, "/issue");
            let asked = pending.request().to_bytes();
            let (_, issued) = way.send(issue, &[("authorization", &user)], asked).await;
            let token = pending.finalize(&issued).unwrap();
            let shown = token.to_authorization().as_str().to_owned();
            tokens.push(token);
            for authorization in [&*shown, &*shown, "PrivateToken token=PLANTED"] {
                let fields = [
                    ("authorization", authorization),
                    ("user-identifier", USER),
                    ("user-agent", AGENT),
                ];
                let target = ("POST", &*process.url, *path);
                let (status, answer) = way.send(target, &fields, body.clone()).await;
                statuses.push(status);
                if status != 200 {
                    said += &String::from_utf8_lossy(&answer);
                }
            }
        }
        for status in [200, 400, 401, 404] {
            assert!(statuses.contains(&status), "{statuses:?}");
        }
        for (method, path) in [("POST", "/issue"), ("GET", "/token-key-for-user-token")] {
            for token in [WRONG_TOKEN, USER_TOKEN] {
                let token = bearer(token);
                let fields = [("authorization", &*token), ("user-agent", AGENT)];
                let target = (method, &*process.url, path);
                let (status, answer) = way.send(target, &fields, b"planted-body".to_vec()).await;
                if status != 200 {
                    said += &String::from_utf8_lossy(&answer);
                }
            }
        }
    }
    let metrics = http.get(format!("{}/metrics", process.admin)).send().await.unwrap();
    said += &metrics.text().await.unwrap();
    process.signal("-HUP");
    let reload = http.post(format!("{}/reload", process.admin)).send().await.unwrap();
    said += &reload.text().await.unwrap();
    let (_, log) = process.terminate();
    assert!(log.lines().count() > 20, "there must be something to search: {log}");
    said += &log;
    #[cfg(feature = "otel")]
    {
        assert!(collector.text().contains("find keys"), "there must be traces to search");
        said += &collector.text();
    }

    let mut planted: Vec<String> = [
        "PLANTED",
        "planted",
        USER_TOKEN,
        WRONG_TOKEN,
        USER,
        "127.0.0.9",
        REPORTED,
        PATH,
        "host30.example",
        "absent0.example",
    ]
    .map(str::to_owned)
    .to_vec();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let list = |bytes: &[u8]| bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for token in &tokens {
        let nonce = token.nonce();
        planted.extend([hex(&nonce[..8]), list(&nonce[..8]), hex(&token.key_id()[..8])]);
        planted.push(list(&token.key_id()[..8]));
        planted.push(token.to_authorization().as_str()[30..60].to_owned());
    }
    planted.push(list(&secret_query[200..208]));
    planted.push(hex(&secret_query[200..208]));
    let lower = said.to_lowercase();
    for planted in planted {
        assert!(!lower.contains(&planted.to_lowercase()), "{planted} in: {said}");
    }
}
