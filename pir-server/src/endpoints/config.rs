//! `POST /config`: configurations of use cases, and which keys the service holds.

use super::body::Incoming;
use super::{Compressible, Refusal, Reply, admission, protobuf};
use crate::data_set::DataSet;
use crate::platform::Platform;
use crate::service::Service;
use axum::extract::State;
use http::HeaderMap;
use pir_api::{api, bounded};
use std::sync::Arc;

/// Use cases in one request.
const MAX_USE_CASES: usize = 1000;
/// Longest body: names and ids.
const MAX_BODY: usize = 512 << 10;

pub(super) async fn config(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers)?;
    let user = admission::user_identifier(&headers)?;
    let platform = Platform::from_user_agent(admission::user_agent(&headers)?);
    let held = body.read(MAX_BODY).await?;
    let request: api::ConfigRequest = bounded::decode(&held.bytes, 2 * MAX_USE_CASES)
        .map_err(|error| Refusal::Invalid(error.to_string()))?;
    let durable = admission.spend(&service).await?;

    let live = service.live();
    let (names, ids) = (&request.usecases, &request.existing_config_ids);
    if !ids.is_empty() && ids.len() != names.len() {
        let counts = format!("{} existing_config_ids, expected 0 or {}", ids.len(), names.len());
        return Err(Refusal::Invalid(counts));
    }
    // Each with the id that its own place has: the pairs are those of the request.
    let wanted: Vec<(&str, Arc<DataSet>, &[u8])> = if names.is_empty() {
        live.catalog.newest_of_all().map(|(name, data)| (name, data, &[][..])).collect()
    } else {
        let ids = ids.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
        names
            .iter()
            .zip(ids)
            .map(|(name, id)| {
                let data = live.catalog.newest(name).ok_or(Refusal::NoUseCase)?;
                Ok((name.as_str(), Arc::clone(data), id))
            })
            .collect::<Result<_, Refusal>>()?
    };

    let mut response = api::ConfigResponse::default();
    for (name, data, id) in wanted {
        let config = config_of(&data, platform, id)?;
        response.configs.insert(name.to_owned(), config);
        let slot = service.store().slot(user, data.key_config_hash());
        let timestamp = service.store().evaluation_key_timestamp(slot).await?;
        response.key_info.push(api::shared::KeyStatus {
            timestamp: timestamp.unwrap_or(0),
            key_config: Some(data.key_config_message().clone()),
        });
    }
    durable.wait().await?;
    let mut response = protobuf(&response);
    response.extensions_mut().insert(Compressible);
    Ok(Reply::of(held.bytes.len(), response))
}

/// The configuration of a data set, or the word that the client has it already.
fn config_of(data: &DataSet, platform: Platform, existing: &[u8]) -> Result<api::Config, Refusal> {
    let known = existing == data.config_id();
    let config = match known {
        true => None,
        false => Some(data.config_for(platform).ok_or(Refusal::OldSystem)?),
    };
    Ok(api::Config {
        config: config.map(api::config::Config::PirConfig),
        config_id: data.config_id().to_vec(),
        reuse_existing_config: known,
    })
}
