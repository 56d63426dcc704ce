//! Archives: one member is the list.

use super::{Container, Unpacker};
use crate::list::{ListError, Summary};
use std::io::{self, Read, Seek};

/// Bytes of a zip archive that are held in memory; a longer one is copied to a temporary file, because its
/// directory is at its end.
const IN_MEMORY: usize = 16 << 20;

/// The longest name of a member in bytes.
pub(super) const MAX_NAME: u64 = 4_096;

/// Names that an error lists.
pub(super) const MAX_NAMES: usize = 10;

/// The names of the members that may be the list.
struct Members<'o> {
    container: Container,
    wanted: Option<&'o str>,
    names: Vec<String>,
    count: usize,
    chosen: usize,
}

impl<'o> Members<'o> {
    fn new(container: Container, wanted: Option<&'o str>) -> Self {
        Self { container, wanted, names: Vec::new(), count: 0, chosen: 0 }
    }

    /// Takes note of a file; whether it is meant.
    fn add(&mut self, name: String) -> bool {
        let name = name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
        let file = name.rsplit_once('/').map_or(&*name, |(_, file)| file);
        // What macOS keeps of a file beside its data.
        if file.starts_with("._") || name.starts_with("__MACOSX/") {
            return false;
        }
        let meant = self.wanted.is_none_or(|wanted| wanted == name || wanted == file);
        self.count += 1;
        self.chosen += usize::from(meant);
        if self.names.len() < MAX_NAMES {
            self.names.push(name);
        }
        meant
    }

    fn listed(&self) -> String {
        let more = self.count - self.names.len();
        let mut text = self.names.join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }

    /// Fails unless one file is meant.
    fn check(&self) -> Result<(), ListError> {
        let container = self.container;
        match (self.chosen, self.wanted) {
            (1, _) => Ok(()),
            (0, Some(wanted)) => Err(ListError::MemberMissing {
                container,
                member: wanted.to_owned(),
                members: self.listed(),
            }),
            (0, None) => Err(ListError::ArchiveEmpty { container }),
            _ => Err(ListError::MemberNeeded { container, members: self.listed() }),
        }
    }
}

/// Reads the one member of a tar archive that is a file, or the one that the options name.
pub(super) fn tar(
    unpacker: &mut Unpacker<'_, '_>,
    input: impl Read,
    depth: u8,
) -> Result<Summary, ListError> {
    let options = unpacker.options;
    let mut members = Members::new(Container::Tar, options.member.as_deref());
    let mut archive = tar::Archive::new(input);
    let mut outcome = None;
    let mut long_name = None;
    let mut whole = true;
    // Raw: the crate reads headers of any length into memory.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            long_name = Some(text_of(&mut entry)?.trim_end_matches('\0').to_owned());
            continue;
        }
        if kind.is_pax_local_extensions() {
            let records = text_of(&mut entry)?;
            long_name = pax(&records, "path=").map(str::to_owned).or(long_name);
            // The size is in the header unless it is 8 GiB or more.
            whole &= !records.contains(" GNU.sparse.") && pax(&records, "size=").is_none();
            continue;
        }
        if kind.is_pax_global_extensions() || kind.is_gnu_longlink() {
            continue;
        }
        let own_name = entry.header().path_bytes();
        let name = long_name.take().unwrap_or_else(|| String::from_utf8_lossy(&own_name).into());
        if (kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) && members.add(name) {
            if kind.is_gnu_sparse() || !whole {
                return Err(ListError::MemberUnreadable { container: Container::Tar });
            }
            if members.chosen == 1 {
                outcome = Some(unpacker.inflated(entry, depth));
            }
        }
        whole = true;
    }
    refuse_more(archive.into_inner())?;
    members.check()?;
    let summary = outcome.expect("the member was read when it was chosen")?;
    Ok(Summary { is_in_archive: true, ..summary })
}

/// Fails unless nothing but zeros follows the end of an archive: another archive would be left out in silence.
fn refuse_more(mut rest: impl Read) -> io::Result<()> {
    let mut buffer = [0; 1 << 13];
    loop {
        let count = rest.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        if buffer[..count].iter().any(|&byte| byte != 0) {
            let text = "more follows the end of the tar archive, such as another archive; give them one by one";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
}

fn text_of(entry: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    entry.take(MAX_NAME).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value in records of the form `LENGTH NAME=VALUE\n`.
fn pax<'r>(records: &'r str, name: &str) -> Option<&'r str> {
    records.lines().find_map(|record| record.split_once(' ')?.1.strip_prefix(name))
}

/// Reads the one member of a zip archive that is a file, or the one that the options name.
pub(super) fn zip(
    unpacker: &mut Unpacker<'_, '_>,
    input: impl Read,
    depth: u8,
) -> Result<Summary, ListError> {
    let options = unpacker.options;
    let mut file = tempfile::SpooledTempFile::new(IN_MEMORY);
    let max = unpacker.budget.max();
    if io::copy(&mut input.take(max.saturating_add(1)), &mut file)? > max {
        return Err(ListError::UnpackedTooLong { max });
    }
    file.rewind()?;
    let mut archive = zip::ZipArchive::new(file).map_err(unreadable)?;
    let mut members = Members::new(Container::Zip, options.member.as_deref());
    let mut chosen = None;
    let directory = archive.metadata();
    if directory.has_duplicate_names() {
        return Err(ListError::MemberUnreadable { container: Container::Zip });
    }
    for number in 0..directory.len() {
        let entry = directory.entry(number).map_err(unreadable)?;
        let name = entry.name().map_err(unreadable)?.into_owned();
        if entry.is_file() && members.add(name) {
            chosen = Some(number);
        }
    }
    refuse_before(&mut archive)?;
    members.check()?;
    let number = chosen.expect("the check counts what is chosen");
    let member = archive.by_index(number).map_err(unreadable)?;
    let summary = unpacker.inflated(member, depth)?;
    Ok(Summary { is_in_archive: true, ..summary })
}

/// Fails unless the first member begins the file: another archive in front of it would be left out in silence.
fn refuse_before(archive: &mut zip::ZipArchive<impl Read + Seek>) -> Result<(), ListError> {
    let mut first = 0;
    for number in 0..archive.len() {
        let start = archive.by_index_raw(number).map_err(unreadable)?.header_start();
        first = if number == 0 { start } else { first.min(start) };
    }
    if first > 0 {
        let text = "something stands before the zip archive, such as another archive; give them one by one";
        return Err(ListError::Io(io::Error::new(io::ErrorKind::InvalidData, text)));
    }
    Ok(())
}

fn unreadable(error: zip::result::ZipError) -> ListError {
    match error {
        zip::result::ZipError::Io(error) => ListError::Io(error),
        error => ListError::Io(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}
