//! One URL, cut into the parts that the sub-URL rules combine.

use super::parts::{authority, is_hostless, is_plain_host, split_scheme};
use std::ops::Range;
use url::{Host, Url};

/// The longest URL that is parsed, in bytes. Lists and browsers stay far below it.
pub const MAX_URL_LENGTH: usize = 65_536;

/// Whether letters keep their case in sub-URLs and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// Everything is lower case: what devices do unless told otherwise.
    #[default]
    Ignored,
    /// Path, query and fragment stay as they are (`caseSensitive` of iOS 27). Hosts have no case.
    Kept,
}

/// What kind of host a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// A name of one or more labels, which has parents.
    Name,
    /// An IPv4 or bracketed IPv6 address, which has none.
    Address,
}

/// Why a string is no URL that a device could request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The WHATWG parser refuses it.
    #[error("not a URL: {0}")]
    Syntax(#[from] url::ParseError),
    /// It parses, but names no host (`data:`, `mailto:`, `about:`, …).
    #[error("the URL names no host")]
    NoHost,
    /// It is longer than [`MAX_URL_LENGTH`].
    #[error("the URL has {0} bytes; the limit is {MAX_URL_LENGTH}")]
    TooLong(usize),
}

/// A URL as the device's expansion sees it: serialised by the WHATWG rules, host in punycode, user
/// info gone, one trailing dot of the host and all trailing slashes of the path gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceUrl {
    /// `scheme://` `host` `path` `?query` `#fragment`, each part possibly empty.
    text: String,
    host_start: usize,
    host_end: usize,
    path_end: usize,
    query_end: usize,
    host_kind: HostKind,
    port: Option<u16>,
    default_port: Option<u16>,
    default_port_written: bool,
    /// Slashes cut from the end of the path.
    slashes: usize,
}

impl DeviceUrl {
    /// Parses an absolute URL.
    ///
    /// # Errors
    /// [`UrlError`]; the text of the error does not repeat the URL.
    pub fn parse(url: &str, case: Case) -> Result<Self, UrlError> {
        if url.len() > MAX_URL_LENGTH {
            return Err(UrlError::TooLong(url.len()));
        }
        match Self::parse_serialised(url.as_bytes(), case) {
            Some(parsed) => Ok(parsed),
            None => Self::from_url(&Url::parse(url)?, url, case),
        }
    }

    /// Parses what follows `http://` in a URL, as block lists write it.
    pub fn parse_schemeless(rest: &str, case: Case) -> Result<Self, UrlError> {
        if rest.len() > MAX_URL_LENGTH {
            return Err(UrlError::TooLong(rest.len()));
        }
        match Self::parse_behind_scheme(b"http://", 80, rest.as_bytes(), case) {
            Some(parsed) => Ok(parsed),
            None => Self::parse(&format!("http://{rest}"), case),
        }
    }

    /// Parses a URL, or a host with or without a path, for which `https` is assumed.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_lenient(url: &str, case: Case) -> Result<Self, UrlError> {
        match split_scheme(url) {
            Some(_) => Self::parse(url, case),
            None if is_hostless(url) => Err(UrlError::NoHost),
            None => Self::parse(&format!("https://{url}"), case),
        }
    }

    /// The quick way for URLs that are already in serialised form, as browsers hand them over.
    ///
    /// Takes only what the WHATWG parser would leave alone but for letter case; everything else
    /// (escapes to add, dot segments, user info, IDNA, addresses, other schemes) is `None`, and the
    /// full parser decides. The tests hold both against each other.
    fn parse_serialised(url: &[u8], case: Case) -> Option<Self> {
        let (scheme, default_port): (&[u8], _) = if url.starts_with(b"https://") {
            (b"https://", 443)
        } else if url.starts_with(b"http://") {
            (b"http://", 80)
        } else {
            return None;
        };
        Self::parse_behind_scheme(scheme, default_port, &url[scheme.len()..], case)
    }

    fn parse_behind_scheme(
        scheme: &[u8],
        default_port: u16,
        rest: &[u8],
        case: Case,
    ) -> Option<Self> {
        let mut text = Vec::with_capacity(scheme.len() + rest.len());
        text.extend_from_slice(scheme);

        let host = &rest[..span(rest, HOST)];
        if !is_plain_host(host) {
            return None;
        }
        text.extend(host.iter().map(u8::to_ascii_lowercase));
        let host_end = text.len();

        let mut rest = &rest[host.len()..];
        let mut port = None;
        if let [b':', after @ ..] = rest {
            let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
            port = Some(std::str::from_utf8(&after[..digits]).ok()?.parse::<u16>().ok()?);
            rest = &after[digits..];
        }
        let path = match rest.first() {
            Some(b'/') => &rest[..span(rest, PATH)],
            None | Some(b'?' | b'#') => &[],
            Some(_) => return None,
        };
        // A segment that starts like this may be a dot segment.
        if path.windows(2).any(|pair| pair[0] == b'/' && matches!(pair[1], b'.' | b'%')) {
            return None;
        }
        text.extend_from_slice(trim_slashes(path));
        let path_end = text.len();

        rest = &rest[path.len()..];
        if rest.first() == Some(&b'?') {
            let query = &rest[..1 + span(&rest[1..], QUERY)];
            rest = &rest[query.len()..];
            if query.len() > 1 {
                text.extend_from_slice(query);
            }
        }
        let query_end = text.len();
        if rest.first() == Some(&b'#') {
            let fragment = &rest[..1 + span(&rest[1..], FRAGMENT)];
            rest = &rest[fragment.len()..];
            if fragment.len() > 1 {
                text.extend_from_slice(fragment);
            }
        }
        if !rest.is_empty() {
            return None;
        }
        if case == Case::Ignored {
            text[host_end..].make_ascii_lowercase();
        }
        Some(Self {
            text: String::from_utf8(text).ok()?,
            host_start: scheme.len(),
            host_end,
            path_end,
            query_end,
            host_kind: HostKind::Name,
            port: port.filter(|&p| p != default_port),
            default_port: Some(default_port),
            default_port_written: port == Some(default_port),
            // The parser makes an absent path `/`.
            slashes: (path.len() + host_end - path_end).max(usize::from(path.is_empty())),
        })
    }

    fn from_url(url: &Url, source: &str, case: Case) -> Result<Self, UrlError> {
        let host_kind = match url.host() {
            None => return Err(UrlError::NoHost),
            Some(Host::Domain(_)) => HostKind::Name,
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => HostKind::Address,
        };
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        let mut text = format!("{}://", url.scheme());
        let host_start = text.len();
        text.extend(host.chars().map(|c| c.to_ascii_lowercase()));
        let host_end = text.len();
        text.push_str(url.path().trim_end_matches('/'));
        let path_end = text.len();
        if let Some(query) = url.query().filter(|q| !q.is_empty()) {
            text.push('?');
            text.push_str(query);
        }
        let query_end = text.len();
        if let Some(fragment) = url.fragment().filter(|f| !f.is_empty()) {
            text.push('#');
            text.push_str(fragment);
        }
        if case == Case::Ignored {
            text.make_ascii_lowercase();
        }
        let default_port = default_port(url.scheme());
        let slashes = url.path().len() + host_end - path_end;
        Ok(Self {
            text,
            host_start,
            host_end,
            path_end,
            query_end,
            host_kind,
            port: url.port(),
            default_port,
            default_port_written: url.port().is_none()
                && default_port.is_some_and(|port| written_port(source) == Some(port)),
            slashes,
        })
    }

    /// The scheme, lower case, without `://`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.text[..self.host_start - 3]
    }

    /// The scheme with `://`.
    pub(crate) fn scheme_prefix(&self) -> &str {
        &self.text[..self.host_start]
    }

    /// The host in punycode, lower case, without a trailing dot; IPv6 in brackets. Never empty.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[self.host_start..self.host_end]
    }

    /// Whether the host is a name or an address.
    #[must_use]
    pub fn host_kind(&self) -> HostKind {
        self.host_kind
    }

    /// The port, if the URL names one other than its scheme's default.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port that the request goes to, if the scheme has a default or the URL names one.
    #[must_use]
    pub fn effective_port(&self) -> Option<u16> {
        self.port.or(self.default_port)
    }

    /// Whether the URL as written spelled out its scheme's default port.
    #[must_use]
    pub fn default_port_written(&self) -> bool {
        self.default_port_written
    }

    /// The path without trailing slashes: empty for the root, else starting with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.host_end..self.path_end]
    }

    /// `?` and the query, or nothing. An empty query counts as none.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.text[self.path_end..self.query_end]
    }

    /// `#` and the fragment, or nothing. An empty fragment counts as none.
    #[must_use]
    pub fn fragment(&self) -> &str {
        &self.text[self.query_end..]
    }

    /// Whether the URL had slashes behind [`path`](Self::path), the one of the root not counted.
    #[must_use]
    pub fn had_trailing_slash(&self) -> bool {
        self.slashes > usize::from(self.path().is_empty())
    }

    /// The URL as the WHATWG parser serialises it, without user info and empty parts.
    #[must_use]
    pub fn serialised(&self) -> String {
        let mut url = self.text[..self.host_end].to_owned();
        if let Some(port) = self.port {
            url.push_str(&format!(":{port}"));
        }
        url.push_str(self.path());
        url.extend(std::iter::repeat_n('/', self.slashes));
        url.push_str(self.query());
        url.push_str(self.fragment());
        url
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        "ftp" => Some(21),
        _ => None,
    }
}

/// The port as written in an absolute URL whose port the parser may have dropped as the default.
fn written_port(source: &str) -> Option<u16> {
    let authority = authority(source.split_once(':')?.1);
    let (_, port) = authority[authority.rfind([']', '@']).unwrap_or(0)..].rsplit_once(':')?;
    let digits: String = port.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    digits.parse().ok()
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let kept: Range<usize> = 0..path.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
    &path[kept]
}

const HOST: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;
const FRAGMENT: u8 = 8;

/// For each byte, the components in which the WHATWG serialiser leaves it as it is (a subset).
const UNCHANGED_IN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let b = byte as u8;
        let mut set = 0;
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') {
            set |= HOST | PATH;
        }
        if matches!(
            b,
            b'/' | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'%'
        ) {
            set |= PATH;
        }
        if !matches!(b, b'"' | b'#' | b'<' | b'>' | b'\'') {
            set |= QUERY;
        }
        if !matches!(b, b'"' | b'<' | b'>' | b'`') {
            set |= FRAGMENT;
        }
        table[byte] = set;
        byte += 1;
    }
    table
};

/// The length of the leading run of bytes of one class.
#[inline]
fn span(bytes: &[u8], class: u8) -> usize {
    bytes
        .iter()
        .position(|&byte| UNCHANGED_IN[usize::from(byte)] & class == 0)
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(url: &str, case: Case) -> Result<DeviceUrl, UrlError> {
        DeviceUrl::from_url(&Url::parse(url)?, url, case)
    }

    fn agree(url: &str) -> Result<(), TestCaseError> {
        for case in [Case::Ignored, Case::Kept] {
            if let Some(quick) = DeviceUrl::parse_serialised(url.as_bytes(), case) {
                prop_assert_eq!(Ok(quick), slow(url, case), "{}", url);
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn quick_and_full_parser_agree_on_likely_urls(
            url in "https?://([a-zA-Z0-9_-]{0,5}\\.){0,3}[a-zA-Z0-9_-]{1,4}(:[0-9]{0,6})?\
                    (/[a-zA-Z0-9.%_~!$&()*+,;=:@{}|^'-]{0,5}){0,4}(\\?[!-~]{0,8})?(#[!-~]{0,8})?"
        ) {
            agree(&url)?;
        }

        #[test]
        fn quick_and_full_parser_agree_on_any_text(rest in "[ -~\t\n\u{80}-\u{ff}]{0,24}") {
            agree(&format!("http://{rest}"))?;
            agree(&format!("https://a.example/{rest}"))?;
            agree(&format!("https://a.example?{rest}"))?;
        }
    }

    #[test]
    fn the_quick_way_takes_ordinary_urls() {
        for url in [
            "https://www.sub1.example.com/a/b/c?id=123#fragment",
            "http://Example.COM:8080/PaTh/",
            "https://example.com",
            "https://example.com?x",
        ] {
            assert!(DeviceUrl::parse_serialised(url.as_bytes(), Case::Ignored).is_some(), "{url}");
        }
    }

    #[test]
    fn parts() {
        let url = DeviceUrl::parse("HTTPS://u:p@WWW.Example.com.:443/a/../B//?#f", Case::Ignored)
            .unwrap();
        assert_eq!(url.scheme(), "https");
        assert_eq!(url.host(), "www.example.com");
        assert_eq!(
            (url.port(), url.effective_port(), url.default_port_written()),
            (None, Some(443), true)
        );
        assert_eq!((url.path(), url.query(), url.fragment()), ("/b", "", "#f"));
        assert_eq!(url.serialised(), "https://www.example.com/b//#f");
        let url = DeviceUrl::parse("http://[2001:DB8::1]:443/", Case::Kept).unwrap();
        assert_eq!(
            (url.host(), url.port(), url.host_kind()),
            ("[2001:db8::1]", Some(443), HostKind::Address)
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for url in ["mailto:a@example.com", "data:text/plain,x", "file:///etc/passwd", "http://./"]
        {
            assert_eq!(DeviceUrl::parse(url, Case::Ignored), Err(UrlError::NoHost), "{url}");
        }
        for url in
            ["", "example.com/x", "http://", "http://a b/", "http://999.1.1.1/", "http://[::1"]
        {
            assert!(
                matches!(DeviceUrl::parse(url, Case::Ignored), Err(UrlError::Syntax(_))),
                "{url}"
            );
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_LENGTH));
        assert!(matches!(DeviceUrl::parse(&long, Case::Ignored), Err(UrlError::TooLong(_))));
    }

    #[test]
    fn a_bare_host_is_taken_as_https() {
        let url = DeviceUrl::parse_lenient("example.com:8443/x", Case::Ignored).unwrap();
        assert_eq!((url.scheme(), url.port()), ("https", Some(8443)));
        let url = DeviceUrl::parse_lenient("example.com/?u=http://x", Case::Ignored).unwrap();
        assert_eq!((url.host(), url.query()), ("example.com", "?u=http://x"));
        let refused = DeviceUrl::parse_lenient("mailto:a@example.com", Case::Ignored);
        assert_eq!(refused, Err(UrlError::NoHost));
    }
}
