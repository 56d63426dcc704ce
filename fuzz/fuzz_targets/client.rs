//! Responses of a service to a client that looks a keyword up.
#![no_main]

use filter_client::sans_io::{Client, Now, Output};
use filter_client::{ClientOptions, TransportError};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use unix_clock::Timestamp;

/// Outputs and points in time after which an input is given up: retries are bounded, so it is never reached.
const MAX_STEPS: usize = 300;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, mut rest)) = data.split_first() else { return };
    let mut now = Now::new(Timestamp::from_unix_seconds(1_800_000_000), Duration::ZERO);
    let mut options = ClientOptions::default();
    options.retry.initial_backoff = Duration::ZERO;
    let mut builder = Client::builder("https://pir.example", "com.example.urlfilter.synthetic_small_logt5.url.filtering").options(options);
    if kind % 2 == 1 {
        builder = builder.user_token("AAAA");
    }
    let mut client = builder.build(now).unwrap();
    let lookup = client.start_lookup(vec![b"a.example".to_vec()], now);
    // Each response is a byte for its status, three for the length of its body, and the body.
    for _ in 0..MAX_STEPS {
        match client.next_output() {
            Some(Output::Send(request)) => {
                let response = match rest.split_first_chunk::<4>() {
                    Some((&[status, low, middle, high], body)) => {
                        let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
                        let (body, later) = body.split_at(length.min(body.len()));
                        rest = later;
                        let statuses = [200, 200, 200, 400, 401, 404, 410, 503];
                        let mut response = http::Response::new(body.to_vec().into());
                        let status = statuses[usize::from(status) % statuses.len()];
                        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                        Ok(response)
                    }
                    None => Err(TransportError::Broken),
                };
                client.handle_response(request.id, response, now);
            }
            Some(Output::Done(id, _)) if id == lookup => return,
            Some(_) => {}
            None => {
                let at = client.next_timeout().expect("the client waits for something");
                now = Now::new(now.unix, at);
                client.handle_time(now);
            }
        }
    }
    panic!("the lookup did not end");
});
