//! The tiers of user tokens.

use serde::{Deserialize, Serialize};

/// The tier of a user token. Each tier has its own issuer keys, so that a Privacy Pass token tells its tier and
/// nothing else of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "Apple's example service has these three tiers")]
pub enum Tier {
    /// `tier1` in configurations.
    Tier1,
    /// `tier2` in configurations.
    Tier2,
    /// `tier3` in configurations.
    Tier3,
}

impl Tier {
    /// All tiers, in order.
    pub const ALL: [Self; 3] = [Self::Tier1, Self::Tier2, Self::Tier3];

    /// Its name in configurations and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tier1 => "tier1",
            Self::Tier2 => "tier2",
            Self::Tier3 => "tier3",
        }
    }

    /// The tier with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}
