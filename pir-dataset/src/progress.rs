//! How a long operation reports its progress: to a terminal, to a log, or not at all.

use std::time::Duration;

/// What an operation is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Reading the rows; counted in bytes of the input.
    ReadingRows,
    /// Encrypting the rows of a symmetric database; counted in rows.
    EncryptingRows,
    /// Making shards; counted in shards.
    MakingShards,
    /// Trying layouts; counted in layouts.
    TryingLayouts,
    /// Uploading the files of a release; counted in bytes.
    Uploading,
    /// Comparing the files of a release with those of the one before, for deltas; counted in bytes.
    MakingDeltas,
    /// Waiting until nodes have a release ready; counted in nodes.
    WaitingUntilReady,
    /// Waiting until nodes serve a release; counted in nodes.
    WaitingUntilServed,
}

/// Something that an operator should know, and that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The input has no rows: every lookup will find nothing.
    NoRows,
    /// A node does not answer as it should. It is asked again.
    #[non_exhaustive]
    NodeUnusable {
        /// The admin address of the node.
        address: String,
        /// Why, with all causes.
        reason: String,
        /// How long it will be asked at most.
        left: Duration,
    },
    /// A node answers, and has not got as far as it should. It is asked again.
    #[non_exhaustive]
    NodeBehind {
        /// The admin address of the node.
        address: String,
        /// How long it will be asked at most.
        left: Duration,
    },
    /// A release lacks a delta, or all of them. Nodes fetch whole files instead.
    #[non_exhaustive]
    NoDelta {
        /// The file of the release, or the release.
        name: String,
        /// Why, with all causes.
        reason: String,
    },
    /// The operation sleeps until a release is activated.
    WaitingForActivation(Duration),
    /// The operation sleeps until the prefilter can be given out: nodes that cannot be asked serve the release, and devices have
    /// its configuration if that is new.
    WaitingForPrevious(Duration),
}

/// Receives the progress of an operation, from several threads. Every method does nothing by default.
///
/// Phases do not overlap: `begin`, any number of `advance`, `end`.
pub trait Progress: Sync {
    /// A phase begins that has `total` units.
    fn begin(&self, phase: Phase, total: u64) {
        let _ = (phase, total);
    }

    /// Another `units` of the current phase are done.
    fn advance(&self, units: u64) {
        let _ = units;
    }

    /// The current phase has ended, successfully or not.
    fn end(&self) {}

    /// Something that an operator should know.
    fn notice(&self, notice: Notice) {
        let _ = notice;
    }
}

/// Ignores progress.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to keep")]
pub struct Silent;

impl Progress for Silent {}

/// A phase that ends when it is dropped.
#[must_use]
pub(crate) struct Running<'p>(&'p dyn Progress);

impl<'p> Running<'p> {
    pub(crate) fn begin(progress: &'p dyn Progress, phase: Phase, total: u64) -> Self {
        progress.begin(phase, total);
        Self(progress)
    }

    pub(crate) fn advance(&self, units: u64) {
        self.0.advance(units);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
