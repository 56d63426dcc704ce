//! Bodies of requests and responses: decoded within bounds, and answered by a small server.
#![no_main]

use bfv::OsRandom;
use bfv::serialize::SerializedEvaluationKey;
use keyword_pir::cuckoo::{CuckooTables, Row};
use keyword_pir::database::Database;
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{
    Client, EvaluationKey, Execution, KeywordHash, Reply, Scheme, SecretKey, SerializedQuery, Server,
};
use libfuzzer_sys::fuzz_target;
use pir_api::binary_http::{self, MessageKind};
use pir_api::{Message, Name, api, bounded, report};
use std::sync::LazyLock;

/// Fields that a body may have here.
const FIELDS: usize = 4096;

struct World {
    scheme: Scheme,
    server: Server,
    client: Client,
    secret: SecretKey,
    key: EvaluationKey,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let parameters = bfv::Parameters::predefined("insecure_n_8_logq_5x18_logt_5").unwrap();
    let scheme = Scheme::new(parameters.clone()).unwrap();
    let rows = [Row { hash: KeywordHash::of(b"a"), value: b"1" }];
    let plan = Plan::new(parameters);
    let tables = CuckooTables::build(&plan.cuckoo(1), &rows).unwrap();
    let shard = plan.keyword_shard(&tables).unwrap();
    let payloads = Payloads::of_tables(shard.clone(), &tables).unwrap();
    let database = Database::of_payloads(&scheme, &payloads).unwrap();
    let server = Server::new(scheme.clone(), database).unwrap();
    let client = Client::new(scheme.clone(), shard.clone()).unwrap();
    let secret = scheme.generate_secret_key(&mut OsRandom).unwrap();
    let config = shard.evaluation_key_config();
    let uploaded = scheme.generate_evaluation_key(&config, &secret, &mut OsRandom).unwrap();
    let key = scheme.prepare_evaluation_key(&config, &uploaded).unwrap();
    World { scheme, server, client, secret, key }
});

/// What passes the bounds is what the decoder makes of it without them.
fn decode<M: Message + Name + Default + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<M> {
    let message: M = bounded::decode(data, FIELDS).ok()?;
    assert_eq!(Ok(&message), M::decode(data).as_ref());
    Some(message)
}

fuzz_target!(|data: &[u8]| {
    let world = &*WORLD;
    for kind in [MessageKind::Request, MessageKind::Response] {
        // What fits into a shorter head fits into a longer one.
        if binary_http::check(data, kind, 64).is_ok() {
            assert_eq!(binary_http::check(data, kind, FIELDS), Ok(()));
        }
    }
    let _ = decode::<api::ConfigRequest>(data);
    let _ = decode::<api::ConfigResponse>(data);
    let _ = decode::<report::UrlFilterReport>(data);
    let _ = serde_json::from_slice::<Vec<String>>(data);
    for key in decode::<api::shared::EvaluationKeys>(data).unwrap_or_default().keys {
        let config = world.server.parameters().evaluation_key_config();
        if let Some(key) = key.evaluation_key
            && let Ok(serialized) = SerializedEvaluationKey::try_from(key)
        {
            let _ = world.scheme.prepare_evaluation_key(&config, &serialized);
        }
    }
    for request in decode::<api::Requests>(data).unwrap_or_default().requests {
        if let Some(api::request::Request::PirRequest(request)) = request.request
            && let Some(query) = request.query
            && let Ok(query) = SerializedQuery::try_from(query)
            && let Ok(query) = world.server.read_query(&query)
        {
            let (reply, _) = world.server.answer(&query, &world.key, Execution::default()).unwrap();
            let _ = world.client.decode_keyword(&reply, b"a", &world.secret);
        }
    }
    for response in decode::<api::Responses>(data).unwrap_or_default().responses {
        if let Some(api::response::Response::PirResponse(reply)) = response.response
            && let Ok(reply) = Reply::try_from(reply)
        {
            let _ = world.client.decode_keyword(&reply, b"a", &world.secret);
        }
    }
});
