//! A node that follows a publication: it gets releases ready, and says when they count.

use super::place::{Mark, Place, PlaceError, file_error};
use super::{Current, Release, ReleaseName, ReleasedFile, STEM};
use crate::digest::file_sha256;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Releases of one use case, on this machine.
///
/// ```text
/// <folder>/active.json              the release that is served
/// <folder>/objects/<SHA-256>        files as they were fetched
/// <folder>/releases/<id>/…          the same by their names
/// ```
pub struct Follower {
    place: Place,
    use_case: String,
    folder: PathBuf,
    mark: Option<Mark>,
    current: Option<Current>,
    active: Option<Release>,
    /// Here and checked, but not served yet.
    ready: Option<Release>,
}

/// How far a node is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The release that is served.
    pub active: Option<String>,
    /// The next one, if it is here and checked.
    pub ready: Option<String>,
    /// The release that was published last.
    pub published: Option<String>,
    /// When it counts, in seconds since 1970.
    pub activate_at: Option<u64>,
}

/// `active.json`: what is served when the publication cannot be reached at the start.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Active {
    release: Release,
}

/// Whether a file is what a release says.
fn is_whole(path: &Path, file: &ReleasedFile) -> bool {
    fs::metadata(path).is_ok_and(|about| about.len() == file.bytes)
        && file_sha256(path).is_ok_and(|digest| digest == file.sha256)
}

/// Runs what may block for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PlaceError> + Send + 'static,
) -> Result<T, PlaceError> {
    let task = tokio::task::spawn_blocking(work);
    task.await.unwrap_or_else(|error| {
        Err(PlaceError::File { path: PathBuf::new(), source: io::Error::other(error) })
    })
}

impl Follower {
    /// One that knows nothing yet. The folder is made when something comes.
    pub fn new(place: Place, use_case: String, folder: PathBuf) -> Self {
        Self { place, use_case, folder, mark: None, current: None, active: None, ready: None }
    }

    /// How far this node is.
    pub fn standing(&self) -> Standing {
        let id = |release: &Option<Release>| release.as_ref().map(|release| release.id.clone());
        Standing {
            active: id(&self.active),
            ready: id(&self.ready),
            published: self.current.as_ref().map(|current| current.release.id.clone()),
            activate_at: self.current.as_ref().and_then(|current| current.activate_at),
        }
    }

    /// The release that is served.
    pub fn active(&self) -> Option<&Release> {
        self.active.as_ref()
    }

    /// The one that is here and checked, but not served yet.
    pub fn ready(&self) -> Option<&Release> {
        self.ready.as_ref()
    }

    /// Whether the release that is ready counts by now.
    pub fn is_due(&self, now: u64) -> bool {
        let counts = self.current.as_ref().map(|current| current.counts(now));
        self.ready.as_ref().is_some_and(|ready| counts.is_some_and(|name| name.id == ready.id))
    }

    /// What the names of a release's data files begin with.
    pub fn stem(&self, release: &Release) -> PathBuf {
        self.folder.join("releases").join(&release.id).join(STEM)
    }

    /// Looks whether something else was published.
    pub async fn look(&mut self) -> Result<(), PlaceError> {
        if let Some((current, mark)) = self.place.current(self.mark.as_ref()).await? {
            self.current = Some(current);
            self.mark = Some(mark);
        }
        Ok(())
    }

    /// The release to serve at a time, brought here if it is not; none if nothing was published.
    pub async fn fetch_counting(&mut self, now: u64) -> Result<Option<Release>, PlaceError> {
        match &self.current {
            Some(current) => Ok(Some(self.fetch(&current.counts(now).clone()).await?)),
            None => Ok(None),
        }
    }

    /// The release that this machine served last.
    pub async fn recall(&self) -> Option<Release> {
        let path = self.folder.join("active.json");
        let text = blocking(move || fs::read(&path).map_err(file_error(&path))).await.ok()?;
        let active: Active = serde_json::from_slice(&text).ok()?;
        // Checked like one that comes from elsewhere, and its files with it.
        let text = serde_json::to_vec(&active.release).ok()?;
        let release = Release::parse(&text).ok()?;
        let files = release.data_files().cloned().collect();
        self.link(&release, files).await.ok()?.is_empty().then_some(release)
    }

    /// Brings the release that was published last here, if it is not: from then on it is ready.
    /// Tells whether it was not before.
    pub async fn prepare(&mut self) -> Result<bool, PlaceError> {
        let Some(name) = self.current.as_ref().map(|current| current.release.clone()) else {
            return Ok(false);
        };
        let is_it = |release: &Option<Release>| {
            release.as_ref().is_some_and(|release| release.id == name.id)
        };
        if is_it(&self.ready) {
            return Ok(false);
        }
        if is_it(&self.active) {
            self.ready = None;
            return Ok(false);
        }
        self.ready = None;
        self.ready = Some(self.fetch(&name).await?);
        Ok(true)
    }

    /// A release is served from now on.
    pub async fn activated(&mut self, release: Release) -> Result<(), PlaceError> {
        if self.ready.as_ref().is_some_and(|ready| ready.id == release.id) {
            self.ready = None;
        }
        let path = self.folder.join("active.json");
        let active = Active { release: release.clone() };
        self.active = Some(release);
        blocking(move || {
            let text = serde_json::to_vec_pretty(&active)
                .map_err(|error| file_error(&path)(io::Error::other(error)))?;
            let beside = path.with_extension("json.new");
            fs::File::create(&beside)
                .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
                .map_err(file_error(&beside))?;
            fs::rename(&beside, &path).map_err(file_error(&path))
        })
        .await
    }

    async fn fetch(&self, name: &ReleaseName) -> Result<Release, PlaceError> {
        let release = self.place.release(name).await?;
        let key = || format!("{}/releases/{}", self.place.address(), name.id);
        if release.use_case != self.use_case {
            let reason = "it is of another use case";
            return Err(PlaceError::Damaged { key: key(), reason });
        }
        let missing = self.link(&release, release.data_files().cloned().collect()).await?;
        for file in &missing {
            let objects = self.folder.join("objects");
            let beside = objects.join(format!("{}.new", file.sha256));
            self.place.fetch_object(file, &beside).await?;
            let path = objects.join(&file.sha256);
            tokio::fs::rename(&beside, &path).await.map_err(file_error(&path))?;
        }
        match self.link(&release, missing).await?.first() {
            None => Ok(release),
            Some(_) => {
                Err(PlaceError::Damaged { key: key(), reason: "it does not stay as it was" })
            }
        }
    }

    /// Gives those files of a release that are here and whole their names, and returns the others.
    async fn link(
        &self,
        release: &Release,
        files: Vec<ReleasedFile>,
    ) -> Result<Vec<ReleasedFile>, PlaceError> {
        let objects = self.folder.join("objects");
        let folder = self.folder.join("releases").join(&release.id);
        blocking(move || {
            for folder in [&objects, &folder] {
                fs::create_dir_all(folder).map_err(file_error(folder))?;
            }
            let mut missing = Vec::new();
            for file in files {
                let (object, named) = (objects.join(&file.sha256), folder.join(&file.name));
                if !is_whole(&object, &file) {
                    missing.push(file);
                    continue;
                }
                // Under another name first: what is there may be in use.
                let beside = folder.join(format!("{}.new", file.name));
                let _ = fs::remove_file(&beside);
                fs::hard_link(&object, &beside)
                    .or_else(|_| fs::copy(&object, &beside).map(drop))
                    .map_err(file_error(&beside))?;
                fs::rename(&beside, &named).map_err(file_error(&named))?;
            }
            Ok(missing)
        })
        .await
    }

    /// Removes what is neither served nor ready. Files that are still mapped stay until they are not.
    pub async fn clean(&self) -> Result<(), PlaceError> {
        let kept: Vec<Release> = self.active.iter().chain(&self.ready).cloned().collect();
        let folder = self.folder.clone();
        blocking(move || {
            let entries = |folder: &Path| -> Vec<PathBuf> {
                let entries = fs::read_dir(folder).into_iter().flatten().flatten();
                entries.map(|entry| entry.path()).collect()
            };
            let named = |path: &Path, name: &str| path.file_name().is_some_and(|file| file == name);
            for path in entries(&folder.join("releases")) {
                if !kept.iter().any(|release| named(&path, &release.id)) {
                    fs::remove_dir_all(&path).map_err(file_error(&path))?;
                }
            }
            for path in entries(&folder.join("objects")) {
                let mut files = kept.iter().flat_map(Release::data_files);
                if !files.any(|file| named(&path, &file.sha256)) {
                    fs::remove_file(&path).map_err(file_error(&path))?;
                }
            }
            Ok(())
        })
        .await
    }
}
