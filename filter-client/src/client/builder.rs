//! Puts a client together.

use super::outage::Outage;
use super::{ClientOptions, Inner, PirClient, State};
use crate::answers::Answers;
use crate::background::BackgroundTask;
use crate::caller::HttpCaller;
use crate::endpoint::{ServiceUrls, parse_address};
use crate::error::{Error, Party};
use crate::issuance::Issuer;
use crate::session::{ServiceConfig, Session};
use crate::state::{ClientState, StateError};
use crate::transport::Transport;
use crate::wallet::Wallet;
use http::HeaderValue;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use unix_clock::{Clock, SystemClock};
use zeroize::Zeroizing;

/// Puts a [`PirClient`] together.
#[must_use = "a builder does nothing before `build`"]
pub struct ClientBuilder {
    service: String,
    issuer: Option<String>,
    user_token: Option<Zeroizing<String>>,
    use_case: String,
    options: ClientOptions,
    state: ClientState,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
}

impl ClientBuilder {
    pub(super) fn new(service: String, use_case: String) -> Self {
        Self {
            service,
            issuer: None,
            user_token: None,
            use_case,
            options: ClientOptions::default(),
            state: ClientState::new(),
            transport: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The address of the token issuer. Default: the service's.
    pub fn issuer(mut self, url: impl Into<String>) -> Self {
        self.issuer = Some(url.into());
        self
    }

    /// The user token, which the issuer exchanges for tokens. Without one, requests carry no token.
    pub fn user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(Zeroizing::new(token.into()));
        self
    }

    /// How the client behaves.
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    /// The stored state of an earlier client, see [`PirClient::state`]. Without one, the client draws a
    /// new pseudonym and uploads a new key.
    pub fn state(mut self, state: ClientState) -> Self {
        self.state = state;
        self
    }

    /// How requests travel. Default: `HttpTransport`, if the feature `http` is enabled.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The client. It sends nothing before the first lookup.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::UserToken`] if the user token cannot be sent in a header,
    /// [`Error::NoTransport`], [`Error::TransportSetup`], [`Error::Randomness`].
    pub fn build(self) -> Result<PirClient, Error> {
        let options = self.options;
        let wrong = |party| move |source| Error::Address { party, source };
        let service = parse_address(&self.service).map_err(wrong(Party::Service))?;
        let urls = ServiceUrls::new(&service).map_err(wrong(Party::Service))?;
        let issuer_url = match &self.issuer {
            Some(url) => parse_address(url).map_err(wrong(Party::Issuer))?,
            None => service,
        };
        let issuer = self.user_token.map(|token| Issuer::new(issuer_url, &token)).transpose()?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport(&options)?,
        };
        let pseudonym = HeaderValue::from_str(&self.state.user_identifier)
            .map_err(|_| StateError::UserIdentifier)?;
        // A stored configuration that cannot be used is not an error: a new one is fetched.
        let config = self.state.config.and_then(|stored| ServiceConfig::read(stored).ok());
        let secrets = self.state.secrets;
        let session = config.and_then(|config| {
            let hash = &config.key_config_hash;
            let secret = secrets.iter().find(|secret| secret.key_config_hash == *hash)?;
            Session::new(config, secret).ok().map(Arc::new)
        });
        let now = self.clock.now();
        Ok(PirClient(Arc::new(Inner {
            urls,
            issuer,
            use_case: self.use_case,
            pseudonym,
            caller: HttpCaller::new(transport, options.retry),
            answers: Answers::new(options.answers).map_err(|_| Error::Randomness)?,
            state: Mutex::new(State {
                user_identifier: self.state.user_identifier,
                secrets,
                config: session.as_ref().map(|session| session.stored_config().clone()),
                wallet: Wallet::new(options.wallet, self.state.tokens),
                checked_at: session.is_some().then_some(now),
                session,
                outage: Outage::default(),
            }),
            options,
            revision: AtomicU64::new(0),
            setting_up: tokio::sync::Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            refill: BackgroundTask::default(),
            clock: self.clock,
        })))
    }
}

#[cfg(feature = "http")]
fn default_transport(options: &ClientOptions) -> Result<Arc<dyn Transport>, Error> {
    let transport = crate::http_transport::HttpTransport::new(options.request_timeout);
    Ok(Arc::new(transport.map_err(Error::TransportSetup)?))
}

#[cfg(not(feature = "http"))]
fn default_transport(_: &ClientOptions) -> Result<Arc<dyn Transport>, Error> {
    Err(Error::NoTransport)
}
