//! What exceptions did, in the report.

use super::super::uses::Origin;
use super::Report;
use serde::Serialize;

/// The number of keys that are named for one exception.
pub(in crate::builder) const MAX_KEYS: usize = 5;

/// An exception that took keys back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// The first 200 characters of what it names.
    pub entry: String,
    /// The number of keys that it took back.
    pub count: u64,
    /// The first five of them.
    pub keys: Vec<String>,
}

/// A line that revokes an exception, which takes nothing back then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevokedException {
    /// The line that revokes it.
    pub origin: Origin,
    /// The first 200 characters of what both name.
    pub entry: String,
    /// The exception's line.
    pub exception: Origin,
}

/// An exception, and a key that blocks requests that it names all the same: one that covers what it names, or one below that
/// it does not take back as a whole. Of several keys, the first five have one of these each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StillCovered {
    /// The exception's line.
    pub origin: Origin,
    /// The first 200 characters of what it names.
    pub entry: String,
    /// The key that blocks, as devices ask for it.
    pub key: String,
    /// The line that gave this key.
    pub blocked_by: Origin,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevokedRow<'r> {
    source: &'r str,
    line: u64,
    entry: &'r str,
    count: u64,
    keys: &'r [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevokedExceptionRow<'r> {
    source: &'r str,
    line: u64,
    entry: &'r str,
    exception_source: &'r str,
    exception_line: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StillCoveredRow<'r> {
    source: &'r str,
    line: u64,
    entry: &'r str,
    key: &'r str,
    key_source: &'r str,
    key_line: u64,
}

impl Report {
    /// Counts a key that the exception at `origin` takes back.
    pub(in crate::builder) fn count_revoked(&mut self, origin: Origin, entry: &str, key: &str) {
        let revoked = self.revoked.entry(origin).or_insert_with(|| Revoked {
            entry: entry.to_owned(),
            count: 0,
            keys: Vec::new(),
        });
        revoked.count += 1;
        if revoked.keys.len() < MAX_KEYS {
            revoked.keys.push(key.to_owned());
        }
    }

    /// The name of the list of an origin.
    #[must_use]
    pub fn source_name(&self, origin: Origin) -> &str {
        let source = origin.source().and_then(|source| self.sources.get(source));
        source.map_or("an option of the build", |source| &source.name)
    }

    pub(super) fn revoked_rows(&self) -> Vec<RevokedRow<'_>> {
        self.revoked
            .iter()
            .map(|(&origin, revoked)| RevokedRow {
                source: self.source_name(origin),
                line: origin.line(),
                entry: &revoked.entry,
                count: revoked.count,
                keys: &revoked.keys,
            })
            .collect()
    }

    pub(super) fn revoked_exception_rows(&self) -> Vec<RevokedExceptionRow<'_>> {
        self.revoked_exceptions
            .iter()
            .map(|revoked| RevokedExceptionRow {
                source: self.source_name(revoked.origin),
                line: revoked.origin.line(),
                entry: &revoked.entry,
                exception_source: self.source_name(revoked.exception),
                exception_line: revoked.exception.line(),
            })
            .collect()
    }

    pub(super) fn still_covered_rows(&self) -> Vec<StillCoveredRow<'_>> {
        self.still_covered
            .iter()
            .map(|covered| StillCoveredRow {
                source: self.source_name(covered.origin),
                line: covered.origin.line(),
                entry: &covered.entry,
                key: &covered.key,
                key_source: self.source_name(covered.blocked_by),
                key_line: covered.blocked_by.line(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_are_named_for_an_exception_are_few() {
        for count in [MAX_KEYS - 1, MAX_KEYS, MAX_KEYS + 1] {
            let mut report = Report::new(&crate::builder::Options::default());
            let origin = Origin::new(0, 1);
            for number in 0..count {
                report.count_revoked(origin, "x", &format!("h{number}.example"));
            }
            let revoked = &report.revoked[&origin];
            assert_eq!((revoked.count, revoked.keys.len()), (count as u64, count.min(MAX_KEYS)));
        }
    }
}
