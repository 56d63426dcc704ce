//! Where a prefilter comes from, and how it is kept up to date.

use crate::transport::{Transport, TransportError};
use bytes::Bytes;
use filter_core::file::{self, ContentError, FileError, FilterBytes, Prefilter, plist, raw};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// Largest prefilter that is fetched: the bits of 100 million keys at a tolerance of 0.001.
const MAX_BYTES: usize = 256 << 20;
/// Largest metadata.
const MAX_METADATA: usize = 1 << 20;

/// Where a prefilter comes from.
pub enum PrefilterSource {
    /// A file in any form, or the folder of a build. Bits of a raw filter are mapped.
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
    /// A property list, or a `.json` beside a `.bin`, on a server. Bits that are here already, as
    /// their tag tells, are not fetched again.
    Url(String),
}

/// A prefilter cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrefilterError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content cannot be used.
    #[error("the prefilter: {0}")]
    Content(#[from] ContentError),
    /// The address cannot be used.
    #[error("the address of the prefilter: {0}")]
    Address(String),
    /// It could not be fetched.
    #[error("the prefilter: {0}")]
    Transport(#[from] TransportError),
    /// The server refused.
    #[error("the prefilter: status {0}")]
    Status(u16),
}

/// A prefilter that is in use, and what tells whether a newer one is there.
pub(crate) struct Loaded {
    pub(crate) prefilter: Prefilter,
    pub(crate) tag: String,
    entity: Option<HeaderValue>,
}

impl Loaded {
    fn new(prefilter: Prefilter, entity: Option<HeaderValue>) -> Self {
        let tag = prefilter.tag();
        Self { prefilter, tag, entity }
    }
}

impl PrefilterSource {
    /// Loads the prefilter; none if it is the `current` one.
    pub(crate) async fn load(
        &self,
        transport: &Arc<dyn Transport>,
        current: Option<&Loaded>,
    ) -> Result<Option<Loaded>, PrefilterError> {
        let loaded = match self {
            Self::File(path) => Loaded::new(file::open(path)?.0, None),
            Self::Plist(content) => {
                let (prefilter, _) = plist::parse(content)?;
                Loaded::new(prefilter, None)
            }
            Self::Raw { metadata, bits } => {
                let metadata = raw::Metadata::parse(metadata)?;
                Loaded::new(metadata.with_bits(FilterBytes::from(bits.clone()))?, None)
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
    let wrong = |reason: &str| PrefilterError::Address(reason.to_owned());
    let url = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    let is_raw = url.path().ends_with(".json");
    let known = current.and_then(|current| current.entity.clone());
    let most = if is_raw { MAX_METADATA } else { MAX_BYTES };
    let Some((body, entity)) = get(&url, transport, most, known).await? else { return Ok(None) };
    if !is_raw {
        let (prefilter, _) = plist::parse(&body)?;
        return Ok(Some(Loaded::new(prefilter, entity)));
    }
    let metadata = raw::Metadata::parse(&body)?;
    if current.is_some_and(|current| current.tag.eq_ignore_ascii_case(&metadata.tag)) {
        return Ok(None);
    }
    let mut bits_url = url.clone();
    let path = url.path().strip_suffix(".json").map(|stem| format!("{stem}.bin"));
    bits_url.set_path(&path.unwrap_or_default());
    let bits = get(&bits_url, transport, MAX_BYTES, None).await?;
    let (bits, _) = bits.ok_or(PrefilterError::Status(304))?;
    // The tag in the metadata is that of the bits: files of two builds do not pass.
    let prefilter = metadata.with_bits(FilterBytes::from(Vec::from(bits)))?;
    Ok(Some(Loaded::new(prefilter, entity)))
}

/// The body at an address; none if it is the one with that entity tag.
async fn get(
    url: &Url,
    transport: &Arc<dyn Transport>,
    most: usize,
    known: Option<HeaderValue>,
) -> Result<Option<(Bytes, Option<HeaderValue>)>, PrefilterError> {
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = url
        .as_str()
        .parse()
        .map_err(|_| PrefilterError::Address("it has parts that HTTP cannot carry".to_owned()))?;
    if let Some(known) = known {
        request.headers_mut().insert(IF_NONE_MATCH, known);
    }
    let response = transport.send(request, most).await?;
    match response.status() {
        StatusCode::OK => {
            let entity = response.headers().get(ETAG).cloned();
            Ok(Some((response.into_body(), entity)))
        }
        StatusCode::NOT_MODIFIED => Ok(None),
        other => Err(PrefilterError::Status(other.as_u16())),
    }
}
