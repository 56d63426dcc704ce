//! Recorded replies of Apple's service.

use crate::support::{Case, Function, ok, status, without_waits};
use filter_client::{ClientState, PirClient};
use pir_api::{Message, api};
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn recorded_replies_are_read() {
    read_recorded_replies(Case::carried()).await;
}

#[tokio::test]
#[ignore = "needs ../shared/vectors"]
async fn more_recorded_replies_are_read() {
    read_recorded_replies(Case::shared()).await;
}

async fn read_recorded_replies(cases: Vec<Case>) {
    for case in cases {
        let (hash, timestamp, key) = case.secret();
        let config = case.config_with_key();
        let replies = case.record("/queries", "response");
        let batch = api::Responses::decode(&replies[0][..]).unwrap().responses.len();
        let next = AtomicUsize::new(0);
        let transport = Function::new(move |request| match request.uri().path() {
            "/config" => ok(config.clone()),
            "/queries" => ok(replies[next.fetch_add(1, Ordering::Relaxed)].clone()),
            _ => status(404),
        });
        let mut options = without_waits();
        options.batch_size = batch;
        options.sharding.fixed_count = Some(case.shard_count());
        // The keywords are those of many URLs.
        options.sharding.max_bits_per_url = u32::MAX;
        let client = PirClient::builder("https://pir.example", case.use_case())
            .transport(transport.clone())
            .state(ClientState::new().with_secret_key(hash.clone(), timestamp, key))
            .options(options)
            .build()
            .unwrap();
        let expected = case.expected();
        let keywords: Vec<&[u8]> = expected.iter().map(|(keyword, _)| keyword.as_bytes()).collect();
        let found = client.lookup(&keywords).await.unwrap();
        let values: Vec<_> = expected.into_iter().map(|(_, value)| value).collect();
        assert_eq!(found, values, "{}", case.folder().display());
        // The service has the client's key already, so none is uploaded.
        assert_eq!(client.costs().keys_uploaded, 0);
        assert!(!transport.paths().contains(&"/key".to_owned()));

        // Apart from the encryption, it sends what Apple's client sent.
        let asked = transport.asked.lock().unwrap();
        let sent = asked.iter().filter(|request| request.uri().path() == "/queries");
        for (sent, recorded) in sent.zip(case.record("/queries", "request")) {
            let sent = api::Requests::decode(&sent.body()[..]).unwrap();
            let recorded = api::Requests::decode(&recorded[..]).unwrap();
            assert_eq!(sent.requests.len(), recorded.requests.len());
            for (sent, recorded) in sent.requests.into_iter().zip(recorded.requests) {
                assert_eq!(sent.usecase, recorded.usecase);
                let strip = |request: api::Request| match request.request.unwrap() {
                    api::request::Request::PirRequest(mut request) => {
                        let query = request.query.take().unwrap();
                        (request, query.num_pir_calls, query.ciphertexts.len())
                    }
                    api::request::Request::OprfRequest(_) => panic!(),
                };
                assert_eq!(strip(sent), strip(recorded));
            }
        }
    }
}
