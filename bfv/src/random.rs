//! From seeds to polynomials.

pub(crate) mod drbg;
pub mod sampling;
