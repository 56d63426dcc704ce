//! The format of `release.json`, and of the names of releases.

use crate::Cause;
use crate::files::{MANIFEST_SUFFIX, database_suffix, parameters_suffix};
use crate::level;
use serde::{Deserialize, Serialize};
use unix_clock::Timestamp;

/// Largest `release.json`, in bytes.
pub const MAX_TEXT: usize = 64 << 20;
/// Largest `current.json`, and largest signature of a release, in bytes. They are read before anything is verified, the first one
/// at each poll.
pub const MAX_CURRENT: usize = 64 << 10;
/// Longest file of a prefilter that is given out, in bytes: as long as clients take.
pub const MAX_FILTER_FILE: u64 = 256 << 20;
/// Length of all files of prefilters of a release that are given out, those of levels included, in bytes at most: nodes keep
/// the property lists in memory.
pub const MAX_FILTER_FILES: u64 = 2 << 30;
/// What the names of a data set's files begin with in a release.
pub const STEM: &str = "data";
/// What the names of a prefilter's files begin with in a release.
pub const FILTER: &str = "filter/";
/// What the names of the files of a level's prefilter begin with in a release; the name of the level and the kind of the file
/// follow. Nodes of earlier versions take such a file for one more of the prefilter.
const LEVEL: &str = "filter/level-";
/// The kinds of files of a prefilter: as a property list, its metadata, its bits.
pub(super) const KINDS: [&str; 3] = ["plist", "json", "bin"];
/// The version of the format.
const VERSION: u32 = 1;

/// `current.json` or `release.json` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The text is not JSON of the expected form.
    #[error("not of the expected form")]
    Json {
        /// The mistake and its place.
        source: Cause,
    },
    /// The format has another version.
    #[error("version {0} of the format is not known; use a newer program")]
    Version(u32),
    /// A release's name has other characters than letters, digits and `-`, or not 1 to 128 of them.
    #[error("{0:?} is not the name of a release")]
    Name(String),
    /// A digest is not 64 lowercase hexadecimal digits.
    #[error("{0:?} is not a SHA-256 digest")]
    Digest(String),
    /// A file's name is not that of a plain file.
    #[error("{0:?} is not the name of a released file")]
    FileName(String),
    /// Two files have the same name.
    #[error("two files have the name {0:?}")]
    DuplicateFile(String),
    /// The data set lacks a file, or has no shards.
    #[error("files of a data set with {shard_count} shards are missing")]
    Incomplete {
        /// Number of shards of the data set.
        shard_count: u32,
    },
}

/// A release, by its name and the digest of its `release.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ReleaseName {
    /// 1 to 128 letters, digits and `-`.
    pub id: String,
    /// SHA-256 of its `release.json`, in lowercase hexadecimal.
    pub sha256: String,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ReleasedFile {
    /// `data-<shard>.bin` and the like, or `filter/<name>`.
    pub name: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in lowercase hexadecimal; the name of its object.
    pub sha256: String,
}

/// `release.json`: a data set and its prefilter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Release {
    version: u32,
    /// 1 to 128 letters, digits and `-`; the name of its directory.
    pub id: String,
    /// The use case that serves it.
    pub use_case: String,
    /// Number of shards of the data set.
    pub shard_count: u32,
    /// SHA-256 of the data set's configuration, hexadecimal: what clients know it by.
    pub config_id: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// All files of the data set and of the prefilter.
    pub files: Vec<ReleasedFile>,
}

/// The name in a release of the file of a level's prefilter of a kind: `plist`, `json` or `bin`.
#[must_use]
pub fn level_file(level: &str, kind: &str) -> String {
    format!("{LEVEL}{level}.{kind}")
}

/// The level that a file belongs to, and its kind.
pub(super) fn level_of(name: &str) -> Option<(&str, &str)> {
    let (level, kind) = name.strip_prefix(LEVEL)?.rsplit_once('.')?;
    (level::is_name(level) && KINDS.contains(&kind)).then_some((level, kind))
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a name is that of a plain file: it must not lead to another folder.
fn is_file_name(text: &str) -> bool {
    let name = text.strip_prefix(FILTER).unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

pub(super) fn parse<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Result<T, FormatError> {
    serde_json::from_slice(text).map_err(|error| FormatError::Json { source: error.into() })
}

/// The version of a text, which all versions have in the same place.
pub(super) fn version_of(text: &[u8]) -> Result<u32, FormatError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    Ok(parse::<Versioned>(text)?.version)
}

pub(super) fn check_sha256(text: &str) -> Result<(), FormatError> {
    match is_sha256(text) {
        true => Ok(()),
        false => Err(FormatError::Digest(text.to_owned())),
    }
}

impl ReleasedFile {
    /// A file by its name, length and digest.
    ///
    /// # Errors
    /// [`FormatError::FileName`] or [`FormatError::Digest`].
    pub fn new(name: String, bytes: u64, sha256: String) -> Result<Self, FormatError> {
        let file = Self { name, bytes, sha256 };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), FormatError> {
        if !is_file_name(&self.name) {
            return Err(FormatError::FileName(self.name.clone()));
        }
        check_sha256(&self.sha256)
    }
}

impl ReleaseName {
    /// A release by its name and the digest of its `release.json`.
    ///
    /// # Errors
    /// [`FormatError::Name`] or [`FormatError::Digest`].
    pub fn new(id: String, sha256: String) -> Result<Self, FormatError> {
        let name = Self { id, sha256 };
        name.check()?;
        Ok(name)
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        if !is_name(&self.id) {
            return Err(FormatError::Name(self.id.clone()));
        }
        check_sha256(&self.sha256)
    }
}

impl Release {
    /// A release of some files.
    ///
    /// # Errors
    /// [`FormatError`], if a name or digest is not valid, or a file of the data set is missing.
    pub fn new(
        id: String,
        use_case: String,
        shard_count: u32,
        config_id: String,
        published_at: Timestamp,
        files: Vec<ReleasedFile>,
    ) -> Result<Self, FormatError> {
        let release =
            Self { version: VERSION, id, use_case, shard_count, config_id, published_at, files };
        release.check()?;
        Ok(release)
    }

    /// Reads and checks the text of the file.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        match version_of(text)? {
            VERSION => parse::<Self>(text)?.checked(),
            other => Err(FormatError::Version(other)),
        }
    }

    /// A release that was read as a part of another file. Its version is checked, too.
    pub(super) fn checked(self) -> Result<Self, FormatError> {
        if self.version != VERSION {
            return Err(FormatError::Version(self.version));
        }
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), FormatError> {
        if !is_name(&self.id) {
            return Err(FormatError::Name(self.id.clone()));
        }
        self.files.iter().try_for_each(ReleasedFile::check)?;
        let mut names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(FormatError::DuplicateFile(pair[0].to_owned()));
        }
        let has = |suffix: &str| names.binary_search(&&*format!("{STEM}{suffix}")).is_ok();
        let whole = has(MANIFEST_SUFFIX)
            && self.shard_count > 0
            && self.shard_count as usize <= self.files.len()
            && (0..self.shard_count)
                .all(|shard| has(&database_suffix(shard)) && has(&parameters_suffix(shard)));
        match whole {
            true => Ok(()),
            false => Err(FormatError::Incomplete { shard_count: self.shard_count }),
        }
    }

    /// The files of the data set.
    pub fn data_files(&self) -> impl Iterator<Item = &ReleasedFile> {
        self.files.iter().filter(|file| !file.name.starts_with(FILTER))
    }

    /// The names of the levels whose prefilters are in the release.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        let levels = self.files.iter().filter_map(|file| level_of(&file.name));
        levels.filter(|(_, kind)| *kind == KINDS[0]).map(|(level, _)| level)
    }

    /// The name of the first file of prefilters that is too long, by itself or together with those before it; `None` if all can
    /// be given out.
    #[must_use]
    pub fn overlong_filter(&self) -> Option<&str> {
        let mut total = 0_u64;
        let mut files = self.filter_files();
        let overlong = files.find(|file| {
            total = total.saturating_add(file.bytes);
            file.bytes > MAX_FILTER_FILE || total > MAX_FILTER_FILES
        });
        overlong.map(|file| file.name.as_str())
    }

    /// The files of the prefilter, and of those of levels.
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
        Release::new(
            "2026-1".to_owned(),
            "use".to_owned(),
            shards,
            String::new(),
            Timestamp::MIN,
            files,
        )
    }

    const ONE: [&str; 3] = ["data-0.bin", "data-0.params.txtpb", "data-manifest.json"];

    #[test]
    fn releases_must_be_complete() {
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
            assert!(release(names, shards).is_err(), "{names:?}");
        }
        let mut other = good.clone();
        other.version = 2;
        let text = serde_json::to_vec(&other).unwrap();
        assert!(matches!(Release::parse(&text), Err(FormatError::Version(2))));
        other.version = 1;
        other.id = "../..".to_owned();
        let text = serde_json::to_vec(&other).unwrap();
        assert!(Release::parse(&text).is_err());
    }

    #[test]
    fn lengths_of_prefilters_are_limited() {
        let with = |lengths: &[u64]| {
            let mut all = release(&ONE, 1).unwrap();
            let files = lengths.iter().enumerate();
            all.files.extend(files.map(|(level, &bytes)| {
                let name = level_file(&level.to_string(), "plist");
                ReleasedFile { bytes, ..file(&name) }
            }));
            all.overlong_filter().map(str::to_owned)
        };
        assert_eq!(with(&[MAX_FILTER_FILE - 1, MAX_FILTER_FILE]), None);
        assert_eq!(with(&[MAX_FILTER_FILE + 1]).unwrap(), "filter/level-0.plist");
        let mut all = [MAX_FILTER_FILE; 8];
        assert_eq!((MAX_FILTER_FILES, with(&all)), (8 * MAX_FILTER_FILE, None));
        all[0] -= 1;
        assert_eq!(with(&[&all[..], &[1]].concat()), None);
        assert_eq!(with(&[&all[..], &[2]].concat()).unwrap(), "filter/level-8.plist");
        assert_eq!(with(&[u64::MAX, u64::MAX]).unwrap(), "filter/level-0.plist");
        // What is long and no prefilter is a shard.
        let mut long = release(&ONE, 1).unwrap();
        long.files[0].bytes = u64::MAX;
        assert_eq!(long.overlong_filter(), None);
    }

    #[test]
    fn levels_are_known_by_the_names_of_their_files() {
        let names = [
            &ONE[..],
            &["filter/bloom_filter.plist", "filter/level-b.plist", "filter/level-b.json"],
            &["filter/level-a-1.plist", "filter/level-A.plist", "filter/level-.plist"],
            &["filter/level-c.json", "filter/level-d.txt", "filter/levels"],
        ];
        let release = release(&names.concat(), 1).unwrap();
        assert_eq!(release.levels().collect::<Vec<_>>(), ["b", "a-1"]);
        assert_eq!(level_file("b", "json"), "filter/level-b.json");
        // It is a release of the version that earlier programs read.
        assert!(serde_json::to_string(&release).unwrap().contains("\"version\":1"));
    }
}
