//! The way to the servers: one, a master that sentinels know, or a cluster.

use super::super::StoreError;
use crate::configuration::RedisSettings;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    TlsCertificates, TlsMode,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io};
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

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
    /// The connection, with a number that grows.
    current: Mutex<(u64, Option<Connection>)>,
    timeout: Duration,
    /// Whether the last command had an answer. While it had none, commands are not waited for.
    answers: AtomicBool,
}

/// Errors of the crate, without what a command contained.
fn unavailable(error: &RedisError) -> StoreError {
    if error.is_io_error() {
        // Of the connection, which knows nothing of commands.
        return StoreError::Unavailable(format!("redis: {error}"));
    }
    let kind = error.code().map_or_else(|| format!("{:?}", error.kind()), ToOwned::to_owned);
    StoreError::Unavailable(format!("redis: {kind}"))
}

fn setting(key: &str, reason: impl ToString) -> StoreError {
    StoreError::Settings { key: format!("store.redis.{key}"), reason: reason.to_string() }
}

fn read(key: &str, path: &std::path::Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(|error: io::Error| setting(key, format!("{}: {error}", path.display())))
}

fn certificates(settings: &RedisSettings) -> Result<TlsCertificates, StoreError> {
    let client = match (&settings.certificate, &settings.private_key) {
        (Some(certificate), Some(key)) => Some(redis::ClientTlsConfig {
            client_cert: read("certificate", certificate)?,
            client_key: read("privateKey", key)?,
        }),
        _ => None,
    };
    let root_cert =
        settings.authorities.as_ref().map(|path| read("authorities", path)).transpose()?;
    if root_cert
        .as_ref()
        .is_some_and(|pem| !CertificateDer::pem_slice_iter(pem).any(|it| it.is_ok()))
    {
        return Err(setting("authorities", "no certificate in it"));
    }
    Ok(TlsCertificates { client_tls: client, root_cert })
}

impl Link {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        let password = match &settings.password_file {
            Some(path) => {
                let bytes = Zeroizing::new(read("passwordFile", path)?);
                let text =
                    str::from_utf8(&bytes).map_err(|_| setting("passwordFile", "not text"))?;
                Some(Zeroizing::new(text.trim().to_owned()))
            }
            None => None,
        };
        let uses_tls = settings.urls.iter().any(|url| url.starts_with("rediss://"));
        if uses_tls {
            // Several libraries of this process use TLS: they shall agree on a provider.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        // An address may hold a password, so the crate's own words are not repeated.
        let wrong = |_: RedisError| setting("urls", "not an address such as redis://host:6379/0");
        let certificates = certificates(settings)?;
        let target = if settings.cluster {
            let mut builder = ClusterClient::builder(settings.urls.clone())
                .connection_timeout(settings.timeout())
                .response_timeout(settings.timeout());
            if let Some(password) = &password {
                builder = builder.password(password.as_str());
            }
            if uses_tls {
                builder = builder.tls(TlsMode::Secure).certs(certificates);
            }
            Target::Cluster(Box::new(builder.build().map_err(wrong)?))
        } else if let Some(name) = &settings.sentinel_master {
            let mut sentinels = Vec::with_capacity(settings.urls.len());
            for url in &settings.urls {
                let info = url.as_str().into_connection_info().map_err(wrong)?;
                sentinels.push(info.addr().clone());
            }
            let mut builder =
                SentinelClientBuilder::new(sentinels, name.clone(), SentinelServerType::Master)
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
        } else {
            let url = settings.urls.first().map(String::as_str).unwrap_or_default();
            let mut info = url.into_connection_info().map_err(wrong)?;
            if let Some(password) = &password {
                let redis = info.redis_settings().clone().set_password(password.as_str());
                info = info.set_redis_settings(redis);
            }
            Target::One(Box::new(match uses_tls {
                true => Client::build_with_tls(info, certificates).map_err(wrong)?,
                false => Client::open(info).map_err(wrong)?,
            }))
        };
        Ok(Self {
            target,
            current: Mutex::new((0, None)),
            timeout: settings.timeout(),
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

    /// Forgets a connection that failed, unless another took its place.
    async fn lose(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.0 == number {
            current.1 = None;
        }
    }

    /// One try.
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
            self.lose(number).await;
        }
        outcome
    }

    /// Sends a command until it has an answer, or the time is over. It may arrive twice.
    async fn send<T: FromRedisValue>(&self, work: Work<'_>) -> Result<T, StoreError> {
        // A server that was away a moment ago is not waited for: requests would pile up.
        let patience = if self.answers.load(Ordering::Relaxed) { self.timeout } else { PAUSE };
        let end = Instant::now() + patience;
        loop {
            let outcome =
                tokio::time::timeout_at(end.max(Instant::now() + PAUSE), self.attempt(&work));
            let error = match outcome.await {
                Ok(Ok(value)) => {
                    self.answers.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
                Ok(Err(error)) if !is_passing(&error) => {
                    self.answers.store(true, Ordering::Relaxed);
                    return Err(unavailable(&error));
                }
                Ok(Err(error)) => unavailable(&error),
                Err(_) => StoreError::Unavailable("redis: no answer in time".to_owned()),
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

/// Whether a connection is of no use any more.
fn is_lost(error: &RedisError) -> bool {
    error.is_connection_dropped()
        || error.is_io_error()
        || error.is_timeout()
        || is_read_only(error)
}

/// A master that became a replica says so.
fn is_read_only(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
}

/// Whether another try may have an answer.
fn is_passing(error: &RedisError) -> bool {
    is_lost(error) || matches!(error.code(), Some("LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "BUSY"))
}
