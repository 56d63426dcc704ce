//! The keys that serve several systems together.

use super::compose::{assembled, is_default_kept, profile_keys};
use super::{KeyRules, Refusal, Remark, Remarks};
use filter_core::sub_url::{DeviceUrl, Profile, SubUrlRule, System, UrlError};

static RULE_26: SubUrlRule = SubUrlRule::System(System::V26);
static RULE_27: SubUrlRule = SubUrlRule::System(System::V27);

/// Parses the entry under a rule.
pub(super) type Parse<'p> =
    dyn Fn(&'static SubUrlRule) -> Result<DeviceUrl<'static>, UrlError> + 'p;

/// The distinct keys of an entry for all systems of `rules`. `url` is the entry under the documented rule, `host` its
/// host without any leading `www.`.
pub(super) fn system_keys(
    url: &DeviceUrl<'_>,
    host: &str,
    has_scheme: bool,
    rules: &KeyRules,
    parse: &Parse<'_>,
    remarks: &mut Remarks,
) -> Result<(String, Vec<String>), Refusal> {
    let systems = rules.systems();
    let (documented, _) = profile_keys(url, host, Profile::Current, remarks);
    let mut keys = Keys::default();
    if systems.contains(System::V27) || systems.contains(System::V27Unconfigured) {
        let port = &documented[host.len()..];
        let port = port[..port.find(['/', '?', '#']).unwrap_or(port.len())].to_owned();
        keys.add(documented);
        let respelled = parse(&RULE_27).map_err(|_| Refusal::NotAUrl)?;
        if loses_segments(&respelled) {
            remarks.add(Remark::CoversAnotherPage);
        }
        let respelled =
            |host| assembled(host, &port, respelled.spelled_path(), url.query(), url.fragment());
        keys.add(respelled(host));
        // Whether `www.` is removed is not known for this system.
        if systems.contains(System::V27Unconfigured) {
            let mut with = url.host();
            while with != host {
                keys.add(respelled(with));
                with = with.strip_prefix("www.").unwrap_or(host);
            }
        }
    }
    if systems.contains(System::V27Unconfigured) && remarks.contains(Remark::SubdomainWildcard) {
        remarks.add(Remark::HostOnlyUnconfigured);
    }
    if systems.contains(System::V26) {
        let parsed = parse(&RULE_26).map_err(|_| Refusal::NotAUrl)?;
        let has_others = systems.contains(System::V27) || systems.contains(System::V27Unconfigured);
        let is_decoded =
            has_others && parsed.spelled_path() != parsed.path() && has_escaped_mark(parsed.path());
        if is_decoded || loses_segments(&parsed) {
            remarks.add(Remark::CoversAnotherPage);
        }
        keys_of_26(&parsed, host, has_scheme, &mut keys, remarks);
    }
    let Some(first) = keys.first else { return Err(Refusal::NeverAsked) };
    if !keys.others.is_empty() {
        remarks.add(Remark::SecondSpelling);
    }
    Ok((first, keys.others))
}

/// Whether a system leaves out empty segments of a path, which name another page (URL Standard, *URL path serializing*).
fn loses_segments(url: &DeviceUrl<'_>) -> bool {
    url.path().contains("//") && url.spelled_path() != url.path()
}

/// Whether a path has an escape of a character that means something else in a URL when it is not escaped.
fn has_escaped_mark(path: &str) -> bool {
    const MARKS: [&str; 5] = ["23", "25", "2f", "3f", "5c"];
    let escapes =
        memchr::memchr_iter(b'%', path.as_bytes()).filter_map(|at| path.get(at + 1..at + 3));
    escapes.into_iter().any(|digits| MARKS.iter().any(|mark| mark.eq_ignore_ascii_case(digits)))
}

/// Distinct keys in the order in which they were added.
#[derive(Default)]
struct Keys {
    first: Option<String>,
    others: Vec<String>,
}

impl Keys {
    fn add(&mut self, key: String) {
        match &self.first {
            None => self.first = Some(key),
            Some(first) if *first == key || self.others.contains(&key) => {}
            Some(_) => self.others.push(key),
        }
    }

    /// A key in lower case and as it is: whether 26 lowers letters is not known.
    fn add_both_cases(&mut self, key: String) {
        self.add(key.to_ascii_lowercase());
        self.add(key);
    }
}

fn keys_of_26(
    url: &DeviceUrl<'_>,
    host: &str,
    has_scheme: bool,
    keys: &mut Keys,
    remarks: &mut Remarks,
) {
    if url.port().is_some() || is_default_kept(url) {
        // A browser leaves the default port out of the URL that it requests.
        let is_default =
            is_default_kept(url) || !has_scheme && matches!(url.port(), Some(80 | 443));
        if is_default {
            remarks.add(Remark::NotOn26);
        } else {
            remarks.add(Remark::ExactOn26);
            keys.add_both_cases(url.whole());
        }
        return;
    }
    let (path, query, fragment) = (url.spelled_path(), url.query(), url.fragment());
    if path.is_empty() && query.is_empty() && fragment.is_empty() {
        keys.add(host.to_owned());
        return;
    }
    if remarks.contains(Remark::SubdomainWildcard) {
        remarks.add(Remark::HostOnlyOn26);
    }
    // A path stands behind the host with `www.` in front, and behind the host with each `www.` taken out.
    let head = match host.contains("www.") {
        false => host.to_owned(),
        true if url.host().starts_with("www.") => url.host().to_owned(),
        true => format!("www.{}", url.host()),
    };
    keys.add_both_cases(assembled(&head, "", path, query, fragment));
    if path.is_empty() {
        // Whether the root keeps its slash in front of a query is not known.
        keys.add_both_cases(format!("{head}{query}{fragment}"));
    }
}
