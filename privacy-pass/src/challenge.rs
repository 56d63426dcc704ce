//! Challenges: what a token is bound to (RFC 9577, section 2.1).

use crate::{Error, PublicKey, TOKEN_TYPE};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use sha2::{Digest, Sha256};

/// Names the issuer and the origins that a token is for (RFC 9577, `TokenChallenge`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChallenge {
    issuer_name: String,
    redemption_context: Option<[u8; 32]>,
    origin_info: String,
}

impl TokenChallenge {
    /// A challenge. `issuer_name` is a host name. A token is bound to `redemption_context` if there is
    /// one. `origin_info` lists host names of origins, separated by commas; if it is empty, every origin
    /// that trusts the issuer may accept the token.
    ///
    /// # Errors
    /// [`Error::Challenge`] if the issuer name is empty, or a name is longer than 65,535 bytes.
    pub fn new(
        issuer_name: impl Into<String>,
        redemption_context: Option<[u8; 32]>,
        origin_info: impl Into<String>,
    ) -> Result<Self, Error> {
        let (issuer_name, origin_info) = (issuer_name.into(), origin_info.into());
        let max = usize::from(u16::MAX);
        if issuer_name.is_empty() || issuer_name.len() > max || origin_info.len() > max {
            return Err(Error::Challenge);
        }
        Ok(Self { issuer_name, redemption_context, origin_info })
    }

    /// The challenge that devices make for themselves: the issuer's name and nothing else.
    ///
    /// # Errors
    /// [`Error::Challenge`] if the name is empty or longer than 65,535 bytes.
    pub fn for_issuer(issuer_name: &str) -> Result<Self, Error> {
        Self::new(issuer_name, None, "")
    }

    /// The host name of the issuer.
    #[must_use]
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// The context that a token is bound to.
    #[must_use]
    pub fn redemption_context(&self) -> Option<&[u8; 32]> {
        self.redemption_context.as_ref()
    }

    /// Host names of origins, separated by commas; empty for all.
    #[must_use]
    pub fn origin_info(&self) -> &str {
        &self.origin_info
    }

    /// The serialized form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = TOKEN_TYPE.to_be_bytes().to_vec();
        push_name(&mut out, &self.issuer_name);
        match &self.redemption_context {
            None => out.push(0),
            Some(context) => {
                out.push(32);
                out.extend(context);
            }
        }
        push_name(&mut out, &self.origin_info);
        out
    }

    /// Reads the serialized form.
    ///
    /// # Errors
    /// [`Error::TokenType`], [`Error::Challenge`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Result<&'b [u8], Error> {
            let (taken, rest) = bytes.split_at_checked(count).ok_or(Error::Challenge)?;
            *bytes = rest;
            Ok(taken)
        }
        fn take_u16(bytes: &mut &[u8]) -> Result<u16, Error> {
            let pair = take(bytes, 2)?;
            Ok(u16::from_be_bytes([pair[0], pair[1]]))
        }
        fn take_name(bytes: &mut &[u8]) -> Result<String, Error> {
            let length = take_u16(bytes)?;
            let name = std::str::from_utf8(take(bytes, usize::from(length))?);
            name.map(ToOwned::to_owned).map_err(|_| Error::Challenge)
        }
        let rest = &mut &*bytes;
        let token_type = take_u16(rest)?;
        if token_type != TOKEN_TYPE {
            return Err(Error::TokenType(token_type));
        }
        let issuer_name = take_name(rest)?;
        let redemption_context = match take(rest, 1)?[0] {
            0 => None,
            32 => Some(take(rest, 32)?.try_into().map_err(|_| Error::Challenge)?),
            _ => return Err(Error::Challenge),
        };
        let origin_info = take_name(rest)?;
        if !rest.is_empty() {
            return Err(Error::Challenge);
        }
        Self::new(issuer_name, redemption_context, origin_info)
    }

    /// SHA-256 of the serialized form. A token carries it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// The value of a `WWW-Authenticate` header that asks for a token of a key (RFC 9577, section
    /// 2.1).
    #[must_use]
    pub fn to_header(&self, key: &PublicKey) -> String {
        let challenge = URL_SAFE.encode(self.to_bytes());
        let key = URL_SAFE.encode(key.spki());
        format!("PrivateToken challenge=\"{challenge}\", token-key=\"{key}\"")
    }
}

/// A name after its length in two bytes.
fn push_name(out: &mut Vec<u8>, name: &str) {
    let length = u16::try_from(name.len()).expect("names are checked when a challenge is made");
    out.extend(length.to_be_bytes());
    out.extend(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_names_is_limited() {
        for length in [1, 65_534, 65_535] {
            let name = "a".repeat(length);
            let challenge = TokenChallenge::new(&name, None, &name).unwrap();
            assert_eq!(TokenChallenge::from_bytes(&challenge.to_bytes()).unwrap(), challenge);
        }
        let long = "a".repeat(65_536);
        for (issuer, origins) in [("", ""), (&long, ""), ("a", &long)] {
            assert_eq!(TokenChallenge::new(issuer, None, origins), Err(Error::Challenge));
        }
    }
}
