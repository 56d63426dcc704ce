//! Keys out of the parts of a URL.

use super::{Remark, Remarks};
use filter_core::sub_url::parts::{first_segments, last_labels};
use filter_core::sub_url::{DeviceUrl, HostKind, PLACEHOLDER, ParsingConfiguration, Profile};
use std::borrow::Cow;

/// Whether the entry has the default port of its scheme, and devices on 27 ask for it. They know none for ws and wss.
pub(super) fn is_default_kept(url: &DeviceUrl<'_>) -> bool {
    url.default_port_written() && !matches!(url.scheme(), "ws" | "wss")
}

/// `:port` as the key has it; empty if the entry names no port.
fn port_suffix(url: &DeviceUrl<'_>, remarks: &mut Remarks) -> String {
    let written = url.port().or_else(|| url.effective_port().filter(|_| is_default_kept(url)));
    match written {
        Some(port) => {
            if matches!(port, 80 | 443) {
                remarks.add(Remark::DefaultPortKept);
            }
            format!(":{port}")
        }
        None => String::new(),
    }
}

/// The key of `url` with `host` in place of its own under a documented rule, and a second key if needed.
pub(super) fn profile_keys(
    url: &DeviceUrl<'_>,
    host: &str,
    profile: Profile,
    remarks: &mut Remarks,
) -> (String, Option<String>) {
    if !url.fragment().is_empty() {
        remarks.add(Remark::FragmentKept);
    }
    let mut port = port_suffix(url, remarks);
    if profile == Profile::Ios26_0 && !port.is_empty() {
        remarks.remove(Remark::DefaultPortKept);
        remarks.add(Remark::PortRemoved);
        port.clear();
    }
    let key = |host| assembled(host, &port, url.path(), url.query(), url.fragment());
    let mut second = None;
    if host != url.host() {
        remarks.add(Remark::WwwRemoved);
        second = (profile == Profile::Ios26_0).then(|| key(url.host()));
    }
    (key(host), second)
}

/// A key out of its parts.
pub(super) fn assembled(host: &str, port: &str, path: &str, query: &str, fragment: &str) -> String {
    // The root keeps its slash in front of a query: that is how the URL is serialised.
    let slash =
        if path.is_empty() && !(query.is_empty() && fragment.is_empty()) { "/" } else { "" };
    [host, port, path, slash, query, fragment].concat()
}

/// The most specific string that a device generates for the entry under `configuration`.
pub(super) fn configured_keys(
    url: &DeviceUrl<'_>,
    host: &str,
    scheme_written: bool,
    configuration: &ParsingConfiguration,
    remarks: &mut Remarks,
) -> (String, Option<String>) {
    let ParsingConfiguration { domain, path, query, .. } = configuration;
    let mut is_shortened = false;
    let head = if domain.excluded {
        is_shortened = true;
        PLACEHOLDER.to_owned()
    } else {
        let host = if domain.strip_www { host } else { url.host() };
        let kept = match url.host_kind() {
            HostKind::Name => last_labels(host, domain.levels),
            HostKind::Address => host,
        };
        is_shortened |= kept != host;
        let port = port_suffix(url, remarks);
        if host != url.host() {
            remarks.add(Remark::WwwRemoved);
        }
        format!("{kept}{port}")
    };
    let path = if path.excluded && !url.path().is_empty() {
        is_shortened |= url.path() != "/%*";
        Cow::Borrowed("/%*")
    } else {
        let kept = first_segments(url.path(), path.segments);
        is_shortened |= kept != url.path();
        Cow::Borrowed(kept)
    };
    let query = if query.excluded && !url.query().is_empty() {
        is_shortened |= url.query() != "?%*";
        Cow::Borrowed("?%*")
    } else if let Some(names) = &query.parameters {
        let kept = query.select(url.query(), names);
        is_shortened |= kept != url.query();
        Cow::Owned(kept)
    } else {
        Cow::Borrowed(url.query())
    };
    let fragment = if configuration.exclude_fragment && !url.fragment().is_empty() {
        is_shortened |= url.fragment() != "#%*";
        "#%*"
    } else {
        url.fragment()
    };
    if !fragment.is_empty() {
        remarks.add(Remark::FragmentKept);
    }
    if is_shortened {
        remarks.add(Remark::ComponentDropped);
    }
    let slash =
        if path.is_empty() && !(query.is_empty() && fragment.is_empty()) { "/" } else { "" };
    let key = format!("{head}{path}{slash}{query}{fragment}");
    if configuration.exclude_scheme {
        (key, None)
    } else if scheme_written {
        (format!("{}://{key}", url.scheme()), None)
    } else {
        (format!("http://{key}"), Some(format!("https://{key}")))
    }
}
