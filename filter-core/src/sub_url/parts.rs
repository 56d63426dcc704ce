//! Pieces of URLs and host names as text, for code that makes keys which must agree with sub-URLs.
//!
//! These are the exact cuts that [`DeviceUrl`](super::DeviceUrl) and [`SubUrls`](super::SubUrls) make. Whoever
//! turns the entries of a block list into keys uses them too, so that both sides agree.
//!
//! ```
//! use filter_core::sub_url::parts;
//!
//! assert_eq!(parts::split_scheme("https://a.example/b"), Some(("https", "a.example/b")));
//! assert_eq!(parts::authority("//user@a.example:80/b"), "user@a.example:80");
//! assert_eq!(parts::last_labels("a.b.example.com", 2), "example.com");
//! assert_eq!(parts::first_segments("/a/b/c", 2), "/a/b");
//! ```

/// The scheme of an absolute URL with `://`, and what follows.
#[must_use]
pub fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let mut letters = scheme.bytes();
    let valid = letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then_some((scheme, rest))
}

/// Whether this is a URL of a kind without a host, which would otherwise read as `host:port` or as
/// user and password.
#[must_use]
pub fn is_hostless(url: &str) -> bool {
    const SCHEMES: [&str; 7] = ["about", "blob", "data", "file", "javascript", "mailto", "tel"];
    url.split_once(':')
        .is_some_and(|(scheme, _)| SCHEMES.iter().any(|s| s.eq_ignore_ascii_case(scheme)))
}

/// User info, host and port as written, of what follows the scheme's colon.
#[must_use]
pub fn authority(rest: &str) -> &str {
    let rest = rest.trim_start_matches(['/', '\\']);
    &rest[..rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())]
}

/// A host that serialises as itself: labels of letters, digits, `-` and `_`, none of them punycode,
/// none empty, the last not starting like a number (it might be an IPv4 address).
#[must_use]
pub fn is_plain_host(host: &[u8]) -> bool {
    let mut label_start = 0;
    for (i, &byte) in host.iter().enumerate() {
        if byte == b'.' {
            if i == label_start {
                return false;
            }
            label_start = i + 1;
        } else if byte == b'-' && i == label_start + 3 && host[i - 1] == b'-' {
            return false;
        }
    }
    host.get(label_start).is_some_and(|b| !b.is_ascii_digit())
}

/// The last `count` labels of a host; all of them for 0.
#[must_use]
pub fn last_labels(host: &str, count: u32) -> &str {
    match count.checked_sub(1).and_then(|nth| host.rmatch_indices('.').nth(nth as usize)) {
        Some((dot, _)) => &host[dot + 1..],
        None => host,
    }
}

/// The first `count` segments of a path; all of them for 0. Ends without a slash.
#[must_use]
pub fn first_segments(path: &str, count: u32) -> &str {
    if count == 0 {
        return path;
    }
    let end = path.match_indices('/').nth(count as usize).map_or(path.len(), |(slash, _)| slash);
    path[..end].trim_end_matches('/')
}
