//! The device's half of URL filtering (`NEURLFilter` of iOS, iPadOS and macOS 26 and later): URLs to sub-URLs, and
//! the Bloom prefilter that they are tested with.
//!
//! A device expands each requested URL into [sub-URLs](sub_url), tests each with a [Bloom filter](bloom) over two
//! [hashes](hash), and asks a private service about those that hit. This crate makes filters that such a device
//! accepts bit for bit, and answers as the device would. It does not touch the network.
//!
//! ```
//! use filter_core::Prefilter;
//!
//! # use filter_core::{bloom::{BloomFilter, Sizing}, file::Description};
//! # let folder = tempfile::tempdir()?;
//! # let mut filter = BloomFilter::empty(Sizing::Round.parameters(1, 1e-9, 1)?);
//! # filter.insert(b"phish.example/login");
//! # let made = Prefilter::new(filter, Description::default())?;
//! # std::fs::write(folder.path().join("bloom.json"), made.metadata().to_json())?;
//! # std::fs::write(folder.path().join("bloom.bin"), made.filter().bytes())?;
//! # let path = folder.path();
//! let prefilter = Prefilter::open(path)?;
//! let hits = prefilter.hits("https://www.phish.example/login?session=1")?;
//! assert_eq!(hits, ["phish.example/login"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A filter knows the [rule](sub_url::SubUrlRule) that its keys were made for. To work without a file:
//! [`SubUrlRule::parse`](sub_url::SubUrlRule::parse) makes a [`DeviceUrl`](sub_url::DeviceUrl),
//! [`sub_urls`](sub_url::DeviceUrl::sub_urls) expands it, and [`hits_in`](sub_url::SubUrls::hits_in) tests the
//! expansion against a [`BloomFilter`](bloom::BloomFilter). The crate `blocklist` makes keys of block lists.
//!
//! # Map
//!
//! | module | content |
//! | --- | --- |
//! | [`Prefilter`] | a verified filter with its description: open, test URLs, write |
//! | [`sub_url`] | rules, parsed URLs, their sub-URLs |
//! | [`sub_url::parts`] | how URLs are cut, for code that makes keys |
//! | [`bloom`] | sizes, inserting, testing, merging |
//! | [`hash`] | FNV-1a and MurmurHash3, 32 bit, resumable |
//! | [`mod@file`] | the formats of filter files and what can be wrong with them |
//!
//! # Features
//!
//! All are on by default. A missing feature never changes an answer: what needs it is an error of its own.
//!
//! | feature | for | without it |
//! | --- | --- | --- |
//! | `mmap` | raw filters are mapped into memory | they are read into memory |
//! | `plist` | property lists | [`FileError::PlistFeatureMissing`](file::FileError::PlistFeatureMissing) |
//! | `regex` | `urlParsingRegularExpression` of iOS 27 | [`PatternError::FeatureMissing`](sub_url::PatternError::FeatureMissing) |
//! | `url` | any URL: international names, addresses, escapes, dot segments | [`UrlError::ParserMissing`](sub_url::UrlError::ParserMissing) for a URL that is not in its normal form |
//!
//! Without features the crate has 23 dependencies. It compiles for 32-bit targets and for WebAssembly.
#![deny(unsafe_code)]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

pub mod bloom;
pub mod file;
pub mod hash;
mod parser_message;
mod prefilter;
pub mod sub_url;

pub use parser_message::ParserMessage;
pub use prefilter::Prefilter;

/// The example of the README is a test of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
