//! The tag of a filter.

use sha2::{Digest, Sha256};

/// The tag of some bits: their SHA-256 in lower-case hexadecimal. A device that holds a filter with this tag does
/// not fetch it again.
#[must_use]
pub fn tag(bits: &[u8]) -> String {
    hex::encode(Sha256::digest(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_sha_256() {
        assert_eq!(tag(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
