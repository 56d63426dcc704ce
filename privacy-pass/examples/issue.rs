//! An issuer with rotating keys, and a client that asks it for a token. Both run in this process.
//!
//! ```sh
//! cargo run -p privacy-pass --example issue
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use privacy_pass::{
    IssuerDirectory, KeySet, PendingToken, PublicKey, Rotation, TokenChallenge, TokenRequest,
};
use std::error::Error;
use unix_clock::{Clock, SystemClock};

fn main() -> Result<(), Box<dyn Error>> {
    let now = SystemClock.now();

    // The issuer draws its first key. It stores `keys.to_json()` before it publishes the key, and calls
    // `keys.maintain(now)` every few minutes from then on.
    let keys = KeySet::create(Rotation::default(), now)?;
    let stored = keys.to_json()?;
    println!("stored key set: {} bytes", stored.len());

    // It publishes a directory.
    let directory = IssuerDirectory::new("/issue", keys.directory_keys(now));
    println!("directory: {}", serde_json::to_string(&directory)?);

    // The client chooses a key and asks for a token.
    let key: PublicKey = directory.key_at(now)?;
    let challenge = TokenChallenge::for_issuer("issuer.example")?;
    let pending = PendingToken::new(&challenge, &key)?;
    let body = pending.request().to_bytes();

    // The issuer signs what it cannot read.
    let request = TokenRequest::from_bytes(&body)?;
    let response = keys.issue(&request, now)?;

    // The client completes the token. `finalize` verifies it, too.
    let token = pending.finalize(&response)?;
    println!("token: {} bytes, for one request", token.as_bytes().len());
    Ok(())
}
