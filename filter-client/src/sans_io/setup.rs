//! Session set-up: configuration and keys.

use super::age::age_at;
use super::config_limits::{max_config_bytes, max_config_fields};
use super::inner::Inner;
use super::session::{ServiceConfig, Session};
use crate::endpoint::{Endpoint, ServiceEndpoint};
use crate::error::{Error, ResponseError};
use crate::state::{StoredConfig, StoredSecret};
use bytes::Bytes;
use pir_api::{Message, api, bounded};
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;

/// Largest number of secret keys for other configurations than the current one that are kept.
const MAX_OTHER_SECRETS: usize = 2;
/// Longest response to an upload, in bytes. It should be empty.
const MAX_EMPTY: usize = 64 << 10;

impl Inner {
    /// The session that queries are made with. `refused` is one that the service does not accept any
    /// more.
    pub(super) async fn session(
        self: &Arc<Self>,
        refused: Option<&Arc<Session>>,
    ) -> Result<Arc<Session>, Error> {
        if let Some(session) = self.usable_session(refused) {
            return Ok(session);
        }
        let _permit = self.setting_up.lock().await;
        // Another lookup may have set up a session while this one waited for the lock.
        if let Some(session) = self.usable_session(refused) {
            return Ok(session);
        }
        let session = Arc::new(self.set_up().await?);
        let mut state = self.lock();
        if state.config.as_ref().is_none_or(|config| config.id != session.config_id()) {
            // Another configuration comes with other data.
            self.answers.clear();
        }
        state.config = Some(session.stored_config().clone());
        state.session = Some(Arc::clone(&session));
        state.checked_at = Some(self.now());
        drop(state);
        self.note_change();
        Ok(session)
    }

    fn usable_session(&self, refused: Option<&Arc<Session>>) -> Option<Arc<Session>> {
        let (session, checked_at) = {
            let state = self.lock();
            (Arc::clone(state.session.as_ref()?), state.checked_at?)
        };
        let now = self.now();
        let is_younger = |time, limit| age_at(now, time).is_some_and(|age| age < limit);
        let is_current = is_younger(checked_at, self.options.config_lifetime)
            && is_younger(session.key_time(), self.options.key_lifetime)
            && self.check_sharding(session.sharding()).is_ok();
        let is_accepted = refused.is_none_or(|refused| !Arc::ptr_eq(refused, &session));
        (is_accepted && is_current).then_some(session)
    }

    /// Compares the configuration with the service's, and uploads a key if the service does not have the
    /// one that belongs to the secret key.
    async fn set_up(self: &Arc<Self>) -> Result<Session, Error> {
        const CONFIG: Endpoint = Endpoint::Config;
        let known = self.lock().config.clone();
        let request = api::ConfigRequest {
            usecases: vec![self.use_case.clone()],
            existing_config_ids: known.iter().map(|known| known.id.clone()).collect(),
        };
        let body = Bytes::from(request.encode_to_vec());
        let max_shards = self.options.sharding.max_count;
        let max_body = max_config_bytes(max_shards);
        let body = match self.post(ServiceEndpoint::Config, body, max_body).await {
            // A request for a token comes before it, and may have met a wrong address.
            Err(Error::Status { endpoint: Endpoint::Config, status: 404, .. }) => {
                return Err(Error::UseCase);
            }
            body => body?,
        };
        let mut response: api::ConfigResponse =
            bounded::decode(&body, max_config_fields(max_shards))
                .map_err(Error::message(CONFIG))?;
        let config = response.configs.remove(&self.use_case);
        let config = config.ok_or_else(|| ResponseError::UseCaseMissing.at(CONFIG))?;
        let status = response.key_info.into_iter().next();
        let status = status.ok_or_else(|| ResponseError::KeyInfoMissing.at(CONFIG))?;
        let keys = status.key_config.ok_or_else(|| ResponseError::KeyConfigMissing.at(CONFIG))?;
        let stored = match (config.reuse_existing_config, known, config.config) {
            (true, Some(known), _) if known.id == config.config_id => known,
            (false, _, Some(api::config::Config::PirConfig(message))) => StoredConfig {
                id: config.config_id,
                config: message.encode_to_vec(),
                keys: keys.encode_to_vec(),
            },
            _ => return Err(ResponseError::ConfigMissing.at(CONFIG)),
        };
        let config = ServiceConfig::read(stored, max_shards)?;
        self.check_sharding(config.sharding())?;
        let uploaded_at = Timestamp::from_unix_seconds(status.timestamp);
        let now = self.now();
        let matching = {
            let state = self.lock();
            let matches = |secret: &&StoredSecret| {
                secret.key_config_hash == config.key_config_hash
                    && secret.timestamp == uploaded_at
                    && age_at(now, secret.made_at())
                        .is_some_and(|age| age < self.options.key_lifetime)
            };
            state.secrets.iter().find(matches).cloned()
        };
        let secret = match matching {
            Some(secret) => secret,
            None => self.upload(&config, uploaded_at).await?,
        };
        Session::new(config, &secret)
    }

    /// Draws keys and uploads the evaluation key. The secret key is added to the state first: if the
    /// response is lost, the service has a key that this client can still use.
    async fn upload(
        self: &Arc<Self>,
        config: &ServiceConfig,
        uploaded_at: Timestamp,
    ) -> Result<StoredSecret, Error> {
        let now = self.now();
        let timestamp = {
            let state = self.lock();
            let own =
                state.secrets.iter().filter(|of| of.key_config_hash == config.key_config_hash);
            let latest = own.map(|secret| secret.timestamp).max();
            key_time(now, latest.map_or(uploaded_at, |latest| latest.max(uploaded_at)))
        };
        let (secret, message) = config.draw_keys(timestamp, now)?;
        {
            let mut state = self.lock();
            let lifetime = self.options.key_lifetime;
            state.secrets.retain(|other| {
                other.key_config_hash != secret.key_config_hash
                    && age_at(now, other.made_at()).is_some_and(|age| age < lifetime)
            });
            // A service that changes its configuration all the time does not fill the state.
            let surplus = state.secrets.len().saturating_sub(MAX_OTHER_SECRETS);
            state.secrets.drain(..surplus);
            state.secrets.push(secret.clone());
        }
        self.note_change();
        self.post(ServiceEndpoint::Key, Bytes::from(message), MAX_EMPTY).await?;
        self.caller.counters.uploaded_key();
        Ok(secret)
    }
}

/// The time by which a service identifies a new evaluation key: the hour, because the seconds of a clock that is wrong are the
/// same under the next pseudonym, and would tie the two. Later than any earlier key: the service distinguishes keys by it.
fn key_time(now: Timestamp, latest: Timestamp) -> Timestamp {
    let hour = now.unix_seconds() / 3600 * 3600;
    Timestamp::from_unix_seconds(hour).max(latest + Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_key_is_an_hour_and_later_than_any_before() {
        let at = Timestamp::from_unix_seconds;
        for (now, latest, expected) in [
            (7199, 0, 3600),
            (7200, 0, 7200),
            (7201, 0, 7200),
            (7201, 7198, 7200),
            (7201, 7199, 7200),
            (7201, 7200, 7201),
            (7201, 9999, 10_000),
            (7201, u64::MAX, u64::MAX),
        ] {
            assert_eq!(key_time(at(now), at(latest)), at(expected), "{now} {latest}");
        }
    }
}
