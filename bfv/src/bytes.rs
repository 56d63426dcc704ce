//! Objects as bytes, and bytes as objects.

pub mod packing;
mod prepared;
pub mod serialize;
