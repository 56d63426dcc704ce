//! A verifier: each token is accepted once.
//!
//! ```sh
//! cargo run -p privacy-pass --example redeem
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use privacy_pass::{Error, KeySet, PendingToken, Rotation, Token, TokenChallenge};
use std::collections::HashSet;
use unix_clock::{Clock, SystemClock, Timestamp};

/// Why a request is refused.
#[derive(Debug, PartialEq)]
enum Refusal {
    /// No token, or one that is not valid.
    Invalid(Error),
    /// A token for another challenge.
    OtherChallenge,
    /// A token that was shown before.
    Spent,
}

struct Verifier {
    keys: KeySet,
    challenge: TokenChallenge,
    /// A real verifier stores nonces durably, until `keys.remembered_until(key_id)`.
    spent: HashSet<([u8; 32], [u8; 32])>,
}

impl Verifier {
    /// Accepts the `Authorization` header of a request, or refuses the request.
    fn admit(&mut self, header: &str, now: Timestamp) -> Result<(), Refusal> {
        let token = Token::from_authorization(header).map_err(Refusal::Invalid)?;
        self.keys.verify(&token, now).map_err(Refusal::Invalid)?;
        if token.challenge_digest() != self.challenge.digest() {
            return Err(Refusal::OtherChallenge);
        }
        // Last: a token that is refused above stays unspent. Nothing may be answered before the nonce is
        // stored, or a crash would make the token valid again.
        match self.spent.insert((token.key_id(), token.nonce())) {
            true => Ok(()),
            false => Err(Refusal::Spent),
        }
    }
}

fn main() -> Result<(), Error> {
    let now = SystemClock.now();
    let challenge = TokenChallenge::for_issuer("issuer.example")?;
    let keys = KeySet::create(Rotation::default(), now)?;

    let signing = keys.signing_key(now).ok_or(Error::Key)?;
    let ask = |challenge: &TokenChallenge| {
        let pending = PendingToken::new(challenge, signing.public())?;
        let response = signing.issue(&pending.request())?;
        Ok::<_, Error>(pending.finalize(&response)?.to_authorization())
    };
    let header = ask(&challenge)?;
    let other = ask(&TokenChallenge::for_issuer("other.example")?)?;

    let mut verifier = Verifier { keys, challenge, spent: HashSet::new() };
    assert_eq!(verifier.admit(&header, now), Ok(()));
    assert_eq!(verifier.admit(&header, now), Err(Refusal::Spent));
    assert_eq!(verifier.admit(&other, now), Err(Refusal::OtherChallenge));
    let missing = verifier.admit("Bearer AAAA", now);
    assert_eq!(missing, Err(Refusal::Invalid(Error::Authorization)));
    println!("accepted once, refused when shown again");
    Ok(())
}
