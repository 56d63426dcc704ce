//! The fast path: entries that need no rewriting.

use super::{MAX_LABEL, MAX_NAME};
use filter_core::sub_url::MAX_URL_LENGTH;

/// An entry that is its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainEntry {
    Host,
    HostAndPath,
}

/// A letter in lower case, a digit, `-` or `_`: what a label of a host may have.
const LABEL: u8 = 1;
const DOT: u8 = 2;
const SLASH: u8 = 4;
/// What a segment of a path may have beside what a label may have.
const SEGMENT: u8 = 8;

/// What each byte may be. All others need the parser.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => LABEL,
            b'.' => DOT,
            b'/' => SLASH,
            b'=' | b'&' | b'+' | b',' | b'~' => SEGMENT,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Recognises entries that are keys already, reading each byte once. Most entries of most lists are.
///
/// It may only accept an entry for which [`rewrite`](super::rewrite::rewrite) would give the entry itself
/// and no remark, whatever the systems are. The tests compare the two.
pub(super) fn plain_entry(entry: &str) -> Option<PlainEntry> {
    let bytes = entry.as_bytes();
    let (mut label, mut dots, mut has_www) = (0, 0, false);
    let host_end = loop {
        let end = bytes[label..].iter().position(|&byte| CLASSES[byte as usize] != LABEL);
        let end = end.map_or(bytes.len(), |length| label + length);
        let name = &bytes[label..end];
        // Such a label may be in punycode.
        let is_respelled = name.len() > 3 && &name[2..4] == b"--";
        if name.is_empty() || name.len() > MAX_LABEL || is_respelled {
            return None;
        }
        match bytes.get(end).map_or(SLASH, |&byte| CLASSES[byte as usize]) {
            DOT => {
                if label == 0 && name == b"www" {
                    return None;
                }
                has_www |= name.ends_with(b"www");
                dots += 1;
                label = end + 1;
            }
            // A name that ends in a number may be an address.
            SLASH if name[0].is_ascii_digit() => return None,
            SLASH => break end,
            _ => return None,
        }
    };
    if dots == 0 || host_end > MAX_NAME {
        return None;
    }
    let path = &bytes[host_end..];
    if path.is_empty() {
        return Some(PlainEntry::Host);
    }
    // Systems differ in such hosts with a path, and in what follows here.
    if has_www {
        return None;
    }
    // Behind a slash, a dot may begin a dot segment, and a slash ends an empty segment.
    let mut may_follow = SLASH;
    for &byte in path {
        let class = CLASSES[byte as usize];
        if class & may_follow == 0 {
            return None;
        }
        may_follow = if class == SLASH { LABEL | SEGMENT } else { u8::MAX };
    }
    (may_follow == u8::MAX && entry.len() <= MAX_URL_LENGTH).then_some(PlainEntry::HostAndPath)
}
