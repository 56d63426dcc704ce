//! The service as subscriptions see it.

use super::SubscriptionError;
use crate::configuration::{ShardFiles, UseCase};
use crate::data_set::DataSet;
use crate::prefilter::ServedPrefilter;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::MutexGuard;
use unix_clock::Timestamp;

/// What subscriptions need of the service that serves their data sets.
pub(crate) trait Serve: Sync {
    /// The present time.
    fn now(&self) -> Timestamp;

    /// A use case as the present configuration has it. `None` if it is no longer served from a publication.
    fn use_case(&self, name: &str) -> Option<UseCase>;

    /// Opens and verifies a data set, on threads that answer no queries.
    fn open_data_set(
        &self,
        use_case: UseCase,
        files: ShardFiles,
    ) -> impl Future<Output = Result<Arc<DataSet>, SubscriptionError>> + Send;

    /// Keeps reloads of the configuration waiting.
    fn lock_reloads(&self) -> impl Future<Output = MutexGuard<'_, ()>> + Send;

    /// Serves a data set from now on. Reloads must be locked.
    fn put_version(&self, use_case: &str, data: Arc<DataSet>);

    /// Gives out these prefilters of a use case from now on, and no others: each with its level, which is empty for the whole
    /// data set.
    fn put_prefilters(
        &self,
        use_case: &str,
        prefilters: Vec<(String, ServedPrefilter)>,
    ) -> impl Future<Output = ()> + Send;

    /// A publication was polled.
    fn polled(&self, use_case: &str, succeeded: bool, late: bool);
}
