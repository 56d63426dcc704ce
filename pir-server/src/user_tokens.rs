//! User tokens: bearer tokens of users, each with a tier, that entitle to Privacy Pass tokens.
//!
//! Tokens are stored and compared as digests with a random key of the process: the time of a look-up tells nothing
//! of a token, and no token stays in memory longer than its request.

use crate::configuration::{MAX_TOKEN, Tier, TokenAuthority, UserGroup, UserTokenSettings};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Largest number of users that are remembered, and of refusals. Each kind is forgotten for others of its kind alone, so
/// that strangers cannot make the service forget users.
const MAX_REMEMBERED: usize = 100_000;
/// Largest number of programs or requests at once for tokens that were valid before.
const MAX_CONCURRENT_KNOWN: usize = 8;
/// Largest number of programs or requests at once for tokens that were never valid here.
const MAX_CONCURRENT_STRANGERS: usize = 24;
/// For each program or request at once, the number of tokens that may wait.
const MAX_WAITING: usize = 4;
/// Shortest time between two log lines about failures.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Largest answer of the hook that is read, in bytes.
const MAX_ANSWER: usize = 4096;

/// The program or the address that decides about user tokens cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HookError {
    /// It did not answer within `userTokens.timeoutSeconds`.
    #[error("no answer in time")]
    Timeout,
    /// The program cannot be run, or the address cannot be reached.
    #[error("it cannot be run or reached")]
    Unreachable,
    /// It failed, or its answer is not a tier.
    #[error("its answer is not one of tier1, tier2, tier3")]
    Answer,
    /// Too many tokens wait to be asked about.
    #[error("too many tokens wait for it")]
    Busy,
}

type TokenDigest = [u8; 32];

/// Digests tokens with a random key of this process.
#[derive(Clone)]
pub(crate) struct TokenHasher(Zeroizing<[u8; 32]>);

impl TokenHasher {
    /// A hasher with a random key.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn new() -> Result<Self, std::io::Error> {
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

/// The user tokens of the configuration and of its file of tokens.
#[derive(Clone, Default)]
pub(crate) struct UserTable(HashMap<TokenDigest, Tier>);

impl UserTable {
    /// The table of these groups. A token that is in several has the tier of the last.
    #[must_use]
    pub(crate) fn new<'g>(
        hasher: &TokenHasher,
        groups: impl IntoIterator<Item = &'g UserGroup>,
    ) -> Self {
        Self::default().with(hasher, groups)
    }

    /// A copy of this table with these groups added. Their tiers take precedence.
    #[must_use]
    pub(crate) fn with<'g>(
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
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn tier(&self, digest: &TokenDigest) -> Option<Tier> {
        let (known, &tier) = self.0.get_key_value(digest)?;
        bool::from(known.ct_eq(digest)).then_some(tier)
    }
}

/// What decides about tokens that are not in the table.
enum Hook {
    Command { program: String, arguments: Vec<String> },
    Url { address: String, client: reqwest::Client },
}

/// A bounded number of questions at once, and of those that wait.
struct Lane {
    concurrent: Semaphore,
    /// Those that wait, and those that are asked.
    admitted: Semaphore,
}

impl Lane {
    fn new(concurrent: usize) -> Self {
        Self {
            concurrent: Semaphore::new(concurrent),
            admitted: Semaphore::new(concurrent * (1 + MAX_WAITING)),
        }
    }
}

/// Finds the tier of user tokens: in a table, or by asking a hook.
///
/// Anyone can send tokens that are not known. So questions about them are a lane of their own: strangers neither delay
/// users whom the hook has accepted before, nor displace them from memory.
pub(crate) struct UserTokens {
    hasher: TokenHasher,
    hook: Option<Hook>,
    /// Tokens that the hook has accepted, and until when it need not be asked again.
    accepted: Cache<TokenDigest, (Tier, Instant)>,
    /// Tokens that the hook has refused, and until when it need not be asked again.
    refused: Cache<TokenDigest, Instant>,
    cache_time: Duration,
    timeout: Duration,
    known: Lane,
    strangers: Lane,
    last_log: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Answer {
    tier: Tier,
}

impl UserTokens {
    /// Creates the hasher, and the HTTP client if `userTokens.url` is set.
    ///
    /// # Errors
    /// If the system has no random numbers, or the HTTP client cannot be created.
    pub(crate) fn new(settings: &UserTokenSettings) -> Result<Self, std::io::Error> {
        let timeout = settings.timeout;
        let hook = match settings.authority.clone() {
            TokenAuthority::None => None,
            TokenAuthority::Command { program, arguments } => {
                Some(Hook::Command { program, arguments })
            }
            TokenAuthority::Url(address) => {
                let client = reqwest::Client::builder()
                    .timeout(timeout)
                    .redirect(reqwest::redirect::Policy::none())
                    .build()
                    .map_err(std::io::Error::other)?;
                Some(Hook::Url { address, client })
            }
        };
        Ok(Self {
            hasher: TokenHasher::new()?,
            hook,
            accepted: Cache::new(MAX_REMEMBERED),
            refused: Cache::new(MAX_REMEMBERED),
            cache_time: settings.cache_for,
            timeout,
            known: Lane::new(MAX_CONCURRENT_KNOWN),
            strangers: Lane::new(MAX_CONCURRENT_STRANGERS),
            last_log: Mutex::default(),
        })
    }

    /// Whether a program or an address decides about tokens that are not in the table.
    #[must_use]
    pub(crate) fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// The hasher for [`UserTable::new`].
    #[must_use]
    pub(crate) fn hasher(&self) -> &TokenHasher {
        &self.hasher
    }

    /// The tier of a token; `None` if it is unknown. Answers of the hook, refusals included, are remembered for
    /// `userTokens.cacheSeconds`.
    ///
    /// # Errors
    /// If the hook does not answer, or not with a tier, or too many tokens wait. Nothing is remembered then.
    pub(crate) async fn tier(
        &self,
        table: &UserTable,
        token: &str,
    ) -> Result<Option<Tier>, HookError> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Ok(None);
        }
        let digest = self.hasher.digest(token.as_bytes());
        if let Some(tier) = table.tier(&digest) {
            return Ok(Some(tier));
        }
        let Some(hook) = &self.hook else { return Ok(None) };
        if let Some(answer) = self.remembered(&digest) {
            return Ok(answer);
        }
        let lane = match self.accepted.get(&digest) {
            Some(_) => &self.known,
            None => &self.strangers,
        };
        let answer = self.ask(hook, lane, token, &digest).await;
        if let Err(error) = &answer {
            self.log(*error);
        }
        answer
    }

    /// The hook's answer, if it need not be asked again yet.
    fn remembered(&self, digest: &TokenDigest) -> Option<Option<Tier>> {
        let now = Instant::now();
        if let Some((tier, until)) = self.accepted.get(digest)
            && now < until
        {
            return Some(Some(tier));
        }
        self.refused.get(digest).is_some_and(|until| now < until).then_some(None)
    }

    async fn ask(
        &self,
        hook: &Hook,
        lane: &Lane,
        token: &str,
        digest: &TokenDigest,
    ) -> Result<Option<Tier>, HookError> {
        let _admitted = lane.admitted.try_acquire().map_err(|_| HookError::Busy)?;
        // The wait does not count as time of the hook.
        let permit = tokio::time::timeout(self.timeout, lane.concurrent.acquire()).await;
        let _permit = permit.map_err(|_| HookError::Busy)?.map_err(|_| HookError::Unreachable)?;
        // The same token may have been asked about meanwhile.
        if let Some(answer) = self.remembered(digest) {
            return Ok(answer);
        }
        let ask = async {
            match hook {
                Hook::Command { program, arguments } => {
                    ask_command(program, arguments, token).await
                }
                Hook::Url { address, client } => ask_address(client, address, token).await,
            }
        };
        let tier = tokio::time::timeout(self.timeout, ask).await;
        let tier = tier.unwrap_or(Err(HookError::Timeout))?;
        let until = Instant::now() + self.cache_time;
        match tier {
            Some(tier) => {
                self.refused.remove(digest);
                self.accepted.insert(*digest, (tier, until));
            }
            None => {
                self.accepted.remove(digest);
                self.refused.insert(*digest, until);
            }
        }
        Ok(tier)
    }

    /// Logs a failure, unless one was logged a moment ago: strangers decide how many there are.
    fn log(&self, error: HookError) {
        let now = Instant::now();
        let mut last = self.last_log.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now.duration_since(last) >= LOG_INTERVAL) {
            *last = Some(now);
            tracing::error!(%error, "user tokens cannot be checked");
        }
    }
}

async fn ask_command(
    program: &str,
    arguments: &[String],
    token: &str,
) -> Result<Option<Tier>, HookError> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| HookError::Unreachable)?;
    // Never as an argument: other users of the machine can read those.
    if let Some(mut input) = child.stdin.take() {
        let line = Zeroizing::new(format!("{token}\n"));
        // A program that decides without reading its input closes it early: its exit code counts.
        drop(input.write_all(line.as_bytes()).await);
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        let read = output.take(MAX_ANSWER as u64 + 1).read_to_end(&mut answer).await;
        read.map_err(|_| HookError::Answer)?;
    }
    let status = child.wait().await.map_err(|_| HookError::Unreachable)?;
    match status.code() {
        Some(0) if answer.len() > MAX_ANSWER => Err(HookError::Answer),
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
    let response = client
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
            let body = Limited::new(reqwest::Body::from(response), MAX_ANSWER).collect().await;
            let answer = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => HookError::Answer,
                false => HookError::Unreachable,
            })?;
            let answer = answer.to_bytes();
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
            UserGroup::new(Tier::Tier1, vec!["AAAA".into(), "BBBB".into()]),
            UserGroup::new(Tier::Tier2, vec!["BBBB".into()]),
        ];
        UserTable::new(tokens.hasher(), &groups)
    }

    #[tokio::test]
    async fn only_whole_tokens_match() {
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
    }

    #[tokio::test]
    async fn the_length_of_tokens_is_limited() {
        let tokens = UserTokens::new(&UserTokenSettings::default()).unwrap();
        let long = [MAX_TOKEN - 1, MAX_TOKEN, MAX_TOKEN + 1].map(|length| "A".repeat(length));
        let group = UserGroup::new(Tier::Tier1, long.to_vec());
        let table = UserTable::new(tokens.hasher(), [&group]);
        for (token, tier) in long.iter().zip([Some(Tier::Tier1), Some(Tier::Tier1), None]) {
            assert_eq!(tokens.tier(&table, token).await, Ok(tier), "{}", token.len());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_length_of_answers_is_limited() {
        let tier = Ok(Some(Tier::Tier1));
        for (length, expected) in
            [(MAX_ANSWER - 1, tier), (MAX_ANSWER, tier), (MAX_ANSWER + 1, Err(HookError::Answer))]
        {
            let tokens = with_command(&format!("printf '%-{length}s' tier1"));
            let table = UserTable::default();
            assert_eq!(tokens.tier(&table, "x").await, expected, "{length}");
        }
    }

    fn with_command(script: &str) -> UserTokens {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        let authority = TokenAuthority::Command { program: "sh".to_owned(), arguments };
        UserTokens::new(&UserTokenSettings { authority, ..Default::default() }).unwrap()
    }

    /// A flood of tokens that nobody knows, while the hook answers nothing.
    #[cfg(unix)]
    #[tokio::test]
    async fn strangers_neither_delay_nor_displace_users() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "read token; case $token in user) echo tier1;; *) while [ -e {0} ]; do sleep 0.01; done; exit 1;; esac",
            folder.path().join("held").display()
        );
        let mut tokens = with_command(&script);
        tokens.timeout = Duration::from_secs(3600);
        let table = UserTable::default();
        assert_eq!(tokens.tier(&table, "user").await, Ok(Some(Tier::Tier1)));
        std::fs::write(folder.path().join("held"), "").unwrap();
        let max = MAX_CONCURRENT_STRANGERS * (1 + MAX_WAITING);
        let mut floods = Vec::new();
        for number in 0..max {
            let name = format!("stranger {number}");
            let (tokens, table) = (&tokens, &table);
            let mut flood = Box::pin(async move { tokens.tier(table, &name).await });
            assert!(futures_util::poll!(&mut flood).is_pending(), "{number}");
            floods.push(flood);
        }
        // One more is refused at once, and the user is still known, also when the answer has to be renewed.
        assert_eq!(tokens.tier(&table, "one more").await, Err(HookError::Busy));
        assert_eq!(tokens.tier(&table, "user").await, Ok(Some(Tier::Tier1)));
        let digest = tokens.hasher.digest(b"user");
        tokens.accepted.insert(digest, (Tier::Tier1, Instant::now()));
        assert_eq!(tokens.tier(&table, "user").await, Ok(Some(Tier::Tier1)));
        std::fs::remove_file(folder.path().join("held")).unwrap();
        for flood in floods {
            assert_eq!(flood.await, Ok(None));
        }
        // Refusals are remembered.
        assert_eq!(tokens.remembered(&tokens.hasher.digest(b"stranger 0")), Some(None));
        assert_eq!(tokens.tier(&table, "one more").await, Ok(None));
    }

    #[tokio::test]
    async fn refusals_displace_no_users() {
        let tokens = UserTokens::new(&UserTokenSettings::default()).unwrap();
        let until = Instant::now() + Duration::from_secs(3600);
        let digest = |name: &str| tokens.hasher.digest(name.as_bytes());
        tokens.accepted.insert(digest("user"), (Tier::Tier2, until));
        for number in 0..2 * MAX_REMEMBERED {
            tokens.refused.insert(digest(&number.to_string()), until);
        }
        assert!(tokens.refused.len() <= MAX_REMEMBERED);
        assert_eq!(tokens.remembered(&digest("user")), Some(Some(Tier::Tier2)));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn answers_of_a_program_are_cached() {
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
            authority: TokenAuthority::Command {
                program: "/no/such/program".to_owned(),
                arguments: Vec::new(),
            },
            ..Default::default()
        };
        let tokens = UserTokens::new(&nothing).unwrap();
        assert_eq!(tokens.tier(&table, "good").await, Err(HookError::Unreachable));
    }
}
