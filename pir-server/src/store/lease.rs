//! Work that one node does at a time, and how the others wait for it.

use super::{Store, StoreError};
use error_reporter::Report;
use std::time::Duration;

/// The right to create and retire keys. It ends by itself after a while.
#[derive(Debug)]
#[must_use = "a lease that is dropped keeps other nodes waiting until it ends; release it"]
pub struct Lease(String);

impl Lease {
    /// A lease of `holder`: a name that the store tells from those of all other holders.
    pub fn of(holder: String) -> Self {
        Self(holder)
    }

    /// The holder's name.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.0
    }
}

/// Runs `work` under the lease and gives the lease back. `None` if another node has the lease.
pub(crate) async fn with_lease<T, E: From<StoreError>>(
    store: &dyn Store,
    work: impl AsyncFnOnce(&Lease) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let Some(lease) = store.lease().await? else { return Ok(None) };
    let outcome = work(&lease).await;
    if let Err(error) = store.release(lease).await {
        // It ends by itself; until then other nodes wait.
        tracing::warn!(error = %Report::new(&error), "a lease cannot be given back");
    }
    outcome.map(Some)
}

/// Pause between two checks for keys that another node is creating.
const PAUSE: Duration = Duration::from_millis(100);
/// Number of checks: creating keys takes a few seconds.
const MAX_CHECKS: u32 = 300;

/// Another node holds the lease for keys and does not finish.
#[derive(Debug, thiserror::Error)]
#[error(
    "another node has begun to create keys and does not finish; its lease ends within a minute"
)]
struct NoKeys;

/// Repeats `check` until it finds keys: it creates them itself, or another node is about to.
pub(crate) async fn wait_for_keys<E: From<StoreError>>(
    mut check: impl AsyncFnMut() -> Result<bool, E>,
) -> Result<(), E> {
    for _ in 0..MAX_CHECKS {
        if check().await? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(StoreError::unavailable(NoKeys).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_of_another_node_are_waited_for_up_to_a_limit() {
        for ready_at in [MAX_CHECKS - 1, MAX_CHECKS, MAX_CHECKS + 1] {
            let mut checks = 0;
            let outcome = wait_for_keys(async || {
                checks += 1;
                Ok::<_, StoreError>(checks == ready_at)
            });
            assert_eq!(outcome.await.is_ok(), ready_at <= MAX_CHECKS, "{ready_at}");
        }
    }
}
