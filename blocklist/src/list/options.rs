//! How a list is read.

use super::{Format, RowFilter, bounded};

/// How a list is read. [`ReadOptions::default`] detects the format.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The format; detected if it is `None`.
    pub format: Option<Format>,
    /// The name of a response policy zone that does not name itself by `$ORIGIN` or its SOA record.
    pub origin: Option<String>,
    /// Names and addresses to which a list of hosts, of dnsmasq or of a response policy zone sends what it blocks, besides
    /// unspecified and loopback addresses.
    pub sinks: Vec<String>,
    /// Whether Adblock rules for third-party requests, pop-ups or some types of resources become keys, which cover every
    /// request. They are refused otherwise.
    pub is_widening_rules: bool,
    /// Whether URLs and hosts may be written so that they are no links, as `hxxp://` and `[.]`.
    pub is_defanged: bool,
    /// The rows of CSV and JSON that are read: those for which all of these hold.
    pub rows: Vec<RowFilter>,
    /// The file that is the list, if an archive has several: its path in the archive, or its file name.
    pub member: Option<String>,
    /// The most bytes that a list may have after decompression; 8 GiB by default.
    pub max_unpacked: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            origin: None,
            sinks: Vec::new(),
            is_widening_rules: false,
            is_defanged: false,
            rows: Vec::new(),
            member: None,
            max_unpacked: bounded::MAX_UNPACKED,
        }
    }
}

impl ReadOptions {
    /// The same options with a [`format`](Self::format).
    #[must_use]
    pub fn with_format(mut self, format: Option<Format>) -> Self {
        self.format = format;
        self
    }

    /// The same options with an [`origin`](Self::origin).
    #[must_use]
    pub fn with_origin(mut self, origin: Option<String>) -> Self {
        self.origin = origin;
        self
    }

    /// The same options with other [`sinks`](Self::sinks).
    #[must_use]
    pub fn with_sinks(mut self, sinks: Vec<String>) -> Self {
        self.sinks = sinks;
        self
    }

    /// The same options with or without [`is_widening_rules`](Self::is_widening_rules).
    #[must_use]
    pub fn with_widened_rules(mut self, is_widening: bool) -> Self {
        self.is_widening_rules = is_widening;
        self
    }

    /// The same options with or without [`is_defanged`](Self::is_defanged).
    #[must_use]
    pub fn with_defanged(mut self, is_defanged: bool) -> Self {
        self.is_defanged = is_defanged;
        self
    }

    /// The same options with filters of [`rows`](Self::rows).
    #[must_use]
    pub fn with_rows(mut self, rows: Vec<RowFilter>) -> Self {
        self.rows = rows;
        self
    }

    /// The same options with a [`member`](Self::member).
    #[must_use]
    pub fn with_member(mut self, member: Option<String>) -> Self {
        self.member = member;
        self
    }

    /// The same options with another [`max_unpacked`](Self::max_unpacked).
    #[must_use]
    pub fn with_max_unpacked(mut self, bytes: u64) -> Self {
        self.max_unpacked = bytes;
        self
    }
}

impl From<Format> for ReadOptions {
    fn from(format: Format) -> Self {
        Self::default().with_format(Some(format))
    }
}
