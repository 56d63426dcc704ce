//! How to build.

use super::{BuildError, Guards};
#[cfg(doc)]
use crate::key::ONBOARDING_ENTRY;
use crate::key::parents::Reach;
use crate::key::{KeyRules, NameRules, Systems};
use filter_core::bloom::Sizing;
use filter_core::sub_url::{Profile, SubUrlRule, System};
use std::num::NonZeroUsize;

/// The default of [`Options::murmur_seed`]. It is fixed, so that builds are reproducible.
pub const DEFAULT_SEED: u32 = 2_538_058_380;

/// The default of [`Options::tolerance`]. A device then asks about eight keywords a day, of which one in seventy is on
/// the list (`docs/scale.md`): rare enough to serve, and often enough that a query says little.
pub const DEFAULT_TOLERANCE: f64 = 0.0001;

/// How to build. [`Options::default`] and the `with_…` methods make one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The share of URLs outside of the list that may hit the filter by chance, strictly between 0 and 1;
    /// [`DEFAULT_TOLERANCE`] (0.0001) by default.
    pub tolerance: f64,
    /// Seed of MurmurHash3. Default: [`DEFAULT_SEED`].
    pub murmur_seed: u32,
    /// How the size of the filter is rounded. Default: [`Sizing::Round`].
    pub sizing: Sizing,
    /// The rule by which devices expand URLs to sub-URLs. Default: that of current systems.
    pub rule: SubUrlRule,
    /// The systems that the keys must serve, under the default rule. Keys for any other rule are for it alone. Default:
    /// 26 and 27.
    pub systems: Systems,
    /// Whether to add [`ONBOARDING_ENTRY`]. Default: no.
    pub onboarding_entry: bool,
    /// Which names may become keys.
    pub names: NameRules,
    /// What must hold of the lists and the build.
    pub guards: Guards,
    /// Whether keys are left out that another key covers on every system of the rule. Default: no.
    pub is_compressed: bool,
    /// The most threads that a build uses; `None` for as many as the machine has. What it gives does not depend on them.
    pub max_threads: Option<NonZeroUsize>,
}

impl Options {
    /// The same options with another [`tolerance`](Self::tolerance).
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The same options with another [`murmur_seed`](Self::murmur_seed).
    #[must_use]
    pub fn with_murmur_seed(mut self, seed: u32) -> Self {
        self.murmur_seed = seed;
        self
    }

    /// The same options with another [`sizing`](Self::sizing).
    #[must_use]
    pub fn with_sizing(mut self, sizing: Sizing) -> Self {
        self.sizing = sizing;
        self
    }

    /// The same options with another [`rule`](Self::rule).
    #[must_use]
    pub fn with_rule(mut self, rule: SubUrlRule) -> Self {
        self.rule = rule;
        self
    }

    /// The same options with other [`systems`](Self::systems).
    #[must_use]
    pub fn with_systems(mut self, systems: Systems) -> Self {
        self.systems = systems;
        self
    }

    /// What the keys are made for: the systems if the rule is the default one, else the rule.
    #[must_use]
    pub fn key_rules(&self) -> KeyRules {
        match &self.rule {
            SubUrlRule::Profile(Profile::Current) => self.systems.into(),
            rule => rule.clone().into(),
        }
    }

    /// The same options with or without the [`onboarding_entry`](Self::onboarding_entry).
    #[must_use]
    pub fn with_onboarding_entry(mut self, is_added: bool) -> Self {
        self.onboarding_entry = is_added;
        self
    }

    /// The same options with other [`names`](Self::names).
    #[must_use]
    pub fn with_names(mut self, names: NameRules) -> Self {
        self.names = names;
        self
    }

    /// The same options with other [`guards`](Self::guards).
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// The same options with or without [compression](Self::is_compressed).
    #[must_use]
    pub fn with_compression(mut self, is_compressed: bool) -> Self {
        self.is_compressed = is_compressed;
        self
    }

    /// The same options with another [`max_threads`](Self::max_threads).
    #[must_use]
    pub fn with_max_threads(mut self, max: Option<NonZeroUsize>) -> Self {
        self.max_threads = max;
        self
    }

    /// The number of threads of a build.
    pub(super) fn threads(&self) -> NonZeroUsize {
        // Where the number of processors is not known, or there are no threads, one will do.
        self.max_threads
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// How far keys of hosts reach on the systems of the rule; `None` under a rule of the user's own.
    pub(super) fn reach(&self) -> Option<Reach> {
        let rules = self.key_rules();
        let parents = !rules.systems().contains(System::V27Unconfigured);
        // 26 asks for a port only in the whole URL as it came.
        let ports = !rules.systems().contains(System::V26);
        match rules.rule() {
            SubUrlRule::Profile(_) => Some(Reach { parents, parents_with_paths: false, ports }),
            _ => None,
        }
    }

    /// Checks the tolerance and the seed, which otherwise only [`Builder::finish`](super::Builder::finish) does.
    ///
    /// # Errors
    /// [`BuildError::Bloom`] as [`Builder::finish`](super::Builder::finish) would return it for a single key.
    pub fn check(&self) -> Result<(), BuildError> {
        self.sizing.parameters(1, self.tolerance, self.murmur_seed)?;
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: DEFAULT_TOLERANCE,
            murmur_seed: DEFAULT_SEED,
            sizing: Sizing::default(),
            rule: SubUrlRule::default(),
            systems: Systems::default(),
            onboarding_entry: false,
            names: NameRules::default(),
            guards: Guards::default(),
            is_compressed: false,
            max_threads: None,
        }
    }
}
