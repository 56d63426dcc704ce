//! Block lists to the Bloom prefilter of `NEURLFilter`, and URLs to the sub-URLs a device asks about.
//!
//! On iOS, iPadOS and macOS 26 and later, a device expands each requested URL into
//! [sub-URLs](sub_url), tests each with a [Bloom filter](bloom) over two [hashes](hash), and asks a
//! private service about those that hit. This crate makes filters that such a device accepts bit for
//! bit, and answers as the device would.
#![deny(unsafe_code)]

pub mod bloom;
pub mod build;
pub mod diagnose;
pub mod file;
pub mod hash;
pub mod key;
pub mod list;
pub mod sub_url;

/// The examples of the README are tests of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
