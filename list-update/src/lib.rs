//! From lists by path or URL to a data set that is served, again and again.
//!
//! A [`Configuration`] names lists; an [`Update`] brings everything that is made of them up to date:
//!
//! 1. Sources are read or fetched, as far as they have changed ([`SourceState`]).
//! 2. The lists become a prefilter and a data set, as by `urlfilter build`. A list that is broken or too short is
//!    replaced by its last good copy ([`SourceProblem`]).
//! 3. The data set is processed to shards.
//! 4. The result is published, or a running service is told to reload.
//!
//! Each finished step is recorded in one file, so that a run that was killed is continued by the next one.
//!
//! | module | what it has |
//! | --- | --- |
//! | `configuration` | `lists.toml` |
//! | `update` | the order of the steps |
//! | `obtain` | which sources are due, and what they gave |
//! | `copies` | sources as they were last good, by content |
//! | `fetch`, `address` | HTTP, and which addresses it may reach |
//! | `build` | lists to keys, with the limits of each source |
//! | `levels` | prefilters of some of the lists |
//! | `changes` | keys that came and went, by source |
//! | `deliver` | publications, and services that are told |
//! | `files` | what a run wrote, and whether it is still there |
//! | `state` | what the run before has finished |
//! | `last` | what the runs before have made |
//! | `outcome`, `error` | what a run returns |
#![forbid(unsafe_code)]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

pub mod address;
mod build;
mod changes;
pub mod configuration;
mod copies;
mod deliver;
mod error;
mod expiry;
#[cfg(feature = "http")]
mod fetch;
mod files;
mod folders;
mod last;
mod levels;
mod obtain;
mod outcome;
mod state;
mod update;

pub use configuration::{Configuration, ConfigurationError};
pub use error::{FetchError, SourceProblem, UpdateError};
pub use folders::Folders;
pub use outcome::{Delivered, LevelReport, SourceReport, SourceState, StillCovered, Updated};
pub use pir_dataset::level::LEVEL_FILE;
pub use update::{Stage, Update};

/// The example of the README is a test of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
