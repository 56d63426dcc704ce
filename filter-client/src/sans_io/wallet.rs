//! Tokens at hand.

use super::age::age_at;
use super::retry::random_share;
use crate::state::HeldToken;
use privacy_pass::Token;
use std::time::Duration;
use unix_clock::Timestamp;

/// What a lookup does that finds no token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptyWallet {
    /// It fetches tokens if this client has fetched none yet, and fails otherwise. A service that refuses
    /// tokens can then tie one lookup to its user's token for each start of a client, and no more.
    #[default]
    FetchOnce,
    /// It fetches tokens. The issuer sees the user token just before the service sees the lookup.
    Fetch,
    /// It fails. [`PirClient::prepare`](crate::PirClient::prepare) fetches the first tokens.
    Fail,
}

/// How many tokens a client keeps, and for how long.
///
/// Every fetch shows the issuer when the user needs tokens. So a client keeps more of them than devices do
/// (10), and fetches new ones some time after the lookup that made them few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalletPolicy {
    /// Number of tokens in a full wallet. Default: 60.
    pub capacity: usize,
    /// With fewer tokens than this in the first half of their lifetime, a refill of the wallet is planned.
    /// Default: 40.
    pub refill_below: usize,
    /// Number of tokens that a request fetches besides its own when the wallet is empty. Default: 9.
    pub spare: usize,
    /// What a lookup does that finds no token.
    pub when_empty: EmptyWallet,
    /// Shortest time from the lookup after which a refill is planned to the refill. Default: 1 minute.
    pub min_refill_delay: Duration,
    /// Longest such time; a time in between is chosen at random. Default: 10 minutes.
    pub max_refill_delay: Duration,
    /// Age at which a token is discarded. Default: one day.
    pub lifetime: Duration,
}

impl Default for WalletPolicy {
    fn default() -> Self {
        Self {
            capacity: 60,
            refill_below: 40,
            spare: 9,
            when_empty: EmptyWallet::default(),
            min_refill_delay: Duration::from_secs(60),
            max_refill_delay: Duration::from_secs(600),
            lifetime: Duration::from_secs(86_400),
        }
    }
}

impl WalletPolicy {
    /// A random time within the bounds.
    pub(crate) fn refill_delay(&self) -> Duration {
        let range = self.max_refill_delay.saturating_sub(self.min_refill_delay);
        let seconds = range.as_secs_f64() * random_share();
        let share = Duration::try_from_secs_f64(seconds).unwrap_or(range);
        self.min_refill_delay.saturating_add(share)
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

    /// How many tokens a refill fetches. Tokens in the second half of their lifetime count as gone, so that
    /// others take their place before they expire.
    pub(crate) fn refill_count(&mut self, now: Timestamp) -> usize {
        self.drop_expired(now);
        let half = self.policy.lifetime / 2;
        let is_new = |held: &&HeldToken| age_at(now, held.fetched_at).is_some_and(|age| age < half);
        let new = self.tokens.iter().filter(is_new).count();
        match new < self.policy.refill_below {
            true => self.policy.capacity.saturating_sub(new),
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
        let policy =
            WalletPolicy { capacity: 10, refill_below: 5, spare: 3, ..WalletPolicy::default() };
        let mut wallet = Wallet::new(policy, Vec::new());
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
    #[test]
    fn a_refill_comes_within_its_bounds() {
        let policy = WalletPolicy::default();
        let delays: Vec<_> = (0..50).map(|_| policy.refill_delay()).collect();
        let (min, max) = (policy.min_refill_delay, policy.max_refill_delay);
        assert!(delays.iter().all(|delay| (min..=max).contains(delay)));
        assert!(delays.windows(2).any(|pair| pair[0] != pair[1]));
        let fixed = WalletPolicy { max_refill_delay: Duration::ZERO, ..policy };
        assert_eq!(fixed.refill_delay(), min);
    }
}
