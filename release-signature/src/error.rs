//! Why a key or signature cannot be used.

/// A key cannot be read, or a signature is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The text is not a public key.
    #[error(
        "not a public key of minisign; expected 56 characters of base64 that begin with `RW`, as in the file \
         that ends in .pub"
    )]
    PublicKey,
    /// There are no keys to check with.
    #[error("at least one public key is expected")]
    NoKeys,
    /// The text is not a secret key.
    #[error("not a secret key of minisign; expected the file that `urlfilter signing-key` writes")]
    SecretKey,
    /// The secret key has a password.
    #[error(
        "the secret key has a password, which cannot be asked for here; make a key without one \
         (`urlfilter signing-key`, or `minisign -G -W`) and protect its file"
    )]
    Password,
    /// The text is not a signature.
    #[error("not a signature of minisign: expected four lines")]
    Form,
    /// The signature is of the legacy kind.
    #[error("a legacy signature, which is not accepted; sign again without `minisign -l`")]
    Legacy,
    /// It is signed with a key that is not trusted.
    #[error("signed with the key {0}, which is not among the trusted ones")]
    UnknownKey(String),
    /// The signature does not belong to the text.
    #[error("the signature by the key {0} is not valid: the text or the signature was changed")]
    Invalid(String),
    /// The operating system gave no random numbers.
    #[error("the operating system's random source failed")]
    Random,
}
