//! What is stored of the times at which tokens are fetched.

use super::HeldToken;
use unix_clock::Timestamp;
use zeroize::Zeroizing;

/// What decides when tokens are fetched.
#[derive(Clone)]
pub(crate) struct StoredRefills {
    /// The times of refills follow from it. An issuer that knew it would recognise them.
    pub(crate) seed: Zeroizing<[u8; 32]>,
    /// When tokens were asked for last.
    pub(crate) tried_at: Option<Timestamp>,
    /// How often they were asked for before any were given; 0 from then on.
    pub(crate) first_attempts: u32,
}

impl StoredRefills {
    /// Those of a state that has none, with its tokens.
    pub(crate) fn draw(tokens: &[HeldToken]) -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        let tried_at = tokens.iter().map(|held| held.fetched_at).max();
        Ok(Self { seed, tried_at, first_attempts: 0 })
    }

    /// Notes that tokens are asked for, before they are. Returns when that was done last.
    pub(crate) fn begin(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.tried_at.is_none() || self.first_attempts > 0 {
            self.first_attempts = self.first_attempts.saturating_add(1);
        }
        self.tried_at.replace(now)
    }

    /// Notes that tokens were given.
    pub(crate) fn succeed(&mut self, now: Timestamp) {
        self.tried_at = Some(now);
        self.first_attempts = 0;
    }
}
