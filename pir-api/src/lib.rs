//! The messages of the private lookup: what devices and services exchange, and what the processing
//! of databases reads and writes.
//!
//! The messages are compiled from the project's own `.proto` files, whose names and numbers are those
//! of the published schema. [`convert`] turns them into the objects of `bfv` and `keyword-pir` and
//! back, [`bounded`] decodes what comes from anywhere, [`text`] reads and writes their text form, and [`rows`]
//! reads databases of any size.

pub mod bounded;
pub mod convert;
pub mod rows;
pub mod text;

/// Generated from the `.proto` files; the modules are those of the packages.
#[allow(missing_docs, clippy::all, reason = "generated; the .proto files have the comments")]
mod generated {
    pub(crate) mod report {
        include!(concat!(env!("OUT_DIR"), "/_.rs"));
    }
    pub(crate) mod apple {
        pub(crate) mod swift_homomorphic_encryption {
            pub(crate) mod v1 {
                include!(concat!(env!("OUT_DIR"), "/apple.swift_homomorphic_encryption.v1.rs"));
            }
            pub(crate) mod pir {
                pub(crate) mod v1 {
                    include!(concat!(
                        env!("OUT_DIR"),
                        "/apple.swift_homomorphic_encryption.pir.v1.rs"
                    ));
                }
            }
            pub(crate) mod api {
                pub(crate) mod v1 {
                    include!(concat!(
                        env!("OUT_DIR"),
                        "/apple.swift_homomorphic_encryption.api.v1.rs"
                    ));
                }
                pub(crate) mod pir {
                    pub(crate) mod v1 {
                        include!(concat!(
                            env!("OUT_DIR"),
                            "/apple.swift_homomorphic_encryption.api.pir.v1.rs"
                        ));
                    }
                }
                pub(crate) mod shared {
                    pub(crate) mod v1 {
                        include!(concat!(
                            env!("OUT_DIR"),
                            "/apple.swift_homomorphic_encryption.api.shared.v1.rs"
                        ));
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
