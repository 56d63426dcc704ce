//! Users, and where else their tokens are known.

use super::error::ConfigurationError;
use super::timeout::seconds;
use super::{MAX_FILE, json};
use crate::tier::Tier;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest user token, in bytes.
pub(crate) const MAX_TOKEN: usize = 4096;

/// User tokens of one tier.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserGroup {
    // Devices of 27.3 and later know no tiers, and configurations for them name none.
    #[serde(default = "first_tier")]
    pub(crate) tier: Tier,
    pub(crate) tokens: Vec<Zeroizing<String>>,
}

fn first_tier() -> Tier {
    Tier::Tier1
}

impl UserGroup {
    /// Users of a tier by their tokens, as they follow `Bearer ` in the `Authorization` header. A token
    /// that is empty or longer than 4096 bytes is never valid.
    #[must_use]
    pub fn new(tier: Tier, tokens: Vec<String>) -> Self {
        Self { tier, tokens: tokens.into_iter().map(Zeroizing::new).collect() }
    }

    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        let is_bad = |token: &Zeroizing<String>| !(1..=MAX_TOKEN).contains(&token.len());
        match self.tokens.iter().position(is_bad) {
            Some(index) => Err(ConfigurationError::value(
                format!("tokens[{index}]"),
                format!("a token of 1 to {MAX_TOKEN} bytes is expected"),
            )),
            None => Ok(()),
        }
    }
}

/// Reads user groups from a file of their own, `[{"tier": "tier1", "tokens": ["…"]}]`; `tier` may be left out.
pub(crate) fn read_users(path: &Path) -> Result<Vec<UserGroup>, ConfigurationError> {
    let text = Zeroizing::new(durable_file::read(path, MAX_FILE)?);
    json::parse(&text).map_err(|error| error.in_file(path))
}

/// Who decides about a user token that neither the configuration nor its token file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenAuthority {
    /// None: a token that is not in the configuration is not valid.
    None,
    /// A program. It reads the token and a line end, and prints the name of the tier, or exits with 1
    /// if the token is not valid.
    Command { program: String, arguments: Vec<String> },
    /// An HTTP service. It is sent `{"token": "…"}` and answers `{"tier": "tier1"}`, or 401, 403 or 404.
    Url(String),
}

/// Where user tokens are known, in addition to `users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTokenSettings {
    /// A file that is read again when it changes.
    pub(crate) file: Option<PathBuf>,
    pub(crate) authority: TokenAuthority,
    /// How long an answer of the authority is valid.
    pub(crate) cache_for: Duration,
    /// How long the authority may take to answer.
    pub(crate) timeout: Duration,
}

impl UserTokenSettings {
    /// The program that is asked.
    pub(crate) fn program(&self) -> Option<&Path> {
        match &self.authority {
            TokenAuthority::Command { program, .. } => Some(Path::new(program)),
            TokenAuthority::None | TokenAuthority::Url(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawUserTokens {
    file: Option<PathBuf>,
    command: Option<Vec<String>>,
    url: Option<String>,
    cache_seconds: u64,
    timeout_seconds: u64,
}

impl Default for RawUserTokens {
    fn default() -> Self {
        Self { file: None, command: None, url: None, cache_seconds: 300, timeout_seconds: 5 }
    }
}

impl RawUserTokens {
    /// Whether user tokens are known from here.
    pub(super) fn is_source(&self) -> bool {
        self.file.is_some() || self.command.is_some() || self.url.is_some()
    }
}

impl TryFrom<RawUserTokens> for UserTokenSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawUserTokens) -> Result<Self, ConfigurationError> {
        let authority = match (raw.command, raw.url) {
            (None, None) => TokenAuthority::None,
            (Some(_), Some(_)) => {
                return Err(ConfigurationError::value(
                    "",
                    "either command or url is expected, not both",
                ));
            }
            (Some(command), None) => {
                let mut words = command.into_iter();
                let program = words.next().ok_or_else(|| {
                    ConfigurationError::value(
                        "command",
                        "a list that begins with a program is expected",
                    )
                })?;
                TokenAuthority::Command { program, arguments: words.collect() }
            }
            (None, Some(url)) if url.starts_with("https://") || url.starts_with("http://") => {
                ConfigurationError::unless_reachable("url", &url)?;
                TokenAuthority::Url(url)
            }
            (None, Some(_)) => {
                let reason = "an address that begins with https:// (or http://) is expected";
                return Err(ConfigurationError::value("url", reason));
            }
        };
        Ok(Self {
            file: raw.file,
            authority,
            cache_for: seconds("cacheSeconds", raw.cache_seconds, 0)?,
            timeout: seconds("timeoutSeconds", raw.timeout_seconds, 1)?,
        })
    }
}

impl Default for UserTokenSettings {
    fn default() -> Self {
        RawUserTokens::default().try_into().expect("the defaults are valid")
    }
}
