//! Tokens at hand, as devices keep them: about ten, more when fewer than five are left, none older
//! than a day.

use crate::secrets::HeldToken;
use privacy_pass::Token;

/// How many tokens are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletPolicy {
    /// Tokens that a full wallet has.
    pub full: usize,
    /// With fewer than that, more are fetched in the background.
    pub low: usize,
    /// Tokens beyond the one that is needed, when there is none.
    pub extra: usize,
    /// Seconds after which a token is thrown away.
    pub lifetime: u64,
}

impl Default for WalletPolicy {
    fn default() -> Self {
        Self { full: 10, low: 5, extra: 3, lifetime: 86_400 }
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

    fn drop_expired(&mut self, now: u64) {
        let lifetime = self.policy.lifetime;
        // A clock that was set back makes tokens of the future, which are as good as new.
        self.tokens.retain(|held| now.saturating_sub(held.fetched_at) < lifetime);
    }

    /// The oldest token that is good.
    pub(crate) fn take(&mut self, now: u64) -> Option<HeldToken> {
        self.drop_expired(now);
        (!self.tokens.is_empty()).then(|| self.tokens.remove(0))
    }

    /// A token that was taken and not shown to anyone.
    pub(crate) fn give_back(&mut self, held: HeldToken) {
        self.tokens.insert(0, held);
    }

    pub(crate) fn add(&mut self, tokens: Vec<Token>, now: u64) {
        self.tokens.extend(tokens.into_iter().map(|token| HeldToken { token, fetched_at: now }));
    }

    /// Throws all tokens away: their key is not accepted any more, or they belong to a state of a
    /// service that is gone.
    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
    }

    /// How many tokens a request that finds none has to fetch.
    pub(crate) fn when_empty(&self) -> usize {
        1 + self.policy.extra
    }

    /// How many tokens to fetch in the background.
    pub(crate) fn wanted(&mut self, now: u64) -> usize {
        self.drop_expired(now);
        match self.tokens.len() < self.policy.low {
            true => self.policy.full.saturating_sub(self.tokens.len()),
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
    fn tokens_go_in_turn_and_in_time() {
        let mut wallet = Wallet::new(WalletPolicy::default(), Vec::new());
        let take = |wallet: &mut Wallet, now| wallet.take(now).map(|held| held.token.as_bytes()[2]);
        assert_eq!(take(&mut wallet, 0), None);
        assert_eq!((wallet.when_empty(), wallet.wanted(0)), (4, 10));
        wallet.add((0..6).map(token).collect(), 100);
        assert_eq!(wallet.wanted(100), 0);
        assert_eq!(take(&mut wallet, 100), Some(0));
        let held = wallet.take(100).unwrap();
        assert_eq!(wallet.wanted(100), 6);
        wallet.give_back(held);
        assert_eq!(take(&mut wallet, 100), Some(1));
        wallet.add(vec![token(9)], 50_000);
        assert_eq!(take(&mut wallet, 100 + 86_399), Some(2));
        assert_eq!(take(&mut wallet, 100 + 86_400), Some(9));
        assert_eq!(take(&mut wallet, 100 + 86_400), None);
    }
}
