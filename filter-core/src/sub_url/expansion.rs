//! The product of hosts and path variants that one URL stands for, walked without spelling it out.

use super::device_url::DeviceUrl;
use super::parsing_configuration::{PLACEHOLDER, ParsingConfiguration};
use super::parts::{first_segments, last_labels};
use super::url_parts::HostKind;
use std::borrow::Cow;
use std::ops::ControlFlow;

/// `#` and the placeholder.
const EXCLUDED_FRAGMENT: &str = "#%*";

/// All sub-URLs of one URL as a product.
///
/// Every sub-URL is a [`Head`] (host, with or without port) followed by a *path variant* (path, query and
/// fragment). All heads take the same variants, and the variants are prefixes of each other but for a slash at
/// the end, so a walk over them appends each byte about once.
#[derive(Clone, Debug)]
pub(super) struct Product<'u> {
    pub(super) scheme: &'u str,
    pub(super) hosts: Hosts<'u>,
    pub(super) port: Option<u16>,
    pub(super) path: Path<'u>,
    pub(super) query: Cow<'u, str>,
    pub(super) fragment: &'u str,
    /// Whether combinations that lack a component of the URL are sub-URLs as well.
    pub(super) intermediates: bool,
    pub(super) tail: Tail,
    /// Whether this is only what differs from the same product if letters behind the head are in lower case.
    pub(super) lowered: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Hosts<'u> {
    /// A host that comes first and has no parents of its own, and what stands in front of it.
    pub(super) extra: Option<(&'u str, &'u str)>,
    /// The next host.
    pub(super) next: Option<&'u str>,
    /// Which parents of `next` follow it.
    pub(super) parents: Parents,
    /// A host that is left out.
    pub(super) without: Option<&'u str>,
}

/// Which parents of a host are combined with the path variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parents {
    None,
    /// Those of at least two labels.
    TwoLabels,
    /// All of them, down to the last label.
    All,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'u> {
    /// Every prefix that ends at a segment, with and without a slash.
    Walked(&'u str),
    /// Only the whole, with and without a slash.
    Whole(&'u str),
    /// The placeholder, which has one variant.
    Excluded,
}

/// Where slashes go behind the path: the difference between the profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Query and fragment follow the path with and without its trailing slash.
    Current,
    /// Query and fragment follow the path without it, and have one of their own.
    Ios26_0,
}

impl<'u> Product<'u> {
    /// The product under a profile.
    pub(super) fn walked(url: &'u DeviceUrl<'_>, tail: Tail) -> Self {
        let stripped = without_www(url);
        let extra = (tail == Tail::Ios26_0 && stripped != url.host()).then_some(("", url.host()));
        let parents = match url.host_kind() {
            HostKind::Name => Parents::TwoLabels,
            HostKind::Address => Parents::None,
        };
        Self {
            scheme: "",
            hosts: Hosts { extra, next: Some(stripped), parents, without: None },
            port: url.effective_port().filter(|_| tail == Tail::Current),
            path: Path::Walked(url.path()),
            query: Cow::Borrowed(url.query()),
            fragment: url.fragment(),
            intermediates: true,
            tail,
            lowered: false,
        }
    }

    /// The product under a parsing configuration.
    pub(super) fn configured(url: &'u DeviceUrl<'_>, configuration: &ParsingConfiguration) -> Self {
        let ParsingConfiguration { domain, path, query, .. } = configuration;
        let mut all = Self::walked(url, Tail::Current);
        if !configuration.exclude_scheme {
            all.scheme = url.scheme_prefix();
        }
        if domain.excluded {
            all.hosts = Hosts {
                extra: None,
                next: Some(PLACEHOLDER),
                parents: Parents::None,
                without: None,
            };
            all.port = None;
        } else {
            let host = if domain.strip_www { without_www(url) } else { url.host() };
            let host = match url.host_kind() {
                HostKind::Name => last_labels(host, domain.levels),
                HostKind::Address => host,
            };
            all.hosts.next = Some(host);
            if !domain.enumerate_hierarchy {
                all.hosts.parents = Parents::None;
            }
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
            all.fragment = EXCLUDED_FRAGMENT;
        }
        all.intermediates = !configuration.exclude_intermediates;
        all
    }

    /// The heads of the sub-URLs; a host with its port follows the same host without.
    pub(super) fn heads(&self) -> impl Iterator<Item = Head<'u>> + use<'u> {
        let (scheme, port) = (self.scheme, self.port);
        self.hosts.flat_map(move |(prefix, host)| {
            let scheme = prefix.unwrap_or(scheme);
            [None, port]
                .into_iter()
                .take(if port.is_some() { 2 } else { 1 })
                .map(move |port| Head { scheme, host, port })
        })
    }

    /// Visits the path variants, the same for every head, as a sequence of appended text, ends of variants and
    /// returns to marks.
    pub(super) fn walk<S: Sink>(&self, sink: &mut S) -> ControlFlow<S::Break> {
        match self.lowered {
            true => self.walk_all(&mut Lowered { sink, is_changed: false }),
            false => self.walk_all(sink),
        }
    }

    fn walk_all<S: Sink>(&self, sink: &mut S) -> ControlFlow<S::Break> {
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
                    sink.extend("/");
                    emit_if(sink, partial)?;
                    let last = start + segment.len() == path.len();
                    // An empty segment ends where its slash does.
                    if !segment.is_empty() {
                        sink.extend(segment);
                        emit_if(sink, if last { whole } else { partial })?;
                    }
                }
            }
            Path::Whole(path) => {
                root(sink, partial)?;
                sink.extend(path);
                emit_if(sink, whole)?;
            }
            Path::Excluded => {
                root(sink, partial)?;
                sink.extend("/");
                sink.extend(PLACEHOLDER);
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
        sink.extend("/");
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
            sink.extend(&self.query);
            self.end_of_tail(sink, self.intermediates || self.fragment.is_empty())?;
        }
        if !self.fragment.is_empty() {
            sink.extend(self.fragment);
            self.end_of_tail(sink, true)?;
        }
        ControlFlow::Continue(())
    }

    fn end_of_tail<S: Sink>(&self, sink: &mut S, wanted: bool) -> ControlFlow<S::Break> {
        emit_if(sink, wanted)?;
        if self.tail == Tail::Ios26_0 {
            let mark = sink.mark();
            sink.extend("/");
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
    sink.extend("/");
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
    // Segments are short: the search that a pattern of `str` starts for each takes longer than this one.
    path.as_bytes()[1..].split(|&byte| byte == b'/').map(move |segment| {
        let at = start;
        start += segment.len() + 1;
        (at, &path[at..at + segment.len()])
    })
}

/// The host without one leading `www.`; addresses have none.
pub(super) fn without_www<'u>(url: &'u DeviceUrl<'_>) -> &'u str {
    match url.host().strip_prefix("www.") {
        Some(rest) if !rest.is_empty() && url.host_kind() == HostKind::Name => rest,
        _ => url.host(),
    }
}

/// What follows the first dot of a host. Labels are short: a search that is made for long texts takes longer.
fn parent(host: &str) -> Option<&str> {
    let dot = host.bytes().position(|byte| byte == b'.')?;
    Some(&host[dot + 1..])
}

impl<'u> Iterator for Hosts<'u> {
    /// What stands in front of the host, if it is not what stands in front of all, and the host.
    type Item = (Option<&'u str>, &'u str);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((prefix, host)) = self.extra.take() {
            return Some((Some(prefix), host));
        }
        loop {
            let host = self.next?;
            self.next = match self.parents {
                Parents::None => None,
                Parents::TwoLabels => parent(host).filter(|host| parent(host).is_some()),
                Parents::All => parent(host).filter(|host| !host.is_empty()),
            };
            if self.without != Some(host) {
                return Some((None, host));
            }
        }
    }
}

/// The beginning of sub-URLs: scheme (empty unless the rule keeps it) or `www.`, host, port.
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

/// What a walk over the path variants does with them.
pub(super) trait Sink {
    /// What an early end carries.
    type Break;
    /// A position in the text to return to.
    type Mark: Copy;
    /// Appends text.
    fn extend(&mut self, text: &str);
    /// The text so far is a path variant.
    fn emit(&mut self) -> ControlFlow<Self::Break>;
    /// The end of the text so far.
    fn mark(&self) -> Self::Mark;
    /// Removes the text behind a mark.
    fn reset(&mut self, mark: Self::Mark);
}

/// Passes on the path variants that have a capital letter, in lower case.
struct Lowered<'s, S> {
    sink: &'s mut S,
    /// Whether the text so far had a capital letter.
    is_changed: bool,
}

impl<S: Sink> Sink for Lowered<'_, S> {
    type Break = S::Break;
    type Mark = (S::Mark, bool);

    fn extend(&mut self, text: &str) {
        if has_capital(text) {
            self.is_changed = true;
            self.sink.extend(&text.to_ascii_lowercase());
        } else {
            self.sink.extend(text);
        }
    }

    fn emit(&mut self) -> ControlFlow<S::Break> {
        emit_if(self.sink, self.is_changed)
    }

    fn mark(&self) -> Self::Mark {
        (self.sink.mark(), self.is_changed)
    }

    fn reset(&mut self, (mark, is_changed): Self::Mark) {
        self.sink.reset(mark);
        self.is_changed = is_changed;
    }
}

/// Whether a text has an ASCII letter that lower case changes.
pub(super) fn has_capital(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}
