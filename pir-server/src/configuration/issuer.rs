//! How issuer keys rotate.

use super::error::ConfigurationError;
use privacy_pass::Rotation;
use serde::Deserialize;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Hours for which devices keep tokens, from iOS and macOS 27 on.
const TOKEN_HOURS: u32 = 7 * 24;
/// Largest overlap, in rotations: a bound for the number of keys.
const MAX_OVERLAP_ROTATIONS: u32 = 8;

/// How issuer keys rotate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    pub(crate) rotation: Rotation,
    /// Whether tokens of the first key of the directory are issued to users of its own tier only. Devices
    /// from iOS and macOS 27.3 on request tokens of that key for users of any tier.
    pub(crate) strict_tiers: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawIssuer {
    rotation_days: u32,
    published_ahead_hours: u32,
    overlap_hours: u32,
    strict_tiers: bool,
}

impl Default for RawIssuer {
    fn default() -> Self {
        Self {
            rotation_days: 30,
            published_ahead_hours: 48,
            overlap_hours: TOKEN_HOURS + 24,
            strict_tiers: false,
        }
    }
}

impl TryFrom<RawIssuer> for IssuerSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawIssuer) -> Result<Self, ConfigurationError> {
        let wrong = |key: &str, reason: String| Err(ConfigurationError::value(key, reason));
        let mut rotation = Rotation::default();
        rotation.period = 24 * HOUR * raw.rotation_days;
        rotation.published_ahead = HOUR * raw.published_ahead_hours;
        rotation.overlap = HOUR * raw.overlap_hours;
        rotation.token_lifetime = HOUR * TOKEN_HOURS;
        if rotation.period.is_zero() || rotation.published_ahead >= rotation.period {
            let reason =
                "a key must sign for longer than it is published ahead (publishedAheadHours)";
            return wrong("rotationDays", reason.to_owned());
        }
        if raw.overlap_hours < TOKEN_HOURS {
            let reason =
                format!("devices keep tokens for a week: at least {TOKEN_HOURS} is expected");
            return wrong("overlapHours", reason);
        }
        if rotation.overlap > MAX_OVERLAP_ROTATIONS * rotation.period {
            let reason =
                format!("at most {MAX_OVERLAP_ROTATIONS} times rotationDays is expected, in hours");
            return wrong("overlapHours", reason);
        }
        Ok(Self { rotation, strict_tiers: raw.strict_tiers })
    }
}

impl Default for IssuerSettings {
    fn default() -> Self {
        RawIssuer::default().try_into().expect("the defaults are valid")
    }
}
