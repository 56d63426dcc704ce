//! Examines a deployment and prints its findings as JSON.
//!
//! `cargo run -p urlfilter-doctor --example examine -- http://127.0.0.1:8080 com.example.app AAAA`
//!
//! Without arguments it examines an address where nothing listens, and reports that.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use doctor::Deployment;
use std::error::Error;
use std::{env, process};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = env::args().skip(1).collect();
    let (server, bundle_id, token) = match &given[..] {
        [server, bundle_id, token] => (server.as_str(), bundle_id.as_str(), token.as_str()),
        [] => ("http://127.0.0.1:9", "com.example.app", "AAAA"),
        _ => return Err("expected: URL BUNDLE_ID TOKEN".into()),
    };
    let deployment = Deployment::new(server, bundle_id, token).development(true);
    let findings = doctor::examine(&deployment).await?;
    println!("{}", serde_json::to_string_pretty(&findings)?);
    process::exit(i32::from(!findings.is_ready() && !given.is_empty()))
}
