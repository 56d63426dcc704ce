//! The quick parser, for URLs that are already in serialised form, as browsers pass them on.
//!
//! It takes only what the WHATWG parser would leave alone but for letter case. Everything else (escapes to add,
//! dot segments, user info, international names, addresses, other schemes) is `None`, and the full parser
//! decides. The tests of `device_url` compare both.

use super::parts::is_plain_host;
use super::url_parts::{Case, HostKind, UrlParts};

/// Parses an absolute URL.
pub(super) fn parse(url: &[u8], case: Case) -> Option<UrlParts> {
    let (scheme, default_port): (&[u8], _) = if url.starts_with(b"https://") {
        (b"https://", 443)
    } else if url.starts_with(b"http://") {
        (b"http://", 80)
    } else {
        return None;
    };
    parse_behind_scheme(scheme, default_port, &url[scheme.len()..], case)
}

/// Parses what follows `scheme`, which is in lower case and ends in `://`.
pub(super) fn parse_behind_scheme(
    scheme: &[u8],
    default_port: u16,
    rest: &[u8],
    case: Case,
) -> Option<UrlParts> {
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
    let (mut has_empty_query, mut has_empty_fragment) = (false, false);
    if rest.first() == Some(&b'?') {
        let query = &rest[..1 + span(&rest[1..], QUERY)];
        rest = &rest[query.len()..];
        has_empty_query = query.len() == 1;
        if query.len() > 1 {
            text.extend_from_slice(query);
        }
    }
    let query_end = text.len();
    if rest.first() == Some(&b'#') {
        let fragment = &rest[..1 + span(&rest[1..], FRAGMENT)];
        rest = &rest[fragment.len()..];
        has_empty_fragment = fragment.len() == 1;
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
    Some(UrlParts {
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
        user_info: String::new(),
        has_empty_query,
        has_empty_fragment,
    })
}

/// The path without slashes at its end.
fn trim_slashes(path: &[u8]) -> &[u8] {
    let length = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    &path[..length]
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
