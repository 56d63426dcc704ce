//! Names of a zone file: what they are relative to, and how they are written.

use crate::key::Refusal;
use std::borrow::Cow;

/// The zone and the current origin.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The name of the zone without its last dot, empty for the root; none until it is known.
    zone: Option<String>,
    /// The zone if no record says otherwise: the first absolute origin.
    candidate: Option<String>,
    /// The current origin without its last dot.
    origin: String,
    /// Whether the origin is a whole name. If not, it is relative to the zone.
    is_origin_absolute: bool,
    /// Whether a name was resolved.
    is_used: bool,
}

/// The longest origin that is kept, in bytes: longer than any name of the DNS (RFC 1035, section 2.3.4).
const MAX_ORIGIN: usize = 512;

impl Names {
    pub(super) fn new(zone: Option<&str>) -> Self {
        Self { zone: zone.map(|zone| without_dot(zone).to_owned()), ..Self::default() }
    }

    /// Takes the name of an `$ORIGIN`.
    pub(super) fn set_origin(&mut self, name: &str) {
        let (origin, is_absolute) = self.full(name);
        // A name behind a longer one is no name, whatever the rest of that is.
        let length = origin.floor_char_boundary(MAX_ORIGIN);
        self.origin = origin[..length].to_owned();
        self.is_origin_absolute = is_absolute;
        let is_better = self.candidate.as_ref().is_none_or(String::is_empty);
        if is_absolute && is_better && !self.is_used {
            self.candidate = Some(self.origin.clone());
        }
    }

    /// Takes the owner of a record that only the zone itself has.
    pub(super) fn set_zone(&mut self, owner: &str) {
        if self.zone.is_none()
            && let (zone, true) = self.full(owner)
        {
            self.zone = Some(zone.into_owned());
        }
    }

    /// The name relative to the zone; empty for the zone itself.
    pub(super) fn relative<'n>(&mut self, owner: &'n str) -> Result<Cow<'n, str>, Refusal> {
        if self.zone.is_none() {
            self.zone = self.candidate.take();
        }
        self.is_used = true;
        // Most owners are relative to the zone as they stand.
        if !owner.ends_with('.') && owner != "@" && self.is_origin_zone() {
            return Ok(Cow::Borrowed(owner));
        }
        let (full, is_absolute) = self.full(owner);
        if !is_absolute {
            return Ok(full);
        }
        let zone = self.zone.as_ref().ok_or(Refusal::ZoneUnknown)?;
        let length = below(&full, zone).ok_or(Refusal::OutsideZone)?;
        Ok(match full {
            Cow::Borrowed(full) => Cow::Borrowed(&full[..length]),
            Cow::Owned(mut full) => {
                full.truncate(length);
                Cow::Owned(full)
            }
        })
    }

    /// A name behind the current origin, without its last dot, and whether it is a whole name.
    pub(super) fn full<'n>(&self, name: &'n str) -> (Cow<'n, str>, bool) {
        match name.strip_suffix('.') {
            Some(absolute) => (Cow::Borrowed(absolute), true),
            None if name == "@" => (Cow::Owned(self.origin.clone()), self.is_origin_absolute),
            None if self.origin.is_empty() => (Cow::Borrowed(name), self.is_origin_absolute),
            None => (Cow::Owned(format!("{name}.{}", self.origin)), self.is_origin_absolute),
        }
    }

    fn is_origin_zone(&self) -> bool {
        match &self.zone {
            Some(zone) if self.is_origin_absolute => zone.eq_ignore_ascii_case(&self.origin),
            _ => !self.is_origin_absolute && self.origin.is_empty(),
        }
    }
}

/// The length of the part of a name before the dot and the zone; none if it does not lie in the zone. Case does not matter.
fn below(name: &str, zone: &str) -> Option<usize> {
    if zone.is_empty() {
        return Some(name.len());
    }
    let start = name.len().checked_sub(zone.len())?;
    if !name.as_bytes()[start..].eq_ignore_ascii_case(zone.as_bytes()) {
        return None;
    }
    match start {
        0 => Some(0),
        _ => (name.as_bytes()[start - 1] == b'.').then(|| start - 1),
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// An owner with its escapes resolved: `\DDD`, and `\x` for the character itself. None if an escape stands for a character
/// that no host has, or for a dot or star that is part of a label.
pub(super) fn unescape(owner: &str) -> Option<Cow<'_, str>> {
    if !owner.contains('\\') {
        return Some(Cow::Borrowed(owner));
    }
    let mut plain = String::with_capacity(owner.len());
    let mut rest = owner;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let digits = escape.get(..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let (character, length) = match digits {
            Some(digits) => (char::from(digits.parse::<u8>().ok()?), 3),
            None => {
                let character = escape.chars().next()?;
                (character, character.len_utf8())
            }
        };
        if !(character.is_ascii_alphanumeric() || matches!(character, '-' | '_')) {
            return None;
        }
        plain.push(character);
        rest = &escape[length..];
    }
    plain.push_str(rest);
    Some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_the_boundary_of_a_label() {
        for (name, zone, expected) in [
            ("a.b", "b", Some(1)),
            ("a.B", "b", Some(1)),
            ("ab", "b", None),
            ("b", "b", Some(0)),
            ("a", "a.b", None),
            ("a.b", "", Some(3)),
            ("é", "\u{a9}", None),
        ] {
            assert_eq!(below(name, zone), expected, "{name} {zone}");
        }
    }

    #[test]
    fn escapes_of_letters_digits_hyphens_and_underscores_are_resolved() {
        for (owner, expected) in [
            ("a.example", Some("a.example")),
            ("\\065.ex\\ample", Some("A.example")),
            ("\\097\\-b", Some("a-b")),
            ("a\\.b", None),
            ("\\*.a", None),
            ("\\042", None),
            ("\\256", None),
            ("a\\", None),
            ("\\é", None),
        ] {
            assert_eq!(unescape(owner).as_deref(), expected, "{owner}");
        }
    }
}
