//! Requests to the service: each carries a token of its own.

use super::inner::Inner;
use super::issuance::{compare, was_away};
use super::refills::{MAX_LATE, Refills, max_sleep, may_fetch_at_once};
use crate::endpoint::ServiceEndpoint;
use crate::error::Error;
use crate::state::HeldToken;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;

/// A slot that is used is over.
const SECOND: Duration = Duration::from_secs(1);
const USER_IDENTIFIER: HeaderName = HeaderName::from_static("user-identifier");

impl Inner {
    /// Fetches tokens into the wallet. Without an issuer there is nothing to fetch.
    pub(super) async fn fetch_tokens(&self, count: usize) -> Result<(), Error> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        if count == 0 {
            return Ok(());
        }
        // Each attempt counts, the first one and those that met nobody among them: whoever runs the issuer can refuse
        // connections, or present a wrong certificate. It could otherwise have every lookup fetch tokens, or a client begin anew
        // with its key.
        let begun = self.caller.io.now().elapsed;
        let tried_at = {
            let (mut state, now) = (self.lock(), self.now());
            state.refills.begin(now)
        };
        self.note_change();
        let offer = issuer.offer(&self.caller, self.now()).await?;
        // Noted before the issuer learns that this user has this key: it could otherwise show another one
        // whenever a request for tokens fails or the process ends.
        let outcome = {
            let (mut state, now) = (self.lock(), self.now());
            let seen = state.issuer_key.as_ref();
            let (seen, outcome) = compare(&offer.shown(), seen, was_away(tried_at, now), now);
            state.issuer_key = Some(seen);
            outcome
        };
        self.note_change();
        outcome?;
        // A lookup that waits for tokens has a part of its time left for what follows.
        let passed = self.caller.io.now().elapsed.saturating_sub(begun);
        let max_wait = self.options.lookup_timeout.saturating_sub(passed) / 2;
        let keep = |token| {
            {
                let mut state = self.lock();
                state.refills.succeed(self.now());
                state.refill_failure = None;
                state.wallet.add(vec![token], self.now());
            }
            self.note_change();
        };
        issuer.fetch(&self.caller, &offer, count, max_wait, keep).await
    }

    /// The next slot after now; `None` if the wallet is not refilled.
    fn next_slot(&self) -> Option<Timestamp> {
        let state = self.lock();
        let refills = Refills::new(&state.refills, &self.options.wallet)?;
        Some(refills.next(self.now() + SECOND))
    }

    /// Refills the wallet at each slot, for as long as the client lives.
    pub(super) async fn refill_always(self: Arc<Self>) {
        let io = &self.caller.io;
        // Looked for again each time: clocks are set.
        while let Some(slot) = self.next_slot() {
            let max_sleep = max_sleep(&self.lock().refills);
            io.sleep(slot.since(self.now()).min(max_sleep)).await;
            let now = self.now();
            if now >= slot && now.since(slot) <= MAX_LATE {
                // There is no other fetch in the place of one that fails.
                let fetching = self.fetch_tokens(self.options.wallet.refill_count);
                let outcome = io.timeout(self.options.lookup_timeout, fetching).await;
                if let Err(error) = outcome.unwrap_or(Err(Error::Deadline)) {
                    self.lock().refill_failure = Some(Arc::new(error));
                }
            }
        }
    }

    /// A token for one request; `None` if requests carry none.
    async fn token(self: &Arc<Self>) -> Result<Option<HeldToken>, Error> {
        if self.issuer.is_none() {
            return Ok(None);
        }
        loop {
            if let Some(token) = self.lock().wallet.take(self.now()) {
                self.note_change();
                return Ok(Some(token));
            }
            let _permit = self.fetching.lock().await;
            // Another request may have fetched tokens while this one waited for the lock.
            let count = {
                let wallet = &self.lock().wallet;
                if wallet.tokens().is_empty() { wallet.count_when_empty() } else { 0 }
            };
            if count > 0 && !self.may_fetch_at_once() {
                return Err(Error::NoTokens { refill: self.lock().refill_failure.clone() });
            }
            self.fetch_tokens(count).await?;
        }
    }

    /// Whether tokens may be fetched in the middle of a lookup, which ties the two by their time.
    fn may_fetch_at_once(&self) -> bool {
        may_fetch_at_once(&self.lock().refills, &self.options.wallet, self.now())
    }

    /// Posts to the service, as often as the retry policy allows, each time with another token.
    pub(super) async fn post(
        self: &Arc<Self>,
        endpoint: ServiceEndpoint,
        body: Bytes,
        max_body: usize,
    ) -> Result<Bytes, Error> {
        let mut backoff = self.caller.backoff();
        let mut refusals = 0;
        loop {
            let token = self.token().await?;
            let request = self.request(endpoint, body.clone(), token.as_ref())?;
            let failure = match self.caller.attempt(endpoint.into(), request, max_body).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let key_id = token.as_ref().map(|held| held.token.key_id());
            if let (false, Some(token)) = (failure.may_have_arrived, token) {
                self.lock().wallet.give_back(token);
                self.note_change();
            }
            if let (Some(StatusCode::UNAUTHORIZED), Some(key_id)) = (failure.status, key_id) {
                refusals += 1;
                if self.goes_on_after(refusals, key_id) {
                    continue;
                }
            }
            backoff.wait(failure).await?;
        }
    }

    /// Whether a request is sent again after the service has refused tokens of a key. It changes no time at which tokens are
    /// fetched: a service could otherwise choose that time.
    fn goes_on_after(&self, refusals: u32, key_id: [u8; 32]) -> bool {
        {
            let wallet = &mut self.lock().wallet;
            if refusals == 1 && !wallet.tokens().is_empty() {
                // It may have been spent by another run.
                return true;
            }
            // All tokens at hand are of a retired key, or were spent by another run.
            wallet.discard_key(key_id);
        }
        self.note_change();
        refusals <= 2 && self.may_fetch_at_once()
    }

    fn request(
        &self,
        endpoint: ServiceEndpoint,
        body: Bytes,
        token: Option<&HeldToken>,
    ) -> Result<http::Request<Bytes>, Error> {
        let mut request = http::Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.urls.get(endpoint).clone();
        let headers = request.headers_mut();
        headers.insert(USER_IDENTIFIER, self.pseudonym.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if let Some(held) = token {
            let text = held.token.to_authorization();
            let value = HeaderValue::from_str(&text);
            let mut value = value.map_err(|_| privacy_pass::Error::Authorization)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }
}
