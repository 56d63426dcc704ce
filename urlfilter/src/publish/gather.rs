//! What is to be published, checked before anything leaves this machine.

use crate::process::{Manifest, file_digest, hex, keywords_digest};
use anyhow::{Context, bail, ensure};
use blocklist::builder::{DATA_SET_FILE, PLIST_FILE};
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use keyword_pir::KeywordHash;
use pir_api::rows::{self, Encoding, RowKind, RowsError};
use pir_server::publication::{FILTER, ReleasedFile, STEM};
use rayon::prelude::*;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The files of a release, with where they are.
pub(crate) struct Gathered {
    pub(crate) files: Vec<(ReleasedFile, PathBuf)>,
    pub(crate) config_id: String,
    pub(crate) shard_count: u32,
    pub(crate) rows: u64,
}

/// A path that something is appended to.
fn beside(stem: &Path, ending: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// A file by what it holds now; `expected` is what its maker said.
fn file(
    name: String,
    path: PathBuf,
    expected: Option<&str>,
) -> anyhow::Result<(ReleasedFile, PathBuf)> {
    let shown = path.display();
    let bytes = fs::metadata(&path).with_context(|| shown.to_string())?.len();
    let sha256 = file_digest(&path).with_context(|| format!("{shown}: cannot be read"))?;
    if expected.is_some_and(|expected| expected != sha256) {
        bail!("{shown}: not what the manifest of the data set says; run `urlfilter process` again");
    }
    Ok((ReleasedFile { name, bytes, sha256 }, path))
}

/// Reads the keywords of a prefilter's build, and sees that the prefilter has them all.
fn keywords(filter: &Path) -> anyhow::Result<String> {
    let (prefilter, _) =
        filter_core::file::open(filter).with_context(|| filter.display().to_string())?;
    let path = filter.join(DATA_SET_FILE);
    let name = || path.display().to_string();
    let input = File::open(&path).with_context(name)?;
    let mut hashes = Vec::new();
    let mut lost = 0_u64;
    rows::read(input, Encoding::Text, RowKind::Keyword, |row| {
        hashes.push(KeywordHash::of(row.keyword));
        lost += u64::from(!prefilter.filter.contains(row.keyword));
        Ok::<_, RowsError>(())
    })
    .with_context(name)?;
    ensure!(
        lost == 0,
        "{}: {lost} of {} rows are not found in the prefilter beside it; run `urlfilter build` again",
        name(),
        hashes.len()
    );
    Ok(hex(&keywords_digest(hashes)))
}

/// Gathers a data set and its prefilter.
///
/// # Errors
/// If a file is missing or not what the manifest says, or the two are not of one build.
pub(crate) fn gather(stem: &Path, filter: &Path) -> anyhow::Result<Gathered> {
    let path = beside(stem, "-manifest.json");
    let name = path.display();
    if !path.exists() {
        bail!(
            "{name}: there is no such file; --data is what the names of a data set's files begin with, \
             such as dist/urls, and `urlfilter process` writes it"
        );
    }
    let manifest = Manifest::read(&path)
        .with_context(|| format!("{name}: not a manifest that this version reads"))?;
    ensure!(filter.is_dir(), "{}: not the folder of a prefilter", filter.display());
    match (&manifest.keywords_sha256, keywords(filter)?) {
        (None, _) => bail!(
            "{name}: does not say what keywords it has (it was made by an earlier version, or has rows by \
             number); run `urlfilter process` again"
        ),
        (Some(data), filter_has) if *data != filter_has => bail!(
            "{name} and {}: the data set and the prefilter are not of one build: their keywords differ; run \
             `urlfilter process` on that folder's {DATA_SET_FILE}",
            filter.display()
        ),
        _ => {}
    }
    let shards: Vec<[(ReleasedFile, PathBuf); 2]> = manifest
        .shards
        .par_iter()
        .map(|record| {
            let part = |ending: &str, digest: &str| {
                let ending = format!("-{}{ending}", record.shard);
                file(format!("{STEM}{ending}"), beside(stem, &ending), Some(digest))
            };
            Ok([
                part(".bin", &record.database_sha256)?,
                part(".params.txtpb", &record.parameters_sha256)?,
            ])
        })
        .collect::<anyhow::Result<_>>()?;
    let mut files: Vec<_> = shards.into_iter().flatten().collect();
    files.push(file(format!("{STEM}-manifest.json"), path, None)?);
    for name in [PLIST_FILE, BITS_FILE, METADATA_FILE] {
        let path = filter.join(name);
        if path.exists() {
            files.push(file(format!("{FILTER}{name}"), path, None)?);
        }
    }
    Ok(Gathered {
        files,
        config_id: manifest.config_id,
        shard_count: manifest.shard_count,
        rows: manifest.rows,
    })
}
