//! Who may ask for tokens: bearer tokens of users, each of a tier.
//!
//! Tokens are kept and compared as digests keyed with a random key of the process: how long a look-up
//! takes tells nothing of a token, and no token is in memory longer than its request.

use crate::configuration::{Tier, UserGroup, UserTokenSettings};
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::process::Stdio;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Longest token.
pub const MAX_TOKEN: usize = 4096;
/// Answers that are kept.
const CACHED: usize = 100_000;
/// Programs or calls at once.
const CONCURRENT: usize = 32;
/// Longest answer that is read.
const MAX_ANSWER: usize = 4096;

/// The program or the address cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It cannot be run or reached.
    #[error("it cannot be run or reached")]
    Unreachable,
    /// It answered something else than a tier, or failed.
    #[error("its answer is not one of tier1, tier2, tier3")]
    Answer,
}

type TokenDigest = [u8; 32];

/// Digests tokens with a key that only this process has.
#[derive(Clone)]
pub struct TokenHasher(Zeroizing<[u8; 32]>);

impl TokenHasher {
    /// Draws the key.
    pub fn new() -> Result<Self, std::io::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(std::io::Error::other)?;
        Ok(Self(key))
    }

    fn digest(&self, token: &[u8]) -> TokenDigest {
        let mut digest = Sha256::new();
        digest.update(*self.0);
        digest.update(token);
        digest.finalize().into()
    }
}

/// Tokens that the configuration and its file name.
#[derive(Clone, Default)]
pub struct UserTable(HashMap<TokenDigest, Tier>);

impl UserTable {
    /// Takes groups in their order; of a token that is in two, the last counts.
    pub fn new<'g>(hasher: &TokenHasher, groups: impl IntoIterator<Item = &'g UserGroup>) -> Self {
        Self::default().with(hasher, groups)
    }

    /// The same with more groups.
    #[must_use]
    pub fn with<'g>(
        &self,
        hasher: &TokenHasher,
        groups: impl IntoIterator<Item = &'g UserGroup>,
    ) -> Self {
        let mut table = self.0.clone();
        for group in groups {
            for token in &group.tokens {
                table.insert(hasher.digest(token.as_bytes()), group.tier);
            }
        }
        Self(table)
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn tier(&self, digest: &TokenDigest) -> Option<Tier> {
        let (known, &tier) = self.0.get_key_value(digest)?;
        bool::from(known.ct_eq(digest)).then_some(tier)
    }
}

/// Who is asked about tokens that no table has.
enum Hook {
    Command(Vec<String>),
    Url { address: String, client: reqwest::Client },
}

/// Knows all user tokens.
pub struct UserTokens {
    hasher: TokenHasher,
    hook: Option<Hook>,
    cache: Cache<TokenDigest, (Option<Tier>, Instant)>,
    cache_time: Duration,
    timeout: Duration,
    asking: Semaphore,
}

#[derive(Deserialize)]
struct Answer {
    tier: Tier,
}

impl UserTokens {
    /// Prepares what the settings name.
    pub fn new(settings: &UserTokenSettings) -> Result<Self, std::io::Error> {
        let timeout = Duration::from_secs(settings.timeout_seconds);
        let hook = if let Some(command) = &settings.command {
            Some(Hook::Command(command.clone()))
        } else if let Some(address) = &settings.url {
            let client = reqwest::Client::builder()
                .timeout(timeout)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(std::io::Error::other)?;
            Some(Hook::Url { address: address.clone(), client })
        } else {
            None
        };
        Ok(Self {
            hasher: TokenHasher::new()?,
            hook,
            cache: Cache::new(CACHED),
            cache_time: Duration::from_secs(settings.cache_seconds),
            timeout,
            asking: Semaphore::new(CONCURRENT),
        })
    }

    /// What tables are made with.
    pub fn hasher(&self) -> &TokenHasher {
        &self.hasher
    }

    /// The tier of a token; none if it is not good.
    pub async fn tier(&self, table: &UserTable, token: &str) -> Result<Option<Tier>, HookError> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Ok(None);
        }
        let digest = self.hasher.digest(token.as_bytes());
        if let Some(tier) = table.tier(&digest) {
            return Ok(Some(tier));
        }
        let Some(hook) = &self.hook else { return Ok(None) };
        if let Some((tier, until)) = self.cache.get(&digest)
            && Instant::now() < until
        {
            return Ok(tier);
        }
        let ask = async {
            let _turn = self.asking.acquire().await.map_err(|_| HookError::Unreachable)?;
            match hook {
                Hook::Command(command) => ask_command(command, token).await,
                Hook::Url { address, client } => ask_address(client, address, token).await,
            }
        };
        let tier = tokio::time::timeout(self.timeout, ask).await;
        let tier = tier.unwrap_or(Err(HookError::Timeout))?;
        self.cache.insert(digest, (tier, Instant::now() + self.cache_time));
        Ok(tier)
    }
}

async fn ask_command(command: &[String], token: &str) -> Result<Option<Tier>, HookError> {
    let (program, arguments) = command.split_first().ok_or(HookError::Unreachable)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| HookError::Unreachable)?;
    // Never as an argument: those are for everyone to see.
    if let Some(mut input) = child.stdin.take() {
        let line = Zeroizing::new(format!("{token}\n"));
        // A program that does not read its input may still know its answer.
        let _ = input.write_all(line.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        let read = output.take(MAX_ANSWER as u64).read_to_end(&mut answer).await;
        read.map_err(|_| HookError::Answer)?;
    }
    let status = child.wait().await.map_err(|_| HookError::Unreachable)?;
    match status.code() {
        Some(0) => {
            let name = str::from_utf8(&answer).map_err(|_| HookError::Answer)?.trim();
            Tier::from_name(name).map(Some).ok_or(HookError::Answer)
        }
        Some(1) => Ok(None),
        _ => Err(HookError::Answer),
    }
}

async fn ask_address(
    client: &reqwest::Client,
    address: &str,
    token: &str,
) -> Result<Option<Tier>, HookError> {
    let body = serde_json::to_vec(&serde_json::json!({ "token": token }));
    let mut response = client
        .post(address)
        .header("content-type", "application/json")
        .body(body.map_err(|_| HookError::Answer)?)
        .send()
        .await
        .map_err(|error| match error.is_timeout() {
            true => HookError::Timeout,
            false => HookError::Unreachable,
        })?;
    match response.status().as_u16() {
        200 => {
            let mut answer = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| HookError::Unreachable)? {
                answer.extend_from_slice(&chunk);
                if answer.len() > MAX_ANSWER {
                    return Err(HookError::Answer);
                }
            }
            let answer: Answer = serde_json::from_slice(&answer).map_err(|_| HookError::Answer)?;
            Ok(Some(answer.tier))
        }
        401 | 403 | 404 => Ok(None),
        _ => Err(HookError::Answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(tokens: &UserTokens) -> UserTable {
        let groups = [
            UserGroup { tier: Tier::Tier1, tokens: vec!["AAAA".into(), "BBBB".into()] },
            UserGroup { tier: Tier::Tier2, tokens: vec!["BBBB".into()] },
        ];
        UserTable::new(tokens.hasher(), &groups)
    }

    #[tokio::test]
    async fn tables_know_whole_tokens() {
        let tokens = UserTokens::new(&UserTokenSettings::default()).unwrap();
        let table = table(&tokens);
        for (token, tier) in [
            ("AAAA", Some(Tier::Tier1)),
            ("BBBB", Some(Tier::Tier2)),
            ("AAA", None),
            ("AAAAA", None),
            ("", None),
        ] {
            assert_eq!(tokens.tier(&table, token).await, Ok(tier), "{token}");
        }
        assert_eq!(tokens.tier(&table, &"A".repeat(MAX_TOKEN + 1)).await, Ok(None));
    }

    fn with_command(script: &str) -> UserTokens {
        let command = Some(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]);
        UserTokens::new(&UserTokenSettings { command, ..Default::default() }).unwrap()
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_is_asked_once() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = format!(
            "read token; echo x >> {}; case $token in good) echo tier3;; odd) echo tier9;; \
             broken) exit 7;; *) exit 1;; esac",
            log.display()
        );
        let tokens = with_command(&script);
        let table = table(&tokens);
        for _ in 0..3 {
            assert_eq!(tokens.tier(&table, "good").await, Ok(Some(Tier::Tier3)));
            assert_eq!(tokens.tier(&table, "bad").await, Ok(None));
            assert_eq!(tokens.tier(&table, "AAAA").await, Ok(Some(Tier::Tier1)));
        }
        assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2);
        assert_eq!(tokens.tier(&table, "odd").await, Err(HookError::Answer));
        assert_eq!(tokens.tier(&table, "broken").await, Err(HookError::Answer));
        let nothing = UserTokenSettings {
            command: Some(vec!["/no/such/program".to_owned()]),
            ..Default::default()
        };
        let tokens = UserTokens::new(&nothing).unwrap();
        assert_eq!(tokens.tier(&table, "good").await, Err(HookError::Unreachable));
    }
}
