//! The full parser: any URL by the WHATWG URL standard, international names by UTS 46.

use super::parts::authority;
use super::url_parts::{Case, HostKind, UrlError, UrlParts};
use crate::parser_message::ParserMessage;
use std::borrow::Cow;
use url::{Host, Url};

/// Parses an absolute URL.
pub(super) fn parse(source: &str, case: Case) -> Result<UrlParts, UrlError> {
    let url = Url::parse(source).map_err(|error| UrlError::Syntax(ParserMessage::of(&error)))?;
    let (host_kind, host) = match (url.host(), url.host_str()) {
        (Some(Host::Domain(_)), Some(host)) => (HostKind::Name, host),
        (Some(Host::Ipv4(_) | Host::Ipv6(_)), Some(host)) => (HostKind::Address, host),
        (None, _) | (_, None) => return Err(UrlError::NoHost),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    // `http://./` is a URL by the standard, and its host is the dot.
    let host = host.strip_suffix('.').filter(|host| !host.is_empty()).unwrap_or(host);
    let mut text = format!("{}://", url.scheme());
    let host_start = text.len();
    text.extend(host.chars().map(|c| c.to_ascii_lowercase()));
    let host_end = text.len();
    let path = escape_carets(url.path());
    text.push_str(path.trim_end_matches('/'));
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
    let slashes = path.len() + host_end - path_end;
    Ok(UrlParts {
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
        user_info: user_info(&url),
        has_empty_query: url.query() == Some(""),
        has_empty_fragment: url.fragment() == Some(""),
    })
}

/// User name and password with their `@`.
fn user_info(url: &Url) -> String {
    match (url.username(), url.password()) {
        ("", None) => String::new(),
        (name, None) => format!("{name}@"),
        (name, Some(password)) => format!("{name}:{password}@"),
    }
}

/// The path as the URL Standard has it today: `^` is in its path percent-encode set, and the crate `url` leaves it.
fn escape_carets(path: &str) -> Cow<'_, str> {
    if path.contains('^') { Cow::Owned(path.replace('^', "%5E")) } else { Cow::Borrowed(path) }
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
