//! Arithmetic modulo one prime, and the constants that it needs. Nothing here knows a back end's
//! instructions.

pub(crate) mod buffer;
pub mod modulus;
pub(crate) mod ntt_table;
pub(crate) mod prime;
pub(crate) mod word;
