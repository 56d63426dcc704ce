//! Deltas: what makes a file of a release from a file of an earlier one that has the same length.
//!
//! They are an offer. `releases/<id>/deltas.json`, beside `release.json`, names them; a node that has no use for one, or
//! finds it damaged, fetches the whole file. What a delta gives must have the digest that the release names, so nothing has
//! to be believed that `deltas.json` or a delta says, and neither is signed.

#[cfg(feature = "publisher")]
mod encoder;
mod encoding;

use super::release::{FormatError, check_sha256, parse, version_of};
use serde::{Deserialize, Serialize};

#[cfg(feature = "publisher")]
pub(super) use encoder::{Encoder, GRAIN};
use encoding::MAX_FILE;
pub use encoding::{DeltaError, apply_delta};

/// The version of `deltas.json`.
const VERSION: u32 = 1;
/// A delta is at most this part of the file that it makes; a larger one is neither written nor fetched.
const MIN_SAVING: u64 = 4;

/// A delta: the file that it is applied to, the file that it makes, and the object that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Delta {
    /// SHA-256 of the file that it is applied to, in lowercase hexadecimal.
    pub from: String,
    /// SHA-256 of the file that it makes, in lowercase hexadecimal.
    pub to: String,
    /// Its own length, in bytes.
    pub bytes: u64,
    /// Its own SHA-256, in lowercase hexadecimal; the name of its object.
    pub sha256: String,
}

/// `deltas.json`: the deltas that lead to files of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Deltas {
    version: u32,
    /// In no particular order.
    pub deltas: Vec<Delta>,
}

/// The largest delta that makes a file of a number of bytes, in bytes; `None` if files of this length have none.
pub(super) fn max_delta(file_bytes: u64) -> Option<u64> {
    (file_bytes <= MAX_FILE).then_some(file_bytes / MIN_SAVING)
}

impl Delta {
    fn check(&self) -> Result<(), FormatError> {
        [&self.from, &self.to, &self.sha256].into_iter().try_for_each(|digest| check_sha256(digest))
    }
}

impl Deltas {
    /// The content of the file for some deltas.
    #[cfg(feature = "publisher")]
    pub(super) fn new(deltas: Vec<Delta>) -> Self {
        Self { version: VERSION, deltas }
    }

    /// Reads and checks the text of the file.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        match version_of(text)? {
            VERSION => {
                let deltas: Self = parse(text)?;
                deltas.deltas.iter().try_for_each(Delta::check)?;
                Ok(deltas)
            }
            other => Err(FormatError::Version(other)),
        }
    }

    /// The deltas that make a file of a digest and a length, in bytes, and are small enough for it.
    pub(super) fn to(&self, sha256: &str, file_bytes: u64) -> impl Iterator<Item = &Delta> {
        let max = max_delta(file_bytes);
        self.deltas
            .iter()
            .filter(move |delta| delta.to == sha256 && max.is_some_and(|max| delta.bytes <= max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"{"version":1,"deltas":[{"from":"FROM","to":"TO","bytes":25,"sha256":"OWN"}]}"#;

    fn text() -> String {
        TEXT.replace("FROM", &"a".repeat(64))
            .replace("TO", &"b".repeat(64))
            .replace("OWN", &"c".repeat(64))
    }

    #[test]
    fn digests_are_digests_and_versions_are_known() {
        let read = Deltas::parse(text().as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text());
        for digest in ["a", "b", "c"] {
            for bad in [digest.repeat(63), format!("../{}", digest.repeat(61)), digest.repeat(65)] {
                let text = text().replace(&digest.repeat(64), &bad);
                let refused = Deltas::parse(text.as_bytes());
                assert!(matches!(refused, Err(FormatError::Digest(_))), "{bad}");
            }
        }
        let other = text().replace("\"version\":1", "\"version\":2");
        assert!(matches!(Deltas::parse(other.as_bytes()), Err(FormatError::Version(2))));
        // What a later version adds is no reason to fetch more.
        let more = text().replace("\"bytes\"", "\"kind\":\"ranges\",\"bytes\"");
        assert_eq!(Deltas::parse(more.as_bytes()).unwrap(), read);
    }

    #[test]
    fn a_delta_is_at_most_a_quarter_of_its_file() {
        let read = Deltas::parse(text().as_bytes()).unwrap();
        let to = "b".repeat(64);
        for (file, expected) in [(99, 0), (100, 1), (104, 1), (MAX_FILE, 1), (MAX_FILE + 1, 0)] {
            assert_eq!(read.to(&to, file).count(), expected, "{file}");
        }
        assert_eq!(read.to(&"a".repeat(64), 100).count(), 0);
    }
}
