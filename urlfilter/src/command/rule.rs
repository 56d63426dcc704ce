//! The options that choose a sub-URL rule.

use anyhow::Context;
use clap::ValueEnum;
use filter_core::sub_url::{Profile, SubUrlRule};
use std::fs;
use std::path::PathBuf;

/// Which devices will look keys up.
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
    /// The first documentation: `www.` kept as well, no ports
    #[value(name = "ios26.0")]
    Ios26_0,
}

impl RuleOptions {
    /// The rule that was asked for, if any.
    pub(super) fn given(&self) -> anyhow::Result<Option<SubUrlRule>> {
        if let Some(path) = &self.parsing {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let rule = SubUrlRule::from_json(&text).with_context(|| path.display().to_string())?;
            return Ok(Some(rule));
        }
        Ok(self.profile.map(|name| {
            SubUrlRule::Profile(match name {
                ProfileName::Current => Profile::Current,
                ProfileName::Ios26_0 => Profile::Ios26_0,
            })
        }))
    }
}
