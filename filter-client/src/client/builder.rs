//! Puts a client together.

use super::PirClient;
use super::driver::{Store, Transports};
use crate::error::Error;
use crate::options::ClientOptions;
use crate::sans_io;
use crate::state::ClientState;
use crate::transport::Transport;
use std::io;
use std::sync::Arc;
use unix_clock::{Clock, SystemClock};

/// Puts a [`PirClient`] together.
#[must_use = "a builder does nothing before `build`"]
pub struct ClientBuilder {
    client: sans_io::ClientBuilder,
    service_transport: Option<Arc<dyn Transport>>,
    issuer_transport: Option<Arc<dyn Transport>>,
    mirror_transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    store: Option<Store>,
}

impl ClientBuilder {
    pub(super) fn new(client: sans_io::ClientBuilder) -> Self {
        Self {
            client,
            service_transport: None,
            issuer_transport: None,
            mirror_transport: None,
            clock: Arc::new(SystemClock),
            store: None,
        }
    }

    /// The address of the token issuer. Default: the service's.
    pub fn issuer(self, url: impl Into<String>) -> Self {
        Self { client: self.client.issuer(url), ..self }
    }

    /// The address of a copy of the issuer's directory, see [`sans_io::ClientBuilder::directory_mirror`].
    pub fn directory_mirror(self, url: impl Into<String>) -> Self {
        Self { client: self.client.directory_mirror(url), ..self }
    }

    /// The user token, which the issuer exchanges for tokens. Without one, requests carry no token.
    pub fn user_token(self, token: impl Into<String>) -> Self {
        Self { client: self.client.user_token(token), ..self }
    }

    /// How the client behaves.
    pub fn options(self, options: ClientOptions) -> Self {
        Self { client: self.client.options(options), ..self }
    }

    /// The stored state of an earlier client, see [`PirClient::state`]. Without one, the client draws a
    /// new pseudonym and uploads a new key.
    pub fn state(self, state: ClientState) -> Self {
        Self { client: self.client.state(state), ..self }
    }

    /// Stores the state for the next run. The function is called whenever the state has changed, before any
    /// request is sent that depends on it, and returns when the state will survive a crash: a file is
    /// written under another name, synchronised and renamed. If it fails, nothing is sent, and the lookup
    /// fails with [`TransportError::NotStored`](crate::TransportError::NotStored).
    ///
    /// Without it, a client that ends at the wrong moment may spend a token twice, or forget which numbers
    /// of shards it has asked under, in its next run: see [`sans_io`]. The function must not call the
    /// client, and should take milliseconds: requests wait for it.
    ///
    /// ```
    /// use filter_client::{ClientState, PirClient};
    ///
    /// # struct Keychain;
    /// # impl Keychain {
    /// #     fn read(&self) -> Option<Vec<u8>> { None }
    /// #     fn replace(&self, _: &[u8]) -> std::io::Result<()> { Ok(()) }
    /// # }
    /// # let keychain = Keychain;
    /// let state = match keychain.read() {
    ///     Some(bytes) => ClientState::from_bytes(&bytes)?,
    ///     None => ClientState::new(),
    /// };
    /// let client = PirClient::builder("https://pir.example", "com.example.app.url.filtering")
    ///     .state(state)
    ///     .store_state(move |state| keychain.replace(&state.to_bytes()))
    ///     .build()?;
    /// # drop(client);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store_state(
        self,
        store: impl FnMut(&ClientState) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self { store: Some(Box::new(store)), ..self }
    }

    /// How requests to the service travel. Default: `HttpTransport`, if the feature `http` is enabled.
    pub fn transport(self, transport: Arc<dyn Transport>) -> Self {
        Self { service_transport: Some(transport), ..self }
    }

    /// How requests to the issuer travel. It must share no connection and no TLS session with the
    /// service's transport, because requests to the issuer carry the user token. Default: another
    /// `HttpTransport` if the service has the default, too; otherwise a client with a user token needs
    /// one.
    pub fn issuer_transport(self, transport: Arc<dyn Transport>) -> Self {
        Self { issuer_transport: Some(transport), ..self }
    }

    /// How requests to the mirror of the directory travel: not through anything that the issuer runs, such as
    /// its gateway. Default: another `HttpTransport` if the issuer has the default, too; otherwise a client
    /// with a mirror needs one.
    pub fn mirror_transport(self, transport: Arc<dyn Transport>) -> Self {
        Self { mirror_transport: Some(transport), ..self }
    }

    /// Another clock than the machine's.
    pub fn clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The client. It sends nothing before the first lookup, but for refills of the wallet, if it is built on a
    /// runtime.
    ///
    /// # Errors
    /// [`Error::NoTransport`], [`Error::NoIssuerTransport`], [`Error::NoMirrorTransport`],
    /// [`Error::TransportSetup`], and as
    /// [`sans_io::ClientBuilder::build`].
    pub fn build(self) -> Result<PirClient, Error> {
        let client = self.client;
        let default = || default_transport(client.current_options());
        let issuer = match (self.issuer_transport, &self.service_transport) {
            (Some(transport), _) => Some(transport),
            (None, _) if !client.has_user_token() => None,
            (None, Some(_)) => return Err(Error::NoIssuerTransport),
            (None, None) => Some(default()?),
        };
        let mirror = match self.mirror_transport {
            Some(transport) => Some(transport),
            None if !client.has_mirror() => None,
            None if self.service_transport.is_some() => return Err(Error::NoMirrorTransport),
            None => Some(default()?),
        };
        let is_own = self.service_transport.is_some();
        let service = self.service_transport.map_or_else(default, Ok)?;
        PirClient::new(
            client,
            Transports { service, is_own, issuer, mirror },
            self.clock,
            self.store,
        )
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
