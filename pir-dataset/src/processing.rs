//! From rows to the files of a data set.
//!
//! A [`Run`] reads the rows of a [configuration](crate::configuration), divides them among shards, lays out
//! and writes each shard, and tries it with test queries. Files are written under names that end in
//! `.unfinished`, each finished shard is noted in a journal, and all files are renamed when the last one is
//! finished, the manifest last. So
//!
//! - a run that was killed leaves the previous data set as it was, and the next run reuses what the journal
//!   lists;
//! - runs of [some shards](ShardSelection) can share a folder, and a run without a selection finishes what
//!   they made;
//! - where a data set already exists, shards whose rows have not changed are kept, and changed ones get the
//!   layout that they had as long as the rows fit, so that clients keep configuration and keys.
//!
//! | file | what it has |
//! | --- | --- |
//! | `run` | the order of the steps |
//! | `names` | that all files have names of their own |
//! | `rows` | the rows in memory, divided among shards |
//! | `layout` | which layout shards get, where the configuration leaves it open |
//! | `reuse` | layouts of the previous data set |
//! | `context` | what the shards of one run have in common |
//! | `fingerprint` | the texts whose digests decide about reuse |
//! | `shard` | one shard: layout, files, test queries |
//! | `plaintexts` | what of an earlier shard is copied |
//! | `trial` | test queries |
//! | `journal` | finished shards of unfinished runs |
//! | `outcome`, `error` | what a run returns |

mod context;
#[cfg(feature = "symmetric")]
mod database_key;
mod error;
mod fingerprint;
mod format;
mod journal;
mod layout;
mod names;
mod outcome;
mod plaintexts;
mod reuse;
pub(crate) mod rows;
mod run;
mod selection;
mod shard;
pub(crate) mod trial;
mod unfinished;

pub use error::{
    LayoutFull, LayoutFullReason, ProcessError, RowConflict, SelectionError, ShardError, TrialError,
};
pub use format::DatabaseFormat;
pub use layout::LayoutName;
pub use outcome::{Layouts, Outcome, PartSummary, ShardSummary, Summary, TableFacts};
pub use run::Run;
pub use selection::ShardSelection;
pub use trial::{Costs, Stages};
