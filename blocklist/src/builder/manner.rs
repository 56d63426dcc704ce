//! How an entry asks for a key, as far as it matters to what takes it back.

use crate::key::{Remark, Remarks};
use crate::list::{Entry, RuleOptions, Scope};

/// One of 64 ways of asking for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Manner(u8);

/// Flags beside the scope, which has the two lowest bits.
const IMPORTANT: u8 = 4;
const WWW: u8 = 8;
const SLASH: u8 = 16;
const NOTED: u8 = 32;

const SCOPES: [Scope; 4] = [Scope::Site, Scope::Host, Scope::Subdomains, Scope::Page];

impl Manner {
    /// A host with everything below it, or the rule `||key^`.
    pub(super) const PLAIN: Self = Self(0);
    /// The manner of an entry, of whose key `remarks` tell.
    pub(super) fn of(entry: &Entry<'_>, key: &str, remarks: Remarks) -> Self {
        let scope = SCOPES.iter().position(|&scope| scope == entry.scope);
        let mut manner = scope.map_or(0, |scope| scope as u8);
        for (flag, is_set) in [
            (IMPORTANT, entry.options.contains(RuleOptions::IMPORTANT)),
            (WWW, remarks.contains(Remark::WwwRemoved)),
            (SLASH, remarks.contains(Remark::TrailingSlashRemoved) && key.contains('/')),
        ] {
            manner |= if is_set { flag } else { 0 };
        }
        Self(manner)
    }

    /// The same manner of an Adblock rule of which more is noted elsewhere.
    pub(super) fn noted(self) -> Self {
        Self(self.0 | NOTED)
    }

    pub(super) fn is_noted(self) -> bool {
        self.0 & NOTED != 0
    }

    pub(super) fn scope(self) -> Scope {
        SCOPES[usize::from(self.0) % SCOPES.len()]
    }

    /// Whether exceptions need `important` to reach the entry.
    pub(super) fn is_important(self) -> bool {
        self.0 & IMPORTANT != 0
    }

    /// Whether the entry names a host with `www.`, which its key has not.
    pub(super) fn is_www(self) -> bool {
        self.0 & WWW != 0
    }

    /// Whether the entry ends in a slash that its key has not, so that it names what is below a path alone.
    pub(super) fn has_slash(self) -> bool {
        self.0 & SLASH != 0
    }

    /// A bit that no other manner has.
    pub(super) const fn bit(self) -> u64 {
        1 << self.0
    }

    /// The manners whose [`bit`](Self::bit)s are set.
    pub(super) fn of_bits(bits: u64) -> impl Iterator<Item = Self> {
        // Each step leaves out the lowest bit that is set.
        let left = std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)));
        left.take_while(|&bits| bits != 0).map(|bits| Self(bits.trailing_zeros() as u8))
    }
}
