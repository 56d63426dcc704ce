//! `/config`: configurations of use cases, and which evaluation keys of the client are stored.

use super::body::Incoming;
use super::{Compressible, Refusal, Reply, admission, invalid, protobuf};
use crate::catalog::Catalog;
use crate::data_set::DataSet;
use crate::platform::Platform;
use crate::service::Service;
use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use pir_api::bounded::Counted;
use pir_api::{Message, api};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;

/// Largest number of names and ids in one request, together.
const MAX_FIELDS: usize = 2000;
/// Largest body, in bytes.
const MAX_BODY: usize = 512 << 10;
/// How long caches may keep the public configuration. A device with an older configuration is served as long as
/// that version is, and is then told to fetch the new one.
const PUBLIC: &str = "public, max-age=300";

pub(super) async fn config(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let admission = admission::private_token(&service, &headers).await?;
    let user = admission::user_identifier(&headers)?;
    let platform = Platform::from_user_agent(admission::user_agent(&headers)?);
    let (bytes, mut held) = body.read(MAX_BODY).await?.into_parts();
    let counted = Counted::<api::ConfigRequest>::new(&bytes, MAX_FIELDS).map_err(invalid)?;
    let request = counted.decode();
    let live = service.live();
    // A request that cannot be decoded has no answer that takes memory.
    held.grow(request.as_ref().map_or(0, |request| {
        let is_wanted = |name: &str| {
            request.usecases.is_empty() || request.usecases.iter().any(|wanted| wanted == name)
        };
        let wanted = live.catalog.newest_of_all().filter(|(name, _)| is_wanted(name));
        wanted.map(|(_, data)| data.config_bytes_for(platform)).fold(0, usize::saturating_add)
    }))?;
    let work = async {
        let request = request.map_err(invalid)?;
        let wanted = wanted(&service, &live.catalog, &request)?;
        answer(&service, Some(user), platform, wanted).await
    };
    let response = admission.spend(&service, work).await?;
    let mut response = protobuf(&response);
    response.extensions_mut().insert(Compressible);
    Ok(Reply::of(bytes.len(), response).holding(Arc::new(held)))
}

/// The use cases that a request names, each with the id at the same place of the request; all use cases if it
/// names none.
fn wanted<'r>(
    service: &Service,
    catalog: &'r Catalog,
    request: &'r api::ConfigRequest,
) -> Result<Vec<Wanted<'r>>, Refusal> {
    let (names, ids) = (&request.usecases, &request.existing_config_ids);
    if !ids.is_empty() && ids.len() != names.len() {
        let counts = format!("{} existing_config_ids, expected 0 or {}", ids.len(), names.len());
        return Err(Refusal::Invalid(counts));
    }
    if names.is_empty() {
        return Ok(all(catalog));
    }
    let mut seen = HashSet::new();
    if !names.iter().all(|name| seen.insert(name)) {
        return Err(Refusal::Invalid("a use case is named twice".to_owned()));
    }
    let ids = ids.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
    let find = |(name, id): (&'r String, &'r [u8])| {
        let data = catalog.newest(name).ok_or_else(|| match service.waits_for(name) {
            true => Refusal::NotPublished,
            false => Refusal::NoUseCase,
        })?;
        Ok((name.as_str(), Arc::clone(data), id))
    };
    names.iter().zip(ids).map(find).collect()
}

/// The name of a use case, its newest data set, and the id of the configuration that the client has.
pub(super) type Wanted<'w> = (&'w str, Arc<DataSet>, &'w [u8]);

fn all(catalog: &Catalog) -> Vec<Wanted<'_>> {
    catalog.newest_of_all().map(|(name, data)| (name, Arc::clone(data), &[][..])).collect()
}

/// `GET /config`: needs no token and no user, and is the same for everyone, so that caches can answer it without
/// telling who asked. Devices use it from iOS and macOS 27.3 on.
pub(super) async fn public(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<Reply, Refusal> {
    let live = service.live();
    // Caches would keep an answer without the use case that has nothing to serve yet.
    if service.waits_for_any() {
        return Err(Refusal::NotPublished);
    }
    // Clients that use it are new enough for the newest form.
    let response = answer(&service, None, Platform::Unknown, all(&live.catalog)).await?;
    let bytes = response.encode_to_vec();
    let tag = format!(
        "\"{}\"",
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes))
    );
    let known =
        headers.get_all(IF_NONE_MATCH).iter().any(|value| value.as_bytes() == tag.as_bytes());
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => protobuf(&response),
    };
    response.extensions_mut().insert(Compressible);
    let fields = response.headers_mut();
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(PUBLIC));
    fields.insert(ETAG, HeaderValue::from_str(&tag).map_err(|_| Refusal::Internal)?);
    Ok(Reply::of(0, response))
}

/// The configurations of use cases, and for each the state of the user's evaluation key. Without a user the
/// states say that there is no key.
pub(super) async fn answer(
    service: &Service,
    user: Option<&[u8]>,
    platform: Platform,
    wanted: Vec<Wanted<'_>>,
) -> Result<api::ConfigResponse, Refusal> {
    let mut response = api::ConfigResponse::default();
    for (name, data, id) in wanted {
        let config = config_of(&data, platform, id)?;
        response.configs.insert(name.to_owned(), config);
        let timestamp = match user {
            None => None,
            Some(user) => {
                let id = service.store().key_id(user, data.key_config_hash())?;
                service.store().evaluation_key_timestamp(id).await?
            }
        };
        response.key_info.push(api::shared::KeyStatus {
            timestamp: timestamp.unwrap_or(0),
            key_config: Some(data.key_config_message().clone()),
        });
    }
    Ok(response)
}

/// The configuration of a data set; without its content if `existing` is its id: the client has it already.
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
