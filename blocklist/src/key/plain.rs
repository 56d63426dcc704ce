//! The fast path: entries that need no rewriting.

use super::{MAX_LABEL, MAX_NAME};
use filter_core::sub_url::MAX_URL_LENGTH;
use filter_core::sub_url::parts::is_plain_host;

/// An entry that is its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainEntry {
    Host,
    HostAndPath,
}

/// Recognises entries that are keys already, reading each byte once. Most entries of most lists are.
///
/// It may only accept an entry for which [`rewrite`](super::rewrite::rewrite) would give the entry itself
/// and no remark. The tests compare the two.
pub(super) fn plain_entry(entry: &str) -> Option<PlainEntry> {
    let (host, path) =
        entry.as_bytes().split_at(memchr::memchr(b'/', entry.as_bytes()).unwrap_or(entry.len()));
    if host.starts_with(b"www.") || !is_plain_host(host) || host.len() > MAX_NAME {
        return None;
    }
    let (mut label, mut dots) = (0, 0);
    for &byte in host {
        match byte {
            b'.' => {
                dots += 1;
                label = 0;
            }
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if label < MAX_LABEL => label += 1,
            _ => return None,
        }
    }
    if dots == 0 || label == 0 {
        return None;
    }
    if path.is_empty() {
        return Some(PlainEntry::Host);
    }
    let mut before = 0;
    for &byte in path {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/' | b'=' | b'&' | b'+' | b',' | b'~' => {}
            // Behind a slash these may begin a dot segment.
            b'.' | b'%' if before != b'/' => {}
            _ => return None,
        }
        before = byte;
    }
    (before != b'/' && entry.len() <= MAX_URL_LENGTH).then_some(PlainEntry::HostAndPath)
}
