//! SHA-256 of bytes and files, in hexadecimal.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

/// Buffer of files that are hashed or written, in bytes.
pub(crate) const BUFFER: usize = 1 << 18;

/// SHA-256 of bytes: 64 lowercase hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256 of a file's content: 64 lowercase hexadecimal digits. The file is read piece by piece.
///
/// # Errors
/// If the file cannot be read.
pub fn file_sha256(path: &Path) -> io::Result<String> {
    let mut out = Digesting::new(io::sink());
    io::copy(&mut BufReader::with_capacity(BUFFER, File::open(path)?), &mut out)?;
    Ok(out.finish().1)
}

/// A writer that counts and hashes what it passes on.
pub(crate) struct Digesting<W> {
    inner: W,
    digest: Sha256,
    length: u64,
}

impl<W> Digesting<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, digest: Sha256::new(), length: 0 }
    }

    /// The inner writer, and digest and length of what it was given.
    pub(crate) fn finish(self) -> (W, String, u64) {
        (self.inner, hex::encode(self.digest.finalize()), self.length)
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
