//! Challenges: what a token is bound to (RFC 9577, section 2.1).

use crate::{Error, TOKEN_TYPE};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use sha2::{Digest, Sha256};

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChallenge {
    /// The issuer's name.
    pub issuer_name: String,
    /// None, or one that the token is bound to.
    pub redemption_context: Option<[u8; 32]>,
    /// Origins, with commas between them; none for a token that any origin of the issuer accepts.
    pub origin_info: String,
}

impl TokenChallenge {
    /// The challenge that devices make for themselves: an issuer's name and nothing else.
    pub fn for_issuer(issuer_name: &str) -> Self {
        Self {
            issuer_name: issuer_name.to_owned(),
            redemption_context: None,
            origin_info: String::new(),
        }
    }

    /// The serialized form. Fails for an empty issuer name, or names of more than 65,535 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let issuer = u16::try_from(self.issuer_name.len()).map_err(|_| Error::Challenge)?;
        let origin = u16::try_from(self.origin_info.len()).map_err(|_| Error::Challenge)?;
        if issuer == 0 {
            return Err(Error::Challenge);
        }
        let mut out = TOKEN_TYPE.to_be_bytes().to_vec();
        out.extend(issuer.to_be_bytes());
        out.extend(self.issuer_name.as_bytes());
        match &self.redemption_context {
            None => out.push(0),
            Some(context) => {
                out.push(32);
                out.extend(context);
            }
        }
        out.extend(origin.to_be_bytes());
        out.extend(self.origin_info.as_bytes());
        Ok(out)
    }

    /// Reads the serialized form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Result<&'b [u8], Error> {
            let (now, rest) = bytes.split_at_checked(count).ok_or(Error::Challenge)?;
            *bytes = rest;
            Ok(now)
        }
        fn short(bytes: &mut &[u8]) -> Result<u16, Error> {
            let pair = take(bytes, 2)?;
            Ok(u16::from_be_bytes([pair[0], pair[1]]))
        }
        let text = |bytes: &[u8]| {
            std::str::from_utf8(bytes).map(ToOwned::to_owned).map_err(|_| Error::Challenge)
        };
        let rest = &mut &*bytes;
        let token_type = short(rest)?;
        if token_type != TOKEN_TYPE {
            return Err(Error::TokenType(token_type));
        }
        let length = short(rest)?;
        let issuer_name = text(take(rest, usize::from(length))?)?;
        let redemption_context = match take(rest, 1)?[0] {
            0 => None,
            32 => Some(take(rest, 32)?.try_into().map_err(|_| Error::Challenge)?),
            _ => return Err(Error::Challenge),
        };
        let length = short(rest)?;
        let origin_info = text(take(rest, usize::from(length))?)?;
        if !rest.is_empty() || issuer_name.is_empty() {
            return Err(Error::Challenge);
        }
        Ok(Self { issuer_name, redemption_context, origin_info })
    }

    /// SHA-256 of the serialized form, which a token carries.
    pub fn digest(&self) -> Result<[u8; 32], Error> {
        Ok(Sha256::digest(self.to_bytes()?).into())
    }

    /// The value of a `WWW-Authenticate` header that asks for a token of that key.
    pub fn to_header(&self, key: &crate::PublicKey) -> Result<String, Error> {
        let challenge = URL_SAFE.encode(self.to_bytes()?);
        let key = URL_SAFE.encode(key.spki());
        Ok(format!("PrivateToken challenge=\"{challenge}\", token-key=\"{key}\""))
    }
}
