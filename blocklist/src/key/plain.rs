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
/// and no remark but the one on public suffixes, whatever the systems are. The tests compare the two.
pub(super) fn plain_entry(entry: &str) -> Option<PlainEntry> {
    let (host, path) =
        entry.as_bytes().split_at(memchr::memchr(b'/', entry.as_bytes()).unwrap_or(entry.len()));
    if host.starts_with(b"www.") || !is_plain_host(host) || host.len() > MAX_NAME {
        return None;
    }
    let (mut label, mut dots, mut has_www) = (0, 0, false);
    for (at, &byte) in host.iter().enumerate() {
        match byte {
            b'.' => {
                has_www |= host[..at].ends_with(b"www");
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
    // Systems differ in such hosts with a path, and in what follows here.
    if has_www {
        return None;
    }
    let mut before = 0;
    for &byte in path {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'=' | b'&' | b'+' | b',' | b'~' => {}
            // Behind a slash, a dot may begin a dot segment, and a slash ends an empty segment.
            b'.' | b'/' if before != b'/' => {}
            _ => return None,
        }
        before = byte;
    }
    (before != b'/' && entry.len() <= MAX_URL_LENGTH).then_some(PlainEntry::HostAndPath)
}
