//! How a list is read.

use super::{Format, RowFilter, bounded, rpz};

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
    /// The most names that all `$GENERATE` of a response policy zone may stand for; 262,144 by default and at most.
    pub max_generated: u64,
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
            max_generated: rpz::MAX_GENERATED,
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

    /// The same options with another [`max_generated`](Self::max_generated).
    #[must_use]
    pub fn with_max_generated(mut self, names: u64) -> Self {
        self.max_generated = names;
        self
    }
}

/// An option that has an effect on some lists only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListOption {
    /// [`ReadOptions::member`].
    Member,
    /// [`ReadOptions::origin`].
    Origin,
    /// [`ReadOptions::sinks`].
    Sinks,
    /// [`ReadOptions::is_defanged`].
    Defanged,
    /// [`ReadOptions::is_widening_rules`].
    WidenedRules,
}

impl ListOption {
    /// All options, in the order in which messages name them.
    pub const ALL: [Self; 5] =
        [Self::Member, Self::Origin, Self::Sinks, Self::Defanged, Self::WidenedRules];

    /// The lists on which it has an effect, in a few words.
    #[must_use]
    pub const fn lists(self) -> &'static str {
        match self {
            Self::Member => "archives (tar, zip)",
            Self::Origin => "response policy zones (rpz)",
            Self::Sinks => {
                "lists that send names somewhere (hosts, adblock, dnsmasq, unbound, bind, pdnsd, rpz)"
            }
            Self::Defanged => "lists of URLs and tables (urls, csv, tsv, json)",
            Self::WidenedRules => "lists of rules (adblock, tpl)",
        }
    }

    /// Whether it has an effect on lists of a format; that of [`Member`](Self::Member) does not depend on it.
    #[must_use]
    pub const fn concerns(self, format: &Format) -> bool {
        match self {
            Self::Member => true,
            Self::Origin => matches!(format, Format::Rpz),
            Self::Sinks => matches!(
                format,
                Format::Hosts
                    | Format::Adblock
                    | Format::Dnsmasq
                    | Format::Unbound
                    | Format::Bind
                    | Format::Pdnsd
                    | Format::Rpz
            ),
            Self::Defanged => matches!(
                format,
                Format::Urls | Format::Csv { .. } | Format::Tsv { .. } | Format::Json { .. }
            ),
            Self::WidenedRules => matches!(format, Format::Adblock | Format::Tpl),
        }
    }
}

impl ReadOptions {
    /// The options that are set and had no effect on a list, as its format and its container show.
    pub(crate) fn without_effect(&self, format: &Format, is_in_archive: bool) -> Vec<ListOption> {
        let is_idle = |option: &ListOption| {
            let is_set = match option {
                ListOption::Member => self.member.is_some(),
                ListOption::Origin => self.origin.is_some(),
                ListOption::Sinks => !self.sinks.is_empty(),
                ListOption::Defanged => self.is_defanged,
                ListOption::WidenedRules => self.is_widening_rules,
            };
            is_set && !(option.concerns(format) && (*option != ListOption::Member || is_in_archive))
        };
        ListOption::ALL.into_iter().filter(is_idle).collect()
    }
}

impl From<Format> for ReadOptions {
    fn from(format: Format) -> Self {
        Self::default().with_format(Some(format))
    }
}
