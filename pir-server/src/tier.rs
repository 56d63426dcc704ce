//! The tiers of users.

use serde::{Deserialize, Serialize};

/// What a user token entitles to; each tier has issuer keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The first.
    Tier1,
    /// The second.
    Tier2,
    /// The third.
    Tier3,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tier1, Self::Tier2, Self::Tier3];

    /// Its name in configurations and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tier1 => "tier1",
            Self::Tier2 => "tier2",
            Self::Tier3 => "tier3",
        }
    }

    /// The tier of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}
