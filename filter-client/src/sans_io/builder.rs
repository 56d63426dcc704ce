//! Puts a client together.

use super::age::age_at;
use super::answers::Answers;
use super::caller::HttpCaller;
use super::client::Client;
use super::exchange::Now;
use super::inner::{Inner, State};
use super::io::Io;
use super::issuance::Issuer;
use super::outage::Outage;
use super::session::{ServiceConfig, Session};
use super::sharding::bits_of;
use super::wallet::Wallet;
use crate::endpoint::Party;
use crate::endpoint::{AddressError, ServiceUrls, parse_address};
use crate::error::Error;
use crate::options::ClientOptions;
use crate::state::{ClientState, StateError, StoredRefills, StoredSecret};
use http::HeaderValue;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// Puts a [`Client`] together.
#[must_use = "a builder does nothing before `build`"]
pub struct ClientBuilder {
    service: String,
    issuer: Option<String>,
    mirror: Option<String>,
    user_token: Option<Zeroizing<String>>,
    use_case: String,
    options: ClientOptions,
    state: ClientState,
}

impl Client {
    /// Starts to build a client for a use case: `<app bundle id>.url.filtering` for a URL filter. The
    /// address of the service is an origin, or a path below which its endpoints are.
    pub fn builder(service: impl Into<String>, use_case: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(service.into(), use_case.into())
    }
}

impl ClientBuilder {
    pub(super) fn new(service: String, use_case: String) -> Self {
        Self {
            service,
            issuer: None,
            mirror: None,
            user_token: None,
            use_case,
            options: ClientOptions::default(),
            state: ClientState::new(),
        }
    }

    /// The address of the token issuer. Default: the service's.
    pub fn issuer(mut self, url: impl Into<String>) -> Self {
        self.issuer = Some(url.into());
        self
    }

    /// The address of a copy of the issuer's directory, at someone else's: tokens are fetched only if both
    /// have the same key. It shows whether the issuer gives this user a key of its own.
    pub fn directory_mirror(mut self, url: impl Into<String>) -> Self {
        self.mirror = Some(url.into());
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

    /// The stored state of an earlier client, see [`Client::state`]. Without one, the client draws a new
    /// pseudonym and uploads a new key.
    pub fn state(mut self, state: ClientState) -> Self {
        self.state = state;
        self
    }

    /// How the client behaves so far.
    #[cfg(feature = "tokio")]
    pub(crate) fn current_options(&self) -> &ClientOptions {
        &self.options
    }

    /// Whether the client compares the issuer's directory.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_mirror(&self) -> bool {
        self.mirror.is_some()
    }

    /// Whether the client asks an issuer for tokens.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_user_token(&self) -> bool {
        self.user_token.is_some()
    }

    /// The client. It sends nothing before the first operation or refill.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::UserToken`] if the user token cannot be sent in a header,
    /// [`Error::State`], [`Error::Randomness`].
    pub fn build(self, now: Now) -> Result<Client, Error> {
        let options = self.options;
        let wrong = |party| move |source| Error::Address { party, source };
        let service = parse_address(&self.service).map_err(wrong(Party::Service))?;
        let address = service.as_str().to_owned();
        if self.state.service.as_ref().is_some_and(|of| *of != address) {
            return Err(StateError::OtherService.into());
        }
        let urls = ServiceUrls::new(&service).map_err(wrong(Party::Service))?;
        let issuer_url = match &self.issuer {
            Some(url) => parse_address(url).map_err(wrong(Party::Issuer))?,
            None => service,
        };
        let mirror = self.mirror.map(|url| {
            let url = parse_address(&url)?;
            url.as_str().parse().map_err(|_| AddressError::Uri)
        });
        let mirror = mirror.transpose().map_err(wrong(Party::Mirror))?;
        let issuer =
            self.user_token.map(|token| Issuer::new(issuer_url, mirror, &token)).transpose()?;
        let pseudonym = HeaderValue::from_str(&self.state.user_identifier)
            .map_err(|_| StateError::UserIdentifier)?;
        let refills = match self.state.refills {
            Some(refills) => refills,
            // States of earlier releases have none.
            None => StoredRefills::draw(&self.state.tokens).map_err(|_| Error::Randomness)?,
        };
        // Keys that are out of date could only read what was recorded.
        let is_young = |secret: &StoredSecret| {
            age_at(now.unix, secret.made_at()).is_some_and(|age| age < options.key_lifetime)
        };
        let mut secrets = self.state.secrets;
        secrets.retain(is_young);
        // A stored configuration that cannot be used is not an error: a new one is fetched.
        let config = self.state.config;
        let config =
            config.and_then(|stored| ServiceConfig::read(stored, options.sharding.max_count).ok());
        // States of earlier releases do not tell under which sharding keywords were asked for.
        let told = || config.as_ref().and_then(|config| config.sharding().told());
        let sharding = self.state.sharding.or_else(told);
        // Of a number that is not known, the largest that is accepted.
        let config_bits = config
            .as_ref()
            .map_or_else(|| bits_of(options.sharding.max_count), |config| config.sharding().bits());
        let told_bits = match self.state.told_bits {
            0 if sharding.is_some() => config_bits,
            told => told,
        };
        let session = config.and_then(|config| {
            let hash = &config.key_config_hash;
            let secret = secrets.iter().find(|secret| secret.key_config_hash == *hash)?;
            Session::new(config, secret).ok().map(Arc::new)
        });
        Ok(Client::new(Inner {
            urls,
            address,
            issuer,
            use_case: self.use_case,
            pseudonym,
            caller: HttpCaller::new(Io::new(now), options.retry),
            answers: Arc::new(Answers::new(options.answers).map_err(|_| Error::Randomness)?),
            state: Mutex::new(State {
                user_identifier: self.state.user_identifier,
                secrets,
                config: session.as_ref().map(|session| session.stored_config().clone()),
                sharding,
                told_bits,
                wallet: Wallet::new(options.wallet, self.state.tokens),
                checked_at: session.is_some().then_some(now.unix),
                session,
                outage: Outage::default(),
                rows: None,
                refills,
                issuer_key: self.state.issuer_key,
                refill_failure: None,
            }),
            options,
            revision: AtomicU64::new(0),
            setting_up: futures_util::lock::Mutex::default(),
            fetching: futures_util::lock::Mutex::default(),
        }))
    }
}
