//! When a client looks for a newer prefilter, and what that tells whoever serves it.

use crate::service::case;
use crate::support::{Function, ok, status, without_waits};
use bytes::Bytes;
use filter_client::{FilterOptions, PirClient, PrefilterError, PrefilterSource, UrlFilter};
use filter_core::Prefilter;
use filter_core::bloom::{BloomFilter, Sizing};
use filter_core::file::Description;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn plist(entry: &str) -> Vec<u8> {
    let parameters = Sizing::Round.parameters(10, 1e-6, 1).unwrap();
    let mut filter = BloomFilter::empty(parameters);
    filter.insert(entry.as_bytes());
    let mut description = Description::default();
    description.item_count = Some(1);
    description.false_positive_tolerance = Some(1e-6);
    let mut list = Vec::new();
    Prefilter::new(filter, description).unwrap().write_plist(&mut list).unwrap();
    list
}

fn client() -> PirClient {
    PirClient::builder("https://pir.example", case().use_case())
        .transport(Function::new(|_| status(500)))
        .options(without_waits())
        .build()
        .unwrap()
}

/// A server that gives every client a name of its own, as far as a client says it back.
fn naming_server() -> Arc<Function> {
    let list = plist("a.example");
    Function::new(move |_| {
        let response = http::Response::builder().header("etag", "\"user-7\"");
        let response = response.header("set-cookie", "user=7").header("last-modified", "now");
        Ok(response.body(Bytes::from(list.clone())).unwrap())
    })
}

async fn filter(files: &Arc<Function>) -> UrlFilter {
    let source = PrefilterSource::Url("https://files.example/filter".to_owned());
    let options = FilterOptions::default();
    UrlFilter::with_transport(source, client(), options, files.clone()).await.unwrap()
}

#[tokio::test]
async fn a_server_of_prefilters_gets_back_what_the_client_computed_and_nothing_else() {
    let files = naming_server();
    let filter = filter(&files).await;
    for _ in 0..3 {
        assert!(!filter.refresh().await.unwrap());
    }
    let tag = format!("\"{}\"", filter.prefilter_tag());
    let asked = files.asked.lock().unwrap();
    assert!(asked[0].headers().is_empty());
    for request in &asked[1..] {
        let headers: Vec<_> = request.headers().iter().collect();
        assert_eq!(headers.len(), 1, "{headers:?}");
        assert_eq!(request.headers()["if-none-match"], tag.as_str());
    }
}

/// The fetch must not leave with the lookup that happens to be the first after it is due.
#[test]
fn a_check_fetches_no_prefilter() {
    let files = naming_server();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    // The runtime on which the filter was loaded is gone, and its timer with it.
    let filter = runtime().block_on(filter(&files));
    let fetched = || files.paths().len();
    assert_eq!(fetched(), 1);
    runtime().block_on(async {
        tokio::time::advance(2 * DAY).await;
        for _ in 0..3 {
            drop(filter.check("https://a.example/").await);
            tokio::time::sleep(Duration::from_secs(15)).await;
            assert_eq!(fetched(), 1, "nothing is fetched with a check, or shortly after");
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(fetched(), 2);
    });
}

/// A timer decides alone, and ends with the filter.
#[tokio::test(start_paused = true)]
async fn newer_prefilters_are_looked_for_at_random_times() {
    let mut times = Vec::new();
    for _ in 0..8 {
        let files = naming_server();
        let filter = filter(&files).await;
        let begun = tokio::time::Instant::now();
        while files.paths().len() < 2 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let time = begun.elapsed();
        assert!((DAY..=DAY * 5 / 4 + Duration::from_secs(2)).contains(&time), "{time:?}");
        times.push(time.as_secs());
        drop(filter);
        tokio::time::sleep(3 * DAY).await;
        assert_eq!(files.paths().len(), 2, "a filter that is gone fetches nothing");
    }
    times.dedup();
    assert!(times.len() > 1, "{times:?}");
}

/// Whoever sends lookups through a relay does not fetch prefilters around it without having said so.
#[tokio::test]
async fn a_prefilter_on_a_server_needs_a_transport_where_the_service_has_one() {
    let source = || PrefilterSource::Url("http://127.0.0.1:1/filter".to_owned());
    let outcome = UrlFilter::new(source(), client(), FilterOptions::default()).await;
    assert!(matches!(outcome.err(), Some(PrefilterError::NoTransport)));
    // One from a file needs none, and a client with the built-in transport shows its address anyway.
    let list = PrefilterSource::Plist(plist("a.example"));
    assert!(UrlFilter::new(list, client(), FilterOptions::default()).await.is_ok());
    let direct = PirClient::builder("http://127.0.0.1:1", case().use_case()).build().unwrap();
    let outcome = UrlFilter::new(source(), direct, FilterOptions::default()).await;
    assert!(matches!(outcome.err(), Some(PrefilterError::Transport(_))));
    let served = Function::new(|_| ok(plist("a.example")));
    let options = FilterOptions::default();
    assert!(UrlFilter::with_transport(source(), client(), options, served).await.is_ok());
}
