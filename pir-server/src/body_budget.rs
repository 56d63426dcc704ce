//! The memory that all request bodies together may take.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for: fine enough for small bodies, and few enough permits for large ones.
const PERMIT_BYTES: usize = 1024;

fn permits(bytes: usize) -> usize {
    bytes.div_ceil(PERMIT_BYTES)
}

/// All memory for bodies is taken. Requests that are refused for it may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetExhausted;

/// A number of bytes that bodies share.
#[derive(Clone)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    /// A budget of `bytes`, rounded up to the next KiB.
    pub(crate) fn new(bytes: usize) -> Self {
        // A semaphore has no more permits; a larger budget is the same as no limit.
        Self(Arc::new(Semaphore::new(permits(bytes).min(Semaphore::MAX_PERMITS))))
    }

    /// An empty share.
    pub(crate) fn share(&self) -> BodyShare {
        BodyShare { budget: Arc::clone(&self.0), permits: None, bytes: 0 }
    }

    /// Bytes that no share holds.
    #[cfg(test)]
    pub(crate) fn available_bytes(&self) -> usize {
        self.0.available_permits() * PERMIT_BYTES
    }
}

/// The part of the budget that one body holds; given back when dropped.
#[must_use]
pub(crate) struct BodyShare {
    budget: Arc<Semaphore>,
    permits: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl BodyShare {
    /// Takes `bytes` more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), BudgetExhausted> {
        let total = self.bytes.saturating_add(bytes);
        let more = permits(total) - permits(self.bytes);
        if more > 0 {
            let more = u32::try_from(more).map_err(|_| BudgetExhausted)?;
            let budget = Arc::clone(&self.budget);
            let permit = budget.try_acquire_many_owned(more).map_err(|_| BudgetExhausted)?;
            match &mut self.permits {
                Some(permits) => permits.merge(permit),
                None => self.permits = Some(permit),
            }
        }
        self.bytes = total;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_holds_its_bytes_and_no_more() {
        for bytes in [1, PERMIT_BYTES - 1, PERMIT_BYTES, PERMIT_BYTES + 1, 10 * PERMIT_BYTES] {
            let budget = BodyBudget::new(bytes);
            let whole = budget.available_bytes();
            assert!((bytes..bytes + PERMIT_BYTES).contains(&whole), "{bytes}");
            for (asked, fits) in [(whole - 1, true), (whole, true), (whole + 1, false)] {
                let mut share = budget.share();
                assert_eq!(share.grow(asked).is_ok(), fits, "{asked} of {whole}");
                drop(share);
                assert_eq!(budget.available_bytes(), whole);
            }
        }
        assert!(BodyBudget::new(usize::MAX).share().grow(usize::MAX).is_err());
    }

    #[test]
    fn small_pieces_share_a_permit() {
        let budget = BodyBudget::new(2 * PERMIT_BYTES);
        let mut share = budget.share();
        for _ in 0..2 * PERMIT_BYTES {
            share.grow(1).unwrap();
        }
        assert_eq!(share.grow(1), Err(BudgetExhausted));
        drop(share);
        assert_eq!(budget.available_bytes(), 2 * PERMIT_BYTES);
    }
}
