//! The client and the filter for callers without an asynchronous runtime.
//!
//! Each value has a Tokio runtime with one thread of its own, which fetches tokens and prefilters in the
//! background between calls.

use crate::check::{Decision, FilterOptions};
use crate::client::{ClientBuilder, PirClient};
use crate::error::Error;
use crate::prefilter::{PrefilterError, PrefilterSource};
use crate::sans_io::{Answer, Keywords, Lookup};
use crate::transport::Transport;
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// A blocking client or filter cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// The thread cannot be started.
    #[error("cannot start a thread for the network")]
    Thread(#[from] io::Error),
    /// The prefilter cannot be loaded.
    #[error(transparent)]
    Prefilter(#[from] PrefilterError),
    /// The client cannot be built.
    #[error(transparent)]
    Client(#[from] Error),
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// A blocking [`crate::UrlFilter`]. Its functions panic if they are called within an asynchronous runtime.
pub struct UrlFilter {
    filter: crate::filter::UrlFilter,
    runtime: Runtime,
}

impl UrlFilter {
    /// Loads the prefilter, over the built-in transport if it is on a server, and builds the client.
    ///
    /// # Errors
    /// [`BlockingError`] if there is no prefilter that can be used, or the client cannot be built.
    #[cfg(feature = "http")]
    pub fn new(
        source: PrefilterSource,
        client: ClientBuilder,
        options: FilterOptions,
    ) -> Result<Self, BlockingError> {
        let runtime = runtime()?;
        let filter = crate::filter::UrlFilter::new(source, client.build()?, options);
        Ok(Self { filter: runtime.block_on(filter)?, runtime })
    }

    /// Loads the prefilter, over a given transport if it is on a server, and builds the client.
    ///
    /// # Errors
    /// [`BlockingError`] if there is no prefilter that can be used, or the client cannot be built.
    pub fn with_transport(
        source: PrefilterSource,
        client: ClientBuilder,
        options: FilterOptions,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, BlockingError> {
        let runtime = runtime()?;
        let client = client.build()?;
        let filter = crate::filter::UrlFilter::with_transport(source, client, options, transport);
        Ok(Self { filter: runtime.block_on(filter)?, runtime })
    }

    /// Decides about one URL.
    pub fn check(&self, url: &str) -> Decision {
        self.runtime.block_on(self.filter.check(url))
    }

    /// Decides about several URLs, in their order.
    pub fn check_all(&self, urls: &[&str]) -> Vec<Decision> {
        self.runtime.block_on(self.filter.check_all(urls))
    }

    /// Loads a newer prefilter if there is one, and returns whether there was.
    ///
    /// # Errors
    /// As [`UrlFilter::refresh`](crate::UrlFilter::refresh).
    pub fn refresh(&self) -> Result<bool, PrefilterError> {
        self.runtime.block_on(self.filter.refresh())
    }

    /// The asynchronous filter, for functions that do not wait.
    #[must_use]
    pub fn inner(&self) -> &crate::filter::UrlFilter {
        &self.filter
    }
}

/// A blocking [`crate::PirClient`]. Its functions panic if they are called within an asynchronous runtime.
pub struct Client {
    client: PirClient,
    runtime: Runtime,
}

impl Client {
    /// Builds a client.
    ///
    /// # Errors
    /// [`BlockingError`] if the thread cannot be started; otherwise as [`ClientBuilder::build`].
    pub fn new(builder: ClientBuilder) -> Result<Self, BlockingError> {
        Ok(Self { runtime: runtime()?, client: builder.build()? })
    }

    /// The value of each keyword; `None` for a keyword that the data set does not have.
    ///
    /// # Errors
    /// As [`PirClient::lookup`].
    pub fn lookup(&self, keywords: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Arc<Error>> {
        self.runtime.block_on(self.client.lookup(keywords))
    }

    /// The answer to each keyword, on its own.
    pub fn answers(&self, keywords: &[&[u8]]) -> Vec<Result<Answer, Arc<Error>>> {
        self.runtime.block_on(self.client.answers(keywords))
    }

    /// The answer to each keyword of several URLs, on its own.
    pub fn answers_to(&self, keywords: &Keywords) -> Vec<Result<Answer, Arc<Error>>> {
        self.runtime.block_on(self.client.answers_to(keywords))
    }

    /// Asks for keywords, and leaves their replies encrypted: see [`PirClient::fetch`].
    pub fn fetch(&self, keywords: &Keywords) -> Lookup {
        self.runtime.block_on(self.client.fetch(keywords))
    }

    /// Fetches what the first lookup would have to fetch: tokens, the configuration, and keys.
    ///
    /// # Errors
    /// As [`PirClient::prepare`].
    pub fn prepare(&self) -> Result<(), Error> {
        self.runtime.block_on(self.client.prepare())
    }

    /// The asynchronous client, for functions that do not wait.
    #[must_use]
    pub fn inner(&self) -> &PirClient {
        &self.client
    }
}
