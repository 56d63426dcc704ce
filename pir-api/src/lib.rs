//! The messages of the private lookup: what devices and services exchange, and what the processing of
//! databases reads and writes.
//!
//! The messages are generated from the `.proto` files in the folder `proto`, whose names and numbers are those of
//! the schema that Apple publishes. The generated code is part of the crate: no compiler of messages is needed.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`api`] | bodies of requests and replies, with [`api::pir`] and [`api::shared`] |
//! | [`he`] | keys, ciphertexts and encryption parameters |
//! | [`pir`] | parameters of databases, queries, and databases |
//! | [`report`] | reports of supervised devices |
//! | [`binary_http`] | bounds of messages that come through a gateway |
//! | [`bounded`] | decoding of untrusted bytes with a bound on allocations |
//! | [`convert`] | `TryFrom` and `From` between messages and the types of `bfv` and `keyword-pir` |
//! | `text` | the text form of parameter files (feature `text`) |
//!
//! # Example
//! ```
//! use keyword_pir::SerializedQuery;
//! use pir_api::{Message, api, bounded};
//!
//! // The body of a request from anywhere, with at most 1,000 fields and elements.
//! let body = api::Requests::default().encode_to_vec();
//! let requests: api::Requests = bounded::decode(&body, 1_000)?;
//! for request in requests.requests {
//!     if let Some(api::request::Request::PirRequest(request)) = request.request {
//!         let query = SerializedQuery::try_from(request.query.unwrap_or_default())?;
//!         println!("{} ciphertexts", query.ciphertexts.len());
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

pub mod binary_http;
pub mod bounded;
pub mod convert;
mod schema;
pub mod text;
mod wire;

/// Generated from the `.proto` files; the modules are those of the packages.
#[allow(
    missing_docs,
    clippy::all,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate,
    reason = "generated; the .proto files have the comments"
)]
mod generated {
    pub(crate) mod report {
        include!("generated/report.rs");
    }
    pub(crate) mod apple {
        pub(crate) mod swift_homomorphic_encryption {
            pub(crate) mod v1 {
                include!("generated/v1.rs");
            }
            pub(crate) mod pir {
                pub(crate) mod v1 {
                    include!("generated/pir.v1.rs");
                }
            }
            pub(crate) mod api {
                pub(crate) mod v1 {
                    include!("generated/api.v1.rs");
                }
                pub(crate) mod pir {
                    pub(crate) mod v1 {
                        include!("generated/api.pir.v1.rs");
                    }
                }
                pub(crate) mod shared {
                    pub(crate) mod v1 {
                        include!("generated/api.shared.v1.rs");
                    }
                }
            }
        }
    }
}

/// Keys, ciphertexts and parameters: package `apple.swift_homomorphic_encryption.v1`.
pub mod he {
    pub use crate::generated::apple::swift_homomorphic_encryption::v1::*;
}

/// Parameters, queries and databases: package `apple.swift_homomorphic_encryption.pir.v1`.
pub mod pir {
    pub use crate::generated::apple::swift_homomorphic_encryption::pir::v1::*;
}

/// Bodies of requests and responses: package `apple.swift_homomorphic_encryption.api.v1`.
pub mod api {
    pub use crate::generated::apple::swift_homomorphic_encryption::api::v1::*;
    /// Package `apple.swift_homomorphic_encryption.api.pir.v1`.
    pub mod pir {
        pub use crate::generated::apple::swift_homomorphic_encryption::api::pir::v1::*;
    }
    /// Package `apple.swift_homomorphic_encryption.api.shared.v1`.
    pub mod shared {
        pub use crate::generated::apple::swift_homomorphic_encryption::api::shared::v1::*;
    }
}

/// The reports of supervised devices.
pub mod report {
    pub use crate::generated::report::UrlFilterReport;
}

pub use prost::{Message, Name};

/// The example of the README is a test of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
