//! `origins.bin`: which line of which list gave each key of a data set.
//!
//! The file has eight bytes for each key and sixteen for each further list that has it, so that it can be read for one
//! key without the others, whatever the number of keys.

use super::key_set::KeySet;
use super::report::Report;
use super::uses::Origin;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// What the file begins with.
const MAGIC: &[u8; 8] = b"URLORIG1";

/// Bytes of the magic, the tag of the prefilter, and the numbers of lists, keys and further lists of keys.
const HEADER: u64 = 8 + 64 + 4 + 8 + 8;

/// The most bytes that are kept of the name of a list.
const MAX_NAME: usize = 65_536;

/// Where an entry of a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyOrigin {
    /// The name of the list; `None` if an option of the build added the key.
    pub list: Option<String>,
    /// The line, counted from 1; 0 for an option.
    pub line: u64,
}

/// Why the origins of keys cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OriginsError {
    /// The file cannot be read.
    #[error("the origins of the keys cannot be read")]
    Io(#[from] io::Error),
    /// The file is no file of origins.
    #[error("this is no file of key origins; build again to write it")]
    Malformed,
    /// The file belongs to another build than the prefilter.
    #[error("the origins of the keys belong to another prefilter; build again to write both")]
    OtherBuild,
}

/// Writes the origins of all keys that were not removed. `tag` is that of the prefilter.
pub(super) fn write(
    out: &mut dyn Write,
    tag: &str,
    report: &Report,
    keys: &KeySet,
) -> io::Result<()> {
    let mut more = keys.uses().more();
    let mut rows = Vec::new();
    if !more.is_empty() {
        rows = vec![u32::MAX; keys.numbers()];
        for (row, (number, _)) in keys.numbered().enumerate() {
            rows[number] = row as u32;
        }
    }
    more.retain(|(number, _)| rows[*number as usize] != u32::MAX);
    out.write_all(MAGIC)?;
    out.write_all(tag.as_bytes())?;
    out.write_all(&(report.sources.len() as u32).to_le_bytes())?;
    out.write_all(&(keys.len() as u64).to_le_bytes())?;
    out.write_all(&(more.len() as u64).to_le_bytes())?;
    for source in &report.sources {
        let name = source.name.as_bytes();
        let name = name.get(..MAX_NAME).unwrap_or(name);
        out.write_all(&(name.len() as u32).to_le_bytes())?;
        out.write_all(name)?;
    }
    for (number, _) in keys.numbered() {
        out.write_all(&keys.uses().first(number).bits().to_le_bytes())?;
    }
    for (number, origin) in more {
        out.write_all(&u64::from(rows[number as usize]).to_le_bytes())?;
        out.write_all(&origin.bits().to_le_bytes())?;
    }
    Ok(())
}

/// The origins of the keys of a data set, read from `origins.bin` one key at a time.
#[derive(Debug)]
pub struct KeyOrigins<R> {
    input: R,
    names: Vec<String>,
    keys: u64,
    more: u64,
    /// Where the origins of keys begin.
    start: u64,
}

impl<R: Read + Seek> KeyOrigins<R> {
    /// Opens the origins that belong to the prefilter of this tag (64 hexadecimal digits).
    ///
    /// # Errors
    /// [`OriginsError`].
    pub fn open(mut input: R, tag: &str) -> Result<Self, OriginsError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        if length < HEADER {
            return Err(OriginsError::Malformed);
        }
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        let mut seen = [0; 64];
        input.read_exact(&mut seen)?;
        if &magic != MAGIC {
            return Err(OriginsError::Malformed);
        }
        if seen != tag.as_bytes() {
            return Err(OriginsError::OtherBuild);
        }
        let lists = read_u32(&mut input)?;
        let (keys, more) = (read_u64(&mut input)?, read_u64(&mut input)?);
        let mut names = Vec::new();
        let mut start = HEADER;
        for _ in 0..lists {
            let size = read_u32(&mut input)? as usize;
            if size > MAX_NAME || start + size as u64 + 4 > length {
                return Err(OriginsError::Malformed);
            }
            let mut name = vec![0; size];
            input.read_exact(&mut name)?;
            names.push(String::from_utf8_lossy(&name).into_owned());
            start += 4 + size as u64;
        }
        let expected = keys
            .checked_mul(8)
            .zip(more.checked_mul(16))
            .and_then(|(keys, more)| start.checked_add(keys)?.checked_add(more));
        if expected != Some(length) {
            return Err(OriginsError::Malformed);
        }
        Ok(Self { input, names, keys, more, start })
    }

    /// The first line in each list that gave a key, in the order of the lists. `row` is the place of the key in the
    /// data set of the build, counted from 0.
    ///
    /// # Errors
    /// [`OriginsError::Malformed`] if there is no such key, or [`OriginsError::Io`].
    pub fn of(&mut self, row: u64) -> Result<Vec<KeyOrigin>, OriginsError> {
        if row >= self.keys {
            return Err(OriginsError::Malformed);
        }
        self.input.seek(SeekFrom::Start(self.start + 8 * row))?;
        let first = read_u64(&mut self.input)?;
        let mut origins = vec![self.origin(first)?];
        let begin = self.start + 8 * self.keys;
        let (mut low, mut high) = (0, self.more);
        while low < high {
            let middle = low + (high - low) / 2;
            self.input.seek(SeekFrom::Start(begin + 16 * middle))?;
            if read_u64(&mut self.input)? < row {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.input.seek(SeekFrom::Start(begin + 16 * low))?;
        for _ in low..self.more {
            let (other, origin) = (read_u64(&mut self.input)?, read_u64(&mut self.input)?);
            if other != row {
                break;
            }
            origins.push(self.origin(origin)?);
        }
        Ok(origins)
    }

    fn origin(&self, bits: u64) -> Result<KeyOrigin, OriginsError> {
        let origin = Origin::from_bits(bits);
        let Some(source) = origin.source() else { return Ok(KeyOrigin { list: None, line: 0 }) };
        let name = self.names.get(source).ok_or(OriginsError::Malformed)?;
        Ok(KeyOrigin { list: Some(name.clone()), line: origin.line() })
    }
}

fn read_u32(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_u64(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, DATA_SET_FILE, ORIGINS_FILE, Options};
    use super::*;
    use std::fs::File;

    fn built() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::default().with_onboarding_entry(true).with_compression(true);
        let built = Builder::new(options)
            .add_list("a.txt", &b"x.example\n\nb.y.example\ny.example\n"[..], None)
            .unwrap()
            .add_list("b.txt", &b"0.0.0.0 z.example\n0.0.0.0 y.example x.example\n"[..], None)
            .unwrap()
            .add_list("c.txt", &b"y.example\n"[..], None)
            .unwrap()
            .finish()
            .unwrap();
        built.write(folder.path()).unwrap();
        (folder, built.prefilter.tag())
    }

    #[test]
    fn each_key_names_its_lists_and_lines() {
        let (folder, tag) = built();
        let rows = std::fs::read_to_string(folder.path().join(DATA_SET_FILE)).unwrap();
        let mut origins =
            KeyOrigins::open(File::open(folder.path().join(ORIGINS_FILE)).unwrap(), &tag).unwrap();
        let mut seen = Vec::new();
        for row in 0..rows.lines().count() as u64 {
            let of = origins.of(row).unwrap().into_iter();
            let of =
                of.map(|origin| format!("{}:{}", origin.list.unwrap_or_default(), origin.line));
            seen.push(of.collect::<Vec<_>>().join(" "));
        }
        assert_eq!(seen, [":0", "a.txt:1 b.txt:2", "a.txt:4 b.txt:2 c.txt:1", "b.txt:1"]);
        assert!(matches!(origins.of(4), Err(OriginsError::Malformed)));
    }

    #[test]
    fn damaged_files_and_those_of_other_builds_are_refused() {
        let (folder, tag) = built();
        let bytes = std::fs::read(folder.path().join(ORIGINS_FILE)).unwrap();
        let open = |bytes: &[u8], tag: &str| KeyOrigins::open(io::Cursor::new(bytes.to_vec()), tag);
        assert!(open(&bytes, &tag).is_ok());
        assert!(matches!(open(&bytes, &"0".repeat(64)), Err(OriginsError::OtherBuild)));
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length], &tag).is_err(), "{length}");
        }
        for at in 72..HEADER as usize {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x80;
            assert!(open(&bytes, &tag).is_err(), "{at}");
        }
    }

    #[test]
    fn names_of_lists_are_kept_and_read_up_to_their_limit() {
        for length in [MAX_NAME - 1, MAX_NAME, MAX_NAME + 1] {
            let built = Builder::new(Options::default());
            let built = built.add_list(&"a".repeat(length), &b"x.example\n"[..], None).unwrap();
            let built = built.finish().unwrap();
            let folder = tempfile::tempdir().unwrap();
            built.write(folder.path()).unwrap();
            let file = File::open(folder.path().join(ORIGINS_FILE)).unwrap();
            let origins = KeyOrigins::open(file, &built.prefilter.tag()).unwrap().of(0).unwrap();
            let name = origins[0].list.as_deref().unwrap_or_default();
            assert_eq!(name.len(), length.min(MAX_NAME));

            let mut file = MAGIC.to_vec();
            file.extend([b'0'; 64]);
            file.extend(1_u32.to_le_bytes());
            file.extend([0; 16]);
            file.extend((length as u32).to_le_bytes());
            file.extend(vec![b'a'; length]);
            let read = KeyOrigins::open(io::Cursor::new(file), &"0".repeat(64));
            assert_eq!(read.is_ok(), length <= MAX_NAME, "{length}");
        }
    }
}
