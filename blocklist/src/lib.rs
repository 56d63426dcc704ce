//! The vendor's half of URL filtering: block lists in many formats to the keys of a prefilter, with a report
//! of every line.
//!
//! [`list`] reads entries, [`key`] turns an entry into the key that a device can generate, [`builder`] makes
//! one prefilter and one data set of many lists, and [`diagnose`] says why a filter does not match its keys.
#![forbid(unsafe_code)]

pub mod builder;
pub mod diagnose;
pub mod key;
pub mod list;

/// The examples of the README are tests of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
