use super::*;
use crate::Configuration;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

/// Answers each connection with a redirect to the next address.
fn redirect_to(to: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(head.as_bytes());
        }
    });
    address
}

fn fetch(address: &str, reach: Reach) -> FetchError {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("out = \"o\"\n[[source]]\nname = \"a\"\nurl = \"{address}\"\n");
    let configuration = Configuration::parse(&text, folder.path()).unwrap();
    let list = &configuration.lists[0];
    let fetcher = Fetcher::new(reach).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let now = Timestamp::from_unix_seconds(1);
    let fetched = fetcher.fetch(list, address, None, &configuration.folders, now);
    runtime.block_on(fetched).unwrap_err()
}

#[test]
fn redirects_to_other_addresses_of_the_machine_are_refused() {
    let this = Reach::PublicAnd(Ipv4Addr::LOCALHOST.into());
    for (to, host) in [
        ("http://127.0.0.2:1/", "127.0.0.2"),
        ("http://10.0.0.1/", "10.0.0.1"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("http://[::1]:1/", "[::1]"),
        ("http://[::ffff:10.0.0.1]/", "[::ffff:a00:1]"),
        // Forms that the URL parser turns into addresses.
        ("http://0x7f000002/", "127.0.0.2"),
        ("http://2130706434/", "127.0.0.2"),
    ] {
        let error = fetch(&format!("http://{}/", redirect_to(to)), this);
        let FetchError::Private { host: found, .. } = &error else { panic!("{to}: {error}") };
        assert_eq!(found, host, "{to}");
    }
}

#[test]
fn names_with_such_addresses_are_refused() {
    let error = fetch("http://localhost:1/", Reach::Public);
    assert!(matches!(error, FetchError::Private { .. }), "{error}");
    // The name may also have the address ::1, which is not the one that is allowed.
    let other = Reach::PublicAnd(Ipv4Addr::new(127, 0, 0, 9).into());
    let error = fetch("http://localhost:1/", other);
    assert!(matches!(error, FetchError::Private { .. }), "{error}");
    let resolver = Resolver(Reach::Public);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let name = "localhost".parse::<Name>().unwrap();
    let resolved = runtime.block_on(resolver.resolve(name));
    assert!(resolved.err().unwrap().downcast_ref::<NotReachable>().is_some());
}

#[test]
fn addresses_in_urls_are_checked_without_a_resolver() {
    let url = |text: &str| Url::parse(text).unwrap();
    assert!(check_host(&url("https://1.1.1.1/"), Reach::Public).is_ok());
    assert!(check_host(&url("https://name.example/"), Reach::Public).is_ok());
    assert!(check_host(&url("http://192.168.1.1/"), Reach::Public).is_err());
    assert!(check_host(&url("http://192.168.1.1/"), Reach::Any).is_ok());
}

#[test]
fn validators_are_kept_up_to_their_limit() {
    for length in [MAX_VALIDATOR - 1, MAX_VALIDATOR, MAX_VALIDATOR + 1] {
        let mut headers = HeaderMap::new();
        headers.insert(reqwest::header::ETAG, "e".repeat(length).parse().unwrap());
        let kept = validator(&headers, &reqwest::header::ETAG);
        assert_eq!(kept.is_some(), length <= MAX_VALIDATOR, "{length}");
    }
}

/// At one below the age, and at it.
#[test]
fn a_time_that_later_content_may_have_is_not_kept() {
    for (date, modified, is_kept) in [
        (Some("Thu, 26 Nov 2026 10:00:01 GMT"), "Thu, 26 Nov 2026 10:00:00 GMT", true),
        (Some("Thu, 26 Nov 2026 10:00:00 GMT"), "Thu, 26 Nov 2026 10:00:00 GMT", false),
        (Some("Thu, 26 Nov 2026 09:59:59 GMT"), "Thu, 26 Nov 2026 10:00:00 GMT", false),
        (None, "Thu, 26 Nov 2026 10:00:00 GMT", false),
        (Some("Thu, 26 Nov 2026 10:00:01 GMT"), "yesterday", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
        headers.insert(LAST_MODIFIED, modified.parse().unwrap());
        assert_eq!(last_modified(&headers).is_some(), is_kept, "{date:?} {modified}");
    }
}
