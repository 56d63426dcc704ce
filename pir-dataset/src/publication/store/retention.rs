//! Which releases and objects stay.

use super::{Key, ReleaseStore, ReleaseStoreError, cause, deltas_key, release_key, signature_key};
use futures_util::TryStreamExt;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use unix_clock::Timestamp;

impl ReleaseStore {
    /// Removes all other releases than some, and the objects that no remaining release has, deltas among them. Objects that
    /// are younger than a time stay, because another publisher may be uploading a release. Returns the number of
    /// objects that were removed.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    pub async fn retain(
        &self,
        ids: &[String],
        older_than: Timestamp,
    ) -> Result<usize, ReleaseStoreError> {
        let mut needed = BTreeSet::new();
        let (mut gone, mut beside) = (Vec::new(), Vec::new());
        for id in self.releases().await? {
            if ids.contains(&id) {
                let (_, release) = self.release_by_id(&id).await?;
                needed.extend(release.files.into_iter().map(|file| file.sha256));
                match self.deltas(&id).await {
                    Ok(deltas) => {
                        needed.extend(deltas.deltas.into_iter().map(|delta| delta.sha256));
                    }
                    // A release need not have any, and nodes can use none of a list that makes no sense.
                    Err(ReleaseStoreError::NotFound { .. } | ReleaseStoreError::Format { .. }) => {}
                    Err(error) => return Err(error),
                }
            } else {
                gone.push(release_key(&id));
                beside.extend([signature_key(&id), deltas_key(&id)]);
            }
        }
        // A release goes before its objects, so that no release lacks objects.
        for name in gone.into_iter().chain(beside) {
            self.delete(&self.key(&name)).await?;
        }
        let listed = self.store.list(Some(&self.key("objects")));
        let objects: Vec<ObjectMeta> =
            listed.try_collect().await.map_err(self.failed("objects"))?;
        let older_than = i64::try_from(older_than.unix_seconds()).unwrap_or(i64::MAX);
        let mut removed = 0;
        for object in objects {
            let is_old = object.last_modified.timestamp() < older_than;
            let is_needed = object.location.filename().is_none_or(|name| needed.contains(name));
            if is_old && !is_needed {
                self.delete(&object.location).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn delete(&self, key: &Key) -> Result<(), ReleaseStoreError> {
        match self.store.delete(key).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => {
                Err(ReleaseStoreError::Store { name: key.to_string(), source: cause(&error) })
            }
        }
    }
}
