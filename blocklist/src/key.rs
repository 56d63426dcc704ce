//! From one entry of a block list to a key that a device can generate.
//!
//! A device never asks about a whole URL but about its sub-URLs, written in one fixed way: lower case,
//! punycode, no scheme, no `www.`. An entry that is written in another way would never match. It is
//! rewritten here, and every rewriting leaves a [`Remark`]. An entry that no key can express is a
//! [`Refusal`].
//!
//! ```
//! use blocklist::key::{EntryKind, KeyRules, Refusal, Remark, canonicalise};
//!
//! // Keys for 26 and 27.
//! let rules = KeyRules::default();
//! let key = canonicalise("https://WWW.Example.com/Login/", EntryKind::Url, &rules)?;
//! assert_eq!(key.text, "example.com/login");
//! // Whether 26 lowers letters is not known.
//! assert_eq!(key.others, ["example.com/Login"]);
//! assert!(key.remarks.contains(Remark::WwwRemoved));
//! assert_eq!(canonicalise("com", EntryKind::Host, &rules).err(), Some(Refusal::SingleLabel));
//! # Ok::<(), Refusal>(())
//! ```

mod compose;
pub(crate) mod names;
pub(crate) mod parents;
mod plain;
mod reason;
mod refusal;
mod remark;
mod rewrite;
mod rules;
mod system_keys;
#[cfg(test)]
mod tests;
pub(crate) mod verbatim;

pub use names::{IdleName, InvalidName, NameRules};
pub use refusal::Refusal;
pub use remark::{Effect, Remark, Remarks};
pub use rules::{KeyRules, Systems};

use filter_core::sub_url::{Profile, SubUrlRule};
use plain::{PlainEntry, plain_entry};
use rewrite::rewrite;
use std::borrow::Cow;

/// The entry that Apple's onboarding looks up. It must be in the data set exactly like this, with its
/// `www.`.
pub const ONBOARDING_ENTRY: &str = "www.apple.com/url-filter-test";

/// What an entry of a list may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A URL, or a host with or without port, path, query and fragment.
    Url,
    /// A host, without anything behind it.
    Host,
    /// A key that is served as it is, and becomes a key as it is: a row of a data set.
    Key,
}

/// The key of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CanonicalKey<'e> {
    /// The key, UTF-8 as a device would hash it; borrowed from the entry if nothing had to be rewritten.
    pub text: Cow<'e, str>,
    /// Further keys that the same entry needs: its spellings on other systems, its `www.` form under the 26.0 rule, or
    /// its `https` form if sub-URLs keep the scheme and the entry names none.
    pub others: Vec<String>,
    /// What was done to the entry, and what its owner should know.
    pub remarks: Remarks,
}

/// Turns an entry into its keys under `rules`. White space around the entry does not count, but in a
/// [`EntryKind::Key`].
///
/// # Errors
/// [`Refusal`] if no key can make a device block what the entry names.
pub fn canonicalise<'e>(
    entry: &'e str,
    kind: EntryKind,
    rules: &KeyRules,
) -> Result<CanonicalKey<'e>, Refusal> {
    if kind == EntryKind::Key {
        return verbatim::verbatim(entry, rules);
    }
    let entry = entry.trim();
    match is_key(entry, kind, rules) {
        true => Ok(CanonicalKey::unchanged(entry)),
        false => rewrite(entry, kind, rules),
    }
}

impl<'e> CanonicalKey<'e> {
    /// Of an entry that is its key.
    pub(crate) fn unchanged(entry: &'e str) -> Self {
        Self { text: Cow::Borrowed(entry), others: Vec::new(), remarks: Remarks::default() }
    }
}

/// Whether an entry that is no row of a data set is its one key, as it is quickly seen. It has no white space around it and
/// nothing that a URL parser would repair.
pub(crate) fn is_key(entry: &str, kind: EntryKind, rules: &KeyRules) -> bool {
    let may_be = matches!(rules.rule(), SubUrlRule::Profile(Profile::Current));
    may_be
        && match kind {
            EntryKind::Url => plain_entry(entry).is_some(),
            EntryKind::Host => plain_entry(entry) == Some(PlainEntry::Host),
            EntryKind::Key => false,
        }
}

/// The longest label of a name in bytes, RFC 1035 section 2.3.4.
const MAX_LABEL: usize = 63;

/// The longest name in bytes: the 255 of RFC 1035 section 2.3.4 without the first and the last length byte.
pub(crate) const MAX_NAME: usize = 253;
