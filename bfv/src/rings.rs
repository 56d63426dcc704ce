//! Polynomials modulo X^N + 1 and one or several primes: their transform, their automorphisms.

pub(crate) mod galois;
pub mod ntt;
pub(crate) mod poly;
