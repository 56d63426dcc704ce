//! Releases with their signatures: `release.json.minisig` beside `release.json`.

use super::super::release::{MAX_CURRENT, Release, ReleaseName};
use super::super::trust_error::TrustError;
use super::{ReadError, ReleaseStore, ReleaseStoreError, signature_key};
use crate::digest::sha256;
use bytes::Bytes;
use object_store::{GetOptions, ObjectStoreExt};
use release_signature::{SecretKey, Signature, SignatureError, TrustedKeys};

impl ReleaseStore {
    /// Signs `release.json` as it was written, so that `minisign -V` can check it, and a publisher can go back to
    /// it.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    pub async fn sign_release(
        &self,
        name: &ReleaseName,
        release: &Release,
        key: &SecretKey,
    ) -> Result<(), ReleaseStoreError> {
        let comment = format!("release {} of {}", name.id, release.use_case);
        let signature = key.sign(&super::json(release), &comment).to_string();
        let path = signature_key(&name.id);
        let put = self.store.put(&self.key(&path), Bytes::from(signature).into()).await;
        put.map_err(self.failed(&path))?;
        Ok(())
    }

    /// Reads a release by its id alone, such as one to go back to, if a trusted key has signed it for this use
    /// case.
    ///
    /// # Errors
    /// [`ReleaseStoreError::Trust`] if it is not signed, or not as it should be; [`ReleaseStoreError`], if the
    /// store fails or the text cannot be used.
    pub async fn signed_release_by_id(
        &self,
        id: &str,
        use_case: &str,
        keys: &TrustedKeys,
    ) -> Result<(ReleaseName, Release), ReleaseStoreError> {
        let (key, text) = self.release_text(id).await?;
        let trust = |source| ReleaseStoreError::Trust { name: self.name(&key), source };
        let path = signature_key(id);
        let signature = match self.text(&path, GetOptions::default(), MAX_CURRENT).await {
            Ok((signature, _)) => signature,
            Err(ReadError::Failed(error)) if !error.is_not_found() => return Err(error),
            Err(_) => return Err(trust(TrustError::Unsigned)),
        };
        std::str::from_utf8(&signature)
            .map_err(|_| SignatureError::Form)
            .and_then(Signature::parse)
            .and_then(|signature| signature.verify(&text, keys))
            .map_err(|error| trust(error.into()))?;
        let release = self.parse_release(&key, &text)?;
        if release.use_case != use_case {
            return Err(trust(TrustError::UseCase { found: release.use_case }));
        }
        if release.id != id {
            return Err(trust(TrustError::OtherRelease { found: release.id }));
        }
        let name = ReleaseName::new(id.to_owned(), sha256(&text))
            .map_err(|source| ReleaseStoreError::Format { name: self.name(&key), source })?;
        Ok((name, release))
    }
}
