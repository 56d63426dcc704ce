//! Addresses of services and issuers.

use std::fmt;
use url::{Host, Url};

/// The address of a service or an issuer as devices take it from an App Store app: `https://`, a host name, and nothing
/// behind it.
///
/// ```
/// use app_configuration::{Origin, OriginError};
///
/// assert_eq!(Origin::parse("https://pir.example.com")?.as_str(), "https://pir.example.com");
/// assert_eq!(Origin::parse("https://pir.example.com/"), Err(OriginError::TrailingSlash));
/// # Ok::<(), OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// Why a service or an issuer cannot have an address in an App Store app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// The text is no URL.
    #[error("it is not a URL")]
    NotUrl,
    /// The address does not begin with `https://`.
    #[error("it does not begin with https://")]
    NotHttps,
    /// The address has a user name or a password.
    #[error("it has a user name")]
    UserName,
    /// The address has a query or a fragment.
    #[error("it has a query or a fragment")]
    QueryOrFragment,
    /// The address ends with a slash.
    #[error("it ends with a slash")]
    TrailingSlash,
    /// The address has a path.
    #[error("it has a path")]
    Path,
    /// The address has a port.
    #[error("it has a port")]
    Port,
    /// The host has no dot in its name.
    #[error("its host is not a public name")]
    LocalHost,
    /// The host is an IP address.
    #[error("it has an IP address where a host name is expected")]
    IpAddress,
}

impl Origin {
    /// Checks an address. It is kept as it is written: devices compare the text.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|_| OriginError::NotUrl)?;
        // The parser ignores surrounding spaces, drops a default port and adds a slash: the text counts.
        let rest = match text.split_at_checked("https://".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https://") => rest,
            _ => return Err(OriginError::NotHttps),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::UserName);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(OriginError::QueryOrFragment);
        }
        match rest.split_once('/') {
            Some((_, "")) => return Err(OriginError::TrailingSlash),
            Some(_) => return Err(OriginError::Path),
            None => {}
        }
        match url.host() {
            Some(Host::Domain(name)) if !name.contains('.') => Err(OriginError::LocalHost),
            Some(Host::Domain(_)) if rest.contains(':') => Err(OriginError::Port),
            Some(Host::Domain(_)) => Ok(Self(text.to_owned())),
            _ => Err(OriginError::IpAddress),
        }
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_told_from_other_addresses() {
        for good in ["https://pir.example.com", "HTTPS://a.b.c.example"] {
            assert_eq!(Origin::parse(good).unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("pir.example.com", OriginError::NotUrl),
            ("http://pir.example.com", OriginError::NotHttps),
            (" https://pir.example.com", OriginError::NotHttps),
            ("https://pir.example.com/", OriginError::TrailingSlash),
            ("https://pir.example.com/lookup", OriginError::Path),
            ("https://pir.example.com/lookup/", OriginError::Path),
            ("https://pir.example.com//", OriginError::Path),
            ("https://pir.example.com:443", OriginError::Port),
            ("https://pir.example.com:8443", OriginError::Port),
            ("https://pir.example.com?x", OriginError::QueryOrFragment),
            ("https://pir.example.com#x", OriginError::QueryOrFragment),
            ("https://me@pir.example.com", OriginError::UserName),
            ("https://localhost", OriginError::LocalHost),
            ("https://192.0.2.1", OriginError::IpAddress),
            ("https://[2001:db8::1]", OriginError::IpAddress),
        ] {
            assert_eq!(Origin::parse(bad), Err(error), "{bad}");
        }
    }
}
