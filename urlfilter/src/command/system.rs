//! The option `--system` of `check`, `why` and `explain`: what released systems do with a URL.

use filter_core::sub_url::{Certainty, DeviceUrl, SubUrlRule, System};
use serde::Serialize;
use std::str::FromStr;

#[derive(clap::Args)]
pub(super) struct SystemOption {
    /// Answer for released systems instead of one rule: 26, 27, 27-unconfigured (27 with a configuration that has no
    /// `urlParsingConfiguration`), or all. What is not known for certain is said
    #[arg(long, value_name = "SYSTEM", conflicts_with_all = ["profile", "parsing"])]
    system: Option<SystemChoice>,
}

impl SystemOption {
    /// The systems to answer for, if not for one rule.
    pub(super) fn chosen(&self) -> Option<Vec<System>> {
        self.system.map(SystemChoice::systems)
    }
}

/// What is said of a URL on each system.
#[derive(Serialize)]
pub(super) struct BySystem<S> {
    pub(super) url: String,
    pub(super) systems: Vec<S>,
}

/// Systems that an answer covers.
#[derive(Clone, Copy)]
enum SystemChoice {
    All,
    One(System),
}

impl FromStr for SystemChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "all" => Ok(Self::All),
            name => name
                .parse()
                .map(Self::One)
                .map_err(|error: filter_core::sub_url::UnknownSystem| format!("{error}, or all")),
        }
    }
}

impl SystemChoice {
    fn systems(self) -> Vec<System> {
        match self {
            Self::All => System::ALL.to_vec(),
            Self::One(system) => vec![system],
        }
    }
}

/// An answer about one system.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Known {
    Yes,
    No,
    /// Two readings of what is known of the system differ.
    Uncertain,
}

impl Known {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Uncertain => "uncertain",
        }
    }

    /// What several sub-URLs mean together: under each reading, one that is asked for is enough.
    pub(super) fn any(all: impl IntoIterator<Item = Certainty>) -> Self {
        match all.into_iter().fold(Certainty::NEVER, Certainty::or) {
            Certainty::NEVER => Self::No,
            all if all.is_certain() => Self::Yes,
            _ => Self::Uncertain,
        }
    }
}

/// Answers about a URL under the rule of each system.
pub(super) fn under_each<A>(
    systems: &[System],
    url: &str,
    mut answer: impl FnMut(System, &DeviceUrl<'_>) -> anyhow::Result<A>,
) -> anyhow::Result<Vec<A>> {
    let under_one = |&system: &System| {
        let rule = SubUrlRule::System(system);
        let parsed = rule.parse_lenient(url)?;
        answer(system, &parsed)
    };
    systems.iter().map(under_one).collect()
}
