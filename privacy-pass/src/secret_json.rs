//! JSON of secrets.

use crate::Error;
use serde::Serialize;
use std::io;
use zeroize::Zeroizing;

/// A sink that counts bytes.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The JSON of a value that holds secrets, in a buffer that is allocated once and wiped when dropped. A
/// vector that grows would leave copies of the secrets in freed memory.
///
/// For whatever is stored beside tokens and issuer keys: the state of clients, the keys of a gateway.
///
/// # Errors
/// [`Error::Internal`] if the value has no JSON form.
pub fn secret_json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).map_err(|_| Error::Internal)?;
    let mut text = Zeroizing::new(vec![0; length.0]);
    // A slice cannot grow: a text that is longer than counted is an error.
    serde_json::to_writer(&mut text[..], value).map_err(|_| Error::Internal)?;
    Ok(text)
}
