//! One URL, cut into the parts that the rules combine: the common result of both parsers.

/// The longest URL that is parsed, in bytes (64 KiB). A decision of this project: browsers and lists stay far
/// below it.
pub const MAX_URL_LENGTH: usize = 65_536;

/// Whether letters keep their case in sub-URLs and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a letter keeps its case or loses it")]
pub enum Case {
    /// Everything is lower case: what devices do by default.
    #[default]
    Ignored,
    /// Path, query and fragment keep their case (`caseSensitive` of iOS 27). Hosts never do.
    Kept,
}

/// What kind of host a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the WHATWG URL standard knows no other host with a request"
)]
pub enum HostKind {
    /// A name of one or more labels, which has parents.
    Name,
    /// An IPv4 or bracketed IPv6 address, which has no parents.
    Address,
}

/// Why a text is not a URL that a device could request. No message repeats the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The WHATWG parser refuses the text.
    #[error("not a URL: {0}")]
    Syntax(crate::parser_message::ParserMessage),
    /// The URL names no host (`data:`, `mailto:`, `about:`, …).
    #[error("the URL names no host")]
    NoHost,
    /// The URL is longer than [`MAX_URL_LENGTH`].
    #[error("the URL has {0} bytes; the limit is {MAX_URL_LENGTH}")]
    TooLong(usize),
    /// More of its sub-URLs hit a prefilter than [`Prefilter::hits`](crate::Prefilter::hits) holds.
    #[error("more than {0} sub-URLs of the URL hit the prefilter, or they are too long")]
    TooManyHits(usize),
    /// The URL is not written in its normal form, and the crate was built without the feature `url`, whose
    /// parser would normalise it.
    #[error(
        "the URL is not in its normal form, and normalising it needs the feature `url` of filter-core"
    )]
    ParserMissing,
}

/// Where the parts of a URL lie. Made by `serialised` or `whatwg`, read by `device_url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlParts {
    /// `scheme://` `host` `path` `?query` `#fragment`, each part possibly empty.
    pub(super) text: String,
    pub(super) host_start: usize,
    pub(super) host_end: usize,
    pub(super) path_end: usize,
    pub(super) query_end: usize,
    pub(super) host_kind: HostKind,
    pub(super) port: Option<u16>,
    pub(super) default_port: Option<u16>,
    pub(super) default_port_written: bool,
    /// Slashes cut from the end of the path.
    pub(super) slashes: usize,
    /// User name and password with their `@`, as serialised; usually empty.
    pub(super) user_info: String,
    /// Whether there is a `?` with nothing behind it.
    pub(super) has_empty_query: bool,
    /// Whether there is a `#` with nothing behind it.
    pub(super) has_empty_fragment: bool,
}

impl UrlParts {
    pub(super) fn host(&self) -> &str {
        &self.text[self.host_start..self.host_end]
    }

    /// The path without trailing slashes: empty for the root, else starting with `/`.
    pub(super) fn path(&self) -> &str {
        &self.text[self.host_end..self.path_end]
    }

    /// `?` and the query, or nothing.
    pub(super) fn query(&self) -> &str {
        &self.text[self.path_end..self.query_end]
    }

    /// `#` and the fragment, or nothing.
    pub(super) fn fragment(&self) -> &str {
        &self.text[self.query_end..]
    }

    /// Appends what follows `://` in the serialised URL, without user name and password.
    pub(super) fn write_behind_scheme(&self, url: &mut String) {
        url.push_str(self.host());
        if let Some(port) = self.port {
            url.push_str(&format!(":{port}"));
        }
        url.push_str(self.path());
        url.extend(std::iter::repeat_n('/', self.slashes));
        url.push_str(self.query());
        url.push_str(self.fragment());
    }

    /// All that follows `://` in the serialised URL, with user name and password, and with an empty query and fragment.
    pub(super) fn verbatim(&self) -> String {
        format!("{}{}", self.user_info, self.whole())
    }

    /// All that follows `://` in the serialised URL but user name and password.
    pub(super) fn whole(&self) -> String {
        let mut text = String::new();
        self.write_behind_scheme(&mut text);
        if self.has_empty_query {
            text.insert(text.len() - self.fragment().len(), '?');
        }
        if self.has_empty_fragment {
            text.push('#');
        }
        text
    }
}
