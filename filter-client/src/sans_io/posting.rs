//! Requests to the service: each carries a token of its own.

use super::inner::Inner;
use super::issuance::accept_key;
use super::wallet::EmptyWallet;
use crate::endpoint::ServiceEndpoint;
use crate::error::Error;
use crate::state::HeldToken;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::sync::Arc;

const USER_IDENTIFIER: HeaderName = HeaderName::from_static("user-identifier");

impl Inner {
    /// Fetches tokens into the wallet. Without an issuer there is nothing to fetch.
    pub(super) async fn fetch_tokens(&self, count: usize) -> Result<(), Error> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        if count == 0 {
            return Ok(());
        }
        self.lock().has_fetched = true;
        let offer = issuer.offer(&self.caller, self.now()).await?;
        // Noted before the issuer learns that this user has this key: it could otherwise show another one
        // whenever a request for tokens fails or the process ends.
        let is_new = {
            let mut state = self.lock();
            let seen = accept_key(offer.key(), state.issuer_key, self.now())?;
            state.issuer_key.replace(seen) != Some(seen)
        };
        if is_new {
            self.note_change();
        }
        let tokens = issuer.fetch(&self.caller, &offer, count).await?;
        self.lock().wallet.add(tokens, self.now());
        self.note_change();
        Ok(())
    }

    /// Plans a refill of the wallet when few tokens are left, or few that are new: some time later, so that
    /// the issuer cannot tell by the time which lookup made it necessary.
    pub(super) fn plan_refill(self: &Arc<Self>) {
        let now = self.now();
        {
            let mut state = self.lock();
            if self.issuer.is_none() || state.is_refilling || state.wallet.refill_count(now) == 0 {
                return;
            }
            state.is_refilling = true;
        }
        let inner = Arc::clone(self);
        self.caller.io.start(Box::pin(async move {
            let io = &inner.caller.io;
            io.sleep(inner.options.wallet.refill_delay()).await;
            let count = inner.lock().wallet.refill_count(inner.now());
            // A failure appears in the lookup that needs a token. The next lookup plans another refill.
            drop(io.timeout(inner.options.lookup_timeout, inner.fetch_tokens(count)).await);
            inner.lock().is_refilling = false;
        }));
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
                self.plan_refill();
                return Err(Error::NoTokens);
            }
            self.fetch_tokens(count).await?;
        }
    }

    /// Whether tokens may be fetched in the middle of a lookup, which ties the two by their time.
    fn may_fetch_at_once(&self) -> bool {
        match self.options.wallet.when_empty {
            EmptyWallet::FetchOnce => !self.lock().has_fetched,
            EmptyWallet::Fetch => true,
            EmptyWallet::Fail => false,
        }
    }

    /// Posts to the service, as often as the retry policy allows, each time with another token.
    pub(super) async fn post(
        self: &Arc<Self>,
        endpoint: ServiceEndpoint,
        body: Bytes,
        max_body: usize,
    ) -> Result<Bytes, Error> {
        let mut backoff = self.caller.backoff();
        let mut were_tokens_replaced = false;
        loop {
            let token = self.token().await?;
            let request = self.request(endpoint, body.clone(), token.as_ref())?;
            let failure = match self.caller.attempt(endpoint.into(), request, max_body).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            if let (false, Some(token)) = (failure.may_have_arrived, token) {
                self.lock().wallet.give_back(token);
                self.note_change();
            }
            let is_unauthorized = failure.status == Some(StatusCode::UNAUTHORIZED);
            if is_unauthorized && self.issuer.is_some() {
                // The tokens at hand are of a retired key, or were spent by another run. A service that says
                // so at will must not make the client fetch tokens at a time of its choice.
                self.lock().wallet.clear();
                self.note_change();
                if !were_tokens_replaced && self.may_fetch_at_once() {
                    were_tokens_replaced = true;
                    continue;
                }
                self.plan_refill();
            }
            backoff.wait(failure).await?;
        }
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
