//! Tokens at hand.

use crate::state::HeldToken;
use privacy_pass::Token;
use std::time::Duration;
use unix_clock::Timestamp;

/// How many tokens a client keeps, and for how long. The defaults are those of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalletPolicy {
    /// Number of tokens in a full wallet. Default: 10.
    pub capacity: usize,
    /// With fewer tokens than this, the wallet is filled in the background. Default: 5.
    pub refill_below: usize,
    /// Number of tokens that a request fetches besides its own when the wallet is empty. Default: 3.
    pub spare: usize,
    /// Age at which a token is discarded. Default: one day.
    pub lifetime: Duration,
}

impl Default for WalletPolicy {
    fn default() -> Self {
        Self { capacity: 10, refill_below: 5, spare: 3, lifetime: Duration::from_secs(86_400) }
    }
}

/// The tokens of one client, oldest first.
pub(crate) struct Wallet {
    policy: WalletPolicy,
    tokens: Vec<HeldToken>,
}

impl Wallet {
    pub(crate) fn new(policy: WalletPolicy, tokens: Vec<HeldToken>) -> Self {
        Self { policy, tokens }
    }

    pub(crate) fn tokens(&self) -> &[HeldToken] {
        &self.tokens
    }

    fn drop_expired(&mut self, now: Timestamp) {
        let lifetime = self.policy.lifetime;
        // After the clock was set back, a token seems to come from the future. It counts as new.
        self.tokens.retain(|held| now.since(held.fetched_at) < lifetime);
    }

    /// The oldest token that has not expired.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<HeldToken> {
        self.drop_expired(now);
        (!self.tokens.is_empty()).then(|| self.tokens.remove(0))
    }

    /// Takes back a token that was not shown to anyone.
    pub(crate) fn give_back(&mut self, held: HeldToken) {
        self.tokens.insert(0, held);
    }

    pub(crate) fn add(&mut self, tokens: Vec<Token>, now: Timestamp) {
        self.tokens.extend(tokens.into_iter().map(|token| HeldToken { token, fetched_at: now }));
    }

    /// Discards all tokens: the service accepts none of their key any more.
    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
    }

    /// How many tokens a request fetches that finds none.
    pub(crate) fn count_when_empty(&self) -> usize {
        1 + self.policy.spare
    }

    /// How many tokens to fetch in the background.
    pub(crate) fn refill_count(&mut self, now: Timestamp) -> usize {
        self.drop_expired(now);
        match self.tokens.len() < self.policy.refill_below {
            true => self.policy.capacity.saturating_sub(self.tokens.len()),
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(byte: u8) -> Token {
        Token::from_bytes(&[&[0, 2][..], &[byte; 352]].concat()).unwrap()
    }

    #[test]
    fn tokens_are_used_in_order_until_they_expire() {
        let mut wallet = Wallet::new(WalletPolicy::default(), Vec::new());
        let at = Timestamp::from_unix_seconds;
        let take =
            |wallet: &mut Wallet, now| wallet.take(at(now)).map(|held| held.token.as_bytes()[2]);
        assert_eq!(take(&mut wallet, 0), None);
        assert_eq!((wallet.count_when_empty(), wallet.refill_count(at(0))), (4, 10));
        wallet.add((0..6).map(token).collect(), at(100));
        assert_eq!(wallet.refill_count(at(100)), 0);
        assert_eq!(take(&mut wallet, 100), Some(0));
        let held = wallet.take(at(100)).unwrap();
        assert_eq!(wallet.refill_count(at(100)), 6);
        wallet.give_back(held);
        assert_eq!(take(&mut wallet, 100), Some(1));
        wallet.add(vec![token(9)], at(50_000));
        assert_eq!(take(&mut wallet, 100 + 86_399), Some(2));
        assert_eq!(take(&mut wallet, 100 + 86_400), Some(9));
        assert_eq!(take(&mut wallet, 100 + 86_400), None);
    }
}
