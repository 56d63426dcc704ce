//! Where a prefilter is loaded from, and how a newer one is noticed.

use crate::endpoint::AddressError;
use crate::transport::{Transport, TransportError};
use bytes::Bytes;
use filter_core::Prefilter;
use filter_core::file::{ContentError, FileError, FilterBytes, raw};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// Longest prefilter that is fetched, in bytes: enough for 100 million keys at a tolerance of 0.001.
const MAX_BYTES: usize = 256 << 20;
/// Longest metadata, in bytes.
const MAX_METADATA: usize = 1 << 20;

/// Where a prefilter is loaded from.
#[non_exhaustive]
pub enum PrefilterSource {
    /// A file in any form, or the output folder of a build. The bits of a raw filter are mapped into
    /// memory.
    File(PathBuf),
    /// The content of a property list.
    Plist(Vec<u8>),
    /// Metadata and bits, as `bloom.json` and `bloom.bin` have them.
    Raw {
        /// The content of `bloom.json`.
        metadata: Vec<u8>,
        /// The content of `bloom.bin`.
        bits: Vec<u8>,
    },
    /// The http or https address of a property list, or of a `.json` with a `.bin` of the same name in
    /// the same folder. Bits whose tag is that of the current prefilter are not fetched again.
    Url(String),
}

/// A prefilter cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrefilterError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content is not a valid prefilter.
    #[error("the content of the prefilter cannot be used")]
    Content(#[from] ContentError),
    /// The address cannot be used.
    #[error("the address of the prefilter cannot be used")]
    Address(#[from] AddressError),
    /// The server gave no response.
    #[error("the prefilter cannot be fetched")]
    Transport(#[from] TransportError),
    /// The server answered with this status instead of 200.
    #[error("the prefilter cannot be fetched: status {0}")]
    Status(u16),
}

/// A prefilter in use, and what identifies it.
pub(crate) struct Loaded {
    pub(crate) prefilter: Prefilter,
    pub(crate) tag: String,
    /// The entity tag of the server's response.
    entity: Option<HeaderValue>,
}

impl Loaded {
    fn new(prefilter: Prefilter, entity: Option<HeaderValue>) -> Self {
        let tag = prefilter.tag();
        Self { prefilter, tag, entity }
    }
}

impl PrefilterSource {
    /// Loads the prefilter; `None` if it is the `current` one.
    pub(crate) async fn load(
        &self,
        transport: &Arc<dyn Transport>,
        current: Option<&Loaded>,
    ) -> Result<Option<Loaded>, PrefilterError> {
        let loaded = match self {
            Self::File(path) => Loaded::new(Prefilter::open(path)?, None),
            Self::Plist(content) => Loaded::new(Prefilter::from_plist(content)?, None),
            Self::Raw { metadata, bits } => {
                let metadata = raw::Metadata::parse(metadata)?;
                let bits = FilterBytes::from(bits.clone());
                Loaded::new(Prefilter::from_raw(metadata, bits)?, None)
            }
            Self::Url(url) => match fetch(url, transport, current).await? {
                Some(loaded) => loaded,
                None => return Ok(None),
            },
        };
        Ok(Some(loaded).filter(|loaded| current.is_none_or(|current| current.tag != loaded.tag)))
    }
}

async fn fetch(
    url: &str,
    transport: &Arc<dyn Transport>,
    current: Option<&Loaded>,
) -> Result<Option<Loaded>, PrefilterError> {
    let url = Url::parse(url).map_err(AddressError::Syntax)?;
    let stem = url.path().strip_suffix(".json");
    let known = current.and_then(|current| current.entity.clone());
    let max_body = if stem.is_some() { MAX_METADATA } else { MAX_BYTES };
    let Some((body, entity)) = get(&url, transport, max_body, known).await? else {
        return Ok(None);
    };
    let Some(stem) = stem else {
        return Ok(Some(Loaded::new(Prefilter::from_plist(&body)?, entity)));
    };
    let metadata = raw::Metadata::parse(&body)?;
    if current.is_some_and(|current| current.tag.eq_ignore_ascii_case(&metadata.tag)) {
        return Ok(None);
    }
    let mut bits_url = url.clone();
    bits_url.set_path(&format!("{stem}.bin"));
    let bits = get(&bits_url, transport, MAX_BYTES, None).await?;
    let (bits, _) = bits.ok_or(PrefilterError::Status(304))?;
    // The metadata names the tag of its bits, so the files of two builds are refused.
    let prefilter = Prefilter::from_raw(metadata, FilterBytes::from(Vec::from(bits)))?;
    Ok(Some(Loaded::new(prefilter, entity)))
}

/// The body at an address and its entity tag; `None` if the entity tag is the `known` one.
async fn get(
    url: &Url,
    transport: &Arc<dyn Transport>,
    max_body: usize,
    known: Option<HeaderValue>,
) -> Result<Option<(Bytes, Option<HeaderValue>)>, PrefilterError> {
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = url.as_str().parse().map_err(|_| AddressError::Uri)?;
    if let Some(known) = known {
        request.headers_mut().insert(IF_NONE_MATCH, known);
    }
    let response = transport.send(request, max_body).await?;
    match response.status() {
        StatusCode::OK => {
            let entity = response.headers().get(ETAG).cloned();
            Ok(Some((response.into_body(), entity)))
        }
        StatusCode::NOT_MODIFIED => Ok(None),
        other => Err(PrefilterError::Status(other.as_u16())),
    }
}
