//! How a list is read.

use super::Format;

/// How a list is read. [`ReadOptions::default`] detects the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The format; detected if it is `None`.
    pub format: Option<Format>,
    /// The name of a response policy zone that does not name itself by `$ORIGIN` or its SOA record.
    pub origin: Option<String>,
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
}

impl From<Format> for ReadOptions {
    fn from(format: Format) -> Self {
        Self::default().with_format(Some(format))
    }
}
