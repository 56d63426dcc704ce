//! A prefilter: verified bits together with what is known of them.

use crate::bloom::BloomFilter;
use crate::file::raw::Metadata;
use crate::file::{
    ContentError, Description, FileError, FileFormat, FilterBytes, Unverified, open_unverified, tag,
};
use crate::sub_url::{MAX_HITS, Profile, SubUrlRule, UrlError};
use std::path::Path;

/// The rule of a filter whose file names none.
static DEFAULT_RULE: SubUrlRule = SubUrlRule::Profile(Profile::Current);

/// A Bloom filter with what is known of it: its size, its tolerance, and the rule by which URLs are looked up in it.
///
/// It is sound by construction: sizes and bits agree, unused bits are zero, a stated tolerance lies strictly between
/// 0 and 1, and a stated tag is that of the bits.
///
/// ```
/// use filter_core::Prefilter;
/// use filter_core::bloom::{BloomFilter, Sizing};
/// use filter_core::file::Description;
///
/// let mut filter = BloomFilter::empty(Sizing::Round.parameters(2, 1e-9, 1)?);
/// filter.insert_all(["example.com", "example.org/a"].map(str::as_bytes));
/// let prefilter = Prefilter::new(filter, Description::default())?;
/// assert_eq!(prefilter.hits("https://www.example.com/b")?, ["example.com"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Prefilter<B = FilterBytes> {
    filter: BloomFilter<B>,
    description: Description,
}

impl Prefilter {
    /// Opens a filter in any format of [`file`](mod@crate::file): a property list, the `.json` or `.bin` of a raw
    /// filter, or a folder that a build was written to. With the feature `mmap`, raw bits are mapped, not read.
    ///
    /// # Errors
    /// [`FileError`] with the path. The source says what is wrong with the content.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::open_with_format(path).map(|(prefilter, _)| prefilter)
    }

    /// As [`open`](Self::open), and says in which format the filter was.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_format(path: impl AsRef<Path>) -> Result<(Self, FileFormat), FileError> {
        let path = path.as_ref();
        let unverified = open_unverified(path)?;
        let format = unverified.format;
        Ok((Self::try_from(unverified).map_err(FileError::content(path))?, format))
    }

    /// Reads the content of a property list (feature `plist`), XML or binary, of the released sample or of the 2025
    /// beta.
    ///
    /// # Errors
    /// [`ContentError`].
    #[cfg(feature = "plist")]
    pub fn from_plist(content: &[u8]) -> Result<Self, ContentError> {
        Self::try_from(crate::file::plist_content::parse(content)?)
    }
}

impl<B: AsRef<[u8]>> Prefilter<B> {
    /// A filter with what is known of it.
    ///
    /// # Errors
    /// [`ContentError::Tolerance`] if the description has a tolerance that is not strictly between 0 and 1.
    pub fn new(filter: BloomFilter<B>, description: Description) -> Result<Self, ContentError> {
        check_tolerance(&description)?;
        Ok(Self { filter, description })
    }

    /// Puts the metadata of a raw filter and its bits together.
    ///
    /// # Errors
    /// [`ContentError`] if they contradict each other.
    pub fn from_raw(metadata: Metadata, bits: B) -> Result<Self, ContentError> {
        Self::try_from(metadata.with_bits(bits)?)
    }

    /// The Bloom filter, with its bits and parameters.
    #[must_use]
    pub fn filter(&self) -> &BloomFilter<B> {
        &self.filter
    }

    /// The bits alone.
    #[must_use]
    pub fn into_filter(self) -> BloomFilter<B> {
        self.filter
    }

    /// What is known of the bits.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The rule by which devices look URLs up in this filter: that of the description, or if it has none (property
    /// lists never do), the rule that Apple documents now.
    #[must_use]
    pub fn rule(&self) -> &SubUrlRule {
        self.description.rule.as_ref().unwrap_or(&DEFAULT_RULE)
    }

    /// The same filter with another rule.
    #[must_use]
    pub fn with_rule(mut self, rule: SubUrlRule) -> Self {
        self.description.rule = Some(rule);
        self
    }

    /// The sub-URLs of a URL, as [`parse_lenient`](SubUrlRule::parse_lenient) takes it, that may be in the filter, in byte order: those that a device would ask the
    /// private service about. If there are none, the device allows the URL and asks nothing. A hit alone does not
    /// mean that the URL is on the list.
    ///
    /// # Errors
    /// [`UrlError`] if the text is not a URL that a device could request, or has more than [`MAX_HITS`] hits.
    pub fn hits(&self, url: &str) -> Result<Vec<String>, UrlError> {
        let parsed = self.rule().parse_lenient(url)?;
        let hits = parsed.sub_urls().hits_within(&self.filter, MAX_HITS);
        hits.map_err(|error| UrlError::TooManyHits(error.limit))
    }

    /// The tag of the bits: their SHA-256 in lower-case hexadecimal. A device that holds a filter with this tag does
    /// not fetch it again. Reads all bits.
    #[must_use]
    pub fn tag(&self) -> String {
        tag(self.filter.bytes())
    }

    /// The metadata of the filter in the raw format. Reads all bits, for their tag.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata::new(self.filter.parameters(), self.tag(), self.description.clone())
    }

    /// Writes the filter as the property list of Apple's released sample, in XML (feature `plist`).
    ///
    /// # Errors
    /// [`WriteError::Absent`](crate::file::WriteError::Absent) if the description lacks a field that every reader
    /// needs, [`WriteError::Io`](crate::file::WriteError::Io) if the writer fails.
    #[cfg(feature = "plist")]
    pub fn write_plist(&self, out: impl std::io::Write) -> Result<(), crate::file::WriteError> {
        let (parameters, bits) = (self.filter.parameters(), self.filter.bytes());
        crate::file::plist_content::write(parameters, bits, &self.description, out)
    }
}

fn check_tolerance(description: &Description) -> Result<(), ContentError> {
    match description.false_positive_tolerance {
        Some(tolerance) if !(tolerance > 0.0 && tolerance < 1.0) => Err(ContentError::Tolerance),
        _ => Ok(()),
    }
}

/// Compares the parts of a file with each other: `byteCount`, length, unused bits, tolerance and tag.
impl<B: AsRef<[u8]>> TryFrom<Unverified<B>> for Prefilter<B> {
    type Error = ContentError;

    fn try_from(unverified: Unverified<B>) -> Result<Self, ContentError> {
        let Unverified { parameters, bytes, description, byte_count, tag: stated_tag, .. } =
            unverified;
        let expected = parameters.byte_count();
        if let Some(stated) = byte_count.filter(|&stated| stated != expected as u64) {
            return Err(ContentError::ByteCount { stated, expected });
        }
        check_tolerance(&description)?;
        let prefilter = Self { filter: BloomFilter::from_bytes(parameters, bytes)?, description };
        if stated_tag.is_some_and(|stated| !stated.eq_ignore_ascii_case(&prefilter.tag())) {
            return Err(ContentError::Tag);
        }
        Ok(prefilter)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bloom::{Parameters, Sizing};
    use proptest::prelude::*;
    use std::error::Error;

    pub(crate) fn prefilters() -> impl Strategy<Value = Prefilter<Vec<u8>>> {
        let known = (any::<u32>(), 1e-9f64..0.999, any::<bool>());
        (1u32..300, 1u32..20, any::<u32>(), known, prop::collection::vec("[a-z]{0,9}", 0..20))
            .prop_map(|(bits, hashes, seed, (items, tolerance, ceil), keys)| {
                let mut filter = BloomFilter::empty(Parameters::new(bits, hashes, seed).unwrap());
                filter.insert_all(keys.iter().map(String::as_bytes));
                let description = Description {
                    item_count: Some(items.into()),
                    false_positive_tolerance: Some(tolerance),
                    sizing: Some(if ceil { Sizing::Ceil } else { Sizing::Round }),
                    rule: Some(SubUrlRule::default()),
                    tool_version: Some("1.2.3".into()),
                };
                Prefilter::new(filter, description).unwrap()
            })
    }

    #[test]
    fn an_error_names_the_file_and_keeps_its_cause_apart() {
        let error = Prefilter::open("/nonexistent/bloom.json").unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/bloom.json");
        assert!(error.source().is_some());

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bloom.json");
        std::fs::write(&path, "{").unwrap();
        let error = Prefilter::open(&path).unwrap_err();
        assert!(error.to_string().ends_with("bloom.json is not a sound prefilter"), "{error}");
        let source = error.source().unwrap().to_string();
        assert!(source.starts_with("not the metadata of a prefilter: "), "{source}");

        let path = folder.path().join("bloom.plist");
        std::fs::write(&path, "bits").unwrap();
        assert!(matches!(Prefilter::open(&path), Err(FileError::UnknownFormat(_))));
    }

    #[cfg(not(feature = "plist"))]
    #[test]
    fn without_the_feature_a_property_list_is_an_error_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bloom_filter.plist");
        std::fs::write(&path, "<plist version=\"1.0\"><dict/></plist>").unwrap();
        assert!(matches!(Prefilter::open(&path), Err(FileError::PlistFeatureMissing(_))));
    }

    #[test]
    fn a_filter_looks_urls_up_by_its_own_rule() {
        let rule = r#"{"caseSensitive":true,"domain":{"enumerateHierarchy":false}}"#;
        let description = Description {
            rule: Some(SubUrlRule::from_json(rule).unwrap()),
            ..Description::default()
        };
        let mut filter = BloomFilter::empty(Parameters::new(1_000, 7, 1).unwrap());
        filter.insert(b"example.com/Path");
        let prefilter = Prefilter::new(filter, description).unwrap();
        assert_eq!(prefilter.hits("https://example.com/Path").unwrap(), ["example.com/Path"]);
        assert!(prefilter.hits("https://example.com/path").unwrap().is_empty());
        let prefilter = prefilter.with_rule(SubUrlRule::default());
        assert!(prefilter.hits("https://example.com/Path").unwrap().is_empty());
    }

    #[test]
    fn raw_files_are_opened_by_any_of_their_names() {
        let mut filter = BloomFilter::empty(Parameters::new(1_000, 7, 1).unwrap());
        filter.insert(b"example.com");
        let prefilter = Prefilter::new(filter, Description::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bloom.json"), prefilter.metadata().to_json()).unwrap();
        std::fs::write(folder.path().join("bloom.bin"), prefilter.filter().bytes()).unwrap();
        for path in ["", "bloom.json", "bloom.bin"] {
            let (opened, format) = Prefilter::open_with_format(folder.path().join(path)).unwrap();
            assert_eq!(format, FileFormat::Raw);
            assert_eq!(opened.filter().bytes(), prefilter.filter().bytes());
        }
    }
}
