//! Base-128 numbers, the integers of serialised protobuf messages.

/// Why a number cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The bytes end inside the number.
    Incomplete,
    /// The number has more than ten bytes.
    TooLong,
}

/// Reads the number at `at` and moves `at` behind it. Bits above the 64th are dropped, as protobuf does.
#[inline]
pub(crate) fn read(bytes: &[u8], at: &mut usize) -> Result<u64, VarintError> {
    // Most numbers are tags and short lengths.
    if let Some(&byte) = bytes.get(*at)
        && byte < 0x80
    {
        *at += 1;
        return Ok(u64::from(byte));
    }
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(VarintError::Incomplete)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(VarintError::TooLong)
}

/// Appends `value`.
pub(crate) fn push(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number of bytes that [`push`] takes for `value`.
pub(crate) fn length(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back_at_every_length() {
        for bits in 0..usize::BITS {
            for value in [(1_usize << bits) - 1, 1 << bits] {
                let mut bytes = Vec::new();
                push(&mut bytes, value);
                assert_eq!(bytes.len(), length(value), "{value}");
                let mut at = 0;
                assert_eq!(read(&bytes, &mut at), Ok(value as u64));
                assert_eq!(at, bytes.len());
                let cut = &bytes[..bytes.len() - 1];
                assert_eq!(read(cut, &mut 0), Err(VarintError::Incomplete));
            }
        }
    }

    #[test]
    fn ten_bytes_are_the_limit() {
        let number = |continued: usize| [vec![0x80; continued], vec![1]].concat();
        assert_eq!(read(&number(8), &mut 0), Ok(1 << 56));
        assert_eq!(read(&number(9), &mut 0), Ok(1 << 63));
        assert_eq!(read(&number(10), &mut 0), Err(VarintError::TooLong));
    }
}
