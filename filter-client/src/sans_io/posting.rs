//! Requests to the service: each carries a token of its own.

use super::Inner;
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
        let tokens = issuer.fetch(&self.caller, count, self.now()).await?;
        self.lock().wallet.add(tokens, self.now());
        self.note_change();
        Ok(())
    }

    /// Plans a refill of the wallet when few tokens are left: some time later, so that the issuer cannot
    /// tell by the time which lookup made it necessary.
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
            inner.caller.io.sleep(inner.options.wallet.refill_delay()).await;
            let count = inner.lock().wallet.refill_count(inner.now());
            // A failure appears in the lookup that needs a token. The next lookup plans another refill.
            drop(inner.fetch_tokens(count).await);
            inner.lock().is_refilling = false;
        }));
    }

    /// A token for one request; `None` if requests carry none.
    async fn token(&self) -> Result<Option<HeldToken>, Error> {
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
            self.fetch_tokens(count).await?;
        }
    }

    /// Posts to the service, as often as the retry policy allows, each time with another token.
    pub(super) async fn post(
        &self,
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
            }
            let is_unauthorized = failure.status == Some(StatusCode::UNAUTHORIZED);
            if is_unauthorized && self.issuer.is_some() && !were_tokens_replaced {
                // The tokens at hand are of a retired key, or were spent by another run.
                self.lock().wallet.clear();
                were_tokens_replaced = true;
                continue;
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
