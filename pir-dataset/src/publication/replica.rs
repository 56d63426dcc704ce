//! The releases of one use case on a node: fetched and verified ahead of their activation time.

mod rebuild;

use super::current::Current;
use super::release::{Release, ReleaseName, ReleasedFile, STEM, level_of};
use super::store::{
    CURRENT, Damage, ReleaseStore, ReleaseStoreError, Revision, blocking, file_error,
};
use super::trust;
use super::trust_error::TrustError;
use crate::file_sha256;
use crate::files::DataSetFiles;
use durable_file::{Access, Operation, PendingFile};
use release_signature::TrustedKeys;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use unix_clock::Timestamp;

pub use rebuild::Fetched;

/// Name of the file that records the active release.
const ACTIVE: &str = "active.json";
/// The prefilter as a property list, in a release.
const PLIST: &str = "filter/bloom_filter.plist";
/// Largest `active.json` that is read, in bytes: that of a `release.json`, and some indentation.
const MAX_ACTIVE: u64 = 2 * super::release::MAX_TEXT as u64;

/// The releases of one use case on this machine.
///
/// ```text
/// <folder>/active.json              the release that is served
/// <folder>/accepted.json            the newest signed announcement
/// <folder>/objects/<SHA-256>        fetched files, by digest
/// <folder>/releases/<id>/…          the same files, by name
/// ```
pub struct Replica {
    store: ReleaseStore,
    use_case: String,
    folder: PathBuf,
    /// `None` believes what is not signed, too.
    keys: Option<TrustedKeys>,
    /// Largest data set of a release, in bytes.
    max_bytes: u64,
    /// The release that was fetched last, or is still.
    fetching: Option<String>,
    revision: Option<Revision>,
    current: Option<Current>,
    active: Option<Release>,
    /// Fetched and verified, but not served yet.
    ready: Option<Release>,
    fetched: Fetched,
    /// Why a delta was not used.
    unusable_delta: Option<ReleaseStoreError>,
}

/// How far a node is with the releases of a use case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// The release that is served.
    #[serde(default)]
    pub active: Option<String>,
    /// The next release, once it is fetched and verified.
    #[serde(default)]
    pub ready: Option<String>,
    /// The release that was published last.
    #[serde(default)]
    pub published: Option<String>,
    /// The activation time of the release that was published last.
    #[serde(default)]
    pub activate_at: Option<Timestamp>,
}

/// An element of the answer to `GET /releases` of a node's admin address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UseCaseStatus {
    /// Name of the use case.
    pub use_case: String,
    /// How far the node is with it.
    #[serde(flatten)]
    pub replica: ReplicaStatus,
    /// Whether another release should be served by now.
    #[serde(default)]
    pub late: bool,
    /// Why the publication could not be followed when it was looked at last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl UseCaseStatus {
    /// The status of a use case.
    #[must_use]
    pub fn new(use_case: String, replica: ReplicaStatus, late: bool) -> Self {
        Self { use_case, replica, late, problem: None }
    }

    /// The same with why the publication cannot be followed.
    #[must_use]
    pub fn with_problem(self, problem: Option<String>) -> Self {
        Self { problem, ..self }
    }
}

/// `active.json`: what a node serves if the publication cannot be reached when it starts.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Active {
    release: Release,
}

/// Whether a file has the length and digest of a released one.
fn is_whole(path: &Path, file: &ReleasedFile) -> bool {
    fs::metadata(path).is_ok_and(|about| about.len() == file.bytes)
        && file_sha256(path).is_ok_and(|digest| digest == file.sha256)
}

/// Whether two names are of one file. Where that cannot be told, they are not.
#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()));
    identity(a).is_ok_and(|a| identity(b).is_ok_and(|b| a == b))
}

#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

/// Gives a file another name, in place of whatever has that name. Programs that have the old file open keep
/// it.
fn link_as(object: &Path, named: &Path) -> Result<(), ReleaseStoreError> {
    if is_same_file(object, named) {
        return Ok(());
    }
    match fs::remove_file(named) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file_error(Operation::Replace, named)(error));
        }
        _ => {}
    }
    if fs::hard_link(object, named).is_ok() {
        return Ok(());
    }
    // A file system without hard links.
    let unreadable = |error| file_error(Operation::Read, object)(error);
    let mut copy = PendingFile::create(named, Access::Everyone)?;
    let mut source = fs::File::open(object).map_err(unreadable)?;
    io::copy(&mut source, copy.file_mut()).map_err(file_error(Operation::Write, named))?;
    Ok(copy.commit()?)
}

impl Replica {
    /// A replica that knows of no release yet. The folder is created when the first file is fetched.
    #[must_use]
    pub fn new(store: ReleaseStore, use_case: String, folder: PathBuf) -> Self {
        Self {
            store,
            use_case,
            folder,
            keys: None,
            fetching: None,
            max_bytes: u64::MAX,
            revision: None,
            current: None,
            active: None,
            ready: None,
            fetched: Fetched::default(),
            unusable_delta: None,
        }
    }

    /// Follows only what one of these keys has signed, and never goes back to an earlier announcement. What was
    /// accepted is recorded in the folder: with an empty folder, any signed announcement is accepted first.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<TrustedKeys>) -> Self {
        self.keys = keys;
        self
    }

    /// Takes no release whose data set is larger than this many bytes. Default: any.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How far this node is.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        let id = |release: &Option<Release>| release.as_ref().map(|release| release.id.clone());
        ReplicaStatus {
            active: id(&self.active),
            ready: id(&self.ready),
            published: self.current.as_ref().map(|current| current.release.id.clone()),
            activate_at: self.current.as_ref().and_then(|current| current.activate_at),
        }
    }

    /// What was fetched of files of data sets since the replica was made.
    #[must_use]
    pub fn fetched(&self) -> Fetched {
        self.fetched
    }

    /// Why a delta, or all of a release, could not be used, if that happened since the last call. Whole files were fetched
    /// instead, so it is no failure.
    #[must_use]
    pub fn take_unusable_delta(&mut self) -> Option<ReleaseStoreError> {
        self.unusable_delta.take()
    }

    /// The release that is served.
    #[must_use]
    pub fn active(&self) -> Option<&Release> {
        self.active.as_ref()
    }

    /// The release that is fetched and verified, but not served yet.
    #[must_use]
    pub fn ready(&self) -> Option<&Release> {
        self.ready.as_ref()
    }

    /// Whether the release that is ready is the effective one.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let effective = self.current.as_ref().map(|current| current.effective_at(now));
        self.ready.as_ref().is_some_and(|ready| effective.is_some_and(|name| name.id == ready.id))
    }

    /// Where the files of a release's data set are.
    #[must_use]
    pub fn files(&self, release: &Release) -> DataSetFiles {
        DataSetFiles::new(self.folder.join("releases").join(&release.id).join(STEM))
    }

    /// Asks the store whether another release was published.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails or `current.json` cannot be used; [`ReleaseStoreError::Trust`],
    /// if it is not signed as it should be, or older than one before. Then everything stays as it was.
    pub async fn poll(&mut self) -> Result<(), ReleaseStoreError> {
        if let Some((current, revision)) = self.store.current(self.revision.as_ref()).await? {
            if let Some(keys) = self.keys.clone() {
                let (folder, use_case) = (self.folder.clone(), self.use_case.clone());
                let (announced, name) = (current.clone(), self.store.name(CURRENT));
                let check = move || trust::accept(&folder, &announced, &use_case, &keys, &name);
                blocking(&self.folder, check).await?;
            }
            self.current = Some(current);
            self.revision = Some(revision);
        }
        Ok(())
    }

    /// Fetches the release that is effective at a time, as far as it is not here; `None` if nothing was
    /// published.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if it cannot be fetched or is damaged.
    pub async fn fetch_effective(
        &mut self,
        now: Timestamp,
    ) -> Result<Option<Release>, ReleaseStoreError> {
        let Some(current) = &self.current else { return Ok(None) };
        let release = self.fetch(&current.effective_at(now).clone()).await?;
        let served = match self.keys {
            Some(_) => self.last_recorded().await?,
            None => None,
        };
        self.check_age(&release, served.as_ref())?;
        Ok(Some(release))
    }

    /// The release that this machine served last, if its files are here and whole.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if its record or a file cannot be read; its record is checked like one that
    /// comes from a store.
    pub async fn load_last_active(&self) -> Result<Option<Release>, ReleaseStoreError> {
        let Some(release) = self.last_recorded().await? else { return Ok(None) };
        let files = release.data_files().cloned().collect();
        Ok(self.link(&release, files).await?.is_empty().then_some(release))
    }

    /// A release that is older than the one that is served must be announced as a rollback, where keys decide.
    fn check_age(
        &self,
        release: &Release,
        served: Option<&Release>,
    ) -> Result<(), ReleaseStoreError> {
        let is_rollback = self.current.as_ref().is_some_and(Current::is_rollback);
        match served.filter(|served| served.published_at > release.published_at) {
            Some(served) if self.keys.is_some() && !is_rollback => Err(ReleaseStoreError::Trust {
                name: self.store.name(CURRENT),
                source: TrustError::OlderRelease {
                    served: served.id.clone(),
                    found: release.id.clone(),
                },
            }),
            _ => Ok(()),
        }
    }

    /// The release that was served last, as it was recorded.
    async fn last_recorded(&self) -> Result<Option<Release>, ReleaseStoreError> {
        let path = self.folder.join(ACTIVE);
        let name = path.display().to_string();
        let read = {
            let path = path.clone();
            move || match durable_file::read(&path, MAX_ACTIVE) {
                Err(error) if error.is_not_found() => Ok(None),
                read => Ok(Some(read?)),
            }
        };
        let Some(text) = blocking(&path, read).await? else { return Ok(None) };
        let failed = |source| ReleaseStoreError::Format { name, source };
        match serde_json::from_slice::<Active>(&text) {
            Ok(active) => Ok(Some(active.release.checked().map_err(failed)?)),
            Err(error) => Err(failed(super::release::FormatError::Json { source: error.into() })),
        }
    }

    /// Fetches the release that was published last, as far as it is not here; from then on it is
    /// [ready](Self::ready). Returns whether another release is ready than before.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if it cannot be fetched or is damaged.
    pub async fn prepare(&mut self) -> Result<bool, ReleaseStoreError> {
        let Some(name) = self.current.as_ref().map(|current| current.release.clone()) else {
            return Ok(false);
        };
        let is_published = |release: &Option<Release>| {
            release.as_ref().is_some_and(|release| release.id == name.id)
        };
        if is_published(&self.ready) {
            return Ok(false);
        }
        self.ready = None;
        if is_published(&self.active) {
            return Ok(false);
        }
        if self.fetching.as_ref() != Some(&name.id) {
            // What is left of a release that was never served.
            self.clean().await?;
            self.fetching = Some(name.id.clone());
        }
        let release = self.fetch(&name).await?;
        self.check_age(&release, self.active.as_ref())?;
        self.ready = Some(release);
        Ok(true)
    }

    /// Records that a release is served from now on.
    ///
    /// # Errors
    /// [`ReleaseStoreError::File`], if the record cannot be written; the release is active all the same.
    #[expect(clippy::missing_panics_doc, reason = "no panic is possible")]
    pub async fn record_active(&mut self, release: Release) -> Result<(), ReleaseStoreError> {
        if self.ready.as_ref().is_some_and(|ready| ready.id == release.id) {
            self.ready = None;
        }
        let path = self.folder.join(ACTIVE);
        let active = Active { release: release.clone() };
        self.active = Some(release);
        let text = serde_json::to_vec_pretty(&active).expect("plain data has a JSON text");
        let write = {
            let path = path.clone();
            move || Ok(durable_file::write(&path, Access::Everyone, &text)?)
        };
        blocking(&path, write).await
    }

    /// Fetches the prefilter of the active release and those of its levels as property lists, if the publisher has given them
    /// out: each with the name of its level, which is empty for the whole data set. The next [`clean`](Self::clean) removes
    /// them.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails, or a file is not what the release says.
    pub async fn fetch_filters(&self) -> Result<Option<Vec<(String, PathBuf)>>, ReleaseStoreError> {
        let Some(release) = &self.active else { return Ok(None) };
        if let Some(name) = release.overlong_filter() {
            let name = format!("{}/{name} of release {}", self.store.address(), release.id);
            return Err(ReleaseStoreError::Damaged { name, damage: Damage::TooLong });
        }
        if !self.store.has_filter_by_content(release).await? {
            return Ok(None);
        }
        let mut fetched = Vec::new();
        for file in release.filter_files() {
            let level = match level_of(&file.name) {
                Some((level, "plist")) => level,
                _ if file.name == PLIST => "",
                _ => continue,
            };
            let path = self.folder.join("objects").join(&file.sha256);
            let (known, expected) = (path.clone(), file.clone());
            let is_here = blocking(&path, move || Ok(is_whole(&known, &expected))).await?;
            if !is_here {
                self.store.fetch_object(file, &path).await?;
            }
            fetched.push((level.to_owned(), path));
        }
        Ok(Some(fetched))
    }

    async fn fetch(&mut self, name: &ReleaseName) -> Result<Release, ReleaseStoreError> {
        let release = self.store.release(name).await?;
        let release_name = format!("{}/releases/{}", self.store.address(), name.id);
        let damaged = |damage| ReleaseStoreError::Damaged { name: release_name.clone(), damage };
        if release.use_case != self.use_case {
            return Err(damaged(Damage::UseCase));
        }
        let bytes = release.data_files().map(|file| file.bytes).fold(0, u64::saturating_add);
        if bytes > self.max_bytes {
            let (name, max) = (release_name.clone(), self.max_bytes);
            return Err(ReleaseStoreError::TooLarge { name, bytes, max });
        }
        let missing = self.link(&release, release.data_files().cloned().collect()).await?;
        let objects = self.folder.join("objects");
        let deltas = match missing.is_empty() {
            true => None,
            false => self.deltas(&release).await,
        };
        for file in &missing {
            if let Some(deltas) = &deltas
                && self.rebuild(file, deltas).await
            {
                continue;
            }
            self.store.fetch_object(file, &objects.join(&file.sha256)).await?;
            self.fetched.whole += 1;
            self.fetched.bytes += file.bytes;
        }
        match self.link(&release, missing).await?.first() {
            None => Ok(release),
            Some(_) => Err(damaged(Damage::Unstable)),
        }
    }

    /// Gives the files of a release that are here and whole their names, and returns the others.
    async fn link(
        &self,
        release: &Release,
        files: Vec<ReleasedFile>,
    ) -> Result<Vec<ReleasedFile>, ReleaseStoreError> {
        let objects = self.folder.join("objects");
        let folder = self.folder.join("releases").join(&release.id);
        blocking(&self.folder, move || {
            for folder in [&objects, &folder] {
                fs::create_dir_all(folder).map_err(file_error(Operation::Write, folder))?;
            }
            let mut missing = Vec::new();
            for file in files {
                let object = objects.join(&file.sha256);
                if is_whole(&object, &file) {
                    link_as(&object, &folder.join(&file.name))?;
                } else {
                    missing.push(file);
                }
            }
            Ok(missing)
        })
        .await
    }

    /// Removes the files of releases that are neither served nor ready. The system keeps files that are mapped
    /// until they are unmapped.
    ///
    /// # Errors
    /// [`ReleaseStoreError::File`], if a file cannot be removed.
    pub async fn clean(&self) -> Result<(), ReleaseStoreError> {
        let kept: Vec<Release> = self.active.iter().chain(&self.ready).cloned().collect();
        let folder = self.folder.clone();
        blocking(&self.folder, move || {
            let entries = |folder: &Path| -> Vec<PathBuf> {
                let entries = fs::read_dir(folder).into_iter().flatten().flatten();
                entries.map(|entry| entry.path()).collect()
            };
            let named = |path: &Path, name: &str| path.file_name().is_some_and(|file| file == name);
            for path in entries(&folder.join("releases")) {
                if !kept.iter().any(|release| named(&path, &release.id)) {
                    fs::remove_dir_all(&path).map_err(file_error(Operation::Write, &path))?;
                }
            }
            for path in entries(&folder.join("objects")) {
                let mut files = kept.iter().flat_map(Release::data_files);
                if !files.any(|file| named(&path, &file.sha256)) {
                    fs::remove_file(&path).map_err(file_error(Operation::Write, &path))?;
                }
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Nothing is there to be read: whether the length is refused before is all that differs.
    #[tokio::test]
    async fn a_prefilter_that_is_too_long_is_not_read() {
        use super::super::release::MAX_FILTER_FILE;
        let folder = tempfile::tempdir().unwrap();
        let store = ReleaseStore::open(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap();
        let mut replica = Replica::new(store, "use".to_owned(), folder.path().join("node"));
        let names = ["data-0.bin", "data-0.params.txtpb", "data-manifest.json", PLIST];
        let file =
            |name: &str, bytes| ReleasedFile::new(name.to_owned(), bytes, "a".repeat(64)).unwrap();
        for bytes in [MAX_FILTER_FILE - 1, MAX_FILTER_FILE, MAX_FILTER_FILE + 1] {
            let files = names.iter().map(|name| file(name, bytes)).collect();
            let (id, use_case) = ("1".to_owned(), "use".to_owned());
            let release = Release::new(id, use_case, 1, String::new(), Timestamp::MIN, files);
            replica.active = Some(release.unwrap());
            match replica.fetch_filters().await {
                Ok(found) => assert!(found.is_none() && bytes <= MAX_FILTER_FILE, "{bytes}"),
                Err(ReleaseStoreError::Damaged { damage: Damage::TooLong, .. }) => {
                    assert!(bytes > MAX_FILTER_FILE, "{bytes}");
                }
                Err(error) => panic!("{bytes}: {error}"),
            }
        }
    }

    /// The file is sparse and no JSON: it is read whole, or refused by its length.
    #[tokio::test]
    async fn the_record_of_what_is_served_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        std::fs::create_dir(&store).unwrap();
        let store = ReleaseStore::open(store.to_str().unwrap(), &BTreeMap::new()).unwrap();
        let replica = Replica::new(store, "use".to_owned(), folder.path().to_owned());
        let file = std::fs::File::create(folder.path().join(ACTIVE)).unwrap();
        for length in [MAX_ACTIVE - 1, MAX_ACTIVE, MAX_ACTIVE + 1] {
            file.set_len(length).unwrap();
            let error = replica.last_recorded().await.unwrap_err();
            let is_too_long = matches!(
                error,
                ReleaseStoreError::File(durable_file::FileError::TooLong { max: MAX_ACTIVE, .. })
            );
            assert_eq!(is_too_long, length > MAX_ACTIVE, "{length}: {error}");
        }
    }
}
