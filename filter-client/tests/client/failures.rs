//! Services that are away, busy, wrong or hostile.

use crate::support::{Case, Function, impatient, ok, status};
use filter_client::{
    AnswerPolicy, ClientOptions, ClientState, Error, PirClient, Source, TransportError,
};
use pir_api::{Message, api};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

fn client(transport: &Arc<Function>, options: ClientOptions) -> PirClient {
    let case = Case::new("synthetic_small_logt5");
    let (hash, timestamp, key) = case.secret();
    PirClient::builder("https://pir.example", case.use_case())
        .transport(transport.clone())
        .state(ClientState::new().with_secret_key(hash, timestamp, key))
        .options(options)
        .build()
        .unwrap()
}

/// The recorded service, of which some requests go another way.
fn service(
    other: impl Fn(&str, usize) -> Option<crate::support::Outcome> + Send + Sync + 'static,
) -> Arc<Function> {
    let case = Case::new("synthetic_small_logt5");
    let config = case.config_with_key();
    let reply = case.record("/queries", "response").remove(0);
    let count = AtomicUsize::new(0);
    Function::new(move |request| {
        let path = request.uri().path();
        let number = count.fetch_add(1, Ordering::Relaxed);
        other(path, number).unwrap_or_else(|| match path {
            "/config" => ok(config.clone()),
            "/queries" => ok(reply.clone()),
            "/key" => ok(""),
            _ => status(404),
        })
    })
}

/// The three keywords that the recorded reply answers.
fn keywords() -> Vec<Vec<u8>> {
    let expected = Case::new("synthetic_small_logt5").expected();
    expected.into_iter().take(3).map(|(keyword, _)| keyword.into_bytes()).collect()
}

async fn lookup(client: &PirClient) -> Result<Vec<Option<Vec<u8>>>, Arc<Error>> {
    let keywords = keywords();
    client.lookup(&keywords.iter().map(Vec::as_slice).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for failure in [
        Err(TransportError::Unreachable),
        Err(TransportError::Timeout),
        Err(TransportError::Broken),
        status(503),
        status(429),
    ] {
        // Two failures, then an answer.
        let answer = failure.clone();
        let transport = service(move |_, number| (number < 2).then(|| answer.clone()));
        let found = lookup(&client(&transport, impatient())).await.unwrap();
        assert!(found.iter().all(Option::is_some));
        assert_eq!(transport.paths(), ["/config", "/config", "/config", "/queries"]);
        // Three failures are enough.
        let transport = service(move |_, _| Some(failure.clone()));
        assert!(lookup(&client(&transport, impatient())).await.unwrap_err().is_passing());
        assert_eq!(transport.paths().len(), 3);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_not() {
    for code in [403, 404, 413, 422] {
        let transport = service(move |path, _| (path == "/queries").then(|| status(code)));
        let error = lookup(&client(&transport, impatient())).await.unwrap_err();
        assert!(!error.is_passing());
        assert_eq!(error.to_string(), format!("/queries: status {code} (said so)"));
        assert_eq!(transport.paths(), ["/config", "/queries"]);
    }
    let transport = service(|_, _| Some(Err(TransportError::TooLong(1))));
    assert!(lookup(&client(&transport, impatient())).await.is_err());
    assert_eq!(transport.paths().len(), 1);
}

#[tokio::test]
async fn a_refused_configuration_is_fetched_once_more() {
    for code in [410, 400] {
        let transport =
            service(move |path, number| (path == "/queries" && number == 1).then(|| status(code)));
        assert!(lookup(&client(&transport, impatient())).await.is_ok());
        assert_eq!(transport.paths(), ["/config", "/queries", "/config", "/queries"]);
        // The second time it says which one it has.
        let asked = transport.asked.lock().unwrap();
        let first = api::ConfigRequest::decode(&asked[0].body()[..]).unwrap();
        let second = api::ConfigRequest::decode(&asked[2].body()[..]).unwrap();
        assert!(first.existing_config_ids.is_empty());
        assert_eq!(second.existing_config_ids.len(), 1);
    }
    // Not for ever.
    let transport = service(|path, _| (path == "/queries").then(|| status(410)));
    assert!(lookup(&client(&transport, impatient())).await.is_err());
    assert_eq!(transport.paths(), ["/config", "/queries", "/config", "/queries"]);
}

#[tokio::test]
async fn a_service_that_is_away_is_left_alone_for_a_while() {
    let transport = service(|_, _| Some(Err(TransportError::Unreachable)));
    let options = ClientOptions { pause: Duration::from_secs(3600), ..impatient() };
    let client = client(&transport, options);
    assert!(matches!(*lookup(&client).await.unwrap_err(), Error::Transport { .. }));
    for _ in 0..5 {
        assert!(matches!(*lookup(&client).await.unwrap_err(), Error::Paused));
    }
    assert_eq!(transport.paths().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_ends_in_time() {
    struct Never;
    impl filter_client::Transport for Never {
        fn send(&self, _: http::Request<bytes::Bytes>, _: usize) -> filter_client::Exchange<'_> {
            Box::pin(std::future::pending())
        }
    }
    let client =
        PirClient::builder("https://pir.example", "x").transport(Arc::new(Never)).build().unwrap();
    assert!(matches!(*client.lookup(&[b"x"]).await.unwrap_err(), Error::Deadline));
}

#[tokio::test]
async fn old_answers_stand_in_for_none() {
    let away = Arc::new(AtomicBool::new(false));
    let is_away = Arc::clone(&away);
    let transport = service(move |_, _| {
        is_away.load(Ordering::Relaxed).then_some(Err(TransportError::Unreachable))
    });
    let now = Arc::new(AtomicU64::new(1_800_000_000));
    let reads = Arc::clone(&now);
    let case = Case::new("synthetic_small_logt5");
    let (hash, timestamp, key) = case.secret();
    let client = PirClient::builder("https://pir.example", case.use_case())
        .transport(transport.clone())
        .state(ClientState::new().with_secret_key(hash, timestamp, key))
        .options(ClientOptions {
            answers: AnswerPolicy { capacity: 10, fresh: 100, stale: 1000 },
            ..impatient()
        })
        .clock(Arc::new(move || reads.load(Ordering::Relaxed)))
        .build()
        .unwrap();
    let keywords = keywords();
    let keywords: Vec<&[u8]> = keywords.iter().map(Vec::as_slice).collect();
    let sources = async || {
        let answers = client.answers(&keywords).await;
        answers
            .into_iter()
            .map(|answer| answer.ok().map(|answer| answer.source))
            .collect::<Vec<_>>()
    };
    assert_eq!(sources().await, [Some(Source::Service); 3]);
    assert_eq!(sources().await, [Some(Source::Memory); 3]);
    away.store(true, Ordering::Relaxed);
    now.fetch_add(500, Ordering::Relaxed);
    assert_eq!(sources().await, [Some(Source::Stale); 3]);
    assert!(client.lookup(&keywords).await.is_err(), "a plain lookup wants the truth");
    now.fetch_add(600, Ordering::Relaxed);
    assert_eq!(sources().await, [None; 3]);
    // Without a memory, answers are given all the same.
    away.store(false, Ordering::Relaxed);
    let options =
        ClientOptions { answers: AnswerPolicy { capacity: 0, fresh: 0, stale: 0 }, ..impatient() };
    let forgetful = self::client(&transport, options);
    assert!(lookup(&forgetful).await.is_ok());
}

/// A service that wants to read what is asked must not be able to choose a lock that it can open.
#[tokio::test]
async fn weak_parameters_are_refused() {
    let case = Case::new("synthetic_small_logt5");
    let weaken = |change: fn(&mut pir_api::he::EncryptionParameters)| {
        let mut response = case.config();
        let (_, config) = response.configs.iter_mut().next().unwrap();
        let Some(api::config::Config::PirConfig(config)) = &mut config.config else { panic!() };
        change(config.encryption_parameters.as_mut().unwrap());
        let keys = response.key_info[0].key_config.as_mut().unwrap();
        change(keys.encryption_parameters.as_mut().unwrap());
        // As it is, it is the one that the client has a key for.
        config.evaluation_key_config_hash = pir_api::convert::key_config_hash(keys).to_vec();
        response.key_info[0].timestamp = case.secret().1;
        response.encode_to_vec()
    };
    for (config, insecure) in [
        (weaken(|_| {}), false),
        (weaken(|parameters| parameters.security_level = 0), true),
        (weaken(|parameters| parameters.polynomial_degree = 1024), true),
        (
            weaken(|parameters| {
                parameters.security_level = 0;
                parameters.coefficient_moduli.truncate(2);
            }),
            true,
        ),
    ] {
        let transport = service(move |path, _| (path == "/config").then(|| ok(config.clone())));
        let client = client(&transport, impatient());
        assert_eq!(lookup(&client).await.is_err(), insecure);
        let paths = transport.paths();
        assert_eq!(paths.len(), if insecure { 1 } else { 2 }, "{paths:?}");
    }
}

#[tokio::test]
async fn malformed_answers_are_errors() {
    let reply = Case::new("synthetic_small_logt5").record("/queries", "response").remove(0);
    let less = {
        let mut responses = api::Responses::decode(&reply[..]).unwrap();
        responses.responses.pop();
        responses.encode_to_vec()
    };
    let other = {
        let mut responses = api::Responses::decode(&reply[..]).unwrap();
        responses.responses[0].response =
            Some(api::response::Response::OprfResponse(Default::default()));
        responses.encode_to_vec()
    };
    for body in [
        Vec::new(),
        b"nonsense".to_vec(),
        reply[..reply.len() / 2].to_vec(),
        less,
        other,
        [0x0a, 0x00].repeat(3),
        vec![0; 10 << 20],
    ] {
        let transport = service(move |path, _| (path == "/queries").then(|| ok(body.clone())));
        assert!(lookup(&client(&transport, impatient())).await.is_err());
        // What a client could not read is none of the service's business.
        assert_eq!(transport.paths(), ["/config", "/queries"]);
    }
    for body in [&b""[..], b"nonsense", &[0x0a, 0x02, 0x0a, 0x00]] {
        let transport = service(move |path, _| (path == "/config").then(|| ok(body.to_vec())));
        assert!(lookup(&client(&transport, impatient())).await.is_err());
    }
}

#[tokio::test]
async fn too_many_keywords_are_not_asked() {
    let transport = service(|_, _| None);
    let client = client(&transport, ClientOptions { most_keywords: 2, ..impatient() });
    assert!(matches!(*lookup(&client).await.unwrap_err(), Error::TooManyKeywords(3, 2)));
    assert!(transport.paths().is_empty());
}

#[test]
fn addresses_are_checked() {
    for address in
        ["", "pir.example", "ftp://pir.example", "https://", "https://h/?q", "https://h/#f"]
    {
        let built = PirClient::builder(address, "x").build();
        assert!(matches!(built.err(), Some(Error::Address { .. })), "{address}");
    }
    let built = PirClient::builder("https://h.example", "x").user_token("a\nb").build();
    assert!(matches!(built.err(), Some(Error::UserToken)));
}
