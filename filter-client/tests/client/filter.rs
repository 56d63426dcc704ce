//! Verdicts.

use crate::support::{Case, Function, Outcome, ok, status, without_waits};
use blocklist::{Builder, Options};
use bytes::Bytes;
use filter_client::{
    Basis, ClientState, Failure, FilterOptions, OnFailure, PirClient, PrefilterError,
    PrefilterSource, TransportError, UrlFilter, Verdict, blocking,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The property list, the metadata and the bits of a prefilter.
fn prefilter(lines: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    // The tolerance is so small that none of a few URLs hits by chance.
    let builder = Builder::new(Options::default().with_tolerance(1e-9));
    let built =
        builder.add_list("list", lines.as_bytes(), None).unwrap().finish().unwrap().prefilter;
    let mut list = Vec::new();
    built.write_plist(&mut list).unwrap();
    let metadata = built.metadata().to_json();
    (list, metadata, built.filter().bytes().to_vec())
}

/// The recorded service. Its first reply answers the first three keywords, in their order.
fn client(
    answer: impl Fn() -> Option<Outcome> + Send + Sync + 'static,
) -> (PirClient, Arc<Function>) {
    let case = Case::new("synthetic_small_logt5");
    let (hash, timestamp, key) = case.secret();
    let config = case.config_with_key();
    let replies = case.record("/queries", "response");
    let next = AtomicUsize::new(0);
    let transport = Function::new(move |request| match request.uri().path() {
        "/config" => ok(config.clone()),
        _ => answer().unwrap_or_else(|| {
            ok(replies[next.fetch_add(1, Ordering::Relaxed) % replies.len()].clone())
        }),
    });
    let client = PirClient::builder("https://pir.example", case.use_case())
        .transport(transport.clone())
        .state(ClientState::new().with_secret_key(hash, timestamp, key))
        .options(without_waits())
        .build()
        .unwrap();
    (client, transport)
}

/// Six recorded keywords: four are in the data set, two are not.
fn recorded_keywords() -> Vec<String> {
    Case::new("synthetic_small_logt5").expected().into_iter().map(|(keyword, _)| keyword).collect()
}

#[tokio::test]
async fn verdicts_come_from_prefilter_and_service() {
    let keywords = recorded_keywords();
    let (list, ..) = prefilter(&keywords.join("\n"));
    let (client, transport) = client(|| None);
    let source = PrefilterSource::Plist(list);
    let filter = UrlFilter::new(source, client, FilterOptions::default()).await.unwrap();

    let decision = filter.check("https://harmless.example/").await;
    assert_eq!((&decision.verdict, decision.basis), (&Verdict::Allow, Basis::Prefilter));
    assert!(transport.paths().is_empty(), "the service was not asked");

    // Three keywords in one request, in any order.
    let urls: Vec<String> =
        keywords[..3].iter().map(|keyword| format!("https://www.{keyword}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let decisions = filter.check_all(&urls).await;
    for (decision, keyword) in decisions.iter().zip(&keywords) {
        let matched = keyword.clone();
        assert_eq!(decision.verdict, Verdict::Deny { matched });
        assert_eq!((decision.blocked, decision.basis, decision.hits), (true, Basis::Service, 1));
    }
    assert_eq!(transport.paths(), ["/config", "/queries"]);
    let again = filter.check(urls[0]).await;
    assert_eq!((again.blocked, again.basis), (true, Basis::Cache));
    // The next three: one is in the data set, two only hit the prefilter.
    let urls: Vec<String> =
        keywords[3..].iter().map(|keyword| format!("http://{keyword}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let verdicts: Vec<bool> =
        filter.check_all(&urls).await.iter().map(|decision| decision.blocked).collect();
    assert_eq!(verdicts, [true, false, false]);
    let again = filter.check(urls[1]).await;
    assert_eq!((again.verdict, again.basis), (Verdict::Allow, Basis::Cache));
}

#[tokio::test]
async fn unknown_verdicts_allow_or_block_as_configured() {
    let keywords = recorded_keywords();
    let (list, ..) = prefilter(&keywords.join("\n"));
    for (on_failure, blocked, basis) in [
        (OnFailure::Open, false, Basis::FailedOpen),
        (OnFailure::Closed, true, Basis::FailedClosed),
    ] {
        let (client, _) = client(|| Some(Err(TransportError::Unreachable)));
        let mut options = FilterOptions::default();
        options.on_failure = on_failure;
        let source = PrefilterSource::Plist(list.clone());
        let filter = UrlFilter::new(source, client, options).await.unwrap();
        let decision = filter.check(&format!("https://{}", keywords[0])).await;
        assert_eq!((decision.blocked, decision.basis), (blocked, basis));
        assert_eq!(decision.verdict, Verdict::Unknown);
        assert!(matches!(decision.failure, Some(Failure::Lookup(_))));
        // A URL without hits needs no service.
        let decision = filter.check("https://harmless.example/").await;
        assert_eq!(decision.verdict, Verdict::Allow);
        let decision = filter.check("no url").await;
        assert_eq!((decision.blocked, decision.verdict), (blocked, Verdict::Unknown));
        assert!(matches!(decision.failure, Some(Failure::Url(_))));
    }
}

#[tokio::test]
async fn the_number_of_hits_is_limited() {
    // Two sub-URLs of the URL are on the list.
    let (list, ..) = prefilter("a.example\na.example/b\n");
    for (max_hits, is_looked_up) in [(1, false), (2, true), (3, true)] {
        let (client, transport) = client(|| None);
        let mut options = FilterOptions::default();
        options.max_hits = max_hits;
        let source = PrefilterSource::Plist(list.clone());
        let filter = UrlFilter::new(source, client, options).await.unwrap();
        let decision = filter.check("https://a.example/b").await;
        assert_eq!(!transport.paths().is_empty(), is_looked_up, "{max_hits}");
        if !is_looked_up {
            let failure = decision.failure;
            assert!(matches!(failure, Some(Failure::TooManyHits { found: 2, max: 1 })));
            assert_eq!(decision.verdict, Verdict::Unknown);
        }
    }
}

#[tokio::test]
async fn prefilters_come_from_files_bytes_and_servers() {
    let (list, metadata, bits) = prefilter("blocked.example");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bloom.json"), &metadata).unwrap();
    std::fs::write(folder.path().join("bloom.bin"), &bits).unwrap();
    std::fs::write(folder.path().join("bloom_filter.plist"), &list).unwrap();
    let mut tags = Vec::new();
    for source in [
        PrefilterSource::File(folder.path().into()),
        PrefilterSource::File(folder.path().join("bloom_filter.plist")),
        PrefilterSource::Plist(list),
        PrefilterSource::Raw { metadata, bits },
    ] {
        let (client, _) = client(|| Some(status(500)));
        let filter = UrlFilter::new(source, client, FilterOptions::default()).await.unwrap();
        assert_eq!(filter.check("https://blocked.example/x").await.verdict, Verdict::Unknown);
        assert_eq!(filter.check("https://other.example/x").await.verdict, Verdict::Allow);
        assert!(!filter.refresh().await.unwrap(), "the prefilter is the same");
        tags.push(filter.prefilter_tag());
    }
    tags.dedup();
    assert_eq!(tags.len(), 1);
    for source in [
        PrefilterSource::File(folder.path().join("none")),
        PrefilterSource::Plist(b"nonsense".to_vec()),
        PrefilterSource::Raw { metadata: b"{}".to_vec(), bits: Vec::new() },
        PrefilterSource::Url("no url".to_owned()),
    ] {
        let (client, _) = client(|| None);
        assert!(UrlFilter::new(source, client, FilterOptions::default()).await.is_err());
    }
}

/// A server of prefilters that sends entity tags: that of the bits for a property list, as `pir-server` does.
struct Files {
    content: Mutex<(Vec<u8>, Vec<u8>, Vec<u8>)>,
    broken: AtomicBool,
}

impl Files {
    fn answer(&self, request: &http::Request<Bytes>) -> Outcome {
        if self.broken.load(Ordering::Relaxed) {
            return status(500);
        }
        let content = self.content.lock().unwrap();
        let (list, metadata, bits) = &*content;
        let body = match request.uri().path() {
            "/f/bloom.json" => metadata,
            "/f/bloom.bin" => bits,
            "/f/bloom_filter.plist" => list,
            _ => return status(404),
        };
        let described = filter_core::file::raw::Metadata::parse(metadata).unwrap();
        let tag = format!("\"{}\"", described.tag);
        if request
            .headers()
            .get("if-none-match")
            .is_some_and(|known| known.as_bytes() == tag.as_bytes())
        {
            return Ok(http::Response::builder().status(304).body(Bytes::new()).unwrap());
        }
        Ok(http::Response::builder().header("etag", tag).body(body.clone().into()).unwrap())
    }
}

#[tokio::test]
async fn only_newer_prefilters_are_fetched() {
    for (name, fetched) in [("bloom.json", 2), ("bloom_filter.plist", 1)] {
        let files = Arc::new(Files {
            content: Mutex::new(prefilter("first.example")),
            broken: AtomicBool::new(false),
        });
        let server = Arc::clone(&files);
        let transport = Function::new(move |request| server.answer(request));
        let (client, _) = client(|| Some(status(500)));
        let source = PrefilterSource::Url(format!("https://files.example/f/{name}"));
        let options = FilterOptions::default();
        let filter =
            UrlFilter::with_transport(source, client, options, transport.clone()).await.unwrap();
        assert_eq!(transport.paths().len(), fetched);
        let limits = transport.max_bodies.lock().unwrap().clone();
        let expected: &[usize] = if fetched == 2 { &[1 << 20, 256 << 20] } else { &[256 << 20] };
        assert_eq!(limits, expected);
        assert!(!filter.refresh().await.unwrap());
        assert_eq!(transport.paths().len(), fetched + 1, "one request, without the content");
        *files.content.lock().unwrap() = prefilter("second.example");
        assert!(filter.refresh().await.unwrap());
        assert_eq!(filter.check("https://second.example/").await.verdict, Verdict::Unknown);
        assert_eq!(filter.check("https://first.example/").await.verdict, Verdict::Allow);
        // On failure the current prefilter stays in use.
        files.broken.store(true, Ordering::Relaxed);
        let error = filter.refresh().await.unwrap_err();
        assert!(matches!(error, PrefilterError::Status(500)), "{error}");
        files.broken.store(false, Ordering::Relaxed);
        {
            let other = prefilter("third.example");
            let mut content = files.content.lock().unwrap();
            content.1 = other.1;
            content.0 = b"nonsense".to_vec();
        }
        assert!(filter.refresh().await.is_err(), "files of two builds");
        assert_eq!(filter.check("https://second.example/").await.verdict, Verdict::Unknown);
    }
}

#[test]
fn the_blocking_client_and_filter_need_no_runtime() {
    let (list, ..) = prefilter("blocked.example");
    let builder = PirClient::builder("http://127.0.0.1:1", "x.url.filtering")
        .user_token("AAAA")
        .options(without_waits());
    let source = PrefilterSource::Plist(list);
    let filter = blocking::UrlFilter::new(source, builder, FilterOptions::default()).unwrap();
    assert_eq!(filter.check("https://other.example/").verdict, Verdict::Allow);
    let decision = filter.check("https://blocked.example/");
    assert_eq!(decision.verdict, Verdict::Unknown);
    assert!(!filter.refresh().unwrap());
    let builder = PirClient::builder("http://127.0.0.1:1", "x").options(without_waits());
    let client = blocking::Client::new(builder).unwrap();
    assert!(client.lookup(&[b"x"]).is_err());
    assert!(client.prepare().is_err());
}
