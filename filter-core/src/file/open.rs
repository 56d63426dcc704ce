//! Which format a path has.

use super::error::FileError;
use super::raw::METADATA_FILE;
use super::unverified::Unverified;
use super::{plist, raw};
use std::path::Path;

/// Reads a filter, whatever its format, without comparing its parts: for a file that is to be examined although it
/// may be wrong. [`Prefilter::open`](crate::Prefilter::open) is for use.
///
/// The path is a property list, the `.json` or `.bin` of a raw filter, or a folder with both of these under the
/// names of [`raw`]. With the feature `mmap`, the bits of a raw filter are mapped and not read.
///
/// # Errors
/// [`FileError`], if the file cannot be read in any format.
pub fn open_unverified(path: &Path) -> Result<Unverified, FileError> {
    if path.is_dir() {
        return raw::open_unverified(&path.join(METADATA_FILE));
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => raw::open_unverified(path),
        Some("bin") => raw::open_unverified(&path.with_extension("json")),
        _ => plist::open_unverified(path),
    }
}
