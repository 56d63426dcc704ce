//! `service-config.json`: the configuration of Apple's example service, and what this service adds to it.
//!
//! The example's file works unchanged. Unknown keys are refused, because a misspelt limit must not be
//! ignored in silence. `docs/service.md` describes every key for operators.
//!
//! The text is read into plain structures (`Raw…`), and each part is then converted to a type whose
//! values are known to be usable.

mod advice;
mod error;
mod gateway;
mod issuer;
mod json;
mod limits;
mod lists;
mod peers;
mod publications;
mod reports;
mod store;
mod timeout;
mod tls;
mod use_case;
mod users;

pub use crate::tier::Tier;
pub(crate) use advice::token_warnings;
pub use error::{ConfigurationError, Feature};
pub use gateway::GatewaySettings;
pub use issuer::IssuerSettings;
pub use limits::{IssuanceLimit, Limits};
pub use lists::ListSettings;
pub use peers::PeerSettings;
pub use publications::PublicationSettings;
pub(crate) use reports::DEFAULT_ENTRIES;
pub use reports::ReportSettings;
pub use store::{RedisSettings, StoreSettings};
pub use tls::TlsSettings;
pub(crate) use use_case::ShardCount;
pub use use_case::{ShardFiles, UseCase, UseCaseSource};
pub use users::{UserGroup, UserTokenSettings};

#[cfg(feature = "gateway")]
pub(crate) use gateway::{DeviceRequest, Origin};
pub(crate) use limits::MemoryLimits;
pub(crate) use peers::PeerSource;
#[cfg(feature = "redis")]
pub(crate) use store::RedisTopology;
pub(crate) use users::{MAX_TOKEN, TokenAuthority, read_users};

use gateway::RawGateway;
use issuer::RawIssuer;
use limits::RawLimits;
use peers::RawPeers;
use publications::RawPublications;
use reports::RawReports;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use store::RawStore;
use use_case::RawUseCase;
use users::RawUserTokens;
use zeroize::Zeroizing;

/// Largest configuration file and token file, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// The configuration of a service, as `service-config.json` has it.
///
/// ```
/// use pir_server::Configuration;
///
/// let text = br#"{
///     "users": [{ "tier": "tier1", "tokens": ["AAAA"] }],
///     "usecases": [{ "name": "com.example.app.url.filtering", "fileStem": "urls", "shardCount": 4 }],
///     "limits": { "connections": 500 }
/// }"#;
/// let configuration = Configuration::parse(text)?;
/// assert_eq!(configuration.use_cases[0].name(), "com.example.app.url.filtering");
///
/// let text = String::from_utf8_lossy(text).replace("4 }", "\"4\" }");
/// let error = Configuration::parse(text.as_bytes()).err().expect("text is not a number");
/// assert!(error.to_string().starts_with("usecases[0].shardCount: a number is expected, not text"));
/// # Ok::<(), pir_server::configuration::ConfigurationError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Configuration {
    /// User tokens by tier.
    pub users: Vec<UserGroup>,
    /// The use cases, with different names.
    pub use_cases: Vec<UseCase>,
    /// Where devices request tokens; `None` is `/issue` of this service.
    pub issuer_request_uri: Option<String>,
    /// Folder for reports; `None` drops them.
    pub report_directory: Option<PathBuf>,
    /// Addresses for devices.
    pub listen: Vec<SocketAddr>,
    /// Address for health, metrics and reloading. It must not be reachable from the open network.
    pub admin: Option<SocketAddr>,
    /// File with the last findings of `urlfilter doctor --json`, for the page of the admin address; `None` for none.
    pub doctor_report: Option<PathBuf>,
    /// Certificate for HTTPS; `None` serves HTTP.
    pub tls: Option<TlsSettings>,
    /// By what connections are counted.
    pub peers: PeerSettings,
    /// Settings of the Oblivious HTTP gateway; `None` if the service is not one.
    pub gateway: Option<GatewaySettings>,
    /// Lists that the service keeps up to date by itself; `None` for none. [`with_lists`](Self::with_lists) sets it.
    pub lists: Option<ListSettings>,
    /// How published releases are fetched.
    pub publications: PublicationSettings,
    /// Where state is kept.
    pub store: StoreSettings,
    /// What requests may cost.
    pub limits: Limits,
    /// Threads for queries; `None` is one for each core.
    pub workers: Option<usize>,
    /// How issuer keys rotate.
    pub issuer: IssuerSettings,
    /// Where user tokens are known, in addition to `users`.
    pub user_tokens: UserTokenSettings,
    /// How reports are stored.
    pub reports: ReportSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawConfiguration {
    #[serde(default)]
    users: Option<Vec<UserGroup>>,
    usecases: Vec<RawUseCase>,
    #[serde(default)]
    issuer_request_uri: Option<String>,
    #[serde(default)]
    report_directory: Option<PathBuf>,
    #[serde(default)]
    listen: Option<Vec<String>>,
    #[serde(default)]
    admin: Option<String>,
    #[serde(default)]
    doctor_report: Option<PathBuf>,
    #[serde(default)]
    tls: Option<TlsSettings>,
    #[serde(default)]
    peers: RawPeers,
    #[serde(default)]
    gateway: Option<RawGateway>,
    #[serde(default)]
    lists: Option<ListSettings>,
    #[serde(default)]
    publications: RawPublications,
    #[serde(default)]
    store: RawStore,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    workers: Option<usize>,
    #[serde(default)]
    issuer: RawIssuer,
    #[serde(default)]
    user_tokens: RawUserTokens,
    #[serde(default)]
    reports: RawReports,
}

/// The address of a service without `listen`.
fn default_listen() -> Vec<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, 1], 8080))]
}

fn address(key: &str, text: &str) -> Result<SocketAddr, ConfigurationError> {
    text.parse().map_err(|_| {
        let reason =
            format!("an address and a port are expected, such as 127.0.0.1:8080, not {text:?}");
        ConfigurationError::value(key, reason)
    })
}

fn addresses(texts: Option<Vec<String>>) -> Result<Vec<SocketAddr>, ConfigurationError> {
    let Some(texts) = texts else { return Ok(default_listen()) };
    if texts.is_empty() {
        let reason = "at least one address is expected, such as 127.0.0.1:8080";
        return Err(ConfigurationError::value("listen", reason));
    }
    let numbered = texts.iter().enumerate();
    numbered.map(|(index, text)| address(&format!("listen[{index}]"), text)).collect()
}

fn use_cases(raw: Vec<RawUseCase>) -> Result<Vec<UseCase>, ConfigurationError> {
    let mut use_cases: Vec<UseCase> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let use_case = UseCase::try_from(raw);
        use_cases.push(use_case.map_err(|error| error.within(format!("usecases[{index}]")))?);
    }
    let mut names = BTreeSet::new();
    for (index, use_case) in use_cases.iter().enumerate() {
        if !names.insert(use_case.name()) {
            let reason = format!("another use case has the name {} already", use_case.name());
            return Err(ConfigurationError::value(format!("usecases[{index}].name"), reason));
        }
    }
    Ok(use_cases)
}

/// Converts a part, and names it in the error.
fn part<R, T>(key: &str, raw: R) -> Result<T, ConfigurationError>
where
    T: TryFrom<R, Error = ConfigurationError>,
{
    T::try_from(raw).map_err(|error| error.within(key))
}

impl TryFrom<RawConfiguration> for Configuration {
    type Error = ConfigurationError;

    fn try_from(raw: RawConfiguration) -> Result<Self, ConfigurationError> {
        let users = match raw.users {
            Some(users) => users,
            None if raw.user_tokens.is_source() => Vec::new(),
            None => {
                let reason = "it is missing; user tokens are listed here, or known from userTokens";
                return Err(ConfigurationError::value("users", reason));
            }
        };
        for (index, group) in users.iter().enumerate() {
            group.check().map_err(|error| error.within(format!("users[{index}]")))?;
        }
        if raw.tls.is_some() {
            ConfigurationError::unless_built("tls", Feature::Tls)?;
        }
        if raw.workers == Some(0) {
            return Err(ConfigurationError::value("workers", "must not be 0"));
        }
        let reports: ReportSettings = part("reports", raw.reports)?;
        let gateway = raw.gateway.map(|gateway| part("gateway", gateway)).transpose()?;
        let gateway = gateway.map(|gateway: GatewaySettings| gateway.with_reports(&reports.path));
        Ok(Self {
            users,
            use_cases: use_cases(raw.usecases)?,
            issuer_request_uri: raw.issuer_request_uri,
            report_directory: raw.report_directory,
            listen: addresses(raw.listen)?,
            admin: raw.admin.map(|text| address("admin", &text)).transpose()?,
            tls: raw.tls,
            peers: part("peers", raw.peers)?,
            gateway,
            doctor_report: raw.doctor_report,
            lists: raw.lists,
            publications: part("publications", raw.publications)?,
            store: part("store", raw.store)?,
            limits: part("limits", raw.limits)?,
            workers: raw.workers,
            issuer: part("issuer", raw.issuer)?,
            user_tokens: part("userTokens", raw.user_tokens)?,
            reports,
        })
    }
}

impl Configuration {
    /// Users and use cases, with the default of every other key.
    #[must_use]
    pub fn new(users: Vec<UserGroup>, use_cases: Vec<UseCase>) -> Self {
        Self {
            users,
            use_cases,
            issuer_request_uri: None,
            report_directory: None,
            listen: default_listen(),
            admin: None,
            tls: None,
            peers: PeerSettings::default(),
            gateway: None,
            doctor_report: None,
            lists: None,
            publications: PublicationSettings::default(),
            store: StoreSettings::default(),
            limits: Limits::default(),
            workers: None,
            issuer: IssuerSettings::default(),
            user_tokens: UserTokenSettings::default(),
            reports: ReportSettings::default(),
        }
    }

    /// Serves lists, and keeps them up to date. Their use case is that of the list configuration. Without `lists`, those that
    /// the configuration names are meant, if there are any.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] if the list configuration cannot be used or another use case has its name, and
    /// [`ConfigurationError::Feature`] without the feature `lists`.
    pub fn with_lists(mut self, lists: Option<ListSettings>) -> Result<Self, ConfigurationError> {
        self.lists = lists.or(self.lists);
        if let Some(lists) = &self.lists {
            let use_case = lists.use_case()?;
            if self.use_cases.iter().any(|other| other.name() == use_case.name()) {
                let reason =
                    format!("a use case of usecases has the name {} already", use_case.name());
                return Err(ConfigurationError::value("lists", reason));
            }
            self.use_cases.push(use_case);
        }
        Ok(self)
    }

    /// Reads a file of at most 64 MiB.
    ///
    /// # Errors
    /// [`ConfigurationError::Read`] if the file cannot be read, otherwise as [`Configuration::parse`].
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let text = Zeroizing::new(durable_file::read(path, MAX_FILE)?);
        Self::parse(&text).map_err(|error| error.in_file(path))
    }

    /// Reads a configuration from JSON.
    ///
    /// # Errors
    /// [`ConfigurationError::Json`] if the text is not JSON, [`ConfigurationError::Value`] for a key that
    /// is unknown or missing and for a value that cannot be used, and [`ConfigurationError::Feature`] for
    /// a key that needs a feature that is not built in.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigurationError> {
        json::parse::<RawConfiguration>(text)?.try_into()
    }

    /// Sets other addresses than those of the file: those of `listen`, if there are any, and that for operators.
    ///
    /// # Errors
    /// [`ConfigurationError::Value`] if two of all addresses are the same.
    pub fn with_addresses(
        mut self,
        listen: Vec<SocketAddr>,
        admin: Option<SocketAddr>,
    ) -> Result<Self, ConfigurationError> {
        if !listen.is_empty() {
            self.listen = listen;
        }
        self.admin = admin.or(self.admin);
        let all: Vec<_> = self.listen.iter().chain(&self.admin).collect();
        // A free port is taken for each port 0.
        let again = |index: usize| all[index].port() != 0 && all[..index].contains(&all[index]);
        match (0..all.len()).find(|&index| again(index)) {
            None => Ok(self),
            Some(index) => {
                let key = if index < self.listen.len() { "listen" } else { "admin" };
                let reason = format!("{} is there twice, in listen or as admin", all[index]);
                Err(ConfigurationError::value(key, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests;
