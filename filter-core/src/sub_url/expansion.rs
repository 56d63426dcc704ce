//! The product of host forms and path forms that one URL stands for.

use super::parts::{first_segments, last_labels};
use super::{DeviceUrl, HostKind, PLACEHOLDER, ParsingConfiguration, Profile, SubUrlRule};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// The sub-URLs of one URL under one rule, not yet spelled out.
///
/// Every sub-URL is a *head* (host, with or without port) followed by a *form* (path, query and
/// fragment). All heads take the same forms, and the forms are prefixes of each other but for a
/// slash at the end, so a walk over them appends each byte about once.
#[derive(Clone, Debug)]
pub struct SubUrls<'u> {
    scheme: &'u str,
    hosts: Hosts<'u>,
    port: Option<u16>,
    path: Path<'u>,
    query: Cow<'u, str>,
    fragment: &'u str,
    /// Whether combinations that lack a component of the URL count as well.
    intermediates: bool,
    tail: Tail,
    /// The one string of the regular-expression mode: `Some(None)` if the URL does not match.
    only: Option<Option<String>>,
}

/// A URL has more sub-URLs than the caller wants to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL has more than {limit} sub-URLs, or more than {MAX_TEXT} bytes of them")]
pub struct TooManySubUrls {
    /// The caller's limit.
    pub limit: usize,
}

/// Bytes of sub-URLs that [`SubUrls::sorted`] holds at the most.
const MAX_TEXT: usize = 1 << 26;

#[derive(Clone, Copy, Debug)]
struct Hosts<'u> {
    /// The first host to yield, before the ones to walk.
    extra: Option<&'u str>,
    first: Option<&'u str>,
    hierarchy: bool,
}

#[derive(Clone, Copy, Debug)]
enum Path<'u> {
    /// Every prefix that ends at a segment, with and without a slash.
    Walked(&'u str),
    /// Only the whole, with and without a slash.
    Whole(&'u str),
    /// The placeholder, which has one form.
    Excluded,
}

/// Where slashes go behind the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Query and fragment follow the path with and without its trailing slash.
    Current,
    /// Query and fragment follow the path without it, and have one of their own.
    Ios26_0,
}

impl<'u> SubUrls<'u> {
    /// The sub-URLs of `url` under `rule`. `url` must have been parsed with `rule.case()`.
    #[must_use]
    pub fn new(url: &'u DeviceUrl, rule: &SubUrlRule) -> Self {
        match rule {
            SubUrlRule::Profile(Profile::Current) => Self::walked(url, Tail::Current),
            SubUrlRule::Profile(Profile::Ios26_0) => Self::walked(url, Tail::Ios26_0),
            SubUrlRule::Parsing(configuration) => Self::configured(url, configuration),
            SubUrlRule::RegularExpression(pattern) => {
                Self { only: Some(pattern.key(url)), ..Self::walked(url, Tail::Current) }
            }
        }
    }

    fn walked(url: &'u DeviceUrl, tail: Tail) -> Self {
        let stripped = without_www(url);
        let extra = (tail == Tail::Ios26_0 && stripped != url.host()).then_some(url.host());
        Self {
            scheme: "",
            hosts: Hosts {
                extra,
                first: Some(stripped),
                hierarchy: url.host_kind() == HostKind::Name,
            },
            port: url.effective_port().filter(|_| tail == Tail::Current),
            path: Path::Walked(url.path()),
            query: Cow::Borrowed(url.query()),
            fragment: url.fragment(),
            intermediates: true,
            tail,
            only: None,
        }
    }

    fn configured(url: &'u DeviceUrl, configuration: &ParsingConfiguration) -> Self {
        let ParsingConfiguration { domain, path, query, .. } = configuration;
        let mut all = Self::walked(url, Tail::Current);
        if !configuration.exclude_scheme {
            all.scheme = url.scheme_prefix();
        }
        if domain.excluded {
            all.hosts = Hosts { extra: None, first: Some(PLACEHOLDER), hierarchy: false };
            all.port = None;
        } else {
            let host = if domain.strip_www { without_www(url) } else { url.host() };
            let host = match url.host_kind() {
                HostKind::Name => last_labels(host, domain.levels),
                HostKind::Address => host,
            };
            all.hosts.first = Some(host);
            all.hosts.hierarchy &= domain.enumerate_hierarchy;
        }
        all.path = if path.excluded && !url.path().is_empty() {
            Path::Excluded
        } else {
            let kept = first_segments(url.path(), path.segments);
            if path.enumerate_hierarchy { Path::Walked(kept) } else { Path::Whole(kept) }
        };
        if query.excluded && !url.query().is_empty() {
            all.query = Cow::Owned(format!("?{PLACEHOLDER}"));
        } else if let Some(names) = &query.parameters {
            all.query = Cow::Owned(query.select(url.query(), names));
        }
        if configuration.exclude_fragment && !url.fragment().is_empty() {
            all.fragment = "#%*";
        }
        all.intermediates = !configuration.exclude_intermediates;
        all
    }

    /// Calls `visit` with each sub-URL, in no particular order, until it breaks. No two are equal.
    pub fn for_each<T>(&self, mut visit: impl FnMut(&str) -> ControlFlow<T>) -> ControlFlow<T> {
        if let Some(only) = &self.only {
            return only.as_deref().map_or(ControlFlow::Continue(()), visit);
        }
        let mut text = String::new();
        for head in self.heads() {
            text.clear();
            head.write(&mut text);
            self.walk(&mut Spelled { text: &mut text, visit: &mut visit })?;
        }
        ControlFlow::Continue(())
    }

    /// All sub-URLs in byte order.
    ///
    /// # Errors
    /// [`TooManySubUrls`] beyond `limit`, or beyond 64 MiB of text: the number grows with the
    /// labels of the host times the segments of the path.
    pub fn sorted(&self, limit: usize) -> Result<Vec<String>, TooManySubUrls> {
        let mut all = Vec::new();
        let mut bytes = 0;
        let outcome = self.for_each(|sub_url| {
            bytes += sub_url.len();
            if all.len() == limit || bytes > MAX_TEXT {
                return ControlFlow::Break(TooManySubUrls { limit });
            }
            all.push(sub_url.to_owned());
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(error) = outcome {
            return Err(error);
        }
        all.sort_unstable();
        Ok(all)
    }

    /// The one string of the regular-expression mode, if this is that mode.
    pub(super) fn only(&self) -> Option<Option<&str>> {
        self.only.as_ref().map(Option::as_deref)
    }

    /// The beginnings of the sub-URLs.
    pub(super) fn heads(&self) -> impl Iterator<Item = Head<'u>> + use<'u> {
        let (scheme, port) = (self.scheme, self.port);
        self.hosts.flat_map(move |host| {
            [None, port]
                .into_iter()
                .take(if port.is_some() { 2 } else { 1 })
                .map(move |port| Head { scheme, host, port })
        })
    }

    /// Visits the forms, the same for every head, as appends, emits and returns to marks.
    pub(super) fn walk<S: Sink>(&self, sink: &mut S) -> ControlFlow<S::Break> {
        let partial = self.intermediates;
        let has_tail = !(self.query.is_empty() && self.fragment.is_empty());
        let whole = partial || !has_tail;
        match self.path {
            Path::Walked("") | Path::Whole("") => {
                emit_if(sink, whole)?;
                return self.ends(sink, whole);
            }
            Path::Walked(path) => {
                emit_if(sink, partial)?;
                for (start, segment) in segments(path) {
                    sink.extend(b"/");
                    emit_if(sink, partial)?;
                    let last = start + segment.len() == path.len();
                    // An empty segment ends where its slash does.
                    if !segment.is_empty() {
                        sink.extend(segment.as_bytes());
                        emit_if(sink, if last { whole } else { partial })?;
                    }
                }
            }
            Path::Whole(path) => {
                root(sink, partial)?;
                sink.extend(path.as_bytes());
                emit_if(sink, whole)?;
            }
            Path::Excluded => {
                root(sink, partial)?;
                sink.extend(b"/");
                sink.extend(PLACEHOLDER.as_bytes());
                emit_if(sink, whole)?;
                return self.query_and_fragment(sink);
            }
        }
        self.ends(sink, whole)
    }

    /// What follows the full path: nothing, or query and fragment, before and after a slash.
    fn ends<S: Sink>(&self, sink: &mut S, whole: bool) -> ControlFlow<S::Break> {
        let mark = sink.mark();
        self.query_and_fragment(sink)?;
        sink.reset(mark);
        sink.extend(b"/");
        emit_if(sink, whole)?;
        let at_root = matches!(self.path, Path::Walked("") | Path::Whole(""));
        if self.tail == Tail::Current || at_root {
            self.query_and_fragment(sink)
        } else {
            ControlFlow::Continue(())
        }
    }

    fn query_and_fragment<S: Sink>(&self, sink: &mut S) -> ControlFlow<S::Break> {
        if !self.query.is_empty() {
            sink.extend(self.query.as_bytes());
            self.end_of_tail(sink, self.intermediates || self.fragment.is_empty())?;
        }
        if !self.fragment.is_empty() {
            sink.extend(self.fragment.as_bytes());
            self.end_of_tail(sink, true)?;
        }
        ControlFlow::Continue(())
    }

    fn end_of_tail<S: Sink>(&self, sink: &mut S, wanted: bool) -> ControlFlow<S::Break> {
        emit_if(sink, wanted)?;
        if self.tail == Tail::Ios26_0 {
            let mark = sink.mark();
            sink.extend(b"/");
            emit_if(sink, wanted)?;
            sink.reset(mark);
        }
        ControlFlow::Continue(())
    }
}

/// The host alone, with and without a slash.
fn root<S: Sink>(sink: &mut S, wanted: bool) -> ControlFlow<S::Break> {
    emit_if(sink, wanted)?;
    let mark = sink.mark();
    sink.extend(b"/");
    emit_if(sink, wanted)?;
    sink.reset(mark);
    ControlFlow::Continue(())
}

fn emit_if<S: Sink>(sink: &mut S, wanted: bool) -> ControlFlow<S::Break> {
    if wanted { sink.emit() } else { ControlFlow::Continue(()) }
}

/// The segments of a path that starts with `/` and ends without, each with its position.
fn segments(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 1;
    path[1..].split('/').map(move |segment| {
        let at = start;
        start += segment.len() + 1;
        (at, segment)
    })
}

/// The host without one leading `www.`; addresses have none.
pub(crate) fn without_www(url: &DeviceUrl) -> &str {
    match url.host().strip_prefix("www.") {
        Some(rest) if !rest.is_empty() && url.host_kind() == HostKind::Name => rest,
        _ => url.host(),
    }
}

impl<'u> Iterator for Hosts<'u> {
    type Item = &'u str;

    fn next(&mut self) -> Option<&'u str> {
        if let Some(extra) = self.extra.take() {
            return Some(extra);
        }
        let host = self.first?;
        self.first = host
            .split_once('.')
            .map(|(_, parent)| parent)
            .filter(|p| self.hierarchy && p.contains('.'));
        Some(host)
    }
}

/// One beginning of sub-URLs: scheme if wanted, host, port if wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'u> {
    pub(super) scheme: &'u str,
    pub(super) host: &'u str,
    pub(super) port: Option<u16>,
}

impl Head<'_> {
    pub(super) fn write(self, text: &mut String) {
        text.push_str(self.scheme);
        text.push_str(self.host);
        if let Some(port) = self.port {
            let mut buffer = [0; 6];
            // ASCII by construction.
            text.extend(port_text(port, &mut buffer).iter().map(|&digit| char::from(digit)));
        }
    }
}

/// `:port` in decimal.
pub(super) fn port_text(port: u16, buffer: &mut [u8; 6]) -> &[u8] {
    let mut start = buffer.len();
    let mut rest = port;
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    start -= 1;
    buffer[start] = b':';
    &buffer[start..]
}

/// What a walk over the forms does with them.
pub(super) trait Sink {
    /// What an early end carries.
    type Break;
    /// A place to return to.
    type Mark: Copy;
    /// Appends bytes.
    fn extend(&mut self, bytes: &[u8]);
    /// What was appended so far is a form.
    fn emit(&mut self) -> ControlFlow<Self::Break>;
    /// Here.
    fn mark(&self) -> Self::Mark;
    /// Forgets what was appended after the mark.
    fn reset(&mut self, mark: Self::Mark);
}

struct Spelled<'a, V> {
    text: &'a mut String,
    visit: &'a mut V,
}

impl<T, V: FnMut(&str) -> ControlFlow<T>> Sink for Spelled<'_, V> {
    type Break = T;
    type Mark = usize;

    fn extend(&mut self, bytes: &[u8]) {
        // Pieces of a `str`, cut at ASCII characters.
        self.text.push_str(std::str::from_utf8(bytes).unwrap_or_default());
    }

    fn emit(&mut self) -> ControlFlow<T> {
        (self.visit)(self.text)
    }

    fn mark(&self) -> usize {
        self.text.len()
    }

    fn reset(&mut self, mark: usize) {
        self.text.truncate(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sub_url::Case;

    fn list(url: &str, rule: &str) -> Vec<String> {
        let rule = SubUrlRule::from_json(rule).unwrap();
        let url = DeviceUrl::parse(url, rule.case()).unwrap();
        SubUrls::new(&url, &rule).sorted(10_000).unwrap()
    }

    const EXAMPLE: &str = "https://www.example.com/a/b/c?id=123#fragment";

    #[test]
    fn the_older_rule_lists_24() {
        let mut expected: Vec<String> = ["example.com", "www.example.com"]
            .iter()
            .flat_map(|host| {
                [
                    "",
                    "/",
                    "/a",
                    "/a/",
                    "/a/b",
                    "/a/b/",
                    "/a/b/c",
                    "/a/b/c/",
                    "/a/b/c?id=123",
                    "/a/b/c?id=123/",
                    "/a/b/c?id=123#fragment",
                    "/a/b/c?id=123#fragment/",
                ]
                .map(|form| format!("{host}{form}"))
            })
            .collect();
        expected.sort();
        assert_eq!(list(EXAMPLE, r#"{"profile":"ios26.0"}"#), expected);
        let deep = list("https://www.sub.example.com:8443/", r#"{"profile":"ios26.0"}"#);
        assert_eq!(
            deep,
            [
                "example.com",
                "example.com/",
                "sub.example.com",
                "sub.example.com/",
                "www.sub.example.com",
                "www.sub.example.com/",
            ]
        );
    }

    #[test]
    fn the_default_configuration_is_the_current_rule() {
        for url in
            [EXAMPLE, "http://a.b.c.d/", "https://192.0.2.7:80/x//y/?q", "https://localhost/#f"]
        {
            assert_eq!(list(url, "{}"), list(url, r#"{"profile":"current"}"#), "{url}");
        }
    }

    #[test]
    fn excluded_components_leave_a_placeholder() {
        let forms = list(
            EXAMPLE,
            r#"{"path":{"excluded":true,"segments":1},"domain":{"enumerateHierarchy":false}}"#,
        );
        let without_port: Vec<&String> = forms.iter().filter(|f| !f.contains(':')).collect();
        assert_eq!(
            without_port,
            [
                "example.com",
                "example.com/",
                "example.com/%*",
                "example.com/%*?id=123",
                "example.com/%*?id=123#fragment",
            ]
        );
        assert_eq!(
            list(
                EXAMPLE,
                r#"{"domain":{"excluded":true},"path":{"enumerateHierarchy":false},"query":{"excluded":true},"excludeFragment":true,"excludeIntermediates":true}"#
            ),
            ["%*/a/b/c/?%*#%*", "%*/a/b/c?%*#%*"]
        );
        // Nothing stands for a component that the URL lacks.
        let all = r#"{"path":{"excluded":true},"query":{"excluded":true},"excludeFragment":true}"#;
        assert!(list("https://example.com/", all).iter().all(|s| !s.contains('%')));
    }

    #[test]
    fn levels_segments_parameters_scheme_and_case() {
        let levels = list("https://www.sub.example.com/", r#"{"domain":{"levels":2}}"#);
        assert_eq!(levels, ["example.com", "example.com/", "example.com:443", "example.com:443/"]);
        let kept = list(
            "http://example.com/a/b/c/d?external&id=123&type=abc",
            r#"{"excludeScheme":false,"path":{"segments":2},"query":{"parameters":["id","external"]},"excludeIntermediates":true}"#,
        );
        assert_eq!(
            kept,
            [
                "http://example.com/a/b/?id=123&external",
                "http://example.com/a/b?id=123&external",
                "http://example.com:80/a/b/?id=123&external",
                "http://example.com:80/a/b?id=123&external",
            ]
        );
        let none = list(
            "https://example.com/a?x=1",
            r#"{"query":{"parameters":[]},"excludeIntermediates":true}"#,
        );
        assert_eq!(
            none,
            ["example.com/a", "example.com/a/", "example.com:443/a", "example.com:443/a/"]
        );
        assert!(
            list("https://Example.com/Ab", r#"{"caseSensitive":true}"#)
                .contains(&"example.com/Ab".into())
        );
        let www = list(
            "https://www.example.com/",
            r#"{"domain":{"stripWWW":false,"enumerateHierarchy":false}}"#,
        );
        assert!(www.iter().all(|s| s.starts_with("www.example.com")));
    }

    #[test]
    fn an_expression_gives_one_string_or_none() {
        let rule = r#"{"urlParsingRegularExpression":"//(?<host>[^/]+)/(?<first>[a-z]+)"}"#;
        assert_eq!(list("https://www.Example.com/Abc/d", rule), ["host=www.example.com first=abc"]);
        assert!(list("https://example.com/1", rule).is_empty());
    }

    #[test]
    fn a_url_with_too_many_sub_urls_is_refused_in_bounded_memory() {
        let url = format!("https://{}example.com{}", "a.".repeat(100), "/b".repeat(20_000));
        let url = DeviceUrl::parse(&url, Case::Ignored).unwrap();
        let sub_urls = SubUrls::new(&url, &SubUrlRule::default());
        assert_eq!(sub_urls.sorted(1_000), Err(TooManySubUrls { limit: 1_000 }));
        assert!(sub_urls.sorted(usize::MAX).is_err());
    }
}
