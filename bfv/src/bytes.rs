//! Objects as bytes, and bytes as objects.

pub mod packing;
pub mod serialize;
