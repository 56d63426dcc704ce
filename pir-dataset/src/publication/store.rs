//! The store of a publication: a bucket of S3 or a compatible service, of Google Cloud Storage or Azure, or a
//! folder.

mod deltas;
mod error;
mod read_timeout;
mod retention;
#[cfg(feature = "publisher")]
mod signing;

use super::current::Current;
use super::release::{
    FILTER, KINDS, MAX_CURRENT, MAX_TEXT, Release, ReleaseName, ReleasedFile, level_of,
};
use crate::Cause;
use crate::digest::sha256;
use bytes::Bytes;
use durable_file::{Access, Operation, PendingFile};
use futures_util::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
    WriteMultipart,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) use error::file_error;
pub use error::{Damage, ReleaseStoreError};
use read_timeout::{Pieces, READ_TIMEOUT, has_timed_out, in_time};

/// An error of the `object_store` crate as one cause. Some of its messages repeat their causes and others do
/// not, so what every cause adds is put together here, once.
fn cause(error: &(dyn std::error::Error + 'static)) -> Cause {
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    for cause in causes.map(|cause| cause.to_string()) {
        if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text.into()
}

/// Where the clouds give credentials to their machines. It is asked if no others are configured.
const MACHINE_CREDENTIALS: &str = "169.254.169.254";

/// The variables that hold credentials of a store with this address.
fn credential_variables(address: &str) -> &'static str {
    match address.split_once("://") {
        Some(("gs", _)) => "GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS",
        Some(("az" | "azure" | "abfs" | "abfss" | "adl", _)) => {
            "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
        }
        _ => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    }
}

/// The revision of `current.json`, for changing it only if no other publisher has changed it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(UpdateVersion);

/// Why reading `current.json` gave nothing.
enum ReadError {
    NotModified,
    Failed(ReleaseStoreError),
}

impl From<ReleaseStoreError> for ReadError {
    fn from(error: ReleaseStoreError) -> Self {
        Self::Failed(error)
    }
}

/// The store of a publication, by its address.
#[derive(Clone)]
pub struct ReleaseStore {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    address: String,
    /// Whether it is a folder of this machine.
    is_folder: bool,
}

pub(super) const CURRENT: &str = "current.json";
/// How old a link beside a prefilter is at least when it is removed.
const MIN_LINK_AGE: Duration = Duration::from_secs(3600);

fn release_key(id: &str) -> String {
    format!("releases/{id}/release.json")
}

/// Name of the list of deltas of a release.
fn deltas_key(id: &str) -> String {
    format!("releases/{id}/deltas.json")
}

/// Name of the signature of a release.
fn signature_key(id: &str) -> String {
    format!("{}.minisig", release_key(id))
}

impl ReleaseStore {
    /// Opens the store of an address: `s3://bucket/path`, `gs://…`, `az://…`, `https://…` of these services,
    /// `file:///folder`, or the path of a folder. Credentials and endpoints come from the environment
    /// (`AWS_…`, `GOOGLE_…`, `AZURE_…`) and from options of the same names, which take precedence.
    ///
    /// # Errors
    /// [`ReleaseStoreError::Address`] or [`ReleaseStoreError::CloudNotSupported`]. Nothing is read yet.
    pub fn open(
        address: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, ReleaseStoreError> {
        let wrong =
            |source: Cause| ReleaseStoreError::Address { address: address.to_owned(), source };
        let url = match url::Url::parse(address) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                let path = std::path::absolute(address).map_err(|error| wrong(error.into()))?;
                url::Url::from_directory_path(path)
                    .map_err(|()| wrong("neither an address nor a folder".into()))?
            }
            Err(error) => return Err(wrong(error.into())),
        };
        let (store, prefix): (Arc<dyn ObjectStore>, Key) = if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| wrong("not a local folder".into()))?;
            let key = Key::from_absolute_path(&path).map_err(|error| wrong(cause(&error)))?;
            (Arc::new(LocalFileSystem::new().with_fsync(true)), key)
        } else {
            let is_cloud = !matches!(url.scheme(), "memory")
                && object_store::ObjectStoreScheme::parse(&url).is_ok();
            if is_cloud && cfg!(not(feature = "cloud")) {
                return Err(ReleaseStoreError::CloudNotSupported { address: address.to_owned() });
            }
            let known = ["AWS_", "GOOGLE_", "AZURE_"];
            let environment = std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .filter(|(key, _)| known.iter().any(|known| key.starts_with(known)))
                .map(|(key, value)| (key.to_ascii_lowercase(), value));
            let all: BTreeMap<String, String> = environment
                .chain(options.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone())))
                .collect();
            let (store, prefix) =
                object_store::parse_url_opts(&url, all).map_err(|error| wrong(cause(&error)))?;
            (Arc::from(store), prefix)
        };
        let is_folder = url.scheme() == "file";
        Ok(Self { store, prefix, address: address.trim_end_matches('/').to_owned(), is_folder })
    }

    /// The address as it was given, without `/` at its end.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// Address and name, for messages.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    fn failed(&self, name: &str) -> impl FnOnce(Error) -> ReleaseStoreError {
        let name = self.name(name);
        move |error| match error {
            Error::Precondition { .. } | Error::AlreadyExists { .. } => {
                ReleaseStoreError::Changed { name }
            }
            Error::NotFound { .. } => ReleaseStoreError::NotFound { name, source: cause(&error) },
            error if has_timed_out(&error) => {
                ReleaseStoreError::Silent { name, silence: READ_TIMEOUT }
            }
            error => {
                let source = cause(&error);
                if source.to_string().contains(MACHINE_CREDENTIALS) {
                    let variables = credential_variables(&name);
                    return ReleaseStoreError::Credentials { name, variables, source };
                }
                ReleaseStoreError::Store { name, source }
            }
        }
    }

    fn damaged(&self, name: &str, damage: Damage) -> ReleaseStoreError {
        ReleaseStoreError::Damaged { name: self.name(name), damage }
    }

    /// Reads a text of at most `max` bytes.
    async fn text(
        &self,
        name: &str,
        options: GetOptions,
        max: usize,
    ) -> Result<(Bytes, Revision), ReadError> {
        let result = match in_time(self.store.get_opts(&self.key(name), options)).await {
            Err(Error::NotModified { .. }) => return Err(ReadError::NotModified),
            result => result.map_err(self.failed(name))?,
        };
        let revision = UpdateVersion {
            e_tag: result.meta.e_tag.clone(),
            version: result.meta.version.clone(),
        };
        let mut text = Vec::new();
        let mut pieces = Pieces::of(result);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(self.failed(name))?;
            if text.len() + piece.len() > max {
                return Err(self.damaged(name, Damage::TooLong).into());
            }
            text.extend_from_slice(&piece);
        }
        Ok((text.into(), Revision(revision)))
    }

    /// Reads `current.json`; `None` if nothing was published yet, or if its revision is still the known one.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails or the text cannot be used.
    pub async fn current(
        &self,
        known: Option<&Revision>,
    ) -> Result<Option<(Current, Revision)>, ReleaseStoreError> {
        let if_none_match = known.and_then(|revision| revision.0.e_tag.clone());
        let options = GetOptions { if_none_match, ..GetOptions::default() };
        let (text, revision) = match self.text(CURRENT, options, MAX_CURRENT).await {
            Ok(read) => read,
            Err(ReadError::NotModified) => return Ok(None),
            Err(ReadError::Failed(error)) if error.is_not_found() && known.is_none() => {
                return Ok(None);
            }
            Err(ReadError::Failed(error)) => return Err(error),
        };
        let current = Current::parse(&text)
            .map_err(|source| ReleaseStoreError::Format { name: self.name(CURRENT), source })?;
        Ok(Some((current, revision)))
    }

    /// Writes `current.json`, if its revision still is the known one, or if there is none and none is known.
    /// Stores that cannot compare revisions are overwritten.
    ///
    /// # Errors
    /// [`ReleaseStoreError::Changed`] if another publisher was faster; [`ReleaseStoreError`] if the store
    /// fails.
    pub async fn set_current(
        &self,
        current: &Current,
        known: Option<&Revision>,
    ) -> Result<Revision, ReleaseStoreError> {
        let mode = match known {
            Some(revision) => PutMode::Update(revision.0.clone()),
            None => PutMode::Create,
        };
        let text = Bytes::from(json(current));
        let put = async |mode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&self.key(CURRENT), text.clone().into(), options).await
        };
        let mut outcome = put(mode).await;
        if let Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) = outcome {
            outcome = put(PutMode::Overwrite).await;
        }
        let result = outcome.map_err(self.failed(CURRENT))?;
        Ok(Revision(UpdateVersion { e_tag: result.e_tag, version: result.version }))
    }

    /// Reads a release and verifies its digest.
    ///
    /// # Errors
    /// [`ReleaseStoreError::Damaged`] if it has another digest; [`ReleaseStoreError`] if the store fails or
    /// the text cannot be used.
    pub async fn release(&self, name: &ReleaseName) -> Result<Release, ReleaseStoreError> {
        let (key, text) = self.release_text(&name.id).await?;
        if sha256(&text) != name.sha256 {
            return Err(self.damaged(&key, Damage::Digest));
        }
        self.parse_release(&key, &text)
    }

    /// Reads a text as it is now.
    async fn present_text(&self, name: &str) -> Result<Bytes, ReleaseStoreError> {
        match self.text(name, GetOptions::default(), MAX_TEXT).await {
            Ok((text, _)) => Ok(text),
            Err(ReadError::Failed(error)) => Err(error),
            Err(ReadError::NotModified) => Err(ReleaseStoreError::Store {
                name: self.name(name),
                source: "the store says that it was not modified, which was not asked".into(),
            }),
        }
    }

    async fn release_text(&self, id: &str) -> Result<(String, Bytes), ReleaseStoreError> {
        let key = release_key(id);
        let text = self.present_text(&key).await?;
        Ok((key, text))
    }

    fn parse_release(&self, key: &str, text: &[u8]) -> Result<Release, ReleaseStoreError> {
        Release::parse(text)
            .map_err(|source| ReleaseStoreError::Format { name: self.name(key), source })
    }

    /// Writes `release.json`. The objects of the release must be there already.
    ///
    /// # Errors
    /// [`ReleaseStoreError::Changed`] if a release of this name exists; [`ReleaseStoreError`] if the store
    /// fails.
    pub async fn put_release(&self, release: &Release) -> Result<ReleaseName, ReleaseStoreError> {
        let text = json(release);
        let name = ReleaseName::new(release.id.clone(), sha256(&text))
            .map_err(|source| ReleaseStoreError::Format { name: release.id.clone(), source })?;
        let key = release_key(&release.id);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&self.key(&key), Bytes::from(text).into(), options).await;
        put.map_err(self.failed(&key))?;
        Ok(name)
    }

    /// The ids of all releases, in no particular order.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    pub async fn releases(&self) -> Result<Vec<String>, ReleaseStoreError> {
        let listed = self.store.list(Some(&self.key("releases")));
        let listed: Vec<ObjectMeta> =
            listed.try_collect().await.map_err(self.failed("releases"))?;
        let id = |object: &ObjectMeta| {
            let mut parts = object.location.parts().rev();
            let is_release = parts.next()?.as_ref() == "release.json";
            is_release.then_some(parts.next()?.as_ref().to_owned())
        };
        Ok(listed.iter().filter_map(id).collect())
    }

    /// Reads a release by its id alone, such as one to go back to.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails or the text cannot be used.
    pub async fn release_by_id(
        &self,
        id: &str,
    ) -> Result<(ReleaseName, Release), ReleaseStoreError> {
        let (key, text) = self.release_text(id).await?;
        let release = self.parse_release(&key, &text)?;
        let name = ReleaseName::new(id.to_owned(), sha256(&text))
            .map_err(|source| ReleaseStoreError::Format { name: self.name(&key), source })?;
        Ok((name, release))
    }

    fn object(file: &ReleasedFile) -> String {
        format!("objects/{}", file.sha256)
    }

    /// Address and name of an object, for messages.
    pub(super) fn object_name(&self, sha256: &str) -> String {
        format!("{}/objects/{sha256}", self.address)
    }

    /// Uploads a file under its digest, unless it is there already. Returns whether it was uploaded.
    ///
    /// # Errors
    /// [`ReleaseStoreError::FileChanged`] if the file has another digest by now; [`ReleaseStoreError`] if the
    /// store fails or the file cannot be read.
    pub async fn put_object(
        &self,
        file: &ReleasedFile,
        path: &Path,
    ) -> Result<bool, ReleaseStoreError> {
        let name = Self::object(file);
        match in_time(self.store.head(&self.key(&name))).await {
            Ok(about) if about.size == file.bytes => return Ok(false),
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(self.failed(&name)(error)),
        }
        let unreadable = |error| file_error(Operation::Read, path)(error);
        let mut input = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let mut out = BufWriter::new(Arc::clone(&self.store), self.key(&name));
        let mut digest = Sha256::new();
        let mut piece = vec![0; 1 << 20];
        loop {
            let read = input.read(&mut piece).await.map_err(unreadable)?;
            if read == 0 {
                break;
            }
            digest.update(&piece[..read]);
            let written = out.write_all(&piece[..read]).await;
            written.map_err(|error| self.failed(&name)(generic(error)))?;
        }
        if hex::encode(digest.finalize()) != file.sha256 {
            // The object stays incomplete and invisible if even that fails.
            let _ = out.abort().await;
            return Err(ReleaseStoreError::FileChanged { path: path.to_owned() });
        }
        out.shutdown().await.map_err(|error| self.failed(&name)(generic(error)))?;
        Ok(true)
    }

    /// Fetches a file to this machine and verifies it. It appears under its name whole and durable.
    ///
    /// # Errors
    /// [`ReleaseStoreError::Damaged`] if it has another length or digest; [`ReleaseStoreError`] if the store
    /// fails or the file cannot be written.
    pub async fn fetch_object(
        &self,
        file: &ReleasedFile,
        to: &Path,
    ) -> Result<(), ReleaseStoreError> {
        let name = Self::object(file);
        let result = self.get(&self.key(&name)).await.map_err(self.failed(&name))?;
        if result.meta.size != file.bytes {
            return Err(self.damaged(&name, Damage::Length));
        }
        let unwritable = |error| file_error(Operation::Write, to)(error);
        let mut pending = PendingFile::create(to, Access::Everyone)?;
        let mut out =
            tokio::fs::File::from_std(pending.file_mut().try_clone().map_err(unwritable)?);
        let mut digest = Sha256::new();
        let mut length = 0;
        let mut pieces = Pieces::of(result);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(self.failed(&name))?;
            length += piece.len() as u64;
            if length > file.bytes {
                return Err(self.damaged(&name, Damage::Length));
            }
            digest.update(&piece);
            out.write_all(&piece).await.map_err(unwritable)?;
        }
        out.flush().await.map_err(unwritable)?;
        if hex::encode(digest.finalize()) != file.sha256 {
            return Err(self.damaged(&name, Damage::Digest));
        }
        blocking(to, move || Ok(pending.commit()?)).await
    }

    /// Copies the prefilter of a release to where apps fetch it, the metadata last.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    pub async fn set_filter(&self, release: &Release) -> Result<(), ReleaseStoreError> {
        let mut files: Vec<&ReleasedFile> = release.filter_files().collect();
        files.sort_by_key(|file| file.name.ends_with(".json"));
        for file in files {
            let (from, to) = (self.key(&Self::object(file)), self.key(&file.name));
            let copied = match self.is_folder {
                true => self.copy_in_folder(&from, &to).await,
                false => self.store.copy(&from, &to).await,
            };
            copied.map_err(self.failed(&file.name))?;
        }
        if self.is_folder {
            self.remove_left_links();
        }
        Ok(())
    }

    /// Writes a file anew. The store would link it, and a link that replaces another to the same file leaves both (POSIX,
    /// `rename`).
    async fn copy_in_folder(&self, from: &Key, to: &Key) -> Result<(), Error> {
        let mut pieces = Pieces::of(self.get(from).await?);
        let mut copy = WriteMultipart::new(self.store.put_multipart(to).await?);
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => copy.write(&piece),
                Err(error) => {
                    copy.abort().await?;
                    return Err(error);
                }
            }
        }
        copy.finish().await.map(drop)
    }

    /// Removes the links that earlier versions left beside prefilters: `NAME#0`, `NAME#1` and so on, which the store does not
    /// list. What cannot be removed takes space, and nothing reads it.
    fn remove_left_links(&self) {
        let folder = format!("/{}", self.key(FILTER.trim_end_matches('/')));
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_left = entry.file_name().to_str().is_some_and(|name| {
                name.rsplit_once('#').is_some_and(|(name, number)| {
                    let is_number =
                        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                    is_number && KINDS.iter().any(|kind| name.ends_with(&format!(".{kind}")))
                })
            });
            // Another publisher's file that is being written has such a name, too.
            let is_old = entry
                .metadata()
                .and_then(|about| about.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > MIN_LINK_AGE));
            if is_left && is_old {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Removes what apps are given of levels that a release has not: keys of such a level may have no row any more.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    pub async fn remove_other_levels(&self, release: &Release) -> Result<(), ReleaseStoreError> {
        let listed = self.store.list(Some(&self.key(FILTER.trim_end_matches('/'))));
        let listed: Vec<ObjectMeta> = listed.try_collect().await.map_err(self.failed(FILTER))?;
        for object in listed {
            let Some(name) = object.location.filename() else { continue };
            let name = format!("{FILTER}{name}");
            let is_known = release.filter_files().any(|file| file.name == name);
            if level_of(&name).is_some() && !is_known {
                self.store.delete(&object.location).await.map_err(self.failed(&name))?;
            }
        }
        Ok(())
    }

    /// Whether there are files of the lengths of a release's prefilters where apps fetch them. Their content is not read, as
    /// [`has_filter_by_content`](Self::has_filter_by_content) does: this is for who looks often, and from afar.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    pub async fn has_filter_by_length(&self, release: &Release) -> Result<bool, ReleaseStoreError> {
        for file in release.filter_files() {
            match in_time(self.store.head(&self.key(&file.name))).await {
                Ok(found) if found.size == file.bytes => {}
                Ok(_) | Err(Error::NotFound { .. }) => return Ok(false),
                Err(error) => return Err(self.failed(&file.name)(error)),
            }
        }
        Ok(true)
    }

    /// Whether apps are given the prefilter of a release, and those of its levels, by the digests of the files. Reads all of them.
    ///
    /// # Errors
    /// [`ReleaseStoreError`], if the store fails.
    pub async fn has_filter_by_content(
        &self,
        release: &Release,
    ) -> Result<bool, ReleaseStoreError> {
        for file in release.filter_files() {
            let found = match self.get(&self.key(&file.name)).await {
                Ok(found) if found.meta.size != file.bytes => return Ok(false),
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(false),
                Err(error) => return Err(self.failed(&file.name)(error)),
            };
            let (mut digest, mut length) = (Sha256::new(), 0);
            let mut pieces = Pieces::of(found);
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(self.failed(&file.name))?;
                length += piece.len() as u64;
                if length > file.bytes {
                    return Ok(false);
                }
                digest.update(&piece);
            }
            if hex::encode(digest.finalize()) != file.sha256 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn generic(error: std::io::Error) -> Error {
    Error::Generic { store: "object store", source: Box::new(error) }
}

/// The text of a file of the publication. Equal values give equal bytes.
fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data has a JSON text");
    text.push(b'\n');
    text
}

/// Runs work that may wait for the disk. `path` is the file or folder that the work is about.
pub(super) async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ReleaseStoreError> + Send + 'static,
) -> Result<T, ReleaseStoreError> {
    let task = tokio::task::spawn_blocking(work).await;
    task.unwrap_or_else(|error| Err(file_error(Operation::Write, path)(io::Error::other(error))))
}

#[cfg(test)]
mod tests;
