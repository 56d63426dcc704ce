//! Data sets in an object store: what a publisher puts there, and how nodes follow it.
//!
//! ```text
//! <address>/current.json                    which release counts, and from when on
//! <address>/releases/<id>/release.json      its files, by name, length and SHA-256
//! <address>/objects/<SHA-256>               their bytes; releases share those that are the same
//! <address>/filter/bloom_filter.plist …     the prefilter of the release, for apps; last to change
//! ```
//!
//! Only `current.json` and `filter/` ever change. Each level names the digest of the next, so that what
//! was checked once is the same everywhere. A data set is there, and served, before its prefilter is.

mod follower;
mod place;

pub use follower::{Follower, Standing};
pub use place::{Mark, Place, PlaceError};

use serde::{Deserialize, Serialize};

/// Largest `current.json` and `release.json`.
pub const MAX_TEXT: usize = 64 << 20;
/// What the files of a data set are called in a release.
pub const STEM: &str = "data";
/// What the names of a prefilter's files begin with.
pub const FILTER: &str = "filter/";
/// The version of the format.
const VERSION: u32 = 1;

/// A text of a publication says nothing that can be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It is not JSON of that form.
    #[error("not of the form that is expected: {0}")]
    Json(String),
    /// It is of another version of the format.
    #[error("version {0} of the format is not known; use a newer program")]
    Version(u32),
    /// A part of it is out of range.
    #[error("{0}")]
    Content(&'static str),
}

/// A release by its name and the digest of its `release.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseName {
    /// Letters, digits and `-`.
    pub id: String,
    /// SHA-256 of its `release.json`, hexadecimal.
    pub sha256: String,
}

/// `current.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Current {
    version: u32,
    /// The release that nodes get ready.
    pub release: ReleaseName,
    /// From when on they serve it, in seconds since 1970; none while the publisher waits for them.
    pub activate_at: Option<u64>,
    /// The one that they serve until then.
    pub before: Option<ReleaseName>,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleasedFile {
    /// `data-<shard>.bin` and the like, or `filter/<name>`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, hexadecimal: where they are.
    pub sha256: String,
}

/// `release.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    version: u32,
    /// Letters, digits and `-`; the directory that it is in.
    pub id: String,
    /// The use case that it is for.
    pub use_case: String,
    /// Shards of the data set.
    pub shard_count: u32,
    /// What clients know the data set's configuration by, hexadecimal.
    pub config_id: String,
    /// When it was published, in seconds since 1970.
    pub published_at: u64,
    /// All files.
    pub files: Vec<ReleasedFile>,
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Names are those of plain files: nothing that leads elsewhere.
fn is_file_name(text: &str) -> bool {
    let name = text.strip_prefix(FILTER).unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

fn parse<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Result<T, FormatError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Any {
        version: u32,
    }
    let wrong = |error: serde_json::Error| FormatError::Json(error.to_string());
    let any: Any = serde_json::from_slice(text).map_err(wrong)?;
    match any.version {
        VERSION => serde_json::from_slice(text).map_err(wrong),
        other => Err(FormatError::Version(other)),
    }
}

impl ReleaseName {
    fn check(&self) -> Result<(), FormatError> {
        match is_name(&self.id) && is_sha256(&self.sha256) {
            true => Ok(()),
            false => Err(FormatError::Content("a release's name or digest is not of its form")),
        }
    }
}

impl Current {
    /// One that names a release.
    pub fn new(
        release: ReleaseName,
        activate_at: Option<u64>,
        before: Option<ReleaseName>,
    ) -> Self {
        Self { version: VERSION, release, activate_at, before }
    }

    /// Reads and checks it.
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let current: Self = parse(text)?;
        current.release.check()?;
        if let Some(before) = &current.before {
            before.check()?;
        }
        Ok(current)
    }

    /// The release to serve at a time: without an earlier one, the new one at once.
    pub fn counts(&self, now: u64) -> &ReleaseName {
        match &self.before {
            Some(before) if self.activate_at.is_none_or(|at| now < at) => before,
            _ => &self.release,
        }
    }
}

impl Release {
    /// A release of those files.
    pub fn new(
        id: String,
        use_case: String,
        shard_count: u32,
        config_id: String,
        published_at: u64,
        files: Vec<ReleasedFile>,
    ) -> Result<Self, FormatError> {
        let release =
            Self { version: VERSION, id, use_case, shard_count, config_id, published_at, files };
        release.check()?;
        Ok(release)
    }

    /// Reads and checks it.
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let release: Self = parse(text)?;
        release.check()?;
        Ok(release)
    }

    fn check(&self) -> Result<(), FormatError> {
        if !is_name(&self.id) {
            return Err(FormatError::Content("the release's name is not of its form"));
        }
        let good = |file: &ReleasedFile| is_file_name(&file.name) && is_sha256(&file.sha256);
        if !self.files.iter().all(good) {
            return Err(FormatError::Content("a file's name or digest is not of its form"));
        }
        let mut names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(FormatError::Content("two files of one name"));
        }
        let has = |name: String| names.binary_search(&name.as_str()).is_ok();
        let whole = has(format!("{STEM}-manifest.json"))
            && self.shard_count > 0
            && self.shard_count as usize <= self.files.len()
            && (0..self.shard_count).all(|shard| {
                has(format!("{STEM}-{shard}.bin")) && has(format!("{STEM}-{shard}.params.txtpb"))
            });
        match whole {
            true => Ok(()),
            false => Err(FormatError::Content("files of the data set are missing")),
        }
    }

    /// The files of the data set.
    pub fn data_files(&self) -> impl Iterator<Item = &ReleasedFile> {
        self.files.iter().filter(|file| !file.name.starts_with(FILTER))
    }

    /// The files of the prefilter.
    pub fn filter_files(&self) -> impl Iterator<Item = &ReleasedFile> {
        self.files.iter().filter(|file| file.name.starts_with(FILTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> ReleasedFile {
        ReleasedFile { name: name.to_owned(), bytes: 1, sha256: "a".repeat(64) }
    }

    fn release(names: &[&str], shards: u32) -> Result<Release, FormatError> {
        let files = names.iter().map(|name| file(name)).collect();
        Release::new("2026-1".to_owned(), "use".to_owned(), shards, String::new(), 0, files)
    }

    const ONE: [&str; 3] = ["data-0.bin", "data-0.params.txtpb", "data-manifest.json"];

    #[test]
    fn whole_releases_only() {
        let good = release(&[&ONE[..], &["filter/bloom.bin"]].concat(), 1).unwrap();
        assert_eq!((good.data_files().count(), good.filter_files().count()), (3, 1));
        let text = serde_json::to_vec(&good).unwrap();
        assert_eq!(Release::parse(&text).unwrap(), good);
        for (names, shards) in [
            (&ONE[..2], 1),
            (&ONE[..], 2),
            (&ONE[..], 0),
            (&ONE[..], u32::MAX),
            (&[&ONE[..], &["data-0.bin"]].concat()[..], 1),
            (&[&ONE[..], &["../x"]].concat()[..], 1),
            (&[&ONE[..], &["filter/../x"]].concat()[..], 1),
            (&[&ONE[..], &[".x"]].concat()[..], 1),
            (&[&ONE[..], &["a/b"]].concat()[..], 1),
        ] {
            assert!(matches!(release(names, shards), Err(FormatError::Content(_))), "{names:?}");
        }
        let mut other = good.clone();
        other.version = 2;
        let text = serde_json::to_vec(&other).unwrap();
        assert_eq!(Release::parse(&text), Err(FormatError::Version(2)));
        other.version = 1;
        other.id = "../..".to_owned();
        let text = serde_json::to_vec(&other).unwrap();
        assert!(Release::parse(&text).is_err());
    }

    #[test]
    fn what_counts_when() {
        let name = |id: &str| ReleaseName { id: id.to_owned(), sha256: "0".repeat(64) };
        let current = |at, before| Current::new(name("new"), at, before);
        assert_eq!(current(Some(5), Some(name("old"))).counts(4).id, "old");
        assert_eq!(current(Some(5), Some(name("old"))).counts(5).id, "new");
        assert_eq!(current(None, Some(name("old"))).counts(u64::MAX).id, "old");
        assert_eq!(current(Some(5), None).counts(4).id, "new");
        let text = serde_json::to_vec(&current(None, Some(name("a/b")))).unwrap();
        assert!(Current::parse(&text).is_err());
    }
}
