//! How reports are stored.

use super::error::ConfigurationError;
use serde::Deserialize;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// How reports are stored in `reportDirectory`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSettings {
    /// Size at which a file is complete.
    pub(crate) file_bytes: u64,
    /// Age at which a file is complete.
    pub(crate) file_age: Duration,
    /// Number of complete files that are kept.
    pub(crate) files: usize,
    /// Largest number of entries in one report.
    pub(crate) entries: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawReports {
    file_bytes: u64,
    file_hours: u32,
    files: usize,
    entries: usize,
}

impl Default for RawReports {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, file_hours: 24, files: 100, entries: 1000 }
    }
}

impl TryFrom<RawReports> for ReportSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawReports) -> Result<Self, ConfigurationError> {
        for (key, is_zero) in [("entries", raw.entries == 0), ("fileBytes", raw.file_bytes == 0)] {
            if is_zero {
                return Err(ConfigurationError::value(key, "must not be 0"));
            }
        }
        Ok(Self {
            file_bytes: raw.file_bytes,
            file_age: HOUR * raw.file_hours,
            files: raw.files,
            entries: raw.entries,
        })
    }
}

impl Default for ReportSettings {
    fn default() -> Self {
        RawReports::default().try_into().expect("the defaults are valid")
    }
}
