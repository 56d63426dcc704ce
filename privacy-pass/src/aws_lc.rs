//! The two operations on RSA keys that a service does for each request, by AWS-LC: the private
//! operation and the verification of a signature. They give the same bits and the same answers as
//! the `rsa` crate, which stays their twin, in a third of the time.
//!
//! AWS-LC blinds the private operation and checks its result with the public exponent before it
//! returns it (`rsa_default_private_transform` in its `rsa_impl.c`).
#![allow(unsafe_code, reason = "calls of C functions")]

use crate::MODULUS_BYTES;
use crate::blind_rsa::SALT;
use aws_lc_sys::{
    ERR_clear_error, EVP_sha384, RSA, RSA_NO_PADDING, RSA_free, RSA_private_key_from_bytes,
    RSA_public_key_from_bytes, RSA_sign_raw, RSA_verify_pss_mgf1,
};
use std::ptr::NonNull;

/// An RSA key of 2048 bits as AWS-LC keeps it. Its memory is wiped when it is dropped.
pub(crate) struct Key(NonNull<RSA>);

// SAFETY: the key has one owner, and AWS-LC keeps nothing of it that belongs to a thread.
unsafe impl Send for Key {}
// SAFETY: the functions that are called with a shared key do not change it for purposes of threads
// (`rsa.h`); what they cache in it is behind its own lock.
unsafe impl Sync for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the pointer is that of a key which nobody else has, and it is not used again.
        unsafe { RSA_free(self.0.as_ptr()) }
    }
}

impl Key {
    /// Reads an `RSAPrivateKey` (RFC 8017, A.1.2) in DER; `None` if AWS-LC does not take the key.
    pub(crate) fn private(der: &[u8]) -> Option<Self> {
        // SAFETY: the pointer and the length are those of a slice; the function keeps neither.
        Self::checked(unsafe { RSA_private_key_from_bytes(der.as_ptr(), der.len()) })
    }

    /// Reads an `RSAPublicKey` (RFC 8017, A.1.1) in DER; `None` if AWS-LC does not take the key.
    pub(crate) fn public(der: &[u8]) -> Option<Self> {
        // SAFETY: the pointer and the length are those of a slice; the function keeps neither.
        Self::checked(unsafe { RSA_public_key_from_bytes(der.as_ptr(), der.len()) })
    }

    fn checked(key: *mut RSA) -> Option<Self> {
        let key = NonNull::new(key).map(Self);
        if key.is_none() {
            clear_errors();
        }
        key
    }

    /// m^d mod n, both as 256 bytes, big endian: `None` for 0, 1, n - 1 and whatever is not below n, and if the
    /// computation failed its check.
    pub(crate) fn sign_raw(&self, message: &[u8; MODULUS_BYTES]) -> Option<[u8; MODULUS_BYTES]> {
        let (mut out, mut length) = ([0; MODULUS_BYTES], 0);
        // SAFETY: the key is alive; `out` has the length that is said and `message` too; the function
        // writes at most so many bytes, and keeps no pointer.
        let done = unsafe {
            RSA_sign_raw(
                self.0.as_ptr(),
                &raw mut length,
                out.as_mut_ptr(),
                out.len(),
                message.as_ptr(),
                message.len(),
                RSA_NO_PADDING,
            )
        };
        if done == 1 && length == out.len() {
            return Some(out);
        }
        clear_errors();
        None
    }

    /// Whether a signature is that of a message with this SHA-384 digest: RSASSA-PSS, MGF1 with
    /// SHA-384, a salt of 48 bytes.
    pub(crate) fn verifies(&self, digest: &[u8; 48], signature: &[u8]) -> bool {
        // SAFETY: the key is alive, pointers and lengths are those of slices, and the hash is a
        // constant of the library; the function writes to none of them.
        let valid = unsafe {
            let hash = EVP_sha384();
            RSA_verify_pss_mgf1(
                self.0.as_ptr(),
                digest.as_ptr(),
                digest.len(),
                hash,
                hash,
                SALT as i32,
                signature.as_ptr(),
                signature.len(),
            )
        };
        if valid == 1 {
            return true;
        }
        clear_errors();
        false
    }
}

/// Forgets what AWS-LC noted about a failure, for this thread.
fn clear_errors() {
    // SAFETY: the function has no arguments and touches only its thread's list.
    unsafe { ERR_clear_error() }
}
