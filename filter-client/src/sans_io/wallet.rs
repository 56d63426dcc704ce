//! Tokens at hand.

use super::age::age_at;
use crate::state::HeldToken;
use privacy_pass::Token;
use std::time::Duration;
use unix_clock::Timestamp;

/// What a lookup does that finds no token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptyWallet {
    /// It fetches tokens if none were asked for within the [lifetime](WalletPolicy::lifetime) of a token, and fails
    /// otherwise. So it fetches at the first start, and when the client was away for days. Attempts that fail count: after the
    /// first one a few more follow at random times, and no other lookup makes one. Each such fetch tells an
    /// issuer that is also the service whose lookup it was;
    /// [`PirClient::fetch_tokens`](crate::PirClient::fetch_tokens) hours before the first lookup avoids the first.
    #[default]
    FetchOnce,
    /// It fetches tokens. The issuer sees the user token just before the service sees the lookup.
    Fetch,
    /// It fails. Tokens come with the next refill, or by
    /// [`PirClient::fetch_tokens`](crate::PirClient::fetch_tokens).
    Fail,
}

/// How many tokens a client keeps, and when it fetches new ones.
///
/// Every fetch shows the issuer that the user runs a client, and when. So a client fetches tokens at times that do not
/// depend on lookups: in each interval once, at a random time, and always as many. A client that looks up
/// more than that is without tokens until the next refill, see [`EmptyWallet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalletPolicy {
    /// Largest number of tokens; of more, the oldest are discarded. Default: 120.
    pub capacity: usize,
    /// Number of tokens that a refill fetches, however many there are; 0 for no refills. Default: 30.
    pub refill_count: usize,
    /// Length of the intervals of which each has one refill, at a random time, in whole seconds; zero for no
    /// refills. The times are drawn from a secret in the stored state. Default: 6 hours, as often as devices.
    pub refill_interval: Duration,
    /// Number of tokens that a request fetches besides its own when it may fetch some at once. Default: 29.
    pub spare: usize,
    /// What a lookup does that finds no token.
    pub when_empty: EmptyWallet,
    /// Age at which a token is discarded. Services accept tokens for a week. Default: two days.
    pub lifetime: Duration,
}

impl Default for WalletPolicy {
    fn default() -> Self {
        Self {
            capacity: 120,
            refill_count: 30,
            refill_interval: Duration::from_secs(6 * 3600),
            spare: 29,
            when_empty: EmptyWallet::default(),
            lifetime: Duration::from_secs(2 * 86_400),
        }
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
        self.tokens.retain(|held| age_at(now, held.fetched_at).is_some_and(|age| age < lifetime));
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

    /// Adds tokens, and discards the oldest of more than the policy allows.
    pub(crate) fn add(&mut self, tokens: Vec<Token>, now: Timestamp) {
        self.drop_expired(now);
        self.tokens.extend(tokens.into_iter().map(|token| HeldToken { token, fetched_at: now }));
        let surplus = self.tokens.len().saturating_sub(self.policy.capacity);
        self.tokens.drain(..surplus);
    }

    /// Discards the tokens of a key: the service accepts none of it any more.
    pub(crate) fn discard_key(&mut self, key_id: [u8; 32]) {
        self.tokens.retain(|held| held.token.key_id() != key_id);
    }

    /// How many tokens a request fetches that finds none.
    pub(crate) fn count_when_empty(&self) -> usize {
        1 + self.policy.spare
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
        let lifetime = Duration::from_secs(86_400);
        let policy = WalletPolicy { capacity: 10, spare: 3, lifetime, ..WalletPolicy::default() };
        let mut wallet = Wallet::new(policy, Vec::new());
        let at = Timestamp::from_unix_seconds;
        let take =
            |wallet: &mut Wallet, now| wallet.take(at(now)).map(|held| held.token.as_bytes()[2]);
        assert_eq!(take(&mut wallet, 0), None);
        assert_eq!(wallet.count_when_empty(), 4);
        wallet.add((0..6).map(token).collect(), at(100));
        assert_eq!(take(&mut wallet, 100), Some(0));
        let held = wallet.take(at(100)).unwrap();
        wallet.give_back(held);
        assert_eq!(take(&mut wallet, 100), Some(1));
        wallet.add(vec![token(9)], at(50_000));
        assert_eq!(take(&mut wallet, 100 + 86_399), Some(2));
        assert_eq!(take(&mut wallet, 100 + 86_400), Some(9));
        assert_eq!(take(&mut wallet, 100 + 86_400), None);
    }

    #[test]
    fn the_oldest_tokens_make_room_for_new_ones() {
        let at = Timestamp::from_unix_seconds;
        for (capacity, first) in [(5, 1), (6, 0), (7, 0)] {
            let policy = WalletPolicy { capacity, ..WalletPolicy::default() };
            let mut wallet = Wallet::new(policy, Vec::new());
            wallet.add((0..3).map(token).collect(), at(0));
            wallet.add((3..6).map(token).collect(), at(1));
            assert_eq!(wallet.tokens().len(), capacity.min(6));
            assert_eq!(wallet.take(at(1)).unwrap().token.as_bytes()[2], first, "{capacity}");
        }
    }

    #[test]
    fn tokens_of_one_key_are_discarded() {
        let mut wallet = Wallet::new(WalletPolicy::default(), Vec::new());
        wallet.add(vec![token(1), token(2), token(1)], Timestamp::from_unix_seconds(0));
        wallet.discard_key(token(1).key_id());
        let left: Vec<u8> = wallet.tokens().iter().map(|held| held.token.as_bytes()[2]).collect();
        assert_eq!(left, [2]);
    }
}
