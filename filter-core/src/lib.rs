//! The device's half of URL filtering: URLs to sub-URLs, and the Bloom prefilter that they are tested with.
//!
//! On iOS, iPadOS and macOS 26 and later, a device expands each requested URL into
//! [sub-URLs](sub_url), tests each with a [Bloom filter](bloom) over two [hashes](hash), and asks a
//! private service about those that hit. This crate makes filters that such a device accepts bit for
//! bit, and answers as the device would.
#![deny(unsafe_code)]

pub mod bloom;
pub mod file;
pub mod hash;
pub mod sub_url;
