//! The quick parser, for URLs that are already in serialised form, as browsers pass them on.
//!
//! It takes only what the WHATWG parser would leave alone but for letter case. Everything else (escapes to add,
//! dot segments, user info, international names, addresses, other schemes) is `None`, and the full parser
//! decides. The tests of `device_url` compare both.

use super::url_parts::{Case, HostKind, UrlParts};

/// Parses an absolute URL.
pub(super) fn parse(url: &str, case: Case) -> Option<UrlParts> {
    let (scheme, default_port) = if url.starts_with("https://") {
        ("https://", 443)
    } else if url.starts_with("http://") {
        ("http://", 80)
    } else {
        return None;
    };
    parse_behind_scheme(scheme, default_port, &url[scheme.len()..], case)
}

/// Parses what follows `scheme`, which is in lower case and ends in `://`.
pub(super) fn parse_behind_scheme(
    scheme: &str,
    default_port: u16,
    rest: &str,
    case: Case,
) -> Option<UrlParts> {
    let mut text = String::with_capacity(scheme.len() + rest.len());
    text.push_str(scheme);

    let (host, mut rest) = rest.split_at(plain_host(rest.as_bytes())?);
    text.push_str(host);
    let host_end = text.len();

    let mut port = None;
    if let Some(after) = rest.strip_prefix(':') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        port = Some(after[..digits].parse::<u16>().ok()?);
        rest = &after[digits..];
    }
    let (path, mut rest) = match rest.as_bytes().first() {
        Some(b'/') => rest.split_at(plain_path(rest.as_bytes())?),
        None | Some(b'?' | b'#') => ("", rest),
        Some(_) => return None,
    };
    text.push_str(trim_slashes(path));
    let path_end = text.len();

    let (mut has_empty_query, mut has_empty_fragment) = (false, false);
    if let Some(behind) = rest.strip_prefix('?') {
        let query;
        (query, rest) = rest.split_at(1 + span(behind.as_bytes(), QUERY));
        has_empty_query = query.len() == 1;
        if query.len() > 1 {
            text.push_str(query);
        }
    }
    let query_end = text.len();
    if let Some(behind) = rest.strip_prefix('#') {
        let fragment;
        (fragment, rest) = rest.split_at(1 + span(behind.as_bytes(), FRAGMENT));
        has_empty_fragment = fragment.len() == 1;
        if fragment.len() > 1 {
            text.push_str(fragment);
        }
    }
    if !rest.is_empty() {
        return None;
    }
    match case {
        Case::Ignored => text.make_ascii_lowercase(),
        Case::Kept => text[..host_end].make_ascii_lowercase(),
    }
    Some(UrlParts {
        text,
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

/// The length of the host that a text begins with, if it is one of [`is_plain_host`](super::parts::is_plain_host).
fn plain_host(text: &[u8]) -> Option<usize> {
    let mut label_start = 0;
    let mut end = 0;
    for &byte in text {
        if UNCHANGED_IN[usize::from(byte)] & HOST == 0 {
            break;
        }
        if byte == b'.' {
            if end == label_start {
                return None;
            }
            label_start = end + 1;
        } else if byte == b'-' && end == label_start + 3 && text[end - 1] == b'-' {
            return None;
        }
        end += 1;
    }
    let last_label = &text[label_start..end];
    last_label.first().is_some_and(|byte| !byte.is_ascii_digit()).then_some(end)
}

/// The length of the path that a text begins with, if no segment starts like one that may be a dot segment.
fn plain_path(text: &[u8]) -> Option<usize> {
    let (mut before, mut has_dots) = (0, 0);
    let mut end = 0;
    for &byte in text {
        let class = UNCHANGED_IN[usize::from(byte)];
        if class & PATH == 0 {
            break;
        }
        has_dots |= before & (class >> 1);
        before = class & SLASH;
        end += 1;
    }
    (has_dots & SLASH == 0).then_some(end)
}

/// The path without slashes at its end.
fn trim_slashes(path: &str) -> &str {
    let length = path.bytes().rposition(|byte| byte != b'/').map_or(0, |last| last + 1);
    &path[..length]
}

const HOST: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;
const FRAGMENT: u8 = 8;
/// The byte is a slash.
const SLASH: u8 = 16;
/// The byte may begin a dot segment.
const DOT: u8 = 2 * SLASH;

/// For each byte, the components in which the WHATWG serialiser leaves it as it is (a subset), and two marks.
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
        if b == b'/' {
            set |= SLASH;
        }
        if matches!(b, b'.' | b'%') {
            set |= DOT;
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
    use crate::sub_url::parts::is_plain_host;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_host_is_what_keys_are_made_for(host in "[a-zA-Z0-9_.-]{0,12}", rest in "|/[.-]{0,3}|:8|[?]|é") {
            let length = is_plain_host(host.as_bytes()).then_some(host.len());
            prop_assert_eq!(plain_host(format!("{host}{rest}").as_bytes()), length);
        }

        #[test]
        fn a_plain_path_has_no_segment_that_starts_with_a_dot(path in "(/|/[a.%]){0,6}", rest in "|[?]/[.]|#/[.]") {
            let has_dots = ["/.", "/%"].iter().any(|start| path.contains(start));
            let length = (!has_dots).then_some(path.len());
            prop_assert_eq!(plain_path(format!("{path}{rest}").as_bytes()), length);
        }
    }
}
