//! Where a prefilter is loaded from, and how a newer one is noticed.

#[cfg(feature = "signatures")]
mod trust;

#[cfg(feature = "signatures")]
pub use trust::PrefilterTrust;

use crate::endpoint::{AddressError, parse_address};
use crate::measured::{ImplausiblePrefilter, MeasuredPrefilter};
use crate::transport::{Transport, TransportError};
use bytes::Bytes;
use filter_core::Prefilter;
use filter_core::file::{ContentError, FileError, FilterBytes, raw};
use http::header::IF_NONE_MATCH;
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
    /// the same folder. Bits whose tag is that of the current prefilter are not fetched again; for a property list, where
    /// the server's entity tag is that tag, as with `pir-server`.
    Url(String),
    /// As [`File`](Self::File), for raw filters whose metadata a trusted key has signed.
    #[cfg(feature = "signatures")]
    SignedFile {
        /// The `.json` or `.bin`, or the folder.
        path: PathBuf,
        /// Whose signatures count.
        trust: PrefilterTrust,
    },
    /// As [`Raw`](Self::Raw), with metadata that a trusted key has signed.
    #[cfg(feature = "signatures")]
    SignedRaw {
        /// The content of `bloom.json`.
        metadata: Vec<u8>,
        /// The content of `bloom.bin`.
        bits: Vec<u8>,
        /// Whose signatures count.
        trust: PrefilterTrust,
    },
    /// As [`Url`](Self::Url), for the address of a `.json` that a trusted key has signed.
    #[cfg(feature = "signatures")]
    SignedUrl {
        /// The address of the `.json`.
        url: String,
        /// Whose signatures count.
        trust: PrefilterTrust,
    },
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
    /// The prefilter is on a server, and the client has a transport of its own for the service.
    #[error(
        "no transport for the prefilter: the client has one of its own for the service, and another way could show an \
         address that the client's hides; give one to `UrlFilter::with_transport`"
    )]
    NoTransport,
    /// The server gave no response.
    #[error("the prefilter cannot be fetched")]
    Transport(#[from] TransportError),
    /// The prefilter has no signature, and the source demands one.
    #[cfg(feature = "signatures")]
    #[error(
        "the prefilter is not signed, and keys are given; use bloom.json with bloom.bin of a publication that \
         is signed, a property list has no signature"
    )]
    Unsigned,
    /// The signature of the prefilter is not accepted.
    #[cfg(feature = "signatures")]
    #[error("the signature of the prefilter is not accepted")]
    Signature(#[from] release_signature::SignatureError),
    /// The prefilter is signed for another use case.
    #[cfg(feature = "signatures")]
    #[error("the prefilter is signed for the use case {found}")]
    UseCase {
        /// The use case.
        found: String,
    },
    /// The prefilter is signed for another level, or for the whole data set.
    #[cfg(feature = "signatures")]
    #[error("the prefilter is signed for {}", signed_for(.found.as_deref()))]
    Level {
        /// The level that the signature names; `None` if it names none.
        found: Option<String>,
    },
    /// The prefilter is not the one that its signature describes.
    #[cfg(feature = "signatures")]
    #[error("the prefilter is not the one that its signature describes")]
    OtherPrefilter,
    /// A newer prefilter says yes to more URLs than
    /// [`FilterOptions::max_false_positive_rate`](crate::FilterOptions::max_false_positive_rate) allows. The current one
    /// stays in use.
    #[error(transparent)]
    Implausible(#[from] ImplausiblePrefilter),
    /// The operating system gave no random numbers, without which a prefilter cannot be measured.
    #[error("the operating system's random source failed")]
    Randomness,
    /// The server answered with this status instead of 200.
    #[error("the prefilter cannot be fetched: status {0}")]
    Status(u16),
}

#[cfg(feature = "signatures")]
fn signed_for(level: Option<&str>) -> String {
    level.map_or("the whole data set, and not for a level".to_owned(), |level| {
        format!("the level {level}")
    })
}

/// A prefilter in use, and what identifies it.
pub(crate) struct Loaded {
    pub(crate) prefilter: MeasuredPrefilter,
    pub(crate) tag: String,
}

impl Loaded {
    fn new(prefilter: Prefilter) -> Result<Self, PrefilterError> {
        let tag = prefilter.tag();
        let prefilter = MeasuredPrefilter::new(prefilter);
        Ok(Self { prefilter: prefilter.map_err(|_| PrefilterError::Randomness)?, tag })
    }
}

impl Loaded {
    /// Goes on with the count of hits of an earlier one.
    pub(crate) fn replacing(self, earlier: &Self) -> Self {
        Self { prefilter: self.prefilter.replacing(&earlier.prefilter), ..self }
    }
}

impl PrefilterSource {
    /// Whether it is loaded over a network.
    #[cfg(feature = "http")]
    pub(crate) fn is_on_a_server(&self) -> bool {
        match self {
            Self::Url(_) => true,
            #[cfg(feature = "signatures")]
            Self::SignedUrl { .. } => true,
            _ => false,
        }
    }

    /// The prefilter that a service gives out for a use case at `/filter/<use case>`, or that of one of its levels at
    /// `/filter/<use case>/<level>`. `server` is the address of the service.
    ///
    /// # Errors
    /// [`AddressError`] if the address is none that a path can follow.
    pub fn of_service(
        server: &str,
        use_case: &str,
        level: Option<&str>,
    ) -> Result<Self, AddressError> {
        let mut path = vec!["filter", use_case];
        path.extend(level);
        Ok(Self::Url(below(server, &path)?))
    }

    /// The prefilter of a publication, as its metadata and bits: that of the whole data set, or of a level. `address` is the
    /// http or https address of the publication.
    ///
    /// # Errors
    /// [`AddressError`] if the address is none that a path can follow.
    pub fn of_publication(address: &str, level: Option<&str>) -> Result<Self, AddressError> {
        let file = level.map_or("bloom.json".to_owned(), |level| format!("level-{level}.json"));
        Ok(Self::Url(below(address, &["filter", &file])?))
    }

    /// Loads the prefilter; `None` if it is the `current` one.
    pub(crate) async fn load(
        &self,
        transport: &Arc<dyn Transport>,
        current: Option<&Loaded>,
    ) -> Result<Option<Loaded>, PrefilterError> {
        let raw = |metadata: raw::Metadata, bits: &[u8]| {
            let bits = FilterBytes::from(bits.to_vec());
            Loaded::new(Prefilter::from_raw(metadata, bits)?)
        };
        let loaded = match self {
            Self::File(path) => Loaded::new(Prefilter::open(path)?)?,
            Self::Plist(content) => Loaded::new(Prefilter::from_plist(content)?)?,
            Self::Raw { metadata, bits } => raw(raw::Metadata::parse(metadata)?, bits)?,
            Self::Url(url) => match fetch(url, transport, current).await? {
                Some(loaded) => loaded,
                None => return Ok(None),
            },
            #[cfg(feature = "signatures")]
            Self::SignedFile { path, trust } => {
                let prefilter = Prefilter::open(path)?;
                trust.check_file(path, &prefilter)?;
                Loaded::new(prefilter)?
            }
            #[cfg(feature = "signatures")]
            Self::SignedRaw { metadata, bits, trust } => raw(trust.metadata(metadata)?, bits)?,
            #[cfg(feature = "signatures")]
            Self::SignedUrl { url, trust } => {
                let url = Url::parse(url).map_err(AddressError::Syntax)?;
                let Some(stem) = url.path().strip_suffix(".json") else {
                    return Err(PrefilterError::Unsigned);
                };
                let read = |content: &[u8]| trust.metadata(content);
                match fetch_raw(&url, stem, transport, current, read).await? {
                    Some(loaded) => loaded,
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(loaded).filter(|loaded| current.is_none_or(|current| current.tag != loaded.tag)))
    }
}

/// The address of a path below another one.
fn below(address: &str, path: &[&str]) -> Result<String, AddressError> {
    let mut url = parse_address(address)?;
    url.path_segments_mut().map_err(|()| AddressError::Uri)?.pop_if_empty().extend(path);
    Ok(url.into())
}

async fn fetch(
    url: &str,
    transport: &Arc<dyn Transport>,
    current: Option<&Loaded>,
) -> Result<Option<Loaded>, PrefilterError> {
    let url = Url::parse(url).map_err(AddressError::Syntax)?;
    if let Some(stem) = url.path().strip_suffix(".json") {
        let read = |content: &[u8]| Ok(raw::Metadata::parse(content)?);
        return fetch_raw(&url, stem, transport, current, read).await;
    }
    let known = current.map(|current| current.tag.as_str());
    let Some(body) = get(&url, transport, MAX_BYTES, known).await? else {
        return Ok(None);
    };
    Ok(Some(Loaded::new(Prefilter::from_plist(&body)?)?))
}

/// Fetches metadata, and then the bits whose path begins with `stem`, unless they are the current ones.
async fn fetch_raw(
    url: &Url,
    stem: &str,
    transport: &Arc<dyn Transport>,
    current: Option<&Loaded>,
    read: impl Fn(&[u8]) -> Result<raw::Metadata, PrefilterError>,
) -> Result<Option<Loaded>, PrefilterError> {
    let body = get(url, transport, MAX_METADATA, None).await?;
    let body = body.ok_or(PrefilterError::Status(304))?;
    let metadata = read(&body)?;
    if current.is_some_and(|current| current.tag.eq_ignore_ascii_case(&metadata.tag)) {
        return Ok(None);
    }
    let mut bits_url = url.clone();
    bits_url.set_path(&format!("{stem}.bin"));
    let bits = get(&bits_url, transport, MAX_BYTES, None).await?;
    let bits = bits.ok_or(PrefilterError::Status(304))?;
    // The metadata names the tag of its bits, so the files of two builds are refused.
    let prefilter = Prefilter::from_raw(metadata, FilterBytes::from(Vec::from(bits)))?;
    Ok(Some(Loaded::new(prefilter)?))
}

/// The body at an address; `None` if the server says that it has the tag that is `known`.
///
/// The tag is the one that this client computed from the bits. An entity tag that a server chose, and got back with the next
/// request, would be a name that it gave this client.
async fn get(
    url: &Url,
    transport: &Arc<dyn Transport>,
    max_body: usize,
    known: Option<&str>,
) -> Result<Option<Bytes>, PrefilterError> {
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = url.as_str().parse().map_err(|_| AddressError::Uri)?;
    if let Some(known) = known {
        let value = HeaderValue::from_str(&format!("\"{known}\""));
        request.headers_mut().insert(IF_NONE_MATCH, value.expect("a tag is hexadecimal"));
    }
    let response = transport.send(request, max_body).await?;
    match response.status() {
        StatusCode::OK => Ok(Some(response.into_body())),
        StatusCode::NOT_MODIFIED if known.is_some() => Ok(None),
        other => Err(PrefilterError::Status(other.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_levels_are_below_those_of_their_service() {
        let url = |source: Result<PrefilterSource, AddressError>| match source.unwrap() {
            PrefilterSource::Url(url) => url,
            _ => panic!("it is an address"),
        };
        for (server, level, expected) in [
            ("https://pir.example", None, "https://pir.example/filter/a.url.filtering"),
            (
                "https://pir.example/",
                Some("family"),
                "https://pir.example/filter/a.url.filtering/family",
            ),
            (
                "http://[::1]:80/x",
                Some("a/../b"),
                "http://[::1]/x/filter/a.url.filtering/a%2F..%2Fb",
            ),
        ] {
            let source = PrefilterSource::of_service(server, "a.url.filtering", level);
            assert_eq!(url(source), expected);
        }
        for (level, expected) in [(None, "bloom.json"), (Some("family"), "level-family.json")] {
            let source = PrefilterSource::of_publication("https://files.example/urls/", level);
            assert_eq!(url(source), format!("https://files.example/urls/filter/{expected}"));
        }
        assert!(PrefilterSource::of_service("pir.example", "u", None).is_err());
    }
}
