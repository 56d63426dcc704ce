//! A client on an application's own network stack, with state that survives a restart.
//!
//! The service in this example refuses every use case: the example shows how requests, errors and state
//! travel, not a lookup.
//!
//! ```sh
//! cargo run -p filter-client --no-default-features --example own_transport
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use bytes::Bytes;
use filter_client::{ClientState, Endpoint, Error, Exchange, PirClient, Transport, blocking};
use std::sync::Arc;

/// Carries requests to a service within this process.
struct InMemory;

impl Transport for InMemory {
    fn send(&self, request: http::Request<Bytes>, _max_body: usize) -> Exchange<'_> {
        Box::pin(async move {
            // Never log the headers: they carry tokens.
            println!("{} {}", request.method(), request.uri().path());
            let mut response =
                http::Response::new(Bytes::from_static(br#"{"error":{"message":"unknown"}}"#));
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            Ok(response)
        })
    }
}

fn client(state: ClientState) -> Result<blocking::Client, blocking::BlockingError> {
    let builder = PirClient::builder("https://pir.example", "com.example.app.url.filtering");
    blocking::Client::new(builder.state(state).transport(Arc::new(InMemory)))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let first = client(ClientState::new())?;
    match first.lookup(&[b"blocked.example"]) {
        Err(error) => match &*error {
            Error::UseCase => println!("{}: {error}", Endpoint::Config),
            other => println!("{other}"),
        },
        Ok(values) => println!("{values:?}"),
    }

    // Store these bytes where the platform keeps secrets; the next run continues with them.
    let stored = first.inner().state().to_bytes();
    let second = client(ClientState::from_bytes(&stored)?)?;
    let same = second.inner().state();
    assert_eq!(same.user_identifier(), first.inner().state().user_identifier());
    println!("restarted with the same pseudonym");
    Ok(())
}
