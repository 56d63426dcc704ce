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
    let arguments = ["--log-level", "trace", "--log-format", "json"];
    #[cfg(feature = "otel")]
    let collector = crate::traces::Collector::start().await;
    #[cfg(feature = "otel")]
    let command = collector.command();
    #[cfg(not(feature = "otel"))]
    let command = std::process::Command::new(crate::process::PROGRAM);
    let process = Process::start_by(command, folder.path(), &settings, &arguments);
    let http = reqwest::Client::builder().local_address(Some("127.0.0.9".parse().unwrap()));
    let http = http.build().unwrap();
    let mut said = String::new();
    let url = |path: &str| format!("{}{path}", process.url);

    let get = http.get(url("/token-key-for-user-token"));
    let key = get.bearer_auth(USER_TOKEN).send().await.unwrap().bytes().await.unwrap();
    let key = PublicKey::from_spki(&key).unwrap();
    let mut tokens = Vec::new();
    for _ in 0..12 {
        let pending = PendingToken::new(&TokenChallenge::for_issuer("i").unwrap(), &key).unwrap();
        let post = http.post(url("/issue")).bearer_auth(USER_TOKEN);
        let response = post.body(pending.request().to_bytes()).send().await.unwrap();
        tokens.push(pending.finalize(&response.bytes().await.unwrap()).unwrap());
    }
    let shown: Vec<String> =
        tokens.iter().map(|token| token.to_authorization().as_str().to_owned()).collect();

    let config =
        api::ConfigRequest { usecases: vec!["planted-use-case".to_owned()], ..Default::default() };
    let mut queries = api::Requests::decode(&case.first("/queries").request[..]).unwrap();
    let secret_query = queries.requests[0].encode_to_vec();
    for request in &mut queries.requests {
        request.usecase = "com.example.app.url.filtering".to_owned();
    }
    let good = queries.encode_to_vec();
    queries.requests[0].usecase = "planted-use-case".to_owned();
    let mut requests: Vec<(&str, Vec<u8>)> = vec![
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
    ];
    requests.push((PATH, Vec::new()));
    let mut statuses = Vec::new();
    for ((path, body), token) in requests.into_iter().zip(shown.iter().cycle()) {
        for authorization in [token.as_str(), token.as_str(), "PrivateToken token=PLANTED"] {
            let response = http
                .post(url(path))
                .header("authorization", authorization)
                .header("user-identifier", USER)
                .header("user-agent", AGENT)
                .body(body.clone());
            let response = response.send().await.unwrap();
            statuses.push(response.status().as_u16());
            if response.status() != 200 {
                said += &response.text().await.unwrap();
            }
        }
    }
    for status in [200, 400, 401, 404] {
        assert!(statuses.contains(&status), "{statuses:?}");
    }
    for path in ["/issue", "/token-key-for-user-token"] {
        for token in [WRONG_TOKEN, USER_TOKEN] {
            let request = if path == "/issue" { http.post(url(path)) } else { http.get(url(path)) };
            let response = request.bearer_auth(token).header("user-agent", AGENT);
            let response = response.body("planted-body").send().await.unwrap();
            if response.status() != 200 {
                said += &response.text().await.unwrap();
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
