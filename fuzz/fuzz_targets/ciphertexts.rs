//! Everything that arrives from the network for the arithmetic: keys, queries, replies, plaintexts.
//! What is accepted is written as the same bytes.
#![no_main]

use bfv::{Context, EvaluationKeyConfig, Parameters};
use bfv::serialize::{SerializedCiphertext, SerializedEvaluationKey};
use keyword_pir::{Scheme, SerializedQuery, ShardParameters};
use libfuzzer_sys::fuzz_target;
use pir_api::{Message, api, convert, he, pir};
use std::sync::LazyLock;

static CONTEXT: LazyLock<Context<u32>> = LazyLock::new(|| {
    Context::new(Parameters::predefined("insecure_n_8_logq_5x18_logt_5").unwrap()).unwrap()
});
static SCHEME: LazyLock<Scheme> =
    LazyLock::new(|| Scheme::new(CONTEXT.parameters().clone()).unwrap());

fuzz_target!(|data: &[u8]| {
    let context = &*CONTEXT;
    if let Ok(message) = he::SerializedCiphertext::decode(data)
        && let Ok(serialized) = SerializedCiphertext::try_from(message)
    {
        for moduli in 1..=context.ciphertext_moduli() {
            if let Ok(ciphertext) = context.read_ciphertext(&serialized, moduli) {
                let again = context.write_ciphertext(&ciphertext);
                let again = context.read_ciphertext(&again, moduli).unwrap();
                assert!(again.polys() == ciphertext.polys());
            }
        }
    }
    if let Ok(message) = he::SerializedEvaluationKey::decode(data)
        && let Ok(serialized) = SerializedEvaluationKey::try_from(message)
    {
        if let Ok(key) = context.read_evaluation_key(&serialized) {
            let _ = context.prepare_evaluation_key(&key);
        }
        let config = EvaluationKeyConfig {
            parameters: context.parameters().clone(),
            galois_elements: vec![3],
            has_relinearization_key: true,
        };
        let _ = SCHEME.prepare_evaluation_key(&config, &serialized);
    }
    let _ = context.read_plaintext(data);
    let _ = context.read_evaluation_plaintext(data);
    let _ = context.read_secret_key(data);
    if let Ok(message) = api::Requests::decode(data) {
        for request in message.requests {
            if let Some(api::request::Request::PirRequest(request)) = request.request {
                let _ = request.query.map(SerializedQuery::try_from);
            }
        }
    }
    if let Ok(message) = pir::PirParameters::decode(data)
        && let Ok(parameters) = ShardParameters::try_from(&message)
    {
        check(&parameters);
    }
    if let Ok(message) = api::ConfigResponse::decode(data) {
        for config in message.configs.into_values() {
            if let (Some(api::config::Config::PirConfig(config)), Some(status)) =
                (config.config, message.key_info.first())
                && let Some(keys) = &status.key_config
            {
                let _ = convert::config_shards(&config, keys);
            }
        }
    }
});

/// What follows from accepted parameters hangs together.
fn check(parameters: &ShardParameters) {
    let last = parameters.plaintexts_per_chunk() - 1;
    let position = parameters.position(parameters.tables() - 1, parameters.chunks() - 1, last);
    assert!(position < parameters.plaintexts());
    assert!(parameters.query_ciphertexts(parameters.calls()) > 0);
    assert_eq!(
        ShardParameters::try_from(&pir::PirParameters::from(parameters)).unwrap(),
        *parameters
    );
}
