//! Files that hold a list: compressed, or archives with one member that is the list.

#[cfg(feature = "containers")]
mod archive;
#[cfg(feature = "containers")]
mod zstd;

use super::bounded::Budget;
use super::{ListError, ReadOptions, Summary, peek};
use flate2::bufread::MultiGzDecoder;
use std::fmt;
use std::io::{BufReader, Read};
use std::rc::Rc;

/// Containers inside each other: a compressed archive has two.
const MAX_DEPTH: u8 = 2;

/// Bytes that are read from a file at once.
const BLOCK: usize = 1 << 16;

/// The most memory of an xz decoder in KiB: what `xz -9` needs, 64 MiB, and as much again.
#[cfg(feature = "containers")]
const MAX_XZ_MEMORY: u32 = 128 << 10;

/// What a list is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// A gzip file (RFC 1952), of one or more members that follow each other.
    Gzip,
    /// A bzip2 file.
    Bzip2,
    /// An xz file.
    Xz,
    /// A Zstandard file (RFC 8878).
    Zstd,
    /// A tar archive, in the ustar, pax or GNU form.
    Tar,
    /// A zip archive.
    Zip,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "Zstandard",
            Self::Tar => "tar",
            Self::Zip => "zip",
        })
    }
}

impl Container {
    /// What a file is by its first bytes.
    fn of(start: &[u8]) -> Option<Self> {
        /// The number behind `BZh1` to `BZh9`: of a block, or of the end of an empty file.
        const BZIP2: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
                if BZIP2.iter().any(|mark| rest.starts_with(mark)) =>
            {
                Some(Self::Bzip2)
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            // A frame, or one that is skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            // A member, or the end of an empty archive.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ if start.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }
}

/// Reads the text of a list: its beginning, and the whole.
pub(super) type ReadText<'r> =
    dyn FnMut(Vec<u8>, Box<dyn Read + '_>) -> Result<Summary, ListError> + 'r;

/// Takes a list out of its containers.
pub(super) fn unpack<'i>(
    input: impl Read + 'i,
    options: &ReadOptions,
    read: &mut ReadText<'_>,
) -> Result<Summary, ListError> {
    let budget = Budget::new(options.max_unpacked);
    let input = Box::new(budget.packed(input));
    let mut unpacker = Unpacker {
        budget: &budget,
        #[cfg(feature = "containers")]
        options,
        read,
    };
    unpacker.take_out(input, 0).map_err(|error| budget.explain(error))
}

struct Unpacker<'u, 'r> {
    budget: &'u Rc<Budget>,
    #[cfg(feature = "containers")]
    options: &'u ReadOptions,
    read: &'u mut ReadText<'r>,
}

impl Unpacker<'_, '_> {
    fn take_out<'i>(&mut self, input: Box<dyn Read + 'i>, depth: u8) -> Result<Summary, ListError> {
        let (start, input) = peek(input)?;
        let Some(container) = Container::of(&start) else {
            return (self.read)(start, Box::new(input));
        };
        if depth == MAX_DEPTH {
            return Err(ListError::TooManyContainers { max: MAX_DEPTH });
        }
        let input = BufReader::with_capacity(BLOCK, input);
        match container {
            Container::Gzip => self.inflated(MultiGzDecoder::new(input), depth),
            #[cfg(feature = "containers")]
            Container::Bzip2 => self.inflated(bzip2::bufread::MultiBzDecoder::new(input), depth),
            #[cfg(feature = "containers")]
            Container::Xz => self
                .inflated(lzma_rust2::XzReader::new_mem_limit(input, true, MAX_XZ_MEMORY), depth),
            #[cfg(feature = "containers")]
            Container::Zstd => self.inflated(zstd::Frames::new(input), depth),
            #[cfg(feature = "containers")]
            Container::Tar => archive::tar(self, input, depth),
            #[cfg(feature = "containers")]
            Container::Zip => archive::zip(self, input, depth),
            #[cfg(not(feature = "containers"))]
            container => Err(ListError::ContainerNotBuilt { container }),
        }
    }

    fn inflated<'i>(&mut self, input: impl Read + 'i, depth: u8) -> Result<Summary, ListError> {
        self.take_out(Box::new(self.budget.unpacked(input)), depth + 1)
    }
}

#[cfg(test)]
mod tests;
