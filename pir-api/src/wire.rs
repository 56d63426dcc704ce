//! The binary form of messages, field by field.

/// Deepest nesting of messages that is read; the schema's own is 8.
pub(crate) const MAX_DEPTH: usize = 16;

/// The bytes are not a message.
#[derive(Debug)]
pub(crate) struct Malformed;

/// What is left of a message.
pub(crate) struct Reader<'b>(pub(crate) &'b [u8]);

impl<'b> Reader<'b> {
    /// A number of seven bits in each byte.
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// That many bytes.
    pub(crate) fn take(&mut self, length: u64) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Passes over a field, and returns its tag; `None` at the end, or if the rest is malformed.
    pub(crate) fn skip_field(&mut self) -> Option<u64> {
        let tag = self.varint().ok()?;
        match tag & 7 {
            0 => drop(self.varint().ok()?),
            1 => drop(self.take(8).ok()?),
            5 => drop(self.take(4).ok()?),
            2 => {
                let length = self.varint().ok()?;
                self.take(length).ok()?;
            }
            _ => return None,
        }
        Some(tag)
    }
}
