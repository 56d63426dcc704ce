//! The property list `bloom_filter.plist`: of Apple's released sample, and of the 2025 beta for reading.

use super::error::FileError;
use super::unverified::Unverified;
use std::path::Path;

/// The largest property list that is read, in bytes: the largest filter in base64, with line ends.
const MAX_FILE: u64 = 800_000_000;

/// What a property list starts with: binary, XML with and without declaration.
const STARTS: [&[u8]; 3] = [b"bplist00", b"<?xml", b"<plist"];

/// Reads a property list of either form, XML or binary.
pub(super) fn open_unverified(path: &Path) -> Result<Unverified, FileError> {
    let content = super::bounded_read::read(path, MAX_FILE)?;
    let text = content.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if !STARTS.iter().any(|start| text.starts_with(start)) {
        return Err(FileError::UnknownFormat(path.to_owned()));
    }
    #[cfg(feature = "plist")]
    return super::plist_content::parse(&content).map_err(FileError::content(path));
    #[cfg(not(feature = "plist"))]
    Err(FileError::PlistFeatureMissing(path.to_owned()))
}
