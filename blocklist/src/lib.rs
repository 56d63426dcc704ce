//! Block lists in many formats to the keys of a prefilter, with a report of every line.
//!
//! This is the vendor's half of URL filtering. A device tests each URL with a Bloom filter, the prefilter,
//! and asks a private service about those that hit. Filter and service need the same keys, written exactly
//! as devices write them. This crate makes both from block lists:
//!
//! 1. [`list`] reads entries from many formats, plain, compressed or in archives, and detects which it is.
//! 2. [`key`] turns each entry into the key that a device can generate, or says why there is none.
//! 3. [`builder`] makes one filter, one data set and one report of many lists.
//! 4. [`diagnose`](mod@diagnose) finds out why a filter that was made elsewhere does not match its keys.
//!
//! ```
//! use blocklist::{Builder, Options};
//!
//! let hosts = "0.0.0.0 ads.example tracker.example\n127.0.0.1 localhost\n";
//! let rules = "! a comment\n||phish.example/login^\n@@||good.example^\n";
//! let built = Builder::new(Options::default())
//!     .add_list("hosts.txt", hosts.as_bytes(), None)?
//!     .add_list("rules.txt", rules.as_bytes(), None)?
//!     .finish()?;
//!
//! let keys: Vec<&[u8]> = built.keys.iter().collect();
//! assert_eq!(keys, [&b"ads.example"[..], b"tracker.example", b"phish.example/login"]);
//! for (refusal, seen) in &built.report.refused {
//!     println!("{} entries: {}", seen.count(), refusal.explanation());
//! }
//! // `built.write(folder)` writes the filter in both file forms, the data set and the report.
//! # Ok::<(), blocklist::BuildError>(())
//! ```
//!
//! Nothing is dropped in silence: the report counts every line, and names the lines of every entry that was
//! rewritten or refused. A list that breaks off in the middle ends the build.
//!
//! # Map
//!
//! | to find | look in |
//! | --- | --- |
//! | how a line of a format is read | `list/adblock.rs`, `csv.rs`, `dnsmasq.rs`, `hosts.rs`, `json.rs`, `rpz.rs`, `tpl.rs`, `txtpb.rs`, `unbound.rs`, `urls.rs` |
//! | how columns are found and rows chosen | `list/table.rs`, `rows.rs` |
//! | what a list may be wrapped in | `list/container.rs`, with its limits in `bounded.rs`; encodings in `text.rs` |
//! | how a format is detected | `list/detect.rs` |
//! | where an entry becomes a key | `key/plain.rs` if it is one already, else `key/rewrite.rs` and `key/compose.rs` |
//! | which texts and names are refused, and what a key covers | `builder/plausible.rs`, `key/names.rs` |
//! | which entries take others back | `builder/exceptions.rs` |
//! | where a key was found | `builder/uses.rs`, `builder/origins.rs` |
//! | what is said about entries | `key/remark.rs`, `key/refusal.rs` |
//! | where lists become one key set, and its report | `builder.rs`, `builder/key_set.rs`, `builder/report.rs` |
//! | which mistakes of other builders are recognised | `diagnose/deviation.rs`, `diagnose/hypothesis.rs` |
//!
//! The feature `containers`, which is on by default, reads lists in zip, tar, bzip2, xz and Zstandard files; gzip needs
//! none. The list of public suffixes is compiled in, from the crate `psl`.
#![forbid(unsafe_code)]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

pub mod builder;
pub mod diagnose;
pub mod key;
pub mod list;

pub use builder::{BuildError, Builder, Built, Options};

/// The examples of both READMEs are tests of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../README.md")]
struct Readme;
