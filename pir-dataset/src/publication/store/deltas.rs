//! Deltas in a store: the list of a release, and the objects.

use super::super::delta::{Delta, Deltas};
#[cfg(feature = "publisher")]
use super::super::delta::{Encoder, GRAIN, max_delta};
use super::super::release::ReleasedFile;
use super::{ReleaseStore, ReleaseStoreError, deltas_key};
use std::path::Path;
#[cfg(feature = "publisher")]
use {
    super::read_timeout::Pieces,
    super::{Damage, Sha256, file_error, json},
    bytes::Bytes,
    durable_file::Operation,
    object_store::ObjectStoreExt,
    sha2::Digest,
    tokio::io::{AsyncReadExt, AsyncWriteExt},
};

/// Bytes that are compared at once.
#[cfg(feature = "publisher")]
const PIECE: usize = 1 << 20;

impl ReleaseStore {
    /// Reads the deltas of a release. They are not signed, and need not be.
    ///
    /// # Errors
    /// [`ReleaseStoreError::NotFound`] if it has none; [`ReleaseStoreError`], if the store fails or the text cannot be used.
    pub(in super::super) async fn deltas(&self, id: &str) -> Result<Deltas, ReleaseStoreError> {
        let key = deltas_key(id);
        let text = self.present_text(&key).await?;
        Deltas::parse(&text)
            .map_err(|source| ReleaseStoreError::Format { name: self.name(&key), source })
    }

    /// Fetches a delta to this machine and verifies it.
    ///
    /// # Errors
    /// Those of [`fetch_object`](Self::fetch_object).
    pub(in super::super) async fn fetch_delta(
        &self,
        delta: &Delta,
        to: &Path,
    ) -> Result<(), ReleaseStoreError> {
        self.fetch_object(&self.delta_file(delta)?, to).await
    }

    /// A delta as a file of a release, which it is not.
    fn delta_file(&self, delta: &Delta) -> Result<ReleasedFile, ReleaseStoreError> {
        let file = ReleasedFile::new("delta".to_owned(), delta.bytes, delta.sha256.clone());
        file.map_err(|source| ReleaseStoreError::Format { name: self.name("objects"), source })
    }

    /// Writes the deltas of a release, whose objects must be there already.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    #[cfg(feature = "publisher")]
    pub(in super::super) async fn put_deltas(
        &self,
        id: &str,
        deltas: &Deltas,
    ) -> Result<(), ReleaseStoreError> {
        let key = deltas_key(id);
        let put = self.store.put(&self.key(&key), Bytes::from(json(deltas)).into()).await;
        put.map_err(self.failed(&key))?;
        Ok(())
    }

    /// Uploads what makes a file on this machine from an earlier one of the same length, which is in the store; `None` if
    /// that is not much less than the file. Both are read piece by piece, and not to their ends if they differ too much.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails, the earlier file is damaged, or a file on this machine cannot be read or
    /// written.
    #[cfg(feature = "publisher")]
    pub(in super::super) async fn put_delta(
        &self,
        before: &ReleasedFile,
        after: &ReleasedFile,
        path: &Path,
    ) -> Result<Option<Delta>, ReleaseStoreError> {
        let (Some(max), Ok(file_bytes)) = (max_delta(after.bytes), u32::try_from(after.bytes))
        else {
            return Ok(None);
        };
        let name = Self::object(before);
        let result = self.get(&self.key(&name)).await.map_err(self.failed(&name))?;
        if result.meta.size != after.bytes || before.bytes != after.bytes {
            return Err(self.damaged(&name, Damage::Length));
        }
        let unreadable = |error| file_error(Operation::Read, path)(error);
        let scratch = tempfile::NamedTempFile::new()
            .map_err(|error| file_error(Operation::Write, &std::env::temp_dir())(error))?;
        let unwritable = |error| file_error(Operation::Write, scratch.path())(error);
        let out = scratch.as_file().try_clone().map_err(unwritable)?;
        let mut out = tokio::fs::File::from_std(out);
        let mut later = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let (mut encoder, mut own, mut length) = (Encoder::new(file_bytes, max), Sha256::new(), 0);
        let mut digest = Sha256::new();
        let mut pieces = Pieces::of(result);
        let (mut earlier, mut compared) = (Vec::new(), vec![0; PIECE]);
        let mut is_end = false;
        while !is_end {
            match pieces.next().await {
                Some(piece) => {
                    let piece = piece.map_err(self.failed(&name))?;
                    digest.update(&piece);
                    earlier.extend_from_slice(&piece);
                }
                None => is_end = true,
            }
            if earlier.len() < PIECE && !is_end {
                continue;
            }
            let whole = if is_end { earlier.len() } else { earlier.len() / GRAIN * GRAIN };
            for piece in earlier[..whole].chunks(PIECE) {
                let compared = &mut compared[..piece.len()];
                later.read_exact(compared).await.map_err(unreadable)?;
                encoder.compare(piece, compared);
            }
            earlier.drain(..whole);
            if encoder.is_too_long() {
                return Ok(None);
            }
            let written = encoder.take();
            length += written.len() as u64;
            own.update(&written);
            out.write_all(&written).await.map_err(unwritable)?;
        }
        if hex::encode(digest.finalize()) != before.sha256 {
            return Err(self.damaged(&name, Damage::Digest));
        }
        let Some(written) = encoder.finish() else { return Ok(None) };
        own.update(&written);
        out.write_all(&written).await.map_err(unwritable)?;
        out.flush().await.map_err(unwritable)?;
        let delta = Delta {
            from: before.sha256.clone(),
            to: after.sha256.clone(),
            bytes: length + written.len() as u64,
            sha256: hex::encode(own.finalize()),
        };
        self.put_object(&self.delta_file(&delta)?, scratch.path()).await?;
        Ok(Some(delta))
    }
}
