//! `current.json`: which release is effective, and from when on. It is signed or not.

use super::release::{FormatError, ReleaseName, parse, version_of};
use super::trust_error::TrustError;
use release_signature::{SignedText, TrustedKeys};
use serde::{Deserialize, Serialize, Serializer};
use unix_clock::Timestamp;

/// The version of a text that is not signed, and of the text within a signed one.
const PLAIN: u32 = 1;
/// The version of a signed text.
const SIGNED: u32 = 2;

/// `current.json`: which release is effective, and from when on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Current {
    /// The release that nodes prepare.
    pub release: ReleaseName,
    /// The activation time of the release; `None` while the publisher waits until nodes are ready.
    pub activate_at: Option<Timestamp>,
    /// The release that nodes serve until then.
    pub before: Option<ReleaseName>,
    announcement: Option<Announcement>,
}

/// What a signed `current.json` says besides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announcement {
    /// The use case of the release.
    pub use_case: String,
    /// Larger than in all announcements before: the time of the announcement in Unix seconds, or one more than
    /// the number before.
    pub sequence: u64,
    /// Whether the publisher goes back to an earlier release.
    pub rollback: bool,
    /// The text that was signed.
    text: SignedText,
}

/// The text that is not signed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlainText<'c> {
    version: u32,
    release: std::borrow::Cow<'c, ReleaseName>,
    activate_at: Option<Timestamp>,
    before: std::borrow::Cow<'c, Option<ReleaseName>>,
}

/// The text that is signed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Statement {
    version: u32,
    use_case: String,
    sequence: u64,
    rollback: bool,
    release: ReleaseName,
    activate_at: Option<Timestamp>,
    before: Option<ReleaseName>,
}

/// A signed `current.json`.
#[derive(Serialize, Deserialize)]
struct SignedFile {
    version: u32,
    #[serde(flatten)]
    text: SignedText,
}

impl Current {
    /// Names the release that nodes prepare, its activation time, and the release before it. It is not signed.
    #[must_use]
    pub fn new(
        release: ReleaseName,
        activate_at: Option<Timestamp>,
        before: Option<ReleaseName>,
    ) -> Self {
        Self { release, activate_at, before, announcement: None }
    }

    /// The same, signed, with its place among all announcements of a use case.
    #[cfg(feature = "publisher")]
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "no panic is possible")]
    pub fn sign(
        self,
        use_case: &str,
        sequence: u64,
        rollback: bool,
        key: &release_signature::SecretKey,
    ) -> Self {
        let statement = Statement {
            version: PLAIN,
            use_case: use_case.to_owned(),
            sequence,
            rollback,
            release: self.release.clone(),
            activate_at: self.activate_at,
            before: self.before.clone(),
        };
        let text = serde_json::to_string(&statement).expect("plain data has a JSON text");
        let text = SignedText::new(text, "current release of a url-filter publication", key);
        let use_case = statement.use_case;
        Self { announcement: Some(Announcement { use_case, sequence, rollback, text }), ..self }
    }

    /// Reads and checks the text of the file, whether or not it is signed. The signature is not verified, see
    /// [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let current = match version_of(text)? {
            PLAIN => {
                let plain: PlainText<'_> = parse(text)?;
                Self::new(plain.release.into_owned(), plain.activate_at, plain.before.into_owned())
            }
            SIGNED => {
                let SignedFile { text, .. } = parse(text)?;
                let statement: Statement = parse(text.unverified().as_bytes())?;
                if statement.version != PLAIN {
                    return Err(FormatError::Version(statement.version));
                }
                let Statement { use_case, sequence, rollback, .. } = statement;
                let announcement = Announcement { use_case, sequence, rollback, text };
                let current = Self::new(statement.release, statement.activate_at, statement.before);
                Self { announcement: Some(announcement), ..current }
            }
            other => return Err(FormatError::Version(other)),
        };
        current.release.check()?;
        if let Some(before) = &current.before {
            before.check()?;
        }
        Ok(current)
    }

    /// The release to serve at a time. A release without one before it is effective at once.
    #[must_use]
    pub fn effective_at(&self, now: Timestamp) -> &ReleaseName {
        match &self.before {
            Some(before) if self.activate_at.is_none_or(|at| now < at) => before,
            _ => &self.release,
        }
    }

    /// Whether it has a signature. Only [`verify`](Self::verify) says whether that is valid.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.announcement.is_some()
    }

    /// Whether an earlier release is announced again, as far as the text says so.
    #[must_use]
    pub fn is_rollback(&self) -> bool {
        self.announcement.as_ref().is_some_and(|announcement| announcement.rollback)
    }

    /// What the publisher announced, if a trusted key has signed it for this use case.
    ///
    /// # Errors
    /// [`TrustError::Unsigned`], [`TrustError::Signature`] or [`TrustError::UseCase`].
    pub fn verify(&self, use_case: &str, keys: &TrustedKeys) -> Result<&Announcement, TrustError> {
        let announcement = self.announcement.as_ref().ok_or(TrustError::Unsigned)?;
        announcement.text.verify(keys)?;
        if announcement.use_case != use_case {
            return Err(TrustError::UseCase { found: announcement.use_case.clone() });
        }
        Ok(announcement)
    }
}

impl Announcement {
    /// SHA-256 of the text that was signed, in lowercase hexadecimal.
    pub(super) fn sha256(&self) -> String {
        crate::digest::sha256(self.text.unverified().as_bytes())
    }
}

/// The text of the file.
impl Serialize for Current {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.announcement {
            Some(Announcement { text, .. }) => {
                SignedFile { version: SIGNED, text: text.clone() }.serialize(serializer)
            }
            None => PlainText {
                version: PLAIN,
                release: std::borrow::Cow::Borrowed(&self.release),
                activate_at: self.activate_at,
                before: std::borrow::Cow::Borrowed(&self.before),
            }
            .serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> ReleaseName {
        ReleaseName::new(id.to_owned(), "0".repeat(64)).unwrap()
    }

    #[test]
    fn the_effective_release() {
        let at = Timestamp::from_unix_seconds;
        let current = |time: Option<u64>, before| Current::new(name("new"), time.map(at), before);
        assert_eq!(current(Some(5), Some(name("old"))).effective_at(at(4)).id, "old");
        assert_eq!(current(Some(5), Some(name("old"))).effective_at(at(5)).id, "new");
        assert_eq!(current(None, Some(name("old"))).effective_at(Timestamp::MAX).id, "old");
        assert_eq!(current(Some(5), None).effective_at(at(4)).id, "new");
        let text = serde_json::to_string(&current(None, Some(name("old")))).unwrap();
        assert!(Current::parse(text.as_bytes()).is_ok());
        assert!(Current::parse(text.replace("\"old\"", "\"a/b\"").as_bytes()).is_err());
        assert!(Current::parse(text.replace(":1", ":3").as_bytes()).is_err());
    }

    #[cfg(feature = "publisher")]
    #[test]
    fn a_signed_text_says_what_was_signed() {
        let key = release_signature::SecretKey::generate().unwrap();
        let keys = TrustedKeys::new(vec![key.public()]).unwrap();
        let plain = Current::new(name("new"), None, Some(name("old")));
        assert_eq!(plain.verify("use", &keys), Err(TrustError::Unsigned));
        let signed = plain.clone().sign("use", 7, true, &key);
        let text = serde_json::to_string_pretty(&signed).unwrap();
        let back = Current::parse(text.as_bytes()).unwrap();
        assert_eq!(back, signed);
        assert_eq!((&back.release, &back.before), (&plain.release, &plain.before));
        let announcement = back.verify("use", &keys).unwrap();
        assert_eq!((announcement.sequence, announcement.rollback), (7, true));
        assert!(matches!(back.verify("other", &keys), Err(TrustError::UseCase { .. })));
        // Another release in the text, and another key.
        let changed = Current::parse(text.replace("\\\"new", "\\\"now").as_bytes()).unwrap();
        assert!(matches!(changed.verify("use", &keys), Err(TrustError::Signature(_))));
        let other = release_signature::SecretKey::generate().unwrap();
        let others = TrustedKeys::new(vec![other.public()]).unwrap();
        assert!(matches!(back.verify("use", &others), Err(TrustError::Signature(_))));
    }
}
