//! What issuing and verifying a token cost: the numbers of `docs/speed.md`.
//!
//! `cargo run --release --package privacy-pass --features aws-lc --example token_cost`
//!
//! Without the feature, the numbers are those of the portable code.

#![allow(clippy::print_stdout, reason = "the numbers are what this is for")]

use privacy_pass::{Error, IssuerKey, PendingToken, TokenChallenge};
use std::time::{Duration, Instant};

/// The shortest and the median time of some runs.
fn measure(runs: usize, mut work: impl FnMut() -> Result<(), Error>) -> Result<String, Error> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed());
    }
    times.sort();
    let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let (shortest, median) = (milliseconds(times.first()), milliseconds(times.get(runs / 2)));
    Ok(format!("min {shortest:.3} ms, median {median:.3}"))
}

fn main() -> Result<(), Error> {
    let issuer = IssuerKey::generate()?;
    let challenge = TokenChallenge::for_issuer("issuer.example")?;
    let pending = PendingToken::new(&challenge, issuer.public())?;
    let request = pending.request();
    let token = pending.finalize(&issuer.issue(&request)?)?;
    println!("issuing: {}", measure(50, || issuer.issue(&request).map(drop))?);
    println!("verifying: {}", measure(500, || issuer.public().verify(&token))?);
    Ok(())
}
