//! The rules of released systems, each with how it is known.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A system as devices run it, with the sub-URLs that it was seen to ask for. `docs/device-rules.md` has every rule
/// with its grade.
///
/// ```
/// use filter_core::sub_url::{SubUrlRule, System};
///
/// let rule = SubUrlRule::System(System::V26);
/// let list = rule.parse("https://a.example.com/login")?.sub_urls().sorted(100)?;
/// assert!(list.contains(&"example.com/".to_owned()));
/// // Parents are asked for without a path.
/// assert!(!list.contains(&"example.com/login".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum System {
    /// 26.0 and later, before 27.
    #[serde(rename = "26")]
    V26,
    /// 27 with a parsing configuration set and saved, here the default one.
    #[serde(rename = "27")]
    V27,
    /// 27 with a configuration that an app built for 26 saved: the parsing configuration that results has no
    /// `enumerateHierarchy` of the domain, so that parents are not asked for.
    #[serde(rename = "27-unconfigured")]
    V27Unconfigured,
}

/// How a rule is known, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Grade {
    /// Apple documents it.
    Doc,
    /// Authors of shipping apps tested it on devices, and wrote so in public.
    App,
    /// Third parties describe it from the released system. Strong evidence, no promise.
    Seen,
    /// A decision of this project where nothing is known.
    Ours,
}

impl Grade {
    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Doc => "doc",
            Self::App => "app",
            Self::Seen => "seen",
            Self::Ours => "ours",
        }
    }
}

/// Under which readings of what is known of a system a device asks for a sub-URL.
///
/// Where a fact is open, there are two readings; two open facts make four. A sub-URL is certain if a device asks for
/// it under all of them. A URL is looked up for certain if its hits [together](Self::or) are.
///
/// ```
/// use filter_core::sub_url::Certainty;
///
/// assert!(Certainty::CERTAIN.is_certain() && !Certainty::NEVER.is_certain());
/// assert_eq!(Certainty::NEVER.or(Certainty::CERTAIN), Certainty::CERTAIN);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Certainty(u8);

impl Certainty {
    /// Asked for under every reading of what is known.
    pub const CERTAIN: Self = Self(0b1111);
    /// Asked for under no reading of what is known.
    pub const NEVER: Self = Self(0);

    /// The first of the two readings of the first open fact, or the second.
    pub(super) const fn first_fact(is_second_reading: bool) -> Self {
        Self(if is_second_reading { 0b1010 } else { 0b0101 })
    }

    /// The first of the two readings of the second open fact, or the second.
    pub(super) const fn second_fact(is_second_reading: bool) -> Self {
        Self(if is_second_reading { 0b1100 } else { 0b0011 })
    }

    /// Under the readings of both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Under the readings of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether these are all readings.
    #[must_use]
    pub const fn is_certain(self) -> bool {
        self.0 == Self::CERTAIN.0
    }
}

impl System {
    /// All systems, the oldest first.
    pub const ALL: &'static [Self] = &[Self::V26, Self::V27, Self::V27Unconfigured];

    /// The name in options and files: `26`, `27` or `27-unconfigured`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V26 => "26",
            Self::V27 => "27",
            Self::V27Unconfigured => "27-unconfigured",
        }
    }

    /// How the rule of this system is known, as a whole.
    #[must_use]
    pub const fn grade(self) -> Grade {
        match self {
            Self::V26 => Grade::Seen,
            Self::V27 => Grade::Doc,
            Self::V27Unconfigured => Grade::App,
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text names no system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no system is called {0:?}; expected 26, 27 or 27-unconfigured")]
pub struct UnknownSystem(String);

impl FromStr for System {
    type Err = UnknownSystem;

    fn from_str(name: &str) -> Result<Self, UnknownSystem> {
        let system = Self::ALL.iter().copied().find(|system| system.name() == name);
        system.ok_or_else(|| UnknownSystem(name.to_owned()))
    }
}
