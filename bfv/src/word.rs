//! The trait that code over either word width is generic in.

use crate::backend::Kernels;

/// A residue's machine word: `u32` for moduli below 2^30, `u64` for moduli below 2^62.
///
/// The width is no part of any format. It decides the speed, and the auxiliary constants of
/// ciphertext products, so two implementations agree in every bit only at equal width.
pub trait Word: Kernels {}

impl Word for u32 {}
impl Word for u64 {}
