//! How released systems spell a URL where that differs from the URL itself.

use super::system::System;
use super::url_parts::{HostKind, UrlParts};

/// What 26 puts in front of hosts, and takes out of them.
pub(super) const WWW: &str = "www.";

/// Parts of a URL as a system spells them, where that differs from the URL itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Respelled {
    /// The path: without empty segments, on 26 also percent-decoded.
    path: Option<String>,
    /// On 26 the host with each `www.` taken out.
    pub(super) bare_host: Option<String>,
    /// On 26 what follows `://`, if no product has it.
    pub(super) verbatim: Option<String>,
}

impl Respelled {
    pub(super) fn of(url: &UrlParts, system: System) -> Self {
        let path = match system {
            System::V26 => decoded_components(url.path()),
            System::V27 | System::V27Unconfigured => without_empty_segments(url.path()),
        };
        let mut respelled = Self { path, ..Self::default() };
        if system == System::V26 {
            let inner = url.host().strip_prefix(WWW).unwrap_or(url.host());
            if url.host_kind == HostKind::Name && inner.contains(WWW) {
                respelled.bare_host = Some(url.host().replace(WWW, ""));
            }
            if !verbatim_is_in_products(url, &respelled) {
                respelled.verbatim = Some(url.verbatim());
            }
        }
        respelled
    }

    /// The path, if it differs from that of the URL.
    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

fn verbatim_is_in_products(url: &UrlParts, respelled: &Respelled) -> bool {
    let has_empty_part = url.has_empty_query || url.has_empty_fragment;
    if has_empty_part || !url.user_info.is_empty() || url.port.is_some() || respelled.path.is_some()
    {
        return false;
    }
    let is_whole = url.query().is_empty() && url.fragment().is_empty();
    let is_root = url.path().is_empty();
    let slashes = url.slashes;
    if respelled.bare_host.is_some() && !url.host().starts_with(WWW) && !(is_root && is_whole) {
        return false;
    }
    slashes == 0 || slashes == 1 && (is_root || is_whole)
}

/// The path without empty segments; `None` if it has none.
fn without_empty_segments(path: &str) -> Option<String> {
    path.contains("//").then(|| join(path, |segment, all| all.push_str(segment)))
}

/// The path without empty segments, the others percent-decoded; `None` if that changes nothing. A segment that does not
/// decode to UTF-8 stays as it is.
fn decoded_components(path: &str) -> Option<String> {
    let is_plain = !path.contains('%') && !path.contains("//");
    if is_plain {
        return None;
    }
    let joined = join(path, |segment, all| match String::from_utf8(percent_decoded(segment)) {
        Ok(decoded) => all.push_str(&decoded),
        Err(_) => all.push_str(segment),
    });
    (joined != path).then_some(joined)
}

fn join(path: &str, mut write: impl FnMut(&str, &mut String)) -> String {
    let mut all = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        all.push('/');
        write(segment, &mut all);
    }
    all
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&b| char::from(b).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        if let (b'%', (Some(high), Some(low))) = (byte, digits) {
            decoded.push((high * 16 + low) as u8);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    decoded
}
