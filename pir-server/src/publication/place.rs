//! An address in an object store: a bucket of S3 or what speaks as it does, of Google Cloud Storage, of
//! Azure, or a folder.

use super::{Current, FormatError, MAX_TEXT, Release, ReleaseName, ReleasedFile};
use crate::digest::{hex, sha256};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A publication cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The address is none that can be used.
    #[error("{address}: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed.
    #[error("{key}: {source}")]
    Store {
        /// What was asked for.
        key: String,
        /// What it said.
        source: Error,
    },
    /// Something is not what its digest says.
    #[error("{key}: not what it was when it was published ({reason}); publish again")]
    Damaged {
        /// What was read.
        key: String,
        /// How that was seen.
        reason: &'static str,
    },
    /// A text is not of its form.
    #[error("{key}: {source}")]
    Format {
        /// What was read.
        key: String,
        /// What is wrong.
        source: FormatError,
    },
    /// Another publisher was faster.
    #[error("{0}: it was changed by another publisher meanwhile; look at it, and publish again")]
    Changed(String),
    /// A file on this machine cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl PlaceError {
    /// Whether there is nothing where something was looked for.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Store { source: Error::NotFound { .. }, .. })
    }
}

/// A version of `current.json`, for changing it only if nobody else did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(UpdateVersion);

/// Where publications are.
#[derive(Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    address: String,
}

const JSON: &str = "current.json";

fn release_key(id: &str) -> String {
    format!("releases/{id}/release.json")
}

pub(super) fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> PlaceError {
    let path = path.to_owned();
    move |source| PlaceError::File { path, source }
}

impl Place {
    /// The place of an address: `s3://bucket/path`, `gs://…`, `az://…`, `https://…` of these services,
    /// `file:///folder`, or the path of a folder. Credentials and endpoints come from the environment
    /// (`AWS_…`, `GOOGLE_…`, `AZURE_…`) and from options by the same names, which count more.
    pub fn open(address: &str, options: &BTreeMap<String, String>) -> Result<Self, PlaceError> {
        let wrong = |reason: String| PlaceError::Address { address: address.to_owned(), reason };
        let url = match url::Url::parse(address) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                let path =
                    std::path::absolute(address).map_err(|error| wrong(error.to_string()))?;
                url::Url::from_directory_path(path)
                    .map_err(|()| wrong("neither an address nor a folder".to_owned()))?
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        let (store, prefix): (Arc<dyn ObjectStore>, Key) = if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| wrong("not a local folder".to_owned()))?;
            let key = Key::from_absolute_path(&path).map_err(|error| wrong(error.to_string()))?;
            (Arc::new(LocalFileSystem::new().with_fsync(true)), key)
        } else {
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
            let (store, prefix) = object_store::parse_url_opts(&url, all)
                .map_err(|error| wrong(error.to_string()))?;
            (Arc::from(store), prefix)
        };
        Ok(Self { store, prefix, address: address.trim_end_matches('/').to_owned() })
    }

    /// The address as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    fn failed(&self, name: &str) -> impl FnOnce(Error) -> PlaceError {
        let key = self.name(name);
        move |source| match source {
            Error::Precondition { .. } | Error::AlreadyExists { .. } => PlaceError::Changed(key),
            source => PlaceError::Store { key, source },
        }
    }

    /// Reads a text of bounded length.
    async fn text(&self, name: &str, options: GetOptions) -> Result<(Bytes, Mark), PlaceError> {
        let result = self.store.get_opts(&self.key(name), options).await;
        let result = result.map_err(self.failed(name))?;
        let mark = UpdateVersion {
            e_tag: result.meta.e_tag.clone(),
            version: result.meta.version.clone(),
        };
        let mut text = Vec::new();
        let mut pieces = result.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(self.failed(name))?;
            if text.len() + piece.len() > MAX_TEXT {
                let reason = "it is too long";
                return Err(PlaceError::Damaged { key: self.name(name), reason });
            }
            text.extend_from_slice(&piece);
        }
        Ok((text.into(), Mark(mark)))
    }

    /// What counts now; none if nothing was published yet, or if it is still as marked.
    pub async fn current(
        &self,
        known: Option<&Mark>,
    ) -> Result<Option<(Current, Mark)>, PlaceError> {
        let if_none_match = known.and_then(|mark| mark.0.e_tag.clone());
        let options = GetOptions { if_none_match, ..GetOptions::default() };
        let (text, mark) = match self.text(JSON, options).await {
            Ok(read) => read,
            Err(PlaceError::Store { source: Error::NotModified { .. }, .. }) => return Ok(None),
            Err(error) if error.is_not_found() && known.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        let current = Current::parse(&text)
            .map_err(|source| PlaceError::Format { key: self.name(JSON), source })?;
        Ok(Some((current, mark)))
    }

    /// Changes what counts, unless it is not as marked any more (where the store can tell).
    pub async fn set_current(
        &self,
        current: &Current,
        known: Option<&Mark>,
    ) -> Result<Mark, PlaceError> {
        let mode = match known {
            Some(mark) => PutMode::Update(mark.0.clone()),
            None => PutMode::Create,
        };
        let text = Bytes::from(json(current));
        let put = async |mode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&self.key(JSON), text.clone().into(), options).await
        };
        let mut outcome = put(mode).await;
        if let Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) = outcome {
            outcome = put(PutMode::Overwrite).await;
        }
        let result = outcome.map_err(self.failed(JSON))?;
        Ok(Mark(UpdateVersion { e_tag: result.e_tag, version: result.version }))
    }

    /// Reads a release and checks that it is the one that was published.
    pub async fn release(&self, name: &ReleaseName) -> Result<Release, PlaceError> {
        let (key, text) = self.release_text(&name.id).await?;
        if sha256(&text) != name.sha256 {
            let reason = "its digest";
            return Err(PlaceError::Damaged { key: self.name(&key), reason });
        }
        self.parse_release(&key, &text)
    }

    async fn release_text(&self, id: &str) -> Result<(String, Bytes), PlaceError> {
        let key = release_key(id);
        let (text, _) = self.text(&key, GetOptions::default()).await?;
        Ok((key, text))
    }

    fn parse_release(&self, key: &str, text: &[u8]) -> Result<Release, PlaceError> {
        Release::parse(text).map_err(|source| PlaceError::Format { key: self.name(key), source })
    }

    /// Writes a release, whose objects are there.
    pub async fn put_release(&self, release: &Release) -> Result<ReleaseName, PlaceError> {
        let text = json(release);
        let name = ReleaseName { id: release.id.clone(), sha256: sha256(&text) };
        let key = release_key(&release.id);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&self.key(&key), Bytes::from(text).into(), options).await;
        put.map_err(self.failed(&key))?;
        Ok(name)
    }

    /// Ids of all releases.
    pub async fn releases(&self) -> Result<Vec<String>, PlaceError> {
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

    /// A release that is not the current one, by its id.
    pub async fn release_by_id(&self, id: &str) -> Result<(ReleaseName, Release), PlaceError> {
        let (key, text) = self.release_text(id).await?;
        let release = self.parse_release(&key, &text)?;
        Ok((ReleaseName { id: id.to_owned(), sha256: sha256(&text) }, release))
    }

    fn object(file: &ReleasedFile) -> String {
        format!("objects/{}", file.sha256)
    }

    /// Puts a file where its digest says, unless it is there. Tells whether it had to.
    pub async fn put_object(&self, file: &ReleasedFile, path: &Path) -> Result<bool, PlaceError> {
        let name = Self::object(file);
        match self.store.head(&self.key(&name)).await {
            Ok(about) if about.size == file.bytes => return Ok(false),
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(self.failed(&name)(error)),
        }
        let mut input = tokio::fs::File::open(path).await.map_err(file_error(path))?;
        let mut out = BufWriter::new(Arc::clone(&self.store), self.key(&name));
        let mut digest = Sha256::new();
        let mut piece = vec![0; 1 << 20];
        loop {
            let read = input.read(&mut piece).await.map_err(file_error(path))?;
            if read == 0 {
                break;
            }
            digest.update(&piece[..read]);
            let written = out.write_all(&piece[..read]).await;
            written.map_err(|error| self.failed(&name)(generic(error)))?;
        }
        if hex(&digest.finalize()) != file.sha256 {
            let _ = out.abort().await;
            let source = std::io::Error::other("it was changed while it was published");
            return Err(PlaceError::File { path: path.to_owned(), source });
        }
        out.shutdown().await.map_err(|error| self.failed(&name)(generic(error)))?;
        Ok(true)
    }

    /// Brings a file to this machine, checked, and made durable.
    pub async fn fetch_object(&self, file: &ReleasedFile, to: &Path) -> Result<(), PlaceError> {
        let name = Self::object(file);
        let damaged = |reason| PlaceError::Damaged { key: self.name(&name), reason };
        let result = self.store.get(&self.key(&name)).await.map_err(self.failed(&name))?;
        if result.meta.size != file.bytes {
            return Err(damaged("its length"));
        }
        let mut out = tokio::fs::File::create(to).await.map_err(file_error(to))?;
        let mut digest = Sha256::new();
        let mut length = 0;
        let mut pieces = result.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(self.failed(&name))?;
            length += piece.len() as u64;
            if length > file.bytes {
                return Err(damaged("its length"));
            }
            digest.update(&piece);
            out.write_all(&piece).await.map_err(file_error(to))?;
        }
        out.flush().await.map_err(file_error(to))?;
        out.sync_all().await.map_err(file_error(to))?;
        match hex(&digest.finalize()) == file.sha256 {
            true => Ok(()),
            false => Err(damaged("its digest")),
        }
    }

    /// Copies the prefilter of a release to where apps fetch it, the metadata last.
    pub async fn set_filter(&self, release: &Release) -> Result<(), PlaceError> {
        let mut files: Vec<&ReleasedFile> = release.filter_files().collect();
        files.sort_by_key(|file| file.name.ends_with(".json"));
        for file in files {
            let from = self.key(&Self::object(file));
            self.store.copy(&from, &self.key(&file.name)).await.map_err(self.failed(&file.name))?;
        }
        Ok(())
    }

    /// Whether the prefilter that apps fetch is of that release.
    pub async fn has_filter(&self, release: &Release) -> Result<bool, PlaceError> {
        for file in release.filter_files() {
            let read = match self.store.get(&self.key(&file.name)).await {
                Ok(found) if found.meta.size != file.bytes => return Ok(false),
                Ok(found) => found.bytes().await,
                Err(Error::NotFound { .. }) => return Ok(false),
                Err(error) => Err(error),
            };
            if sha256(&read.map_err(self.failed(&file.name))?) != file.sha256 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes all releases but those, and the objects that only they had, as far as they are older
    /// than a moment (seconds since 1970): another publisher may be at work. Returns how many objects.
    pub async fn retain(&self, ids: &[String], older_than: u64) -> Result<usize, PlaceError> {
        let mut needed = BTreeSet::new();
        let mut gone = Vec::new();
        for id in self.releases().await? {
            if ids.contains(&id) {
                let (_, release) = self.release_by_id(&id).await?;
                needed.extend(release.files.into_iter().map(|file| file.sha256));
            } else {
                gone.push(release_key(&id));
            }
        }
        // First what names them, then what is named.
        for name in gone {
            self.delete(&self.key(&name)).await?;
        }
        let listed = self.store.list(Some(&self.key("objects")));
        let objects: Vec<ObjectMeta> =
            listed.try_collect().await.map_err(self.failed("objects"))?;
        let mut removed = 0;
        for object in objects {
            let is_old = object.last_modified.timestamp() < older_than.cast_signed();
            let is_needed = object.location.filename().is_none_or(|name| needed.contains(name));
            if is_old && !is_needed {
                self.delete(&object.location).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn delete(&self, key: &Key) -> Result<(), PlaceError> {
        match self.store.delete(key).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(PlaceError::Store { key: key.to_string(), source }),
        }
    }
}

fn generic(error: std::io::Error) -> Error {
    Error::Generic { store: "object store", source: Box::new(error) }
}

/// Equal values give equal bytes.
fn json(value: &impl Serialize) -> Vec<u8> {
    // Such plain data always has a text.
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}
