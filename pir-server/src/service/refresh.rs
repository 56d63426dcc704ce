//! Files that are read again when they change.

use super::error::ServiceError;
use error_reporter::Report;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A file that is read again when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RefreshedFile {
    UserTokens,
    Certificate,
}

impl fmt::Display for RefreshedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UserTokens => "user tokens",
            Self::Certificate => "certificate",
        })
    }
}

/// The outcomes of repeated reads.
#[derive(Default)]
pub(crate) struct Refreshes {
    failures: Mutex<BTreeMap<RefreshedFile, String>>,
}

impl Refreshes {
    /// Records and logs an outcome: whether the file had changed. A failure that repeats is logged once.
    pub(super) fn note(&self, file: RefreshedFile, outcome: Result<bool, ServiceError>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(is_changed) => {
                failures.remove(&file);
                if is_changed {
                    tracing::info!(%file, "read again");
                }
            }
            Err(error) => {
                let error = Report::new(&error).to_string();
                if failures.get(&file) != Some(&error) {
                    tracing::error!(
                        %file,
                        error,
                        "cannot be read again; the earlier content stays in use"
                    );
                    failures.insert(file, error);
                }
            }
        }
    }

    /// Which files could not be read the last time, and why.
    pub(crate) fn failures(&self) -> Vec<(RefreshedFile, String)> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().map(|(file, error)| (*file, error.clone())).collect()
    }
}
