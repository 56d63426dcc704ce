//! Messages of Binary HTTP (RFC 9292) from outside, looked at before anything is allocated for them.
//!
//! A library that reads such a message allocates for each field many times what the field takes in the message: 32 MiB
//! of empty fields become gigabytes.

/// A message of Binary HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// What a gateway gets.
    Request,
    /// What a gateway answers.
    Response,
}

/// A message must not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// It is none of its kind, or cut short.
    #[error("not a message in Binary HTTP")]
    Format,
    /// Its head is too long.
    #[error("a head of more than {0} bytes")]
    TooLong(usize),
}

/// Reads a variable-length integer (RFC 9000, section 16).
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let length = 1 << (first >> 6);
    let (number, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let value = number[1..]
        .iter()
        .fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte));
    Some(value)
}

/// Skips a value that is preceded by its length; returns the length.
fn skip(bytes: &mut &[u8]) -> Option<usize> {
    let length = usize::try_from(number(bytes)?).ok()?;
    *bytes = bytes.split_at_checked(length)?.1;
    Some(length)
}

/// What is left of a message, and what its head has taken so far.
struct Reader<'m> {
    bytes: &'m [u8],
    known_length: bool,
    head: usize,
    max_head: usize,
}

impl Reader<'_> {
    fn count(&mut self, bytes: usize) -> Result<(), HeadError> {
        // Lengths are those of parts of one slice, so sums cannot overflow.
        self.head += bytes;
        if self.head > self.max_head { Err(HeadError::TooLong(self.max_head)) } else { Ok(()) }
    }

    fn skip(&mut self) -> Result<usize, HeadError> {
        skip(&mut self.bytes).ok_or(HeadError::Format)
    }

    /// Skips a field section. A message may end before it (RFC 9292, section 3.8).
    fn fields(&mut self) -> Result<(), HeadError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        if self.known_length {
            let length = self.skip()?;
            return self.count(length);
        }
        loop {
            let name = self.skip()?;
            if name == 0 {
                return Ok(());
            }
            let value = self.skip()?;
            self.count(name + value + 2)?;
        }
    }

    /// Skips the status of a response, and those of informational responses before it, with their fields.
    fn statuses(&mut self) -> Result<(), HeadError> {
        loop {
            let status = number(&mut self.bytes).ok_or(HeadError::Format)?;
            if !(100..200).contains(&status) {
                return Ok(());
            }
            self.count(2)?;
            self.fields()?;
        }
    }
}

/// Checks that the framing of a message is that of its kind (RFC 9292, section 3), and that its head and trailer are not
/// longer than `max_head` bytes: the control data of a request, informational responses, names and values.
/// The content is not limited; it cannot be longer than the message.
///
/// # Errors
/// [`HeadError::Format`] if the message is of another kind or ends within a part, [`HeadError::TooLong`] if its
/// head is too long.
pub fn check(message: &[u8], kind: MessageKind, max_head: usize) -> Result<(), HeadError> {
    let mut bytes = message;
    let known_length = match (kind, number(&mut bytes)) {
        (MessageKind::Request, Some(0)) | (MessageKind::Response, Some(1)) => true,
        (MessageKind::Request, Some(2)) | (MessageKind::Response, Some(3)) => false,
        _ => return Err(HeadError::Format),
    };
    let mut reader = Reader { bytes, known_length, head: 0, max_head };
    match kind {
        MessageKind::Request => {
            // Method, scheme, authority and path.
            for _ in 0..4 {
                let length = reader.skip()?;
                reader.count(length)?;
            }
        }
        MessageKind::Response => reader.statuses()?,
    }
    reader.fields()?;
    // The content, in one piece or several.
    while !reader.bytes.is_empty() && reader.skip()? > 0 && !known_length {}
    reader.fields()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100;

    fn response(bytes: &[u8]) -> Result<(), HeadError> {
        check(bytes, MessageKind::Response, MAX)
    }

    #[test]
    fn heads_of_responses_are_bounded() {
        // Framing and status 200, then one field section of known length.
        let known = |length: u8| {
            [&[1, 0x40, 200][..], &[0x40, length], &vec![0; usize::from(length)], b"\x02ok"]
                .concat()
        };
        assert_eq!(response(&known(99)), Ok(()));
        assert_eq!(response(&known(100)), Ok(()));
        assert_eq!(response(&known(101)), Err(HeadError::TooLong(MAX)));
        // Fields with a name of one byte and no value count three bytes each.
        let fields =
            |count: usize| [&[3, 0x40, 200][..], &b"\x01x\0".repeat(count), b"\0"].concat();
        assert_eq!(response(&fields(33)), Ok(()));
        assert_eq!(response(&fields(34)), Err(HeadError::TooLong(MAX)));
        // Informational responses count two bytes each.
        let informational =
            |count: usize| [&[1][..], &[0x40, 100, 0].repeat(count), &[0x40, 200]].concat();
        assert_eq!(response(&informational(50)), Ok(()));
        assert_eq!(response(&informational(51)), Err(HeadError::TooLong(MAX)));
        // Trailers are counted with the head.
        let trailers = |count: u8| {
            [&[1, 0x40, 200, 10][..], &[0; 10], &[0, 0x40, count], &vec![0; usize::from(count)]]
                .concat()
        };
        assert_eq!(response(&trailers(90)), Ok(()));
        assert_eq!(response(&trailers(91)), Err(HeadError::TooLong(MAX)));
    }

    #[test]
    fn other_messages_are_refused() {
        for bytes in [
            &b""[..],
            b"\x01",
            b"\x01\x40",
            b"\x01\x40\xc8\x05",
            b"\x00\x40\xc8",
            b"\x04",
            b"\x03\x40\xc8\x01x",
        ] {
            assert_eq!(response(bytes), Err(HeadError::Format), "{bytes:?}");
        }
        // A response may end after its status.
        assert_eq!(response(b"\x01\x40\xc8"), Ok(()));
        assert_eq!(check(b"\x01\x40\xc8", MessageKind::Request, MAX), Err(HeadError::Format));
    }
}
