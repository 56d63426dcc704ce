//! How URLs and host names are cut into pieces of text, for code that makes keys.
//!
//! [`DeviceUrl`](super::DeviceUrl) and [`SubUrls`](super::SubUrls) make these cuts. Code that turns the entries of
//! a block list into keys must make the same ones, or a device would never look its keys up.
//!
//! ```
//! use filter_core::sub_url::parts;
//!
//! assert_eq!(parts::split_scheme("https://a.example/b"), Some(("https", "a.example/b")));
//! assert_eq!(parts::authority("//user@a.example:80/b"), "user@a.example:80");
//! assert_eq!(parts::last_labels("a.b.example.com", 2), "example.com");
//! assert_eq!(parts::first_segments("/a/b/c", 2), "/a/b");
//! ```

/// Splits an absolute URL at `://` into scheme and rest. `None` if the text in front is not a scheme by RFC 3986,
/// section 3.1.
#[must_use]
pub fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let mut letters = scheme.bytes();
    let valid = letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then_some((scheme, rest))
}

/// Splits a text at its first colon if the WHATWG parser reads it as a URL of a *special* scheme that has hosts:
/// `http`, `https`, `ws`, `wss` or `ftp` before a colon, in any case of letters. What follows the colon need not be
/// `//`: `https:\\\\a.example`, `https:/a.example` and `https:a.example` are URLs of `a.example`. Control characters and
/// spaces in front of the scheme, and tabs and line ends inside it, do not count. The scheme is in lower case.
///
/// ```
/// use filter_core::sub_url::parts::split_special_scheme;
///
/// assert_eq!(split_special_scheme("HTTPS:/a.example"), Some(("https", "/a.example")));
/// assert_eq!(split_special_scheme("a.example:443"), None);
/// ```
#[must_use]
pub fn split_special_scheme(url: &str) -> Option<(&'static str, &str)> {
    const SCHEMES: [&str; 5] = ["https", "http", "ftp", "wss", "ws"];
    let url = trim(url);
    let (written, rest) = url.split_once(':')?;
    let scheme = SCHEMES.into_iter().find(|scheme| {
        let letters = written.bytes().filter(|byte| !matches!(byte, b'\t' | b'\n' | b'\r'));
        letters.map(|byte| byte.to_ascii_lowercase()).eq(scheme.bytes())
    })?;
    Some((scheme, rest))
}

/// A text without the control characters and spaces around it that the WHATWG parser ignores.
#[must_use]
pub fn trim(url: &str) -> &str {
    url.trim_matches(|c| c <= ' ')
}

/// Whether a text starts with a scheme whose URLs have no host (`about`, `blob`, `data`, `file`, `javascript`,
/// `mailto`, `tel`). Without this check such a URL reads as `host:port` or as user and password.
#[must_use]
pub fn is_hostless(url: &str) -> bool {
    const SCHEMES: [&str; 7] = ["about", "blob", "data", "file", "javascript", "mailto", "tel"];
    url.split_once(':')
        .is_some_and(|(scheme, _)| SCHEMES.iter().any(|s| s.eq_ignore_ascii_case(scheme)))
}

/// User info, host and port as written, of the text behind the scheme's colon. Slashes and backslashes in front
/// are skipped, as the WHATWG parser does.
#[must_use]
pub fn authority(rest: &str) -> &str {
    let rest = rest.trim_start_matches(['/', '\\']);
    &rest[..rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())]
}

/// Whether the WHATWG parser would leave a host as it is, but for the case of letters: labels of ASCII letters,
/// digits, `-` and `_`, no label empty or in punycode (`??--`), the last one not starting with a digit, because
/// that may be an IPv4 address. `false` only means that the full parser must decide.
#[must_use]
pub fn is_plain_host(host: &[u8]) -> bool {
    let mut label_start = 0;
    for (i, &byte) in host.iter().enumerate() {
        if byte == b'.' {
            if i == label_start {
                return false;
            }
            label_start = i + 1;
        } else if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
            || byte == b'-' && i == label_start + 3 && host[i - 1] == b'-'
        {
            return false;
        }
    }
    host.get(label_start).is_some_and(|b| !b.is_ascii_digit())
}

/// The last `count` labels of a host; the whole host if `count` is 0 or larger than the number of labels.
#[must_use]
pub fn last_labels(host: &str, count: u32) -> &str {
    match count.checked_sub(1).and_then(|nth| host.rmatch_indices('.').nth(nth as usize)) {
        Some((dot, _)) => &host[dot + 1..],
        None => host,
    }
}

/// The first `count` segments of a path that starts with `/`, without a slash at the end; the whole path if `count`
/// is 0.
#[must_use]
pub fn first_segments(path: &str, count: u32) -> &str {
    if count == 0 {
        return path;
    }
    let end = path.match_indices('/').nth(count as usize).map_or(path.len(), |(slash, _)| slash);
    path[..end].trim_end_matches('/')
}
