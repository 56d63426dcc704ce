//! The options that choose a sub-URL rule.

use super::read_text;
use anyhow::Context;
use clap::ValueEnum;
use filter_core::sub_url::{Profile, SubUrlRule};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct RuleOptions {
    /// Rule of a system version
    #[arg(long, value_enum)]
    profile: Option<ProfileName>,
    /// iOS 27: JSON file with the fields of `urlParsingConfiguration`, or an object with that field or
    /// with `urlParsingRegularExpression`
    #[arg(long, value_name = "CONFIG.json", conflicts_with = "profile")]
    parsing: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileName {
    /// What Apple documents now
    Current,
    /// The first documentation: `www.` is kept as well, ports are left out
    #[value(name = "ios26.0")]
    Ios26_0,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Current => Self::Current,
            ProfileName::Ios26_0 => Self::Ios26_0,
        }
    }
}

impl RuleOptions {
    /// The rule that the options name; `None` if they name none.
    pub(super) fn chosen(&self) -> anyhow::Result<Option<SubUrlRule>> {
        if let Some(path) = &self.parsing {
            let text = read_text(path)?;
            let rule = SubUrlRule::from_json(&text).with_context(|| path.display().to_string())?;
            return Ok(Some(rule));
        }
        Ok(self.profile.map(|name| SubUrlRule::Profile(name.into())))
    }
}
