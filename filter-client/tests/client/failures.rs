//! Services that are unreachable, busy, wrong or hostile.

use crate::support::{Case, Function, ok, status, without_waits};
use filter_client::{
    AddressError, AnswerPolicy, ClientOptions, ClientState, Endpoint, Error, Party, PirClient,
    Source, TransportError,
};
use pir_api::{Message, api};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use unix_clock::{ManualClock, Timestamp};

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

/// The recorded service, except for requests that `other` answers.
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
async fn transient_failures_are_retried() {
    for failure in [
        Err(TransportError::Unreachable),
        Err(TransportError::Timeout),
        Err(TransportError::Broken),
        status(503),
        status(429),
    ] {
        // Two attempts fail, the third succeeds.
        let answer = failure.clone();
        let transport = service(move |_, number| (number < 2).then(|| answer.clone()));
        let found = lookup(&client(&transport, without_waits())).await.unwrap();
        assert!(found.iter().all(Option::is_some));
        assert_eq!(transport.paths(), ["/config", "/config", "/config", "/queries"]);
        // All attempts fail: three at most.
        let transport = service(move |_, _| Some(failure.clone()));
        assert!(lookup(&client(&transport, without_waits())).await.unwrap_err().is_transient());
        assert_eq!(transport.paths().len(), 3);
    }
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    for code in [403, 404, 413, 422] {
        let transport = service(move |path, _| (path == "/queries").then(|| status(code)));
        let error = lookup(&client(&transport, without_waits())).await.unwrap_err();
        assert!(!error.is_transient());
        assert!(
            matches!(*error, Error::Status { endpoint: Endpoint::Queries, status, .. } if status == code)
        );
        assert_eq!(error.to_string(), format!("/queries: status {code} (said so)"));
        assert_eq!(transport.paths(), ["/config", "/queries"]);
    }
    let transport = service(|_, _| Some(Err(TransportError::TooLong(1))));
    assert!(lookup(&client(&transport, without_waits())).await.is_err());
    assert_eq!(transport.paths().len(), 1);
}

#[tokio::test]
async fn a_refused_configuration_is_fetched_once_again() {
    for code in [410, 400] {
        let transport =
            service(move |path, number| (path == "/queries" && number == 1).then(|| status(code)));
        assert!(lookup(&client(&transport, without_waits())).await.is_ok());
        assert_eq!(transport.paths(), ["/config", "/queries", "/config", "/queries"]);
        // The second time the client names the configuration that it has.
        let asked = transport.asked.lock().unwrap();
        let first = api::ConfigRequest::decode(&asked[0].body()[..]).unwrap();
        let second = api::ConfigRequest::decode(&asked[2].body()[..]).unwrap();
        assert!(first.existing_config_ids.is_empty());
        assert_eq!(second.existing_config_ids.len(), 1);
    }
    // Only once.
    let transport = service(|path, _| (path == "/queries").then(|| status(410)));
    assert!(lookup(&client(&transport, without_waits())).await.is_err());
    assert_eq!(transport.paths(), ["/config", "/queries", "/config", "/queries"]);
}

#[tokio::test]
async fn an_unreachable_service_is_not_asked_again_for_a_while() {
    let transport = service(|_, _| Some(Err(TransportError::Unreachable)));
    let mut options = without_waits();
    options.outage_backoff = Duration::from_secs(3600);
    let client = client(&transport, options);
    assert!(matches!(*lookup(&client).await.unwrap_err(), Error::Transport { .. }));
    for _ in 0..5 {
        assert!(matches!(*lookup(&client).await.unwrap_err(), Error::Outage { .. }));
    }
    assert_eq!(transport.paths().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_ends_at_its_timeout() {
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
async fn stale_answers_are_used_when_the_service_is_unreachable() {
    let unreachable = Arc::new(AtomicBool::new(false));
    let is_unreachable = Arc::clone(&unreachable);
    let transport = service(move |_, _| {
        is_unreachable.load(Ordering::Relaxed).then_some(Err(TransportError::Unreachable))
    });
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_seconds(1_800_000_000)));
    let mut options = without_waits();
    options.answers.capacity = 10;
    options.answers.fresh_for = Duration::from_secs(100);
    options.answers.stale_for = Duration::from_secs(1000);
    let case = Case::new("synthetic_small_logt5");
    let (hash, timestamp, key) = case.secret();
    let client = PirClient::builder("https://pir.example", case.use_case())
        .transport(transport.clone())
        .state(ClientState::new().with_secret_key(hash, timestamp, key))
        .options(options)
        .clock(Arc::clone(&clock))
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
    assert_eq!(sources().await, [Some(Source::Cache); 3]);
    unreachable.store(true, Ordering::Relaxed);
    clock.advance(Duration::from_secs(500));
    assert_eq!(sources().await, [Some(Source::StaleCache); 3]);
    assert!(client.lookup(&keywords).await.is_err(), "a lookup uses no stale answer");
    clock.advance(Duration::from_secs(600));
    assert_eq!(sources().await, [None; 3]);
    // Without a cache, lookups work, too.
    unreachable.store(false, Ordering::Relaxed);
    let mut options = without_waits();
    options.answers = AnswerPolicy::disabled();
    assert!(lookup(&self::client(&transport, options)).await.is_ok());
}

/// A service must not be able to choose parameters with which it could read queries.
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
        // The client has a key for the unchanged configuration.
        config.evaluation_key_config_hash = pir_api::convert::key_config_hash(keys).to_vec();
        response.key_info[0].timestamp = case.secret().1.unix_seconds();
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
        let client = client(&transport, without_waits());
        assert_eq!(lookup(&client).await.is_err(), insecure);
        let paths = transport.paths();
        assert_eq!(paths.len(), if insecure { 1 } else { 2 }, "{paths:?}");
    }
}

#[tokio::test]
async fn malformed_answers_are_errors() {
    let reply = Case::new("synthetic_small_logt5").record("/queries", "response").remove(0);
    let one_missing = {
        let mut responses = api::Responses::decode(&reply[..]).unwrap();
        responses.responses.pop();
        responses.encode_to_vec()
    };
    let other_kind = {
        let mut responses = api::Responses::decode(&reply[..]).unwrap();
        responses.responses[0].response =
            Some(api::response::Response::OprfResponse(Default::default()));
        responses.encode_to_vec()
    };
    for body in [
        Vec::new(),
        b"nonsense".to_vec(),
        reply[..reply.len() / 2].to_vec(),
        one_missing,
        other_kind,
        [0x0a, 0x00].repeat(3),
        vec![0; 10 << 20],
    ] {
        let transport = service(move |path, _| (path == "/queries").then(|| ok(body.clone())));
        assert!(lookup(&client(&transport, without_waits())).await.is_err());
        // The client does not report to the service what it could not read.
        assert_eq!(transport.paths(), ["/config", "/queries"]);
    }
    for body in [&b""[..], b"nonsense", &[0x0a, 0x02, 0x0a, 0x00]] {
        let transport = service(move |path, _| (path == "/config").then(|| ok(body.to_vec())));
        assert!(lookup(&client(&transport, without_waits())).await.is_err());
    }
}

#[tokio::test]
async fn the_number_of_keywords_is_limited() {
    // A lookup has three keywords.
    for (max_keywords, is_allowed) in [(2, false), (3, true), (4, true)] {
        let transport = service(|_, _| None);
        let mut options = without_waits();
        options.max_keywords = max_keywords;
        let outcome = lookup(&client(&transport, options)).await;
        assert_eq!(outcome.is_ok(), is_allowed, "{max_keywords}");
        if let Err(error) = outcome {
            assert!(matches!(*error, Error::TooManyKeywords { found: 3, max: 2 }), "{error}");
            assert!(transport.paths().is_empty());
        }
    }
}

#[test]
fn addresses_are_checked() {
    let long = format!("https://h/{}", "a".repeat(70_000));
    for (address, expected) in [
        ("", "syntax"),
        ("pir.example", "syntax"),
        ("https://", "syntax"),
        ("ftp://pir.example", "scheme"),
        ("https://h/?q", "query"),
        ("https://h/#f", "query"),
        // HTTP cannot carry it. It used to become `/`.
        (long.as_str(), "uri"),
    ] {
        let built = PirClient::builder(address, "x").build();
        let Some(Error::Address { party: Party::Service, source }) = built.err() else {
            panic!("{address}");
        };
        let found = match source {
            AddressError::Syntax(_) => "syntax",
            AddressError::Scheme => "scheme",
            AddressError::QueryOrFragment => "query",
            AddressError::Uri => "uri",
            _ => "other",
        };
        assert_eq!(found, expected, "{address}");
    }
    let builder = PirClient::builder("https://h.example", "x").issuer("issuer").user_token("AAAA");
    let error = builder.build().err();
    assert!(matches!(error, Some(Error::Address { party: Party::Issuer, .. })));
    let built = PirClient::builder("https://h.example", "x").user_token("a\nb").build();
    assert!(matches!(built.err(), Some(Error::UserToken)));
    // The user token would travel over the connections of the queries.
    let built = PirClient::builder("https://h.example", "x")
        .user_token("AAAA")
        .transport(service(|_, _| None))
        .build();
    assert!(matches!(built.err(), Some(Error::NoIssuerTransport)));
}
