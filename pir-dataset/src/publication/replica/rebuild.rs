//! Files of a release that are made from earlier ones by deltas.

use super::Replica;
use crate::digest::{BUFFER, Digesting};
use crate::publication::delta::{Delta, Deltas, apply_delta};
use crate::publication::release::{Release, ReleasedFile};
use crate::publication::store::{Damage, ReleaseStoreError, blocking, file_error};
use durable_file::{Access, Operation, PendingFile};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a replica has fetched of files of data sets since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Files that were fetched as a whole.
    pub whole: u64,
    /// Files that were made from earlier ones by deltas.
    pub by_delta: u64,
    /// Bytes of the files and deltas that were fetched.
    pub bytes: u64,
}

/// A delta in the folder of a replica, removed when it is dropped.
struct FetchedDelta(PathBuf);

impl Drop for FetchedDelta {
    fn drop(&mut self) {
        // One that stays is removed with the files of releases that are not served any more.
        let _ = fs::remove_file(&self.0);
    }
}

impl Replica {
    /// The deltas of a release; none if they cannot be read.
    pub(super) async fn deltas(&mut self, release: &Release) -> Option<Deltas> {
        match self.store.deltas(&release.id).await {
            Ok(deltas) => Some(deltas),
            Err(error) if error.is_not_found() => None,
            Err(error) => {
                self.unusable_delta = Some(error);
                None
            }
        }
    }

    /// Makes a file of a release from one that is here. Returns whether that was done; if not, the file is to be fetched as a
    /// whole.
    pub(super) async fn rebuild(&mut self, file: &ReleasedFile, deltas: &Deltas) -> bool {
        let offered: Vec<Delta> = deltas.to(&file.sha256, file.bytes).cloned().collect();
        let (objects, bytes) = (self.folder.join("objects"), file.bytes);
        let is_here = move || {
            // The digest of what is made says whether its content is right.
            let is_here = |delta: &Delta| {
                let about = fs::symlink_metadata(objects.join(&delta.from));
                about.is_ok_and(|about| about.is_file() && about.len() == bytes)
            };
            Ok(offered.into_iter().find(is_here))
        };
        let Ok(Some(delta)) = blocking(&self.folder, is_here).await else { return false };
        match self.rebuild_by(file, &delta).await {
            Ok(()) => {
                self.fetched.by_delta += 1;
                true
            }
            Err(error) => {
                self.unusable_delta = Some(error);
                false
            }
        }
    }

    async fn rebuild_by(
        &mut self,
        file: &ReleasedFile,
        delta: &Delta,
    ) -> Result<(), ReleaseStoreError> {
        let objects = self.folder.join("objects");
        // Not the name of an object, so that nothing is overwritten or removed that is in use.
        let path = objects.join(format!("{}.delta", delta.sha256));
        let fetched = FetchedDelta(path);
        self.store.fetch_delta(delta, &fetched.0).await?;
        self.fetched.bytes += delta.bytes;
        let (file, from) = (file.clone(), objects.join(&delta.from));
        let name = self.store.object_name(&delta.sha256);
        blocking(&self.folder, move || apply(&fetched.0, &from, &file, &objects, name)).await
    }
}

/// Makes a file in the folder of objects. It appears under its name whole, verified and durable.
fn apply(
    delta: &Path,
    from: &Path,
    file: &ReleasedFile,
    objects: &Path,
    name: String,
) -> Result<(), ReleaseStoreError> {
    let open = |path: &Path| -> Result<_, ReleaseStoreError> {
        let file = File::open(path).map_err(file_error(Operation::Read, path))?;
        Ok(BufReader::with_capacity(BUFFER, file))
    };
    let (mut delta, mut before) = (open(delta)?, open(from)?);
    let to = objects.join(&file.sha256);
    let unwritable = |error| file_error(Operation::Write, &to)(error);
    let mut pending = PendingFile::create(&to, Access::Everyone)?;
    let mut out = Digesting::new(BufWriter::with_capacity(BUFFER, pending.file_mut()));
    if let Err(source) = apply_delta(&mut delta, &mut before, file.bytes, &mut out) {
        return Err(ReleaseStoreError::Delta { name, source });
    }
    out.flush().map_err(unwritable)?;
    let (buffer, sha256, _) = out.finish();
    drop(buffer);
    if sha256 != file.sha256 {
        return Err(ReleaseStoreError::Damaged { name, damage: Damage::Delta });
    }
    Ok(pending.commit()?)
}
