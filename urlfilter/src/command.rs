//! One module per command: its arguments, and what it prints.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod diagnose;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod hash;
pub(crate) mod inspect;
pub(crate) mod process;
pub(crate) mod publish;
pub(crate) mod query;
mod rule;
mod urls;
pub(crate) mod vectors;
mod verdicts;
