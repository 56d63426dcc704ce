//! The options that name a user token.

use super::read_text;
use anyhow::Context;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(clap::Args)]
pub(super) struct TokenOptions {
    /// User token. Other users of this machine can read it in the list of processes; prefer --token-file or
    /// the variable
    #[arg(long, value_name = "TOKEN", env = "URLFILTER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// File with the user token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
}

impl TokenOptions {
    /// As [`read`](Self::read), for a command that can do nothing without a token.
    pub(super) fn read_required(&self) -> anyhow::Result<Zeroizing<String>> {
        self.read()?
            .context("a user token is needed: give --token-file or --token, or set URLFILTER_TOKEN")
    }

    /// The token without spaces around it; `None` if the options name none.
    pub(super) fn read(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        let text = match (&self.token_file, &self.token) {
            (Some(path), _) => Zeroizing::new(read_text(path)?),
            (None, Some(token)) => Zeroizing::new(token.clone()),
            (None, None) => return Ok(None),
        };
        Ok(Some(Zeroizing::new(text.trim().to_owned())))
    }
}
