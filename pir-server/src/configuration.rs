//! `service-config.json`: that of the example service, and what this service adds to it.
//!
//! The file of the example works unchanged. Keys that are not known are refused: a misspelt limit must
//! not count for nothing. `docs/service.md` describes each key for operators.

use crate::gateway::is_host;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

/// Largest configuration file.
const MAX_FILE: u64 = 64 << 20;

/// What a user token entitles to; each tier has issuer keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The first.
    Tier1,
    /// The second.
    Tier2,
    /// The third.
    Tier3,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tier1, Self::Tier2, Self::Tier3];

    /// Its name in configurations and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tier1 => "tier1",
            Self::Tier2 => "tier2",
            Self::Tier3 => "tier3",
        }
    }

    /// The tier of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}

/// User tokens of one tier.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserGroup {
    /// The tier.
    pub tier: Tier,
    /// The tokens, as they follow `Bearer ` in the header.
    pub tokens: Vec<String>,
}

/// A key of the symmetric variant.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SymmetricArguments {
    /// The hexadecimal key with which the database was processed.
    pub database_encryption_key_file_path: PathBuf,
    /// `OPRF_P384_AES_GCM_192_NONCE_96_TAG_128`, the only one there is.
    #[serde(default)]
    pub config_type: Option<String>,
}

/// A use case: one data set and its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UseCase {
    /// `<app bundle id>.url.filtering` for a URL filter.
    pub name: String,
    /// Files are `<stem>-<shard>.bin` and `<stem>-<shard>.params.txtpb`.
    #[serde(default)]
    pub file_stem: String,
    /// Number of shards.
    #[serde(default)]
    pub shard_count: u32,
    /// In place of files on this machine, where releases are published.
    #[serde(default)]
    pub published: Option<String>,
    /// Configurations that are served at once; 0 removes the use case.
    #[serde(default = "two")]
    pub version_count: usize,
    /// Minutes for which a configuration is served after another took its place.
    #[serde(default = "superseded_minutes")]
    pub superseded_minutes: u32,
    /// For the symmetric variant.
    #[serde(default)]
    pub symmetric_pir_arguments: Option<SymmetricArguments>,
}

impl UseCase {
    /// Whether it is there at all.
    pub fn is_served(&self) -> bool {
        self.version_count > 0
    }
}

/// An Oblivious HTTP gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewaySettings {
    /// Hosts that requests may name, and that this service answers for.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Hosts that others answer for, and where these are.
    #[serde(default)]
    pub origins: BTreeMap<String, String>,
    /// How long a key is published.
    #[serde(default = "thirty")]
    pub rotation_days: u32,
    /// How long it is accepted after that.
    #[serde(default = "seven")]
    pub overlap_days: u32,
}

fn thirty() -> u32 {
    30
}

fn seven() -> u32 {
    7
}

/// How publications are followed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PublicationSettings {
    /// Where releases are brought.
    pub directory: PathBuf,
    /// Seconds between two looks.
    pub poll_seconds: u64,
    /// Seconds for which a node that is late says that it is not ready.
    pub late_seconds: u64,
    /// Options of the object store, such as `aws_endpoint`; they count more than the environment.
    pub options: BTreeMap<String, String>,
}

impl Default for PublicationSettings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("pir-server-data"),
            poll_seconds: 10,
            late_seconds: 120,
            options: BTreeMap::new(),
        }
    }
}

/// Without the options, which may hold a secret.
impl std::fmt::Debug for PublicationSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicationSettings")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn two() -> usize {
    2
}

/// Devices fetch the new configuration as soon as they are told that theirs is gone; what is under way
/// is answered.
fn superseded_minutes() -> u32 {
    10
}

/// A certificate and its key.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The chain, PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub private_key: PathBuf,
}

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoreSettings {
    /// The folder.
    pub directory: PathBuf,
    /// Bytes of evaluation keys that are kept; the least recently used go first.
    pub evaluation_key_bytes: u64,
    /// Days without use after which an evaluation key goes.
    pub evaluation_key_days: u32,
    /// A server that several nodes share, in place of the folder.
    pub redis: Option<RedisSettings>,
}

/// Redis, Valkey, or what speaks as they do.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://host:6379/0`, `rediss://` with TLS, `redis+unix:///path`. One of a server, or several
    /// of sentinels or of a cluster.
    pub urls: Vec<String>,
    /// Whether the addresses are of a cluster.
    #[serde(default)]
    pub cluster: bool,
    /// The master's name, if the addresses are of sentinels.
    #[serde(default)]
    pub sentinel_master: Option<String>,
    /// File with the password, if it is not in the addresses.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Authorities that the server's certificate is checked with, PEM; the system's without.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Certificate that is shown to the server, PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(default)]
    pub private_key: Option<PathBuf>,
    /// What names begin with.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// Milliseconds for which a server that is away is waited for.
    #[serde(default = "redis_timeout")]
    pub timeout_milliseconds: u64,
    /// Replicas that must have a nonce before its token counts as spent.
    #[serde(default)]
    pub replicas: u32,
}

fn prefix() -> String {
    "pir:".to_owned()
}

fn redis_timeout() -> u64 {
    1000
}

impl RedisSettings {
    /// How long a server that is away is waited for.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_milliseconds)
    }
}

/// Without the addresses, which may hold a password.
impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("pir-server-state"),
            evaluation_key_bytes: 20 << 30,
            evaluation_key_days: 90,
            redis: None,
        }
    }
}

/// What requests may cost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of all bodies that are being read or answered.
    pub bodies_in_flight_bytes: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Queries in one request.
    pub batch: usize,
    /// Queries and other work that wait for a core.
    pub queue: usize,
    /// Connections at once.
    pub connections: usize,
    /// Seconds for the head of a request to arrive, and for a TLS handshake.
    pub header_seconds: u64,
    /// Seconds for a body to arrive.
    pub body_seconds: u64,
    /// Seconds for a whole request.
    pub request_seconds: u64,
    /// Seconds after which a connection on which nothing moves is closed.
    pub idle_seconds: u64,
    /// Seconds that requests have to finish after SIGTERM.
    pub drain_seconds: u64,
    /// Bytes of parsed evaluation keys in memory.
    pub key_cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 10 << 20,
            bodies_in_flight_bytes: 512 << 20,
            header_bytes: 32 << 10,
            batch: 128,
            queue: 1024,
            connections: 10_000,
            header_seconds: 10,
            body_seconds: 30,
            request_seconds: 60,
            idle_seconds: 120,
            drain_seconds: 30,
            key_cache_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// How long a head may take.
    pub fn header_time(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    /// How long a body may take.
    pub fn body_time(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    /// How long a request may take.
    pub fn request_time(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// How long a connection may rest.
    pub fn idle_time(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// How long the last requests have.
    pub fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// How issuer keys rotate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IssuerSettings {
    /// Days that a key signs.
    pub rotation_days: u32,
    /// Hours before its time at which a key is published.
    pub published_ahead_hours: u32,
    /// Hours for which tokens of a superseded key are accepted.
    pub overlap_hours: u32,
    /// Whether the first key of the directory is refused to users of other tiers. Devices from 27.3 on
    /// ask for tokens of that key whatever their user's tier.
    pub strict_tiers: bool,
}

/// Hours for which devices keep tokens, from iOS and macOS 27 on.
const TOKEN_HOURS: u32 = 7 * 24;

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            rotation_days: 30,
            published_ahead_hours: 48,
            overlap_hours: TOKEN_HOURS + 24,
            strict_tiers: false,
        }
    }
}

impl IssuerSettings {
    /// The same in seconds.
    pub fn rotation(&self) -> privacy_pass::Rotation {
        const HOUR: Duration = Duration::from_secs(3600);
        let mut rotation = privacy_pass::Rotation::default();
        rotation.period = 24 * HOUR * self.rotation_days;
        rotation.published_ahead = HOUR * self.published_ahead_hours;
        rotation.overlap = HOUR * self.overlap_hours;
        rotation.token_lifetime = HOUR * TOKEN_HOURS;
        rotation
    }
}

/// Where user tokens are known besides `users`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UserTokenSettings {
    /// A file like `users`: `[{"tier": "tier1", "tokens": ["…"]}]`. Read again when it changes.
    pub file: Option<PathBuf>,
    /// A program with its arguments. It reads the token and a line end, and prints the tier's name,
    /// or exits with 1 if the token is not good.
    pub command: Option<Vec<String>>,
    /// An address that is sent `{"token": "…"}` and answers `{"tier": "tier1"}`, or 401, 403 or 404.
    pub url: Option<String>,
    /// Seconds for which an answer of the program or the address holds.
    pub cache_seconds: u64,
    /// Seconds that they have to answer.
    pub timeout_seconds: u64,
}

impl Default for UserTokenSettings {
    fn default() -> Self {
        Self { file: None, command: None, url: None, cache_seconds: 300, timeout_seconds: 5 }
    }
}

/// How reports are stored in `reportDirectory`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReportSettings {
    /// Bytes after which a file is finished.
    pub file_bytes: u64,
    /// Hours after which a file is finished.
    pub file_hours: u32,
    /// Finished files that are kept.
    pub files: usize,
    /// Entries of one report.
    pub entries: usize,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, file_hours: 24, files: 100, entries: 1000 }
    }
}

/// The whole configuration.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// User tokens by tier.
    pub users: Vec<UserGroup>,
    /// The use cases.
    #[serde(rename = "usecases")]
    pub use_cases: Vec<UseCase>,
    /// Where tokens are asked for, if not at `/issue` here.
    #[serde(default)]
    pub issuer_request_uri: Option<String>,
    /// Where reports go; without one they are dropped.
    #[serde(default)]
    pub report_directory: Option<PathBuf>,
    /// Addresses of the service.
    #[serde(default = "local")]
    pub listen: Vec<SocketAddr>,
    /// Address for health, metrics and reloading: for operators only.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
    /// With it the service speaks TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// With it the service is a gateway for a relay, too.
    #[serde(default)]
    pub gateway: Option<GatewaySettings>,
    /// Data sets that come from an object store.
    #[serde(default)]
    pub publications: PublicationSettings,
    /// State.
    #[serde(default)]
    pub store: StoreSettings,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// Threads for queries; one a core without it.
    #[serde(default)]
    pub workers: Option<usize>,
    /// Issuer keys.
    #[serde(default)]
    pub issuer: IssuerSettings,
    /// More user tokens.
    #[serde(default)]
    pub user_tokens: UserTokenSettings,
    /// Report files.
    #[serde(default)]
    pub reports: ReportSettings,
}

fn local() -> Vec<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, 1], 8080))]
}

/// A configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not JSON, or not such a file.
    #[error("{path}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// A value makes no sense.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

fn bad(key: impl Into<String>, reason: impl Into<String>) -> ConfigurationError {
    ConfigurationError::Value { key: key.into(), reason: reason.into() }
}

/// What serde says, without the values that it found: they may be tokens.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!("line {}, column {}", error.line(), error.column());
    // `unknown field` and `missing field` name keys; `invalid type` and the like quote values.
    match text.starts_with("unknown field")
        || text.starts_with("missing field")
        || text.starts_with("duplicate field")
        || error.is_syntax()
        || error.is_eof()
    {
        true => text,
        false => format!("a value of the wrong kind at {place}"),
    }
}

pub(crate) fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, ConfigurationError> {
    let io = |source| ConfigurationError::Io { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(io)?;
    if about.len() > most {
        return Err(ConfigurationError::Syntax {
            path: path.to_owned(),
            reason: format!("longer than {most} bytes"),
        });
    }
    fs::read(path).map_err(io)
}

/// Reads user groups from a file of their own.
pub fn read_users(path: &Path) -> Result<Vec<UserGroup>, ConfigurationError> {
    let text = zeroize::Zeroizing::new(read_bounded(path, MAX_FILE)?);
    serde_json::from_slice(&text).map_err(|error| ConfigurationError::Syntax {
        path: path.to_owned(),
        reason: without_values(&error),
    })
}

impl Configuration {
    /// A configuration of users and use cases, everything else as it is by default.
    pub fn new(users: Vec<UserGroup>, use_cases: Vec<UseCase>) -> Self {
        Self {
            users,
            use_cases,
            issuer_request_uri: None,
            report_directory: None,
            listen: local(),
            admin: None,
            tls: None,
            gateway: None,
            publications: PublicationSettings::default(),
            store: StoreSettings::default(),
            limits: Limits::default(),
            workers: None,
            issuer: IssuerSettings::default(),
            user_tokens: UserTokenSettings::default(),
            reports: ReportSettings::default(),
        }
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let text = zeroize::Zeroizing::new(read_bounded(path, MAX_FILE)?);
        Self::parse(&text).map_err(|error| match error {
            ConfigurationError::Syntax { reason, .. } => {
                ConfigurationError::Syntax { path: path.to_owned(), reason }
            }
            other => other,
        })
    }

    /// Reads and checks JSON.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigurationError> {
        let configuration: Self =
            serde_json::from_slice(text).map_err(|error| ConfigurationError::Syntax {
                path: PathBuf::from("service configuration"),
                reason: without_values(&error),
            })?;
        configuration.check()?;
        Ok(configuration)
    }

    fn check_gateway(&self) -> Result<(), ConfigurationError> {
        let Some(gateway) = &self.gateway else { return Ok(()) };
        if gateway.hosts.is_empty() && gateway.origins.is_empty() {
            return Err(bad("gateway.hosts", "no host: every request would be refused"));
        }
        for host in gateway.hosts.iter().chain(gateway.origins.keys()) {
            if !host.parse().is_ok_and(|authority| is_host(&authority)) {
                return Err(bad("gateway.hosts", format!("{host:?} is not the name of a host")));
            }
        }
        for (host, base) in &gateway.origins {
            let is_base = url::Url::parse(base)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !is_base {
                return Err(bad(
                    format!("gateway.origins ({host})"),
                    "an address is needed, such as http://10.0.0.2:8080",
                ));
            }
        }
        if !(1..=3650).contains(&gateway.rotation_days) || gateway.overlap_days > 3650 {
            return Err(bad("gateway.rotationDays", "1 to 3650, and overlapDays at most 3650"));
        }
        Ok(())
    }

    fn check_redis(&self) -> Result<(), ConfigurationError> {
        let Some(redis) = &self.store.redis else { return Ok(()) };
        let key = |key: &str| format!("store.redis.{key}");
        if !cfg!(feature = "redis") {
            return Err(bad("store.redis", "this program was built without the feature `redis`"));
        }
        if redis.urls.is_empty() {
            return Err(bad(key("urls"), "at least one address is needed"));
        }
        let several = redis.cluster || redis.sentinel_master.is_some();
        if redis.urls.len() > 1 && !several {
            let reason =
                "several addresses are those of a cluster, or of sentinels (sentinelMaster)";
            return Err(bad(key("urls"), reason));
        }
        if redis.cluster && redis.sentinel_master.is_some() {
            return Err(bad(key("cluster"), "either cluster or sentinelMaster"));
        }
        if redis.cluster && redis.replicas > 0 {
            return Err(bad(key("replicas"), "a cluster has its own way: leave it out"));
        }
        if redis.certificate.is_some() != redis.private_key.is_some() {
            return Err(bad(key("certificate"), "certificate and privateKey go together"));
        }
        if !(10..=60_000).contains(&redis.timeout_milliseconds) {
            return Err(bad(key("timeoutMilliseconds"), "10 to 60000"));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigurationError> {
        let mut names = BTreeSet::new();
        for use_case in &self.use_cases {
            let name = &use_case.name;
            if name.is_empty() || name.len() > 255 || name.contains(char::is_control) {
                return Err(bad("usecases.name", "1 to 255 printable characters are needed"));
            }
            if !names.insert(name) {
                return Err(bad("usecases.name", format!("{name} is there twice")));
            }
            let has_files = !use_case.file_stem.is_empty() || use_case.shard_count > 0;
            match &use_case.published {
                Some(address) if address.is_empty() || has_files => {
                    return Err(bad(
                        format!("usecases ({name}).published"),
                        "an address is needed, in place of fileStem and shardCount",
                    ));
                }
                Some(_) if name.contains('/') || name.starts_with('.') => {
                    return Err(bad(
                        "usecases.name",
                        format!("{name} is not the name of a folder"),
                    ));
                }
                Some(_) => {}
                None if use_case.file_stem.is_empty() => {
                    return Err(bad(format!("usecases ({name}).fileStem"), "it is missing"));
                }
                None if !(1..=pir_api::convert::MAX_SHARDS).contains(&use_case.shard_count) => {
                    return Err(bad(
                        format!("usecases ({name}).shardCount"),
                        format!("1 to {} are possible", pir_api::convert::MAX_SHARDS),
                    ));
                }
                None => {}
            }
            let kind = use_case.symmetric_pir_arguments.as_ref();
            if let Some(kind) = kind.and_then(|symmetric| symmetric.config_type.as_deref())
                && kind != "OPRF_P384_AES_GCM_192_NONCE_96_TAG_128"
            {
                return Err(bad(
                    format!("usecases ({name}).symmetricPirArguments.configType"),
                    "OPRF_P384_AES_GCM_192_NONCE_96_TAG_128 is the only one",
                ));
            }
        }
        let tokens = self.users.iter().flat_map(|group| &group.tokens);
        if tokens.into_iter().any(|token| token.is_empty() || token.len() > 4096) {
            return Err(bad("users.tokens", "a token is empty or has more than 4096 bytes"));
        }
        if self.listen.is_empty() {
            return Err(bad("listen", "at least one address is needed, such as 127.0.0.1:8080"));
        }
        let limits = &self.limits;
        let positive = [
            ("bodyBytes", limits.body_bytes as u64),
            ("batch", limits.batch as u64),
            ("queue", limits.queue as u64),
            ("connections", limits.connections as u64),
            ("headerSeconds", limits.header_seconds),
            ("bodySeconds", limits.body_seconds),
            ("requestSeconds", limits.request_seconds),
            ("idleSeconds", limits.idle_seconds),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(bad(format!("limits.{key}"), "must not be 0"));
        }
        if limits.header_bytes < 8192 {
            return Err(bad("limits.headerBytes", "less than 8192 does not hold every request"));
        }
        if limits.bodies_in_flight_bytes < limits.body_bytes {
            return Err(bad("limits.bodiesInFlightBytes", "less than limits.bodyBytes"));
        }
        if limits.queue < limits.batch {
            return Err(bad("limits.queue", "less than limits.batch: a full batch never fits"));
        }
        self.check_redis()?;
        self.check_gateway()?;
        if !(1..=3600).contains(&self.publications.poll_seconds) {
            return Err(bad("publications.pollSeconds", "1 to 3600"));
        }
        if self.workers == Some(0) {
            return Err(bad("workers", "must not be 0"));
        }
        let issuer = &self.issuer;
        let rotation = issuer.rotation();
        if rotation.period.is_zero() || rotation.published_ahead >= rotation.period {
            return Err(bad(
                "issuer.rotationDays",
                "a key must sign for longer than it is published ahead (publishedAheadHours)",
            ));
        }
        if issuer.overlap_hours < TOKEN_HOURS {
            return Err(bad(
                "issuer.overlapHours",
                format!("devices keep tokens for a week; at least {TOKEN_HOURS}"),
            ));
        }
        if rotation.overlap > 8 * rotation.period {
            return Err(bad("issuer.overlapHours", "more than eight rotations"));
        }
        let tokens = &self.user_tokens;
        if tokens.command.as_ref().is_some_and(Vec::is_empty) {
            return Err(bad("userTokens.command", "names no program"));
        }
        if tokens.command.is_some() && tokens.url.is_some() {
            return Err(bad("userTokens", "either command or url, not both"));
        }
        if let Some(url) = &tokens.url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(bad("userTokens.url", "must begin with https:// (or http://)"));
        }
        if tokens.timeout_seconds == 0 {
            return Err(bad("userTokens.timeoutSeconds", "must not be 0"));
        }
        if self.reports.entries == 0 || self.reports.file_bytes == 0 {
            return Err(bad("reports", "entries and fileBytes must not be 0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
      "issuerRequestUri": "http://host.example:8080/issue",
      "reportDirectory": null,
      "users": [
        {"tier": "tier1", "tokens": ["AAAA"]},
        {"tier": "tier2", "tokens": ["BBBB", "CCCC"]}
      ],
      "usecases": [
        {"fileStem": "url", "shardCount": 1, "name": "com.example.app.url.filtering"}
      ]
    }"#;

    #[test]
    fn the_file_of_the_example_is_accepted() {
        let read = Configuration::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(read.users.len(), 2);
        assert_eq!(read.use_cases[0].version_count, 2);
        assert_eq!(read.listen, local());
    }

    #[test]
    fn mistakes_are_named_and_tokens_are_not() {
        let fail = |from: &str, to: &str| {
            assert!(EXAMPLE.contains(from));
            let text = EXAMPLE.replace(from, to);
            Configuration::parse(text.as_bytes()).err().unwrap().to_string()
        };
        assert!(fail("\"fileStem\"", "\"filestem\"").contains("filestem"));
        assert!(fail("\"shardCount\": 1", "\"shardCount\": 0").contains("shardCount"));
        assert!(fail("tier2", "tier9").contains("line"));
        assert!(fail("\"AAAA\"", "\"\"").contains("users.tokens"));
        let secret = fail("[\"AAAA\"]", "\"AAAA\"");
        assert!(secret.contains("line 5") && !secret.contains("AAAA"), "{secret}");
        let limits = r#""limits": {"batch": 5, "queue": 4}, "users""#;
        assert!(fail("\"users\"", limits).contains("limits.queue"));
        let issuer = r#""issuer": {"overlapHours": 1}, "users""#;
        assert!(fail("\"users\"", issuer).contains("168"));
        let redis = |settings: &str| {
            let settings = format!(r#""store": {{"redis": {{{settings}}}}}, "users""#);
            fail("\"users\"", &settings)
        };
        let one = r#""urls": ["redis://a"]"#;
        let two = r#""urls": ["redis://:secret@a", "redis://b"]"#;
        for (settings, expected) in [
            (two.to_owned(), "several addresses"),
            (format!(r#"{two}, "cluster": true, "sentinelMaster": "m""#), "redis.cluster"),
            (format!(r#"{two}, "cluster": true, "replicas": 1"#), "redis.replicas"),
            (format!(r#"{one}, "certificate": "c.pem""#), "privateKey"),
            (format!(r#"{one}, "timeoutMilliseconds": 5"#), "10 to 60000"),
        ] {
            let error = redis(&settings);
            let named = error.contains(expected) || !cfg!(feature = "redis");
            assert!(named && !error.contains("secret"), "{error}");
        }
        assert!(fail("\"users\"", r#""userToken": {}, "users""#).contains("userToken"));
    }
}
