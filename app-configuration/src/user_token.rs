//! The form of user tokens that devices of all systems can send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A user token that devices of all systems can send. Wiped from memory when it is dropped.
///
/// Devices of 26 decode the token as standard base64 and send nothing if it is not: a JSON web token or base64url text
/// never works there (seen in released systems, and tested by authors of apps). Apple's documentation calls user tokens
/// base64 encoded.
#[derive(Clone)]
pub struct UserToken(Zeroizing<String>);

/// The token is not standard base64 with padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the user token is not standard base64 with padding, which devices of 26 expect: give its base64 form, here and to the \
     service"
)]
#[non_exhaustive]
pub struct NotBase64;

impl UserToken {
    /// Checks a token, as it follows `Bearer ` in the header.
    ///
    /// # Errors
    /// [`NotBase64`].
    pub fn parse(text: &str) -> Result<Self, NotBase64> {
        match STANDARD.decode(text).map(Zeroizing::new) {
            Ok(content) if !content.is_empty() => Ok(Self(Zeroizing::new(text.to_owned()))),
            _ => Err(NotBase64),
        }
    }

    /// The token, as it follows `Bearer ` in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_standard_base64() {
        for good in ["AAAA", "ab+/", "YQ==", "YWI="] {
            assert_eq!(
                UserToken::parse(good).map(|token| token.as_str().to_owned()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", "AAA", "AAAAA===", "ab-_", "YQ", "a.b.", "AAAA ", "AAAA\n"] {
            assert_eq!(UserToken::parse(bad).err(), Some(NotBase64), "{bad:?}");
        }
    }
}
