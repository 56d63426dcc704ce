//! Decides about URLs with a prefilter, while the service cannot be reached.
//!
//! ```sh
//! cargo run -p filter-client --example check_urls
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use bytes::Bytes;
use filter_client::{
    Basis, ClientOptions, Exchange, FilterOptions, OnFailure, PirClient, PrefilterSource,
    RetryPolicy, Transport, TransportError, Verdict, blocking,
};
use std::error::Error;
use std::sync::Arc;

/// A network that is down. An application puts its own network stack here, or takes `HttpTransport`.
struct Offline;

impl Transport for Offline {
    fn send(&self, _: http::Request<Bytes>, _max_body: usize) -> Exchange<'_> {
        Box::pin(async { Err(TransportError::Unreachable) })
    }
}

/// A prefilter of one entry, as `urlfilter build` writes it.
fn prefilter() -> Result<Vec<u8>, Box<dyn Error>> {
    let builder = blocklist::Builder::new(blocklist::Options::default());
    let built = builder.add_list("list", &b"blocked.example\n"[..], None)?.finish()?;
    let mut plist = Vec::new();
    built.prefilter.write_plist(&mut plist)?;
    Ok(plist)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut client_options = ClientOptions::default();
    client_options.retry = RetryPolicy::never();
    let client = PirClient::builder("https://pir.example", "com.example.app.url.filtering")
        .options(client_options)
        .transport(Arc::new(Offline));

    // This application blocks what may be on the list while the service cannot answer.
    let mut options = FilterOptions::default();
    options.on_failure = OnFailure::Closed;
    let source = PrefilterSource::Plist(prefilter()?);
    let filter = blocking::UrlFilter::with_transport(source, client, options, Arc::new(Offline))?;

    // No sub-URL hits the prefilter: the URL is allowed, and nothing is sent.
    let decision = filter.check("https://harmless.example/page");
    assert_eq!((&decision.verdict, decision.basis), (&Verdict::Allow, Basis::Prefilter));

    // A hit must be looked up.
    let decision = filter.check("https://www.blocked.example/login");
    assert_eq!((&decision.verdict, decision.blocked), (&Verdict::Unknown, true));
    if let Some(failure) = &decision.failure {
        let cause = failure.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        println!("blocked, because the service cannot answer ({failure}{cause})");
    }
    Ok(())
}
