//! What keys are made for: a documented rule, or the systems that a filter must serve.

use filter_core::sub_url::{SubUrlRule, System, UnknownSystem};
use std::fmt;
use std::str::FromStr;

/// A set of systems that a filter must serve. The default is 26, and 27 with a parsing configuration.
///
/// ```
/// use blocklist::key::Systems;
/// use filter_core::sub_url::System;
///
/// let systems: Systems = "26,27".parse()?;
/// assert_eq!(systems, Systems::default());
/// assert!(!systems.contains(System::V27Unconfigured));
/// assert_eq!(systems.to_string(), "26,27");
/// # Ok::<(), filter_core::sub_url::UnknownSystem>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Systems(u8);

impl Systems {
    /// No system: keys follow the rule alone.
    pub const NONE: Self = Self(0);

    /// These systems and one more.
    #[must_use]
    pub fn with(self, system: System) -> Self {
        Self(self.0 | Self::bit(system))
    }

    /// Whether the system is in the set.
    #[must_use]
    pub fn contains(self, system: System) -> bool {
        self.0 & Self::bit(system) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The systems, the oldest first.
    pub fn iter(self) -> impl Iterator<Item = System> {
        System::ALL.iter().copied().filter(move |&system| self.contains(system))
    }

    fn bit(system: System) -> u8 {
        let place = System::ALL.iter().position(|&other| other == system);
        place.map_or(0, |place| 1 << place)
    }
}

impl Default for Systems {
    fn default() -> Self {
        Self::NONE.with(System::V26).with(System::V27)
    }
}

impl FromIterator<System> for Systems {
    fn from_iter<I: IntoIterator<Item = System>>(systems: I) -> Self {
        systems.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The names of the systems with commas between them.
impl fmt::Display for Systems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, system) in self.iter().enumerate() {
            write!(f, "{}{system}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Names of systems with commas between them; an empty text is an unknown system.
impl FromStr for Systems {
    type Err = UnknownSystem;

    fn from_str(names: &str) -> Result<Self, UnknownSystem> {
        names.split(',').map(|name| name.trim().parse()).collect()
    }
}

/// Serialised as a list of names, as in `report.json`.
impl serde::Serialize for Systems {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// What keys are made for.
///
/// [`KeyRules::default`] makes keys that serve the default [`Systems`]. Made [from](From) a [`SubUrlRule`], keys are for
/// that rule alone.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRules {
    rule: SubUrlRule,
    systems: Systems,
}

impl KeyRules {
    /// The rule by which an entry is parsed, and that the metadata of a filter has.
    #[must_use]
    pub fn rule(&self) -> &SubUrlRule {
        &self.rule
    }

    /// The systems that all keys together serve; empty if keys are for [`rule`](Self::rule) alone.
    #[must_use]
    pub fn systems(&self) -> Systems {
        self.systems
    }
}

impl Default for KeyRules {
    fn default() -> Self {
        Systems::default().into()
    }
}

/// Keys under the rule that Apple documents now, and those that these systems need in addition.
impl From<Systems> for KeyRules {
    fn from(systems: Systems) -> Self {
        Self { rule: SubUrlRule::default(), systems }
    }
}

/// Keys for one rule. The rule of a system stands for the set of that system.
impl From<SubUrlRule> for KeyRules {
    fn from(rule: SubUrlRule) -> Self {
        match rule {
            SubUrlRule::System(system) => Systems::NONE.with(system).into(),
            rule => Self { rule, systems: Systems::NONE },
        }
    }
}
