//! Which instructions the arithmetic uses, chosen when the program runs.
//!
//! Element-wise work is written once, as safe loops in `kernels`; each loop is compiled for every
//! back end and the compiler vectorises it. The number-theoretic transform is written with explicit
//! vectors in `lanes`, over the register types of `avx2` and `avx512`, beside its safe scalar
//! twin in `scalar`. All back ends give the same bits.
//!
//! `unsafe` occurs in this module only: calling a function that needs a CPU feature, and loading and
//! storing vectors.
#![allow(unsafe_code, reason = "CPU features and vector loads")]

pub(crate) mod aligned;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod kernels;
#[cfg(target_arch = "x86_64")]
pub(crate) mod lanes;
pub(crate) mod scalar;

use crate::modulus::Modulus;
use crate::ntt::NttTable;
use std::fmt;
use std::sync::OnceLock;

/// The environment variable that forces a back end by name: `scalar`, `avx2` or `avx512`.
pub const BACKEND_VARIABLE: &str = "BFV_BACKEND";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A set of CPU instructions that this machine has. A value exists only after the CPU was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Backend(Level);

impl Backend {
    /// Portable code; the compiler's own vectors at most.
    pub const fn scalar() -> Self {
        Self(Level::Scalar)
    }

    /// 256-bit vectors, if this CPU has them.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") {
            return Some(Self(Level::Avx2));
        }
        None
    }

    /// 512-bit vectors, if this CPU has them (the F, BW, CD, DQ and VL sets).
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if Self::avx2().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            return Some(Self(Level::Avx512));
        }
        None
    }

    /// Every back end of this machine, slowest first.
    pub fn available() -> Vec<Self> {
        [Some(Self::scalar()), Self::avx2(), Self::avx512()].into_iter().flatten().collect()
    }

    /// The back end of that name, if the name is known and this CPU has it.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|backend| backend.name() == name)
    }

    /// The fastest back end of this machine, or the one that [`BACKEND_VARIABLE`] names. A name
    /// that is unknown or not available here is passed over.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Backend> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            std::env::var(BACKEND_VARIABLE)
                .ok()
                .and_then(|name| Self::by_name(&name))
                .or_else(|| Self::available().pop())
                .unwrap_or(Self::scalar())
        })
    }

    /// `scalar`, `avx2` or `avx512`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What makes a base conversion exact: e·constant, and `over` where e has reached `threshold`.
#[doc(hidden)]
pub struct Correction<'e, W> {
    /// e, one number a coefficient.
    pub extra: &'e [W],
    /// What each e is multiplied by.
    pub constant: W,
    /// The first e that stands for a negative number.
    pub threshold: W,
    /// What those add.
    pub over: W,
}

/// What differs between the two words: how many residues a vector of each back end holds, and the
/// transforms over it.
pub trait Kernels: Sized {
    /// Residues in a vector of the back end, 1 where the transform is scalar.
    #[doc(hidden)]
    fn lanes(backend: Backend) -> usize;
    /// Forward transform with vectors; `table` was built for `backend` and has `lanes` > 1.
    #[doc(hidden)]
    fn vector_forward(table: &NttTable<Self>, from: Option<&[Self]>, row: &mut [Self])
    where
        Self: crate::Word;
    /// An automorphism of slots: out[j] = from[index[j]], for the table of a Galois element.
    #[doc(hidden)]
    fn permute_slots(backend: Backend, out: &mut [Self], from: &[Self], index: &[u32])
    where
        Self: crate::Word;
    /// As `kernels::matrix_tile`.
    #[doc(hidden)]
    fn matrix_tile(
        backend: Backend,
        out: &mut [Self],
        items: &[Self],
        matrix: &[Self],
        columns: &[Vec<u32>],
        m: Modulus<Self>,
    ) where
        Self: crate::Word,
    {
        kernels::matrix_tile(backend, out, items, matrix, columns, m);
    }
    /// As `kernels::switch_row`.
    #[doc(hidden)]
    fn switch_row(
        backend: Backend,
        out: [&mut [Self]; 2],
        digits: &[&[Self]],
        key: &[Self],
        count: usize,
        m: Modulus<Self>,
    ) where
        Self: crate::Word,
    {
        kernels::switch_row(backend, out, digits, key, count, m);
    }
    /// As `kernels::convert_row`.
    #[doc(hidden)]
    fn convert_row(
        backend: Backend,
        out: &mut [Self],
        ys: &[&[Self]],
        constants: &[Self],
        correction: &Correction<'_, Self>,
        m: Modulus<Self>,
    ) where
        Self: crate::Word,
    {
        kernels::convert_row(backend, out, ys, constants, correction, m);
    }
    /// As `kernels::product_row`.
    #[doc(hidden)]
    fn product_row(
        backend: Backend,
        out: [&mut [Self]; 3],
        a: &[[&[Self]; 2]],
        b: &[[&[Self]; 2]],
        m: Modulus<Self>,
    ) where
        Self: crate::Word,
    {
        kernels::product_row(backend, out, a, b, m);
    }
    /// Inverse transform with vectors.
    #[doc(hidden)]
    fn vector_inverse(table: &NttTable<Self>, from: Option<&[Self]>, row: &mut [Self])
    where
        Self: crate::Word;
}

impl Kernels for u32 {
    fn convert_row(
        backend: Backend,
        out: &mut [u32],
        ys: &[&[u32]],
        constants: &[u32],
        correction: &Correction<'_, u32>,
        m: Modulus<u32>,
    ) {
        match backend.level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 if out.len().is_multiple_of(8) => unsafe {
                avx2::convert_row(out, ys, constants, correction, m);
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if out.len().is_multiple_of(16) => unsafe {
                avx512::convert_row(out, ys, constants, correction, m);
            },
            _ => kernels::convert_row(backend, out, ys, constants, correction, m),
        }
    }

    fn matrix_tile(
        backend: Backend,
        out: &mut [u32],
        items: &[u32],
        matrix: &[u32],
        columns: &[Vec<u32>],
        m: Modulus<u32>,
    ) {
        match backend.level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::matrix_tile(out, items, matrix, columns, m) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::matrix_tile(out, items, matrix, columns, m) },
            _ => kernels::matrix_tile(backend, out, items, matrix, columns, m),
        }
    }

    fn switch_row(
        backend: Backend,
        out: [&mut [u32]; 2],
        digits: &[&[u32]],
        key: &[u32],
        count: usize,
        m: Modulus<u32>,
    ) {
        match backend.level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::switch_row(out, digits, key, count, m) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::switch_row(out, digits, key, count, m) },
            _ => kernels::switch_row(backend, out, digits, key, count, m),
        }
    }

    fn product_row(
        backend: Backend,
        out: [&mut [u32]; 3],
        a: &[[&[u32]; 2]],
        b: &[[&[u32]; 2]],
        m: Modulus<u32>,
    ) {
        match backend.level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 if out[0].len().is_multiple_of(16) => unsafe {
                avx2::product_row(out, a, b, m)
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if out[0].len().is_multiple_of(16) => unsafe {
                avx512::product_row(out, a, b, m)
            },
            _ => kernels::product_row(backend, out, a, b, m),
        }
    }

    fn permute_slots(backend: Backend, out: &mut [u32], from: &[u32], index: &[u32]) {
        let blocks = from.len().is_multiple_of(Self::lanes(backend));
        match backend.level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 if blocks => unsafe { avx2::permute(out, from, index) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if blocks => unsafe { avx512::permute_u32(out, from, index) },
            _ => kernels::permute(backend, out, from, index),
        }
    }

    fn lanes(backend: Backend) -> usize {
        match backend.level() {
            Level::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => 16,
        }
    }

    fn vector_forward(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
        match table.backend().level() {
            Level::Scalar => scalar::forward_from(table, from, row),
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::forward(table, from, row) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::forward_u32(table, from, row) },
        }
    }

    fn vector_inverse(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
        match table.backend().level() {
            Level::Scalar => scalar::inverse_from(table, from, row),
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::inverse(table, from, row) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::inverse_u32(table, from, row) },
        }
    }
}

impl Kernels for u64 {
    fn permute_slots(backend: Backend, out: &mut [u64], from: &[u64], index: &[u32]) {
        let blocks = from.len().is_multiple_of(Self::lanes(backend));
        match backend.level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 if blocks => unsafe { avx512::permute_u64(out, from, index) },
            _ => kernels::permute(backend, out, from, index),
        }
    }

    fn lanes(backend: Backend) -> usize {
        match backend.level() {
            Level::Scalar => 1,
            // AVX2 has no 64-bit product; the scalar unit's is faster than one put together.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => 1,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => 8,
        }
    }

    fn vector_forward(table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64]) {
        match table.backend().level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::forward_u64(table, from, row) },
            _ => scalar::forward_from(table, from, row),
        }
    }

    fn vector_inverse(table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64]) {
        match table.backend().level() {
            // SAFETY: the level exists only where the CPU has its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::inverse_u64(table, from, row) },
            _ => scalar::inverse_from(table, from, row),
        }
    }
}
