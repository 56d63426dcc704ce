//! The endpoints of a service and of an issuer, and their addresses.

use http::Uri;
use std::fmt;
use url::Url;

/// Where an issuer has its directory (RFC 9578, section 4).
pub(crate) const DIRECTORY_PATH: &str = "/.well-known/private-token-issuer-directory";

/// The party that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Party {
    /// The service that answers queries.
    Service,
    /// The issuer of tokens.
    Issuer,
    /// Someone else's copy of the issuer's directory.
    Mirror,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Issuer => "issuer",
            Self::Mirror => "mirror of the issuer's directory",
        })
    }
}

/// An endpoint of a service or an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// The service's `/config`: configurations and the state of evaluation keys.
    Config,
    /// The service's `/key`: takes evaluation keys.
    Key,
    /// The service's `/queries`: answers queries.
    Queries,
    /// The issuer's directory of token keys (RFC 9578, section 4).
    Directory,
    /// The copy of the directory that the directory is compared with.
    DirectoryMirror,
    /// Where the issuer signs tokens. Its directory names the path.
    Issue,
}

impl Endpoint {
    /// The path below the address of the service or the issuer; `None` for [`Endpoint::Issue`], whose
    /// path the issuer chooses, and for [`Endpoint::DirectoryMirror`].
    #[must_use]
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Self::Config => Some("/config"),
            Self::Key => Some("/key"),
            Self::Queries => Some("/queries"),
            Self::Directory => Some(DIRECTORY_PATH),
            Self::DirectoryMirror | Self::Issue => None,
        }
    }

    /// Whose endpoint it is.
    #[must_use]
    pub const fn party(self) -> Party {
        match self {
            Self::Config | Self::Key | Self::Queries => Party::Service,
            Self::Directory | Self::Issue => Party::Issuer,
            Self::DirectoryMirror => Party::Mirror,
        }
    }
}

/// The path, or what the endpoint does.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().unwrap_or(match self {
            Self::DirectoryMirror => "mirror of the issuer's directory",
            _ => "token issuance",
        }))
    }
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not a URL.
    #[error("not a valid URL; expected an address such as https://pir.example")]
    Syntax(#[source] url::ParseError),
    /// It is not an http or https URL with a host.
    #[error("expected an http or https URL such as https://pir.example")]
    Scheme,
    /// It has a query or a fragment, which the address of a service cannot have.
    #[error("the URL must have neither a query nor a fragment")]
    QueryOrFragment,
    /// It has characters that HTTP cannot carry, or is longer than 65,534 bytes.
    #[error("the URL has characters that HTTP cannot carry, or is longer than 65,534 bytes")]
    Uri,
}

/// Parses the address of a service: an origin, or a path below which its endpoints are.
pub(crate) fn parse_address(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(AddressError::Syntax)?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(AddressError::Scheme);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::QueryOrFragment);
    }
    Ok(url)
}

/// The address of an endpoint, or of another path, below the address of a service.
pub(crate) fn endpoint_url(base: &Url, path: &str) -> Result<Uri, AddressError> {
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    text.parse().map_err(|_| AddressError::Uri)
}

/// The endpoints of a service, checked once.
pub(crate) struct ServiceUrls {
    config: Uri,
    key: Uri,
    queries: Uri,
}

impl ServiceUrls {
    pub(crate) fn new(base: &Url) -> Result<Self, AddressError> {
        Ok(Self {
            config: endpoint_url(base, "/config")?,
            key: endpoint_url(base, "/key")?,
            queries: endpoint_url(base, "/queries")?,
        })
    }

    pub(crate) fn get(&self, endpoint: ServiceEndpoint) -> &Uri {
        match endpoint {
            ServiceEndpoint::Config => &self.config,
            ServiceEndpoint::Key => &self.key,
            ServiceEndpoint::Queries => &self.queries,
        }
    }
}

/// An endpoint of the service, as opposed to the issuer: requests to it carry a token.
#[derive(Clone, Copy)]
pub(crate) enum ServiceEndpoint {
    Config,
    Key,
    Queries,
}

impl From<ServiceEndpoint> for Endpoint {
    fn from(endpoint: ServiceEndpoint) -> Self {
        match endpoint {
            ServiceEndpoint::Config => Self::Config,
            ServiceEndpoint::Key => Self::Key,
            ServiceEndpoint::Queries => Self::Queries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_path() {
        for (base, address) in [
            ("https://pir.example", "https://pir.example/config"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/config"),
            ("http://host.example/pir/", "http://host.example/pir/config"),
        ] {
            let url = endpoint_url(&Url::parse(base).unwrap(), "/config").unwrap();
            assert_eq!(url.to_string(), address);
        }
    }

    /// An address that HTTP cannot carry used to become `/`.
    #[test]
    fn the_length_of_an_address_is_limited() {
        const MAX: usize = 65_534;
        let url = |length: usize| {
            let base = "https://pir.example/";
            let path = "a".repeat(length - base.len() - "/config".len());
            endpoint_url(&Url::parse(&format!("{base}{path}")).unwrap(), "/config")
        };
        for length in [MAX - 1, MAX] {
            assert_eq!(url(length).unwrap().to_string().len(), length);
        }
        assert_eq!(url(MAX + 1), Err(AddressError::Uri));
    }

    #[test]
    fn endpoints_have_the_paths_of_the_service() {
        let urls = ServiceUrls::new(&Url::parse("https://pir.example/pir").unwrap()).unwrap();
        for endpoint in [ServiceEndpoint::Config, ServiceEndpoint::Key, ServiceEndpoint::Queries] {
            let path = Endpoint::from(endpoint).path().unwrap();
            assert_eq!(urls.get(endpoint).path(), format!("/pir{path}"));
        }
    }
}
