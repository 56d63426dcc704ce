//! Data sets of a private lookup: from rows to the files that a service serves, and from there to its nodes.
//!
//! A *data set* is one version of a database in the form that a PIR service maps: for each shard a processed
//! database and its parameters, and a manifest with the digests of all of them. `docs/formats.md` of the
//! repository specifies every file.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`configuration`] | the configuration of the processing tool, checked while it is read |
//! | [`processing`] | [`Run`](processing::Run): rows to shards, restartable, divisible between machines |
//! | [`manifest`] | [`Manifest`]: what a finished data set consists of |
//! | [`files`] | names of the files of a data set, and parameter files |
//! | [`level`] | several prefilters over one data set: names, and the file that says which build they are of |
//! | [`progress`] | how a long operation reports its progress |
//! | [`tuning`] | which layout a data set should get |
//! | `publication` | releases in a folder or an object store: format, store, publisher, replica |
//!
//! # Example
//! ```
//! use pir_dataset::configuration::Configuration;
//! use pir_dataset::processing::{Outcome, Run};
//! use pir_dataset::{DataSetFiles, Manifest};
//!
//! let folder = tempfile::tempdir()?;
//! let path = |name: &str| folder.path().join(name).display().to_string();
//! std::fs::write(path("rows.txtpb"), r#"rows { keyword: "evil.example" value: "1" }"#)?;
//! let json = serde_json::json!({
//!     "rlweParameters": "n_4096_logq_27_28_28_logt_5",
//!     "inputDatabase": path("rows.txtpb"),
//!     "outputDatabase": path("urls-SHARD_ID.bin"),
//!     "outputPirParameters": path("urls-SHARD_ID.params.txtpb"),
//! });
//! let configuration = Configuration::parse(json.to_string().as_bytes())?;
//! let Outcome::Whole(summary) = Run::new(&configuration).finish()? else { unreachable!() };
//! assert_eq!((summary.rows, summary.shard_count), (1, 1));
//!
//! let files = DataSetFiles::new(folder.path().join("urls"));
//! let manifest = Manifest::read(&files.manifest())?;
//! assert_eq!(manifest.config_id, summary.config_id);
//! assert!(files.database(0).exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! | feature | adds |
//! | --- | --- |
//! | `symmetric` | databases of which a client learns no other value than the one that it asks for |
//! | `publication` | module `publication`: releases in folders, and the replica that a node keeps |
//! | `publisher` | the publisher, which uploads releases and waits for nodes over HTTP |
//! | `tls` | nodes with `https://` addresses, for the publisher |
//! | `cloud` | object stores of S3, Google Cloud Storage and Azure for publications |
//!
//! None is on by default.
#![forbid(unsafe_code)]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

pub mod configuration;
mod digest;
pub mod files;
pub mod level;
pub mod manifest;
pub mod processing;
pub mod progress;
#[cfg(feature = "publication")]
pub mod publication;
pub mod tuning;

pub use digest::file_sha256;
pub use files::DataSetFiles;
pub use manifest::Manifest;

/// The example of the README is a test of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The cause of an error, of a type that is no part of this crate's interface.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;
