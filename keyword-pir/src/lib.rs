//! Private information retrieval by keyword, as Apple's devices speak it: a client learns the value
//! of one keyword, and the server learns nothing about the keyword.
//!
//! Rows become [`cuckoo`] tables of [`bucket`]s, buckets the [`payload`]s of plaintexts, and those a
//! processed [`database`] of one shard. A [`Client`] makes queries, a [`Server`] answers them.
//! `docs/pir.md` has the whole protocol.
//!
//! ```
//! # #[cfg(feature = "os-random")] {
//! use bfv::OsRandom;
//! use keyword_pir::cuckoo::{CuckooTables, Row};
//! use keyword_pir::database::Database;
//! use keyword_pir::payload::Payloads;
//! use keyword_pir::plan::Plan;
//! use keyword_pir::{Client, Execution, KeywordHash, Scheme, Server};
//!
//! let scheme = Scheme::new(bfv::Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap())?;
//! let rows = [Row { hash: KeywordHash::of(b"host.example/path"), value: b"1" }];
//! let plan = Plan::new(scheme.parameters().clone());
//! let tables = CuckooTables::build(&plan.cuckoo(1), &rows)?;
//! let parameters = plan.keyword_shard(&tables)?;
//! let payloads = Payloads::of_tables(parameters.clone(), &tables)?;
//! let server = Server::new(scheme.clone(), Database::of_payloads(&scheme, &payloads)?)?;
//!
//! let client = Client::new(scheme.clone(), parameters.clone())?;
//! let secret = scheme.generate_secret_key(&mut OsRandom)?;
//! let config = parameters.evaluation_key_config();
//! let uploaded = scheme.generate_evaluation_key(&config, &secret, &mut OsRandom)?;
//! let query = client.query_keyword(b"host.example/path", &secret, &mut OsRandom)?;
//!
//! let key = scheme.prepare_evaluation_key(&config, &uploaded)?;
//! let query = server.read_query(&query)?;
//! let (reply, _times) = server.answer(&query, &key, Execution::new())?;
//!
//! let value = client.decode_keyword(&reply, b"host.example/path", &secret)?;
//! assert_eq!(value.as_deref(), Some(&b"1"[..]));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`KeywordHash`], [`ShardingFunction`] | from a keyword to its buckets and its shard |
//! | [`bucket`], [`cuckoo`] | the bytes of a bucket, and the tables that rows are put into |
//! | [`plan`], [`shape`] | settings of a shard's layout, with the defaults of Apple's tool, and what follows from them |
//! | [`cost`] | what a lookup costs the server, by counting |
//! | [`ShardDescription`], [`ShardParameters`] | a shard's parameters before and after they are checked |
//! | [`payload`], [`database`] | from tables to plaintexts, and to files |
//! | [`Scheme`] | a parameter set with its tables; keys |
//! | [`Client`] | queries, and the values of replies |
//! | [`Server`], [`Execution`] | answers, and on which threads and until when they are computed |
//! | `symmetric` | values that a client can read only if it asked for them |
//!
//! # Features
//! - `mmap` (default): database files are mapped instead of read.
//! - `os-random` (default): [`bfv::OsRandom`](bfv).
//! - `parallel` (default): work is shared out over rayon's threads. A client needs none of it.
//! - `symmetric`: the module `symmetric`; URL filtering does not need it.
//!
//! The crate compiles for little-endian targets with `std`, 32-bit ones and WebAssembly included.

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::undocumented_unsafe_blocks
)]

pub mod bucket;
mod client;
pub mod cost;
pub mod cuckoo;
pub mod database;
mod error;
mod keyword;
mod parameters;
pub mod payload;
pub mod plan;
mod query;
mod scheme;
mod server;
pub mod shape;
#[cfg(feature = "symmetric")]
pub mod symmetric;
mod threads;

pub use client::Client;
pub use error::{DatabaseError, Error};
pub use keyword::{KeywordHash, MAX_HASH_FUNCTIONS, ShardingFunction};
pub use parameters::{
    DatabaseKind, MAX_CALLS, MAX_ENTRY_SIZE, MAX_EXPANDED, MAX_GALOIS_ELEMENTS, MAX_PLAINTEXTS,
    ParameterError, ShardDescription, ShardParameters, SymmetricParameters,
};
pub use query::{Reply, SerializedQuery};
pub use scheme::{EvaluationKey, Scheme, SecretKey};
pub use server::{Execution, Query, Server, StageTimes};
