//! The same for callers without an asynchronous runtime.
//!
//! Each facade has a thread of its own, so that tokens and prefilters are fetched in the background
//! between calls.

use crate::client::{Answer, ClientBuilder, PirClient};
use crate::error::Error;
use crate::filter::{Decision, FilterOptions};
use crate::prefilter::{PrefilterError, PrefilterSource};
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// A facade cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// No thread.
    #[error("no thread for the network: {0}")]
    Thread(#[from] io::Error),
    /// No prefilter.
    #[error(transparent)]
    Prefilter(#[from] PrefilterError),
    /// No client.
    #[error(transparent)]
    Client(#[from] Error),
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// [`crate::UrlFilter`], blocking. Must not be used within an asynchronous runtime.
pub struct UrlFilter {
    filter: crate::filter::UrlFilter,
    runtime: Runtime,
}

impl UrlFilter {
    /// Loads the prefilter.
    ///
    /// # Errors
    /// If there is none to begin with, or the client cannot be built.
    pub fn new(
        source: PrefilterSource,
        client: ClientBuilder,
        options: FilterOptions,
    ) -> Result<Self, BlockingError> {
        let runtime = runtime()?;
        let client = client.build()?;
        let filter = runtime.block_on(crate::filter::UrlFilter::new(source, client, options))?;
        Ok(Self { filter, runtime })
    }

    /// Decides about one URL.
    pub fn check(&self, url: &str) -> Decision {
        self.runtime.block_on(self.filter.check(url))
    }

    /// Decides about several URLs.
    pub fn check_all(&self, urls: &[&str]) -> Vec<Decision> {
        self.runtime.block_on(self.filter.check_all(urls))
    }

    /// Looks for a newer prefilter, and tells whether there was one.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn refresh(&self) -> Result<bool, PrefilterError> {
        self.runtime.block_on(self.filter.refresh())
    }

    /// The asynchronous filter, for what does not wait.
    #[must_use]
    pub fn inner(&self) -> &crate::filter::UrlFilter {
        &self.filter
    }
}

/// [`crate::PirClient`], blocking. Must not be used within an asynchronous runtime.
pub struct Client {
    client: PirClient,
    runtime: Runtime,
}

impl Client {
    /// Builds a client.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn new(builder: ClientBuilder) -> Result<Self, BlockingError> {
        Ok(Self { runtime: runtime()?, client: builder.build()? })
    }

    /// The values of keywords.
    ///
    /// # Errors
    /// As [`PirClient::lookup`].
    pub fn lookup(&self, keywords: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Arc<Error>> {
        self.runtime.block_on(self.client.lookup(keywords))
    }

    /// The answer to each keyword.
    pub fn answers(&self, keywords: &[&[u8]]) -> Vec<Result<Answer, Arc<Error>>> {
        self.runtime.block_on(self.client.answers(keywords))
    }

    /// Fetches tokens, the configuration and keys ahead.
    ///
    /// # Errors
    /// As [`PirClient::prepare`].
    pub fn prepare(&self) -> Result<(), Error> {
        self.runtime.block_on(self.client.prepare())
    }

    /// The asynchronous client, for what does not wait.
    #[must_use]
    pub fn inner(&self) -> &PirClient {
        &self.client
    }
}
