//! Where state is kept.

use super::error::{ConfigurationError, Feature};
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Where state is kept that must outlive a restart: evaluation keys, spent nonces, issuer keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Folder of the embedded store.
    pub(crate) directory: PathBuf,
    /// Bytes of evaluation keys; beyond, the least recently used are removed.
    pub(crate) evaluation_key_bytes: u64,
    /// How long an evaluation key is kept without use.
    pub(crate) evaluation_key_lifetime: Duration,
    /// A store that several nodes share, instead of the folder.
    pub(crate) redis: Option<RedisSettings>,
}

impl StoreSettings {
    /// State in a folder of this machine, which is created when the service opens.
    #[must_use]
    pub fn in_folder(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), ..Self::default() }
    }

    /// The servers of a store that several nodes share; `None` if state is in the folder.
    #[must_use]
    pub fn redis(&self) -> Option<&RedisSettings> {
        self.redis.as_ref()
    }
}

/// The servers behind the addresses of Redis, Valkey, or another implementation of their protocol.
///
/// Addresses are `redis://host:6379/0`, `rediss://…` with TLS, or `redis+unix:///path`. They may hold a
/// password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum RedisTopology {
    /// One server.
    Single {
        url: String,
        /// Replicas that must have a nonce before its token counts as spent.
        replicas: u32,
    },
    /// A primary server that sentinels name.
    Sentinel {
        /// Addresses of the sentinels.
        urls: Vec<String>,
        /// The name under which sentinels know the primary server.
        primary: String,
        /// Replicas that must have a nonce before its token counts as spent.
        replicas: u32,
    },
    /// A cluster, of which these nodes are asked first.
    Cluster { urls: Vec<String> },
}

#[cfg(feature = "redis")]
impl RedisTopology {
    pub(crate) fn urls(&self) -> &[String] {
        match self {
            Self::Single { url, .. } => std::slice::from_ref(url),
            Self::Sentinel { urls, .. } | Self::Cluster { urls } => urls,
        }
    }

    /// Replicas that must have a nonce before its token counts as spent; 0 in a cluster, whose own
    /// settings decide.
    pub(crate) fn replicas(&self) -> u32 {
        match self {
            Self::Single { replicas, .. } | Self::Sentinel { replicas, .. } => *replicas,
            Self::Cluster { .. } => 0,
        }
    }
}

/// A certificate that is shown to the server, and its private key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientIdentity {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

/// A store in Redis, Valkey, or another implementation of their protocol.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    pub(crate) topology: RedisTopology,
    /// File with the password, if it is not in the addresses.
    pub(crate) password_file: Option<PathBuf>,
    /// Authorities that the server's certificate is verified with, PEM; `None` uses the system's.
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) identity: Option<ClientIdentity>,
    /// What all keys begin with.
    pub(crate) prefix: String,
    /// How long a command may take, including new connections.
    pub(crate) timeout: Duration,
}

/// Without the addresses, which may hold a password.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawStore {
    directory: PathBuf,
    evaluation_key_bytes: u64,
    evaluation_key_days: u32,
    redis: Option<RawRedis>,
}

impl Default for RawStore {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("pir-server-state"),
            evaluation_key_bytes: 20 << 30,
            // Devices renew their keys within a week.
            evaluation_key_days: 8,
            redis: None,
        }
    }
}

impl TryFrom<RawStore> for StoreSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawStore) -> Result<Self, ConfigurationError> {
        let redis = raw.redis.map(RedisSettings::try_from).transpose();
        Ok(Self {
            directory: raw.directory,
            evaluation_key_bytes: raw.evaluation_key_bytes,
            evaluation_key_lifetime: DAY * raw.evaluation_key_days,
            redis: redis.map_err(|error| error.within("redis"))?,
        })
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        RawStore::default().try_into().expect("the defaults are valid")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRedis {
    urls: Vec<String>,
    #[serde(default)]
    cluster: bool,
    #[serde(default)]
    sentinel_master: Option<String>,
    #[serde(default)]
    password_file: Option<PathBuf>,
    #[serde(default)]
    authorities: Option<PathBuf>,
    #[serde(default)]
    certificate: Option<PathBuf>,
    #[serde(default)]
    private_key: Option<PathBuf>,
    #[serde(default = "default_prefix")]
    prefix: String,
    #[serde(default = "default_timeout_milliseconds")]
    timeout_milliseconds: u64,
    #[serde(default)]
    replicas: u32,
}

fn default_prefix() -> String {
    "pir:".to_owned()
}

fn default_timeout_milliseconds() -> u64 {
    1000
}

/// Which of the three topologies the keys `cluster`, `sentinelMaster` and `replicas` describe.
fn topology(
    urls: Vec<String>,
    cluster: bool,
    primary: Option<String>,
    replicas: u32,
) -> Result<RedisTopology, ConfigurationError> {
    let wrong = |key: &str, reason: &str| Err(ConfigurationError::value(key, reason));
    if urls.is_empty() {
        return wrong("urls", "at least one address is expected, such as redis://host:6379/0");
    }
    match (cluster, primary) {
        (true, Some(_)) => {
            wrong("cluster", "either cluster or sentinelMaster is expected, not both")
        }
        (true, None) if replicas > 0 => {
            wrong("replicas", "a cluster replicates by its own settings: leave this key out")
        }
        (true, None) => Ok(RedisTopology::Cluster { urls }),
        (false, Some(primary)) => Ok(RedisTopology::Sentinel { urls, primary, replicas }),
        (false, None) => {
            let mut urls = urls.into_iter();
            match (urls.next(), urls.next()) {
                (Some(url), None) => Ok(RedisTopology::Single { url, replicas }),
                _ => wrong(
                    "urls",
                    "several addresses are those of a cluster (set cluster), or of sentinels (set \
                     sentinelMaster)",
                ),
            }
        }
    }
}

impl TryFrom<RawRedis> for RedisSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawRedis) -> Result<Self, ConfigurationError> {
        ConfigurationError::unless_built("", Feature::Redis)?;
        let topology = topology(raw.urls, raw.cluster, raw.sentinel_master, raw.replicas)?;
        let identity = match (raw.certificate, raw.private_key) {
            (None, None) => None,
            (Some(certificate), Some(private_key)) => {
                Some(ClientIdentity { certificate, private_key })
            }
            (Some(_), None) => {
                let reason = "it is missing; certificate and privateKey go together";
                return Err(ConfigurationError::value("privateKey", reason));
            }
            (None, Some(_)) => {
                let reason = "it is missing; certificate and privateKey go together";
                return Err(ConfigurationError::value("certificate", reason));
            }
        };
        if !(10..=60_000).contains(&raw.timeout_milliseconds) {
            let reason = "a number of milliseconds from 10 to 60000 is expected";
            return Err(ConfigurationError::value("timeoutMilliseconds", reason));
        }
        Ok(Self {
            topology,
            password_file: raw.password_file,
            authorities: raw.authorities,
            identity,
            prefix: raw.prefix,
            timeout: Duration::from_millis(raw.timeout_milliseconds),
        })
    }
}
