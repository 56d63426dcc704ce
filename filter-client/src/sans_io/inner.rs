//! What the operations of a client share: its parts and its state.

use super::answers::Answers;
use super::caller::HttpCaller;
use super::issuance::Issuer;
use super::outage::Outage;
use super::session::Session;
use super::wallet::Wallet;
use crate::endpoint::ServiceUrls;
use crate::error::Error;
use crate::options::ClientOptions;
use crate::state::{PinnedSharding, SeenIssuerKey, StoredConfig, StoredRefills, StoredSecret};
use http::HeaderValue;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unix_clock::Timestamp;

pub(crate) struct Inner {
    pub(super) urls: ServiceUrls,
    /// The address of the service.
    pub(super) address: String,
    pub(super) issuer: Option<Issuer>,
    pub(super) use_case: String,
    pub(super) pseudonym: HeaderValue,
    pub(super) options: ClientOptions,
    pub(super) caller: HttpCaller,
    pub(super) answers: Arc<Answers>,
    pub(super) state: Mutex<State>,
    pub(super) revision: AtomicU64,
    /// Held while a configuration is fetched and keys are uploaded.
    pub(super) setting_up: futures_util::lock::Mutex<()>,
    /// Held while tokens are fetched that a request waits for.
    pub(super) fetching: futures_util::lock::Mutex<()>,
}

pub(super) struct State {
    pub(super) user_identifier: String,
    pub(super) secrets: Vec<StoredSecret>,
    pub(super) config: Option<StoredConfig>,
    pub(super) sharding: Option<PinnedSharding>,
    /// Most bits of a keyword's hash that this pseudonym has told by the index of a shard.
    pub(super) told_bits: u32,
    pub(super) wallet: Wallet,
    pub(super) session: Option<Arc<Session>>,
    /// When the configuration was last compared with the service's.
    pub(super) checked_at: Option<Timestamp>,
    pub(super) outage: Outage,
    /// Number of rows that the data set is known to have, if it is.
    pub(super) rows: Option<u64>,
    pub(super) refills: StoredRefills,
    pub(super) issuer_key: Option<SeenIssuerKey>,
    /// Why the latest refill brought no tokens.
    pub(super) refill_failure: Option<Arc<Error>>,
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.caller.io.now().unix
    }

    pub(super) fn note_change(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs an operation's work within its timeout, and notes whether the service fails.
    pub(super) async fn within_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let outcome = self.caller.io.timeout(self.options.lookup_timeout, work).await;
        let outcome = outcome.unwrap_or(Err(Error::Deadline));
        let elapsed = self.caller.io.now().elapsed;
        self.lock().outage.note(&outcome, self.options.outage_backoff, elapsed);
        outcome
    }
}
