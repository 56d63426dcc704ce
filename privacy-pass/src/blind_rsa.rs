//! The client's steps of RFC 9474 around the arithmetic of the `rsa` crate: the encoding of a message,
//! blinding, and unblinding.

use crate::{Error, MODULUS_BYTES};
use crypto_bigint::modular::BoxedMontyForm;
use crypto_bigint::{BoxedUint, RandomMod};
use getrandom::SysRng;
use rsa::hazmat::rsa_encrypt;
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha384};
use zeroize::Zeroizing;

/// Length in bytes of SHA-384 (RFC 9474: `hLen`).
const HASH: usize = 48;
/// Length in bytes of the salt (RFC 9474: `sLen`).
pub(crate) const SALT: usize = 48;

/// MGF1 with SHA-384, xored over `out` (RFC 8017, B.2.1).
fn mask(seed: &[u8], out: &mut [u8]) {
    for (counter, block) in (0_u32..).zip(out.chunks_mut(HASH)) {
        let digest =
            Sha384::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        for (byte, mask) in block.iter_mut().zip(digest) {
            *byte ^= mask;
        }
    }
}

/// EMSA-PSS-ENCODE for a modulus of 2048 bits (RFC 8017, 9.1.1).
pub(crate) fn encode(message: &[u8], salt: &[u8; SALT]) -> Zeroizing<[u8; MODULUS_BYTES]> {
    let digest = Sha384::digest(message);
    let hash =
        Sha384::new().chain_update([0; 8]).chain_update(digest).chain_update(salt).finalize();
    let mut encoded = Zeroizing::new([0; MODULUS_BYTES]);
    let (block, rest) = encoded.split_at_mut(MODULUS_BYTES - HASH - 1);
    let (padding, salted) = block.split_at_mut(block.len() - SALT);
    if let Some(last) = padding.last_mut() {
        *last = 1;
    }
    salted.copy_from_slice(salt);
    mask(&hash, block);
    // The encoding has one bit less than the modulus.
    block[0] &= 0x7f;
    rest[..HASH].copy_from_slice(&hash);
    rest[HASH] = 0xbc;
    encoded
}

fn number(bytes: &[u8], key: &rsa::PublicKey) -> Result<BoxedUint, Error> {
    let number = BoxedUint::from_be_slice(bytes, key.n_bits_precision());
    let number = number.map_err(|_| Error::Range)?;
    if number >= **key.n() { Err(Error::Range) } else { Ok(number) }
}

/// A number below the modulus as big-endian bytes.
pub(crate) fn bytes(number: &BoxedUint) -> [u8; MODULUS_BYTES] {
    let all = number.to_be_bytes();
    let mut out = [0; MODULUS_BYTES];
    // Its precision is that of the modulus, so its limbs fill 256 bytes.
    let start = all.len().saturating_sub(MODULUS_BYTES);
    out[MODULUS_BYTES - (all.len() - start)..].copy_from_slice(&all[start..]);
    out
}

/// Reads a blinded message, which must be below the modulus.
pub(crate) fn representative(
    bytes: &[u8; MODULUS_BYTES],
    key: &rsa::PublicKey,
) -> Result<BoxedUint, Error> {
    number(bytes, key)
}

/// The inverse of a blinding factor. Wiped when it is dropped.
pub(crate) struct Unblinding(Zeroizing<[u8; MODULUS_BYTES]>);

/// A random invertible number below the modulus.
pub(crate) fn blinding_factor(
    key: &rsa::PublicKey,
) -> Result<Zeroizing<[u8; MODULUS_BYTES]>, Error> {
    let factor = BoxedUint::try_random_mod_vartime(&mut SysRng, key.n());
    Ok(Zeroizing::new(bytes(&factor.map_err(|_| Error::Randomness)?)))
}

/// Blinds an encoded message (RFC 9474, section 4.2): m·rᵉ and 1/r modulo n.
pub(crate) fn blind(
    encoded: &[u8; MODULUS_BYTES],
    factor: &[u8; MODULUS_BYTES],
    key: &rsa::PublicKey,
) -> Result<([u8; MODULUS_BYTES], Unblinding), Error> {
    let (message, factor) = (number(encoded, key)?, number(factor, key)?);
    let inverse = Option::from(factor.invert_mod(key.n())).ok_or(Error::Randomness)?;
    let power = rsa_encrypt(key, &factor).map_err(|_| Error::Internal)?;
    let blinded = product(&message, &power, key);
    Ok((bytes(&blinded), Unblinding(Zeroizing::new(bytes(&inverse)))))
}

/// Unblinds a signature (RFC 9474, section 4.4): s·(1/r) modulo n.
pub(crate) fn unblind(
    signature: &[u8; MODULUS_BYTES],
    unblinding: &Unblinding,
    key: &rsa::PublicKey,
) -> Result<[u8; MODULUS_BYTES], Error> {
    let (signature, inverse) = (number(signature, key)?, number(&*unblinding.0, key)?);
    Ok(bytes(&product(&signature, &inverse, key)))
}

fn product(a: &BoxedUint, b: &BoxedUint, key: &rsa::PublicKey) -> BoxedUint {
    let form = |x: &BoxedUint| BoxedMontyForm::new(x.clone(), key.n_params());
    (form(a) * form(b)).retrieve()
}
