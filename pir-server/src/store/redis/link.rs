//! Connections to the servers: a single one, the master that sentinels name, or a cluster.

use super::super::{SettingError, StoreError};
use crate::configuration::{RedisSettings, RedisTopology};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    TlsCertificates, TlsMode,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Largest file of a password, a certificate or a key, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Pause before a command is sent again.
const PAUSE: Duration = Duration::from_millis(50);

enum Target {
    One(Box<Client>),
    Master(Box<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Sends commands, and connects again when a connection is lost.
pub(super) struct Link {
    target: Target,
    /// The connection, and its number, which grows with each new connection.
    current: Mutex<(u64, Option<Connection>)>,
    timeout: Duration,
    /// Whether the last command was answered. If it was not, later commands fail after one attempt.
    answers: AtomicBool,
}

/// A command was not carried out. Errors of the crate are reduced to what cannot contain a part of a command.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The connection failed. Errors of this kind know nothing of commands. The crate repeats its causes in its message, so
    /// they end here.
    #[error("the connection to redis failed: {0}")]
    Connection(RedisError),
    /// The server, or the crate, refused the command with this code.
    #[error("redis refused the command: {0}")]
    Refused(String),
    #[error("redis did not answer in time")]
    Timeout,
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        if error.is_io_error() {
            return Self::Connection(error);
        }
        Self::Refused(error.code().map_or_else(|| format!("{:?}", error.kind()), ToOwned::to_owned))
    }
}

fn unavailable(error: RedisError) -> StoreError {
    StoreError::unavailable(Failure::from(error))
}

fn setting(key: &'static str, error: impl Into<SettingError>) -> StoreError {
    StoreError::Setting { key, source: error.into() }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, StoreError> {
    durable_file::read(path, MAX_FILE).map_err(|error| setting(key, error))
}

fn certificates(settings: &RedisSettings) -> Result<TlsCertificates, StoreError> {
    let client = match &settings.identity {
        Some(identity) => Some(redis::ClientTlsConfig {
            client_cert: read("certificate", &identity.certificate)?,
            client_key: read("privateKey", &identity.private_key)?,
        }),
        None => None,
    };
    let root_cert =
        settings.authorities.as_ref().map(|path| read("authorities", path)).transpose()?;
    if root_cert
        .as_ref()
        .is_some_and(|pem| !CertificateDer::pem_slice_iter(pem).any(|it| it.is_ok()))
    {
        return Err(setting("authorities", SettingError::NoCertificate));
    }
    Ok(TlsCertificates { client_tls: client, root_cert })
}

impl Link {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        let password = match &settings.password_file {
            Some(path) => {
                let bytes = Zeroizing::new(read("passwordFile", path)?);
                let text = str::from_utf8(&bytes)
                    .map_err(|_| setting("passwordFile", SettingError::NotText))?;
                Some(Zeroizing::new(text.trim().to_owned()))
            }
            None => None,
        };
        let uses_tls = settings.topology.urls().iter().any(|url| url.starts_with("rediss://"));
        // The crate takes the TLS provider of the process. Which one that is, is for the program to decide: the
        // crate itself would install one, or panic where several are compiled in.
        if uses_tls && CryptoProvider::get_default().is_none() {
            return Err(setting("urls", SettingError::NoTlsProvider));
        }
        // An address may hold a password, so the crate's own message is not repeated.
        let wrong = |_: RedisError| setting("urls", SettingError::NotAnAddress);
        let certificates = certificates(settings)?;
        let target = match &settings.topology {
            RedisTopology::Cluster { urls } => {
                let mut builder = ClusterClient::builder(urls.clone())
                    .connection_timeout(settings.timeout)
                    .response_timeout(settings.timeout);
                if let Some(password) = &password {
                    builder = builder.password(password.as_str());
                }
                if uses_tls {
                    builder = builder.tls(TlsMode::Secure).certs(certificates);
                }
                Target::Cluster(Box::new(builder.build().map_err(wrong)?))
            }
            RedisTopology::Sentinel { urls, primary, .. } => {
                let mut sentinels = Vec::with_capacity(urls.len());
                for url in urls {
                    let info = url.as_str().into_connection_info().map_err(wrong)?;
                    sentinels.push(info.addr().clone());
                }
                let mut builder = SentinelClientBuilder::new(
                    sentinels,
                    primary.clone(),
                    SentinelServerType::Master,
                )
                .map_err(wrong)?;
                if let Some(password) = &password {
                    builder = builder.set_client_to_redis_password(password.as_str());
                }
                if uses_tls {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_redis_certificates(certificates.clone())
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_certificates(certificates);
                }
                Target::Master(Box::new(Mutex::new(builder.build().map_err(wrong)?)))
            }
            RedisTopology::Single { url, .. } => {
                let mut info = url.as_str().into_connection_info().map_err(wrong)?;
                if let Some(password) = &password {
                    let redis = info.redis_settings().clone().set_password(password.as_str());
                    info = info.set_redis_settings(redis);
                }
                Target::One(Box::new(match uses_tls {
                    true => Client::build_with_tls(info, certificates).map_err(wrong)?,
                    false => Client::open(info).map_err(wrong)?,
                }))
            }
        };
        Ok(Self {
            target,
            current: Mutex::new((0, None)),
            timeout: settings.timeout,
            answers: AtomicBool::new(true),
        })
    }

    async fn connect(&self) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        Ok(match &self.target {
            Target::One(client) => {
                let made = client.get_multiplexed_async_connection_with_config(&config).await?;
                Connection::One(made)
            }
            Target::Master(client) => {
                let mut client = client.lock().await;
                Connection::One(client.get_async_connection_with_config(&config).await?)
            }
            Target::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }

    async fn connection(&self) -> Result<(u64, Connection), RedisError> {
        let mut current = self.current.lock().await;
        if let (number, Some(connection)) = &*current {
            return Ok((*number, connection.clone()));
        }
        let connection = self.connect().await?;
        current.0 += 1;
        current.1 = Some(connection.clone());
        Ok((current.0, connection))
    }

    /// Drops a connection that failed, unless it was replaced already.
    async fn discard(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.0 == number {
            current.1 = None;
        }
    }

    /// Sends a command once.
    async fn attempt<T: FromRedisValue>(&self, work: &Work<'_>) -> Result<T, RedisError> {
        let (number, connection) = self.connection().await?;
        let outcome = match (work, connection) {
            (Work::Command(command), Connection::One(mut connection)) => {
                command.query_async(&mut connection).await
            }
            (Work::Command(command), Connection::Cluster(mut connection)) => {
                command.query_async(&mut connection).await
            }
            (Work::Pipeline(pipeline), Connection::One(mut connection)) => {
                pipeline.query_async(&mut connection).await
            }
            (Work::Pipeline(pipeline), Connection::Cluster(mut connection)) => {
                pipeline.query_async(&mut connection).await
            }
        };
        if outcome.as_ref().is_err_and(is_lost) {
            self.discard(number).await;
        }
        outcome
    }

    /// Sends a command until it is answered, or the time is over. It may arrive twice.
    async fn send<T: FromRedisValue>(&self, work: Work<'_>) -> Result<T, StoreError> {
        // While the servers are away, requests fail at once rather than pile up.
        let timeout = if self.answers.load(Ordering::Relaxed) { self.timeout } else { PAUSE };
        let end = Instant::now() + timeout;
        loop {
            let outcome =
                tokio::time::timeout_at(end.max(Instant::now() + PAUSE), self.attempt(&work));
            let error = match outcome.await {
                Ok(Ok(value)) => {
                    self.answers.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
                Ok(Err(error)) if !is_temporary(&error) => {
                    self.answers.store(true, Ordering::Relaxed);
                    return Err(unavailable(error));
                }
                Ok(Err(error)) => unavailable(error),
                Err(_) => StoreError::unavailable(Failure::Timeout),
            };
            if Instant::now() + PAUSE >= end {
                self.answers.store(false, Ordering::Relaxed);
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.send(Work::Command(command)).await
    }

    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        self.send(Work::Pipeline(pipeline)).await
    }
}

enum Work<'w> {
    Command(&'w Cmd),
    Pipeline(&'w Pipeline),
}

/// Whether the connection must be replaced.
fn is_lost(error: &RedisError) -> bool {
    error.is_connection_dropped()
        || error.is_io_error()
        || error.is_timeout()
        || is_read_only(error)
}

/// Whether the server is a master that has become a replica.
fn is_read_only(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
}

/// Whether another attempt may succeed.
fn is_temporary(error: &RedisError) -> bool {
    is_lost(error) || matches!(error.code(), Some("LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "BUSY"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;
    use serde_json::json;

    fn refusal(settings: serde_json::Value) -> Option<StoreError> {
        let text = json!({ "users": [], "usecases": [], "store": { "redis": settings } });
        let configuration = Configuration::parse(text.to_string().as_bytes()).unwrap();
        Link::new(&configuration.store.redis.unwrap()).err()
    }

    #[test]
    fn the_length_of_password_files_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (length, accepted) in [(MAX_FILE - 1, true), (MAX_FILE, true), (MAX_FILE + 1, false)] {
            std::fs::write(&path, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
            let error = refusal(json!({ "urls": ["redis://localhost"], "passwordFile": path }));
            assert_eq!(error.is_none(), accepted, "{length}: {error:?}");
        }
    }

    #[test]
    fn opening_a_store_installs_no_tls_provider() {
        let error = refusal(json!({ "urls": ["rediss://localhost"] })).unwrap();
        assert!(matches!(
            error,
            StoreError::Setting { key: "urls", source: SettingError::NoTlsProvider }
        ));
        assert!(CryptoProvider::get_default().is_none());
    }
}
