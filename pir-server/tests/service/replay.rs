//! Recorded requests of Apple's client to Apple's service, sent to this service.

use crate::support::{Case, Running, message};
use keyword_pir::{Client, KeywordHash, Reply, Scheme};
use pir_api::{Message, api, convert};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_recorded_requests_decrypt_for_their_client() {
    replay(Case::all()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ../shared/vectors"]
async fn answers_to_more_recorded_requests_decrypt_for_their_client() {
    replay(Case::all_shared()).await;
}

async fn replay(cases: Vec<Case>) {
    for case in cases {
        let running = Running::of(&case).await;
        let expected = case.expected();
        let mut asked = expected.iter().cycle();
        for recorded in case.recorded() {
            match recorded.path.as_str() {
                "/config" => config(&running, &recorded.request, &recorded.response).await,
                "/key" => {
                    let response = running.post("/key", &recorded.request).await;
                    assert_eq!(response.status(), 200);
                    assert!(response.bytes().await.unwrap().is_empty());
                }
                "/queries" => {
                    let ours = message(running.post("/queries", &recorded.request).await).await;
                    let theirs = api::Responses::decode(&recorded.response[..]).unwrap();
                    replies(&case, &ours, &theirs, &mut asked);
                }
                _ => {}
            }
        }
    }
}

async fn config(running: &Running, request: &[u8], recorded: &[u8]) {
    let ours: api::ConfigResponse = message(running.post("/config", request).await).await;
    let theirs = api::ConfigResponse::decode(recorded).unwrap();
    assert_eq!(ours.key_info, theirs.key_info);
    // The recorded client had iOS 18.0; this one is newer and gets the same configuration in the compact form.
    let shards = |response: &api::ConfigResponse| {
        let config = response.configs.values().next().unwrap().clone();
        let Some(api::config::Config::PirConfig(config)) = config.config else { panic!() };
        let keys = response.key_info[0].key_config.as_ref().unwrap();
        convert::config_shards(&config, keys).unwrap()
    };
    assert_eq!(shards(&ours), shards(&theirs));
    let id = |response: &api::ConfigResponse| -> BTreeMap<String, Vec<u8>> {
        let configs = response.configs.iter();
        configs.map(|(name, config)| (name.clone(), config.config_id.clone())).collect()
    };
    assert_eq!(id(&ours), id(&theirs));
}

fn replies<'e>(
    case: &Case,
    ours: &api::Responses,
    theirs: &api::Responses,
    asked: &mut impl Iterator<Item = &'e (String, Option<String>)>,
) {
    assert_eq!(ours.responses.len(), theirs.responses.len());
    let config: api::ConfigResponse =
        api::ConfigResponse::decode(&case.first("/config").response[..]).unwrap();
    let keys = config.key_info[0].key_config.clone().unwrap();
    let Some(api::config::Config::PirConfig(config)) =
        config.configs.into_values().next().unwrap().config
    else {
        panic!()
    };
    let shards = convert::config_shards(&config, &keys).unwrap();
    let scheme = Scheme::new(shards[0].encryption().clone()).unwrap();
    let secret = scheme.read_secret_key(&case.secret_key()).unwrap();
    let sharding = match shards[0].description().kind {
        keyword_pir::DatabaseKind::Keyword { sharding, .. } => sharding,
        keyword_pir::DatabaseKind::Index { .. } => panic!(),
    };
    for (response, (keyword, expected)) in ours.responses.iter().zip(asked) {
        let Some(api::response::Response::PirResponse(reply)) = response.response.clone() else {
            panic!()
        };
        assert!(reply.stash.is_none());
        let shard = sharding.shard(KeywordHash::of(keyword.as_bytes()), shards.len() as u32);
        let client = Client::new(scheme.clone(), shards[shard as usize].clone()).unwrap();
        let reply = Reply::try_from(reply).unwrap();
        let value = client.decode_keyword(&reply, keyword.as_bytes(), &secret).unwrap();
        assert_eq!(value.map(|value| String::from_utf8(value).unwrap()), *expected, "{keyword}");
    }
}

/// Systems before iOS 18.2 and macOS 15.2 cannot read the compact form, which has equal shards once with a count.
#[tokio::test(flavor = "multi_thread")]
async fn old_systems_get_configurations_in_the_long_form() {
    let case = Case::new("synthetic_ios26_fixed4_logt5");
    let running = Running::of(&case).await;
    let request = case.first("/config").request;
    for (agent, compact) in [
        ("com.apple.ciphermld/1.0 iOS/18.0 ...", false),
        ("com.apple.ciphermld/1.0 iOS/18.2 ...", true),
        ("com.apple.ciphermld/1.2 (Macintosh; OS X 15.1.9; x) ...", false),
        ("com.apple.ciphermld/1.2 (Macintosh; OS X 15.2; x) ...", true),
        ("something else", true),
    ] {
        let token = running.token().await.to_authorization();
        let headers = [
            ("authorization", token.as_str()),
            ("user-identifier", "someone"),
            ("user-agent", agent),
        ];
        let response = running.send(reqwest::Method::POST, "/config", &headers, request.clone());
        let response: api::ConfigResponse = message(response.await).await;
        let config = response.configs.into_values().next().unwrap();
        let Some(api::config::Config::PirConfig(config)) = config.config else { panic!() };
        assert_eq!(config.pir_shard_configs.is_some(), compact, "{agent}");
        assert_eq!(config.shard_configs.len(), if compact { 0 } else { 4 }, "{agent}");
    }
    // A sharding function that old systems do not know has no long form.
    let case = Case::new("synthetic_ios26_doublemod_logt5");
    let running = Running::of(&case).await;
    let token = running.token().await.to_authorization();
    let headers = [
        ("authorization", token.as_str()),
        ("user-identifier", "someone"),
        ("user-agent", "com.apple.ciphermld/1.0 iOS/18.1 ..."),
    ];
    let request = case.first("/config").request;
    let response = running.send(reqwest::Method::POST, "/config", &headers, request).await;
    assert_eq!(response.status(), 500);
}

/// Apple's example service pairs ids with use cases in the order of a dictionary.
#[tokio::test(flavor = "multi_thread")]
async fn ids_are_paired_in_the_order_of_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        Case::new("synthetic_small_logt5"),
        Case::new("synthetic_shards3_logt4"),
        Case::new("synthetic_varied_logt6"),
    ];
    let use_cases: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let mut text = case.install(folder.path(), &format!("data{index}"));
            // Alphabetical order is not the order of the request.
            text.name = format!("{}.url.filtering", ["m", "z", "a"][index]);
            text
        })
        .collect();
    let names: Vec<String> = use_cases.iter().map(|text| text.name.clone()).collect();
    let running = Running::start(folder, crate::support::Settings::new(use_cases)).await;
    let ask = async |usecases: Vec<String>, ids: Vec<Vec<u8>>| {
        let request = api::ConfigRequest { usecases, existing_config_ids: ids };
        running.post("/config", &request.encode_to_vec()).await
    };
    let all: api::ConfigResponse = message(ask(Vec::new(), Vec::new()).await).await;
    assert_eq!((all.configs.len(), all.key_info.len()), (3, 3));
    let id = |name: &String| all.configs[name].config_id.clone();

    // The first use case has its id, the second none, the third the id of the second.
    let ids = vec![id(&names[0]), Vec::new(), id(&names[1])];
    let response: api::ConfigResponse = message(ask(names.clone(), ids).await).await;
    let reuse = |name: &String| response.configs[name].reuse_existing_config;
    assert_eq!([reuse(&names[0]), reuse(&names[1]), reuse(&names[2])], [true, false, false]);
    assert!(response.configs[&names[0]].config.is_none());
    assert!(response.configs[&names[1]].config.is_some());
    // Key states are in the order of the request, too.
    for (name, status) in names.iter().zip(&response.key_info) {
        let Some(api::config::Config::PirConfig(config)) = &all.configs[name].config else {
            panic!()
        };
        let hash = convert::key_config_hash(status.key_config.as_ref().unwrap());
        assert_eq!(config.evaluation_key_config_hash, hash);
        assert_eq!(status.timestamp, 0);
    }
    let (status, _) = crate::support::refusal(ask(names.clone(), vec![id(&names[0])]).await).await;
    assert_eq!(status, 400);
    let (status, _) = crate::support::refusal(ask(vec!["x".to_owned()], Vec::new()).await).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_configurations_are_compressed() {
    let case = Case::new("synthetic_shards3_logt4");
    let running = Running::of(&case).await;
    for recorded in case.recorded() {
        if !matches!(recorded.path.as_str(), "/config" | "/key" | "/queries") {
            continue;
        }
        let token = running.token().await.to_authorization();
        let headers = [
            ("authorization", token.as_str()),
            ("user-identifier", crate::support::USER),
            ("user-agent", crate::support::AGENT),
            ("accept-encoding", "gzip"),
        ];
        let response =
            running.send(reqwest::Method::POST, &recorded.path, &headers, recorded.request).await;
        assert_eq!(response.status(), 200);
        let encoding = response.headers().get("content-encoding");
        assert_eq!(encoding.is_some(), recorded.path == "/config", "{}", recorded.path);
    }
}
