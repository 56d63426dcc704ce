//! Times in which something must have happened.

use super::ConfigurationError;
use std::time::Duration;

/// Longest time, in seconds: a day. The point in time that is so long after any other exists on every system.
pub(super) const MAX_SECONDS: u64 = 86_400;

/// The time of a number of seconds, from `min` to [`MAX_SECONDS`].
///
/// # Errors
/// An error that names the key.
pub(super) fn seconds(key: &str, value: u64, min: u64) -> Result<Duration, ConfigurationError> {
    match (min..=MAX_SECONDS).contains(&value) {
        true => Ok(Duration::from_secs(value)),
        false => {
            let reason = format!("a number of seconds from {min} to {MAX_SECONDS} is expected");
            Err(ConfigurationError::value(key, reason))
        }
    }
}
