//! The prefilter decides what is asked, and comes from the service's side: what it could learn by choosing the bits.

use crate::service::{World, builder, case, options, start};
use crate::sharding::honest;
use crate::support::{Function, ok, status};
use filter_client::sans_io::{Client, Keywords, Lookup, Outcome, Output};
use filter_client::{
    Basis, Check, ClientOptions, Error, Failure, FilterOptions, MeasuredPrefilter, PirClient,
    PrefilterError, PrefilterSource, ShardingError, UrlFilter, Verdict, blocking,
};
use filter_core::Prefilter;
use filter_core::bloom::{BloomFilter, Parameters, Sizing};
use filter_core::file::Description;
use pir_api::{Message, api};
use std::sync::{Arc, Mutex};

const URL: &str = "https://www.a.example/one/two?three";

fn prefilter(parameters: Parameters, bytes: Vec<u8>) -> Prefilter<Vec<u8>> {
    let filter = BloomFilter::from_bytes(parameters, bytes).unwrap();
    Prefilter::new(filter, Description::default()).unwrap()
}

/// A prefilter of all sub-URLs of [`URL`], and of as many other keys as a list has that may have 512 shards.
fn of_one_url() -> Prefilter<Vec<u8>> {
    let rule = filter_core::sub_url::SubUrlRule::default();
    let sub_urls = rule.parse_lenient(URL).unwrap().sub_urls().sorted(100).unwrap();
    let mut filter = BloomFilter::empty(Sizing::Round.parameters(600_000, 1e-6, 1).unwrap());
    filter.insert_all(sub_urls.iter().map(String::as_bytes));
    let others: Vec<String> = (0..600_000).map(|number| format!("{number}.example")).collect();
    filter.insert_all(others.iter().map(String::as_bytes));
    Prefilter::new(filter, Description::default()).unwrap()
}

fn raw(prefilter: &Prefilter<Vec<u8>>) -> PrefilterSource {
    PrefilterSource::Raw {
        metadata: prefilter.metadata().to_json(),
        bits: prefilter.filter().bytes().to_vec(),
    }
}

/// A client of a service with a number of shards, and the shards that were named to it.
fn client(shards: u32, options: ClientOptions) -> (PirClient, Arc<Function>) {
    let transport =
        Function::new(move |request| match honest(shards, request.uri().path(), request.body()) {
            (200, body) => ok(body),
            (code, _) => status(code),
        });
    let client = PirClient::builder("https://pir.example", case().use_case())
        .transport(transport.clone())
        .state(crate::service::state())
        .options(options)
        .build()
        .unwrap();
    (client, transport)
}

fn named_shards(transport: &Function) -> Vec<u32> {
    let asked = transport.asked.lock().unwrap();
    let queries = asked.iter().filter(|request| request.uri().path() == "/queries");
    queries.flat_map(|request| shards(request.body())).collect()
}

fn shards(body: &[u8]) -> Vec<u32> {
    let requests = api::Requests::decode(body).unwrap().requests.into_iter();
    requests
        .map(|request| match request.request {
            Some(api::request::Request::PirRequest(request)) => request.shard_index,
            _ => panic!("a query"),
        })
        .collect()
}

/// Filters that hit most keys: by all of their bits, by few hashes, and by bits that probes of one parity find.
#[tokio::test]
async fn a_prefilter_that_says_yes_to_much_has_nothing_asked() {
    let parameters = |bits, hashes| Parameters::new(bits, hashes, 1).unwrap();
    for (parameters, byte) in [
        (parameters(16, 1), 0xff),
        (parameters(16, 1_100), 0xff),
        (parameters(1 << 23, 7), 0xff),
        (parameters(1 << 23, 1), 0x01),
        (parameters(1 << 23, 30), 0xaa),
    ] {
        let chosen = prefilter(parameters, vec![byte; parameters.byte_count()]);
        let (client, transport) = client(512, crate::support::without_waits());
        let filter = UrlFilter::new(raw(&chosen), client, FilterOptions::default()).await.unwrap();
        let decision = filter.check(URL).await;
        assert_eq!((decision.verdict, decision.basis), (Verdict::Unknown, Basis::FailedOpen));
        assert!(matches!(decision.failure, Some(Failure::Prefilter(_))), "{parameters:?}");
        assert!(transport.paths().is_empty(), "{parameters:?}");
        // A text that is no URL is told apart.
        let decision = filter.check("no url").await;
        assert!(matches!(decision.failure, Some(Failure::Url(_))));
    }
}

/// Whoever wants such a prefilter says so. It then counts for as many rows as its bits tell.
#[tokio::test]
async fn the_largest_rate_of_a_prefilter_is_an_option() {
    let parameters = Parameters::new(512, 1, 1).unwrap();
    let half = prefilter(parameters, vec![0x0f; parameters.byte_count()]);
    for (max, is_asked) in [(0.499, false), (0.5, true), (0.501, true)] {
        let (client, transport) = client(1, crate::support::without_waits());
        let mut options = FilterOptions::default();
        options.max_false_positive_rate = max;
        let filter = UrlFilter::new(raw(&half), client, options).await.unwrap();
        let decision = filter.check(URL).await;
        assert_eq!(!transport.paths().is_empty(), is_asked, "{max}");
        assert_eq!(matches!(decision.failure, Some(Failure::Prefilter(_))), !is_asked, "{max}");
    }
}

/// Prefilters as `urlfilter build` makes them for rates below the limit, also of one entry.
#[test]
fn prefilters_of_lists_are_accepted() {
    let limit = FilterOptions::default().max_false_positive_rate;
    for (entries, tolerance) in [
        (1, 1e-4),
        (2, 1e-4),
        (10, 1e-4),
        (100, 1e-3),
        (1_000, 0.01),
        (50_000, 0.01),
        (50_000, 1e-6),
    ] {
        let mut filter =
            BloomFilter::empty(Sizing::Round.parameters(entries, tolerance, 1).unwrap());
        (0..entries).for_each(|number| filter.insert(format!("{number}.example").as_bytes()));
        let measured =
            MeasuredPrefilter::new(Prefilter::new(filter, Description::default()).unwrap())
                .unwrap();
        assert_eq!(measured.check(limit), Ok(()), "{entries} entries, {tolerance}");
        let rows = measured.rows(limit);
        assert!(entries < 1_000 || rows.abs_diff(entries) < entries / 50, "{entries}: {rows}");
    }
}

#[tokio::test]
async fn a_newer_prefilter_that_says_yes_to_much_is_not_used() {
    let honest = of_one_url();
    let parameters = Parameters::new(1 << 12, 7, 1).unwrap();
    let chosen = prefilter(parameters, vec![0xff; parameters.byte_count()]);
    let current = Arc::new(Mutex::new(honest));
    let served = Arc::clone(&current);
    let files = Function::new(move |request| {
        let served = served.lock().unwrap();
        match request.uri().path() {
            "/bloom.json" => ok(served.metadata().to_json()),
            _ => ok(served.filter().bytes().to_vec()),
        }
    });
    let (client, _) = client(1, crate::support::without_waits());
    let source = PrefilterSource::Url("https://files.example/bloom.json".to_owned());
    let options = FilterOptions::default();
    let filter = UrlFilter::with_transport(source, client, options, files).await.unwrap();
    let tag = filter.prefilter_tag();
    *current.lock().unwrap() = chosen;
    let error = filter.refresh().await.unwrap_err();
    assert!(matches!(error, PrefilterError::Implausible(_)), "{error}");
    assert_eq!(filter.prefilter_tag(), tag);
    assert!(filter.check(URL).await.failure.is_none());
}

/// Bits for chosen URLs do not show in a rate: the indices of one URL's sub-URLs tell so much and no more, whichever
/// adapter asks, and the same ones at every visit.
#[tokio::test]
async fn the_shards_of_one_url_tell_no_more_bits_than_the_limit() {
    let chosen = of_one_url();
    for (bits, asked) in [(0, 0), (8, 0), (9, 1), (17, 1), (18, 2), (19, 2), (27, 3)] {
        let mut options = crate::support::without_waits();
        options.sharding.max_bits_per_url = bits;
        options.answers = filter_client::AnswerPolicy::disabled();
        let (client, transport) = client(512, options);
        let filter = UrlFilter::new(raw(&chosen), client, FilterOptions::default()).await.unwrap();
        let decision = filter.check(URL).await;
        assert!(decision.hits > 10, "{}", decision.hits);
        let Some(Failure::Lookup(error)) = &decision.failure else { panic!("{decision:?}") };
        let Error::Sharding(ShardingError::TooManyBits { bits: 9, max }) = **error else {
            panic!("{error}")
        };
        assert_eq!(max, bits);
        let first = named_shards(&transport);
        assert_eq!(first.len(), asked, "{bits}");
        // Other URLs of the site name no others.
        drop(filter.check_all(&["https://a.example/one", URL]).await);
        let mut all = named_shards(&transport);
        all.sort_unstable();
        all.dedup();
        assert!(all.len() <= asked, "{bits}");
    }
    // One shard tells nothing, so that every sub-URL is asked for.
    let (client, transport) = client(1, crate::support::without_waits());
    let filter = UrlFilter::new(raw(&chosen), client, FilterOptions::default()).await.unwrap();
    let decision = filter.check(URL).await;
    assert!(decision.failure.is_none());
    assert_eq!(named_shards(&transport).len(), decision.hits);
}

/// A caller without a URL filter, with Tokio and without.
#[test]
fn a_list_of_keywords_counts_as_one_url() {
    let texts: Vec<String> = (0..12).map(|part| format!("a.example/{part}")).collect();
    let keywords: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut world = World::new(builder(options()), |path, body| honest(512, path, body));
    let lookup = world.look_up(&keywords);
    let error = lookup.failure().map(|error| &**error);
    assert!(matches!(error, Some(Error::Sharding(ShardingError::TooManyBits { .. }))));
    let answered = lookup.answers().iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(answered, 2);
    assert!(world.transcript.0[1].ends_with("]") && world.paths() == ["/config", "/queries"]);

    let bytes: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let transport =
        Function::new(|request| ok(honest(512, request.uri().path(), request.body()).1));
    let builder = PirClient::builder("https://pir.example", case().use_case())
        .transport(transport.clone())
        .state(crate::service::state())
        .options(crate::support::without_waits());
    let client = blocking::Client::new(builder).unwrap();
    assert!(client.lookup(&bytes).is_err());
    assert_eq!(client.answers(&bytes).iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(named_shards(&transport).len(), 2);
    // Keywords that have nothing to do with each other are not added up.
    let keywords = bytes.iter().map(|keyword| keyword.to_vec()).collect();
    let unrelated = client.answers_to(&Keywords::unrelated(keywords));
    assert!(unrelated.iter().all(Result::is_ok));
    assert_eq!(named_shards(&transport).len(), 12);
}

/// The check itself, for those who bring their own network.
#[test]
fn the_core_keeps_the_limit_for_a_check() {
    let measured = MeasuredPrefilter::new(of_one_url()).unwrap();
    let check = Check::new(&measured, &FilterOptions::default(), &[URL]);
    let mut client: Client = builder(options()).build(start()).unwrap();
    client.set_rows(measured.rows(0.02));
    client.start_lookup(check.keywords().clone(), start());
    let mut named = Vec::new();
    let lookup: Lookup = loop {
        match client.next_output().unwrap() {
            Output::Send(request) => {
                let (path, body) = (request.request.uri().path(), request.request.body());
                if path == "/queries" {
                    named.extend(shards(body));
                }
                let response = http::Response::new(honest(512, path, body).1.into());
                client.handle_response(request.id, Ok(response), start());
            }
            Output::Done(_, Outcome::Lookup(lookup)) => break lookup,
            _ => {}
        }
    };
    assert_eq!(named.len(), 2);
    let decision = check.decide(&lookup.answers()).remove(0);
    assert_eq!(decision.verdict, Verdict::Unknown);
    // A listed sub-URL that was asked for blocks, whatever was not asked for.
    let mut answers = lookup.answers();
    for answer in answers.iter_mut().flatten() {
        answer.value = Some(Vec::new());
    }
    let decision = check.decide(&answers).remove(0);
    assert_eq!(decision.verdict, Verdict::Deny { matched: "a.example".to_owned() });
}
