//! The loops over residues, for each set of CPU instructions, and the choice between them when the
//! program runs.
//!
//! Element-wise work is written once, as safe loops in `kernels`; each loop is compiled for every
//! back end and the compiler vectorises it. The number-theoretic transform, and the sums of products
//! of 32-bit residues, are written with explicit vectors in `lanes`, over the register types of
//! `avx2`, `avx512` and `neon`; `portable` and `kernels` have their safe twins. All back ends give the same
//! bits.
//!
//! `unsafe` occurs below this module only, and once in `arithmetic::buffer`: calling a function that
//! needs a CPU feature, and loading and storing vectors.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod kernels;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lanes;
pub(crate) mod lift;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod portable;

use crate::arithmetic::modulus::Modulus;
use crate::arithmetic::ntt_table::NttTable;
use crate::arithmetic::word::MachineWord;
use crate::cpu::{Backend, Level};
use kernels::{Correction, Image};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use lanes::automorphism;
use lift::Lift;

/// What differs between the two words: how many residues a vector of each back end holds, and the
/// loops that are written with explicit vectors.
pub trait Kernels: MachineWord {
    /// Residues in a vector of the back end, 1 where the transform is portable.
    #[doc(hidden)]
    fn lanes(backend: Backend) -> usize;

    /// Whether residues in vectors of the back end have a sign where the modulus permits.
    #[doc(hidden)]
    fn has_signed_products(_backend: Backend) -> bool {
        false
    }

    /// Forward transform with vectors; `table` was built for its back end's vectors. If `lazy`, results
    /// are below `NttTable::lazy_bound`.
    #[doc(hidden)]
    fn vector_forward(table: &NttTable<Self>, from: Option<&[Self]>, row: &mut [Self], lazy: bool);

    /// Inverse transform with vectors; `table` was built for its back end's vectors.
    #[doc(hidden)]
    fn vector_inverse(table: &NttTable<Self>, from: Option<&[Self]>, row: &mut [Self]);

    /// An automorphism of slots: out[j] = from[index[j]], for the table of a Galois element.
    #[doc(hidden)]
    fn permute_slots(backend: Backend, out: &mut [Self], from: &[Self], index: &[u32]);

    /// An automorphism of coefficients: out[j] = ±from[index[j]], as `kernels::permute_signed`, for the
    /// table of this Galois element.
    #[doc(hidden)]
    fn permute_signed(
        backend: Backend,
        out: &mut [Self],
        from: &[Self],
        index: &[u32],
        _element: u32,
        m: Modulus<Self>,
    ) {
        kernels::permute_signed(backend, out, from, index, m);
    }

    /// Sums of the products of a plaintext matrix with a vector of ciphertexts, as `kernels::matrix_products`.
    #[doc(hidden)]
    fn matrix_products(
        backend: Backend,
        out: &mut [[&mut [Self]; 2]],
        items: &[[&[Self]; 2]],
        matrix: &[Self],
        columns: &[Vec<u32>],
        m: Modulus<Self>,
    ) {
        kernels::matrix_products(backend, out, items, matrix, columns, m);
    }

    /// As `kernels::switch_row`.
    #[doc(hidden)]
    fn switch_row(
        backend: Backend,
        out: [&mut [Self]; 2],
        digits: (&[&[Self]], Self),
        key: &[Self],
        count: usize,
        m: Modulus<Self>,
    ) {
        kernels::switch_row(backend, out, digits, key, count, m);
    }

    /// A row of both results of a step of the expansion, as `kernels::split_row`.
    #[doc(hidden)]
    fn split_row(
        backend: Backend,
        out: [&mut [Self]; 2],
        image: Image<'_, Self>,
        a: &[Self],
        w: &[Self],
        m: Modulus<Self>,
    ) {
        kernels::split_row(backend, out, image, a, w, m);
    }

    /// A lift to auxiliary primes, as `lift::lift_rows`.
    #[doc(hidden)]
    fn lift_rows(
        backend: Backend,
        out: &mut [&mut [Self]],
        rows: &[&[Self]],
        constants: &Lift<'_, Self>,
    ) {
        lift::lift_rows(backend, out, rows, constants);
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
    ) {
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
    ) {
        kernels::product_row(backend, out, a, b, m);
    }
}

impl Kernels for u32 {
    fn lanes(backend: Backend) -> usize {
        match backend.level() {
            Level::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => 8,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => 16,
            #[cfg(target_arch = "aarch64")]
            Level::Neon(_) => 4,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn has_signed_products(backend: Backend) -> bool {
        matches!(backend.level(), Level::Neon(_))
    }

    fn vector_forward(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32], lazy: bool) {
        match table.backend().level() {
            Level::Portable => portable::forward_from(table, from, row),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) => avx2::forward(cpu, table, from, row, lazy),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) => avx512::forward_u32(cpu, table, from, row, lazy),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) => neon::forward(cpu, table, from, row, lazy),
        }
    }

    fn vector_inverse(table: &NttTable<u32>, from: Option<&[u32]>, row: &mut [u32]) {
        match table.backend().level() {
            Level::Portable => portable::inverse_from(table, from, row),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) => avx2::inverse(cpu, table, from, row),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) => avx512::inverse_u32(cpu, table, from, row),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) => neon::inverse(cpu, table, from, row),
        }
    }

    fn permute_slots(backend: Backend, out: &mut [u32], from: &[u32], index: &[u32]) {
        match backend.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) if from.len().is_multiple_of(8) => {
                avx2::permute(cpu, out, from, index);
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) if from.len().is_multiple_of(16) => {
                avx512::permute_u32(cpu, out, from, index);
            }
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) if from.len().is_multiple_of(4) => {
                neon::permute(cpu, out, from, index);
            }
            _ => kernels::permute(backend, out, from, index),
        }
    }

    fn permute_signed(
        backend: Backend,
        out: &mut [u32],
        from: &[u32],
        index: &[u32],
        element: u32,
        m: Modulus<u32>,
    ) {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if let Some(rows) = automorphism::rows(element, from.len(), Self::lanes(backend)) {
            match backend.level() {
                Level::Portable => {}
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(cpu) => return avx2::permute_signed(cpu, out, from, rows, m),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512(cpu) => return avx512::permute_signed(cpu, out, from, rows, m),
                #[cfg(target_arch = "aarch64")]
                Level::Neon(cpu) => return neon::permute_signed(cpu, out, from, rows, m),
            }
        }
        // Unused on processors without vectors.
        let _ = element;
        kernels::permute_signed(backend, out, from, index, m);
    }

    fn matrix_products(
        backend: Backend,
        out: &mut [[&mut [u32]; 2]],
        items: &[[&[u32]; 2]],
        matrix: &[u32],
        columns: &[Vec<u32>],
        m: Modulus<u32>,
    ) {
        match backend.level() {
            Level::Portable => kernels::matrix_products(backend, out, items, matrix, columns, m),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) => avx2::matrix_products(cpu, out, items, matrix, columns, m),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) => avx512::matrix_products(cpu, out, items, matrix, columns, m),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) => neon::matrix_products(cpu, out, items, matrix, columns, m),
        }
    }

    fn switch_row(
        backend: Backend,
        out: [&mut [u32]; 2],
        digits: (&[&[u32]], u32),
        key: &[u32],
        count: usize,
        m: Modulus<u32>,
    ) {
        match backend.level() {
            Level::Portable => kernels::switch_row(backend, out, digits, key, count, m),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) => avx2::switch_row(cpu, out, digits, key, count, m),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) => avx512::switch_row(cpu, out, digits, key, count, m),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) => neon::switch_row(cpu, out, digits, key, count, m),
        }
    }

    fn split_row(
        backend: Backend,
        out: [&mut [u32]; 2],
        image: Image<'_, u32>,
        a: &[u32],
        w: &[u32],
        m: Modulus<u32>,
    ) {
        match backend.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) if a.len().is_multiple_of(8) => {
                avx2::split_row(cpu, out, image, a, w, m);
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) if a.len().is_multiple_of(16) => {
                avx512::split_row(cpu, out, image, a, w, m);
            }
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) if a.len().is_multiple_of(4) => {
                neon::split_row(cpu, out, image, a, w, m);
            }
            _ => kernels::split_row(backend, out, image, a, w, m),
        }
    }

    fn lift_rows(
        backend: Backend,
        out: &mut [&mut [u32]],
        rows: &[&[u32]],
        constants: &Lift<'_, u32>,
    ) {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if rows.len() <= lanes::lift::MAX_ROWS && rows[0].len().is_multiple_of(Self::lanes(backend))
        {
            match backend.level() {
                Level::Portable => {}
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(cpu) => return avx2::lift_rows(cpu, out, rows, constants),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512(cpu) => return avx512::lift_rows(cpu, out, rows, constants),
                #[cfg(target_arch = "aarch64")]
                Level::Neon(cpu) => return neon::lift_rows(cpu, out, rows, constants),
            }
        }
        lift::lift_rows(backend, out, rows, constants);
    }

    fn convert_row(
        backend: Backend,
        out: &mut [u32],
        ys: &[&[u32]],
        constants: &[u32],
        correction: &Correction<'_, u32>,
        m: Modulus<u32>,
    ) {
        match backend.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) if out.len().is_multiple_of(8) => {
                avx2::convert_row(cpu, out, ys, constants, correction, m);
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) if out.len().is_multiple_of(16) => {
                avx512::convert_row(cpu, out, ys, constants, correction, m);
            }
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) if out.len().is_multiple_of(4) => {
                neon::convert_row(cpu, out, ys, constants, correction, m);
            }
            _ => kernels::convert_row(backend, out, ys, constants, correction, m),
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
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) if out[0].len().is_multiple_of(16) => {
                avx2::product_row(cpu, out, a, b, m);
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) if out[0].len().is_multiple_of(16) => {
                avx512::product_row(cpu, out, a, b, m);
            }
            #[cfg(target_arch = "aarch64")]
            Level::Neon(cpu) if out[0].len().is_multiple_of(4) => {
                neon::product_row(cpu, out, a, b, m);
            }
            _ => kernels::product_row(backend, out, a, b, m),
        }
    }
}

impl Kernels for u64 {
    fn lanes(backend: Backend) -> usize {
        match backend.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => 8,
            // AVX2 and NEON have no 64-bit product; the scalar unit is faster than one put together
            // from smaller ones.
            _ => 1,
        }
    }

    // Its tables have no lazy results.
    fn vector_forward(table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64], _lazy: bool) {
        match table.backend().level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) => avx512::forward_u64(cpu, table, from, row),
            _ => portable::forward_from(table, from, row),
        }
    }

    fn vector_inverse(table: &NttTable<u64>, from: Option<&[u64]>, row: &mut [u64]) {
        match table.backend().level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) => avx512::inverse_u64(cpu, table, from, row),
            _ => portable::inverse_from(table, from, row),
        }
    }

    fn permute_slots(backend: Backend, out: &mut [u64], from: &[u64], index: &[u32]) {
        match backend.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(cpu) if from.len().is_multiple_of(8) => {
                avx512::permute_u64(cpu, out, from, index);
            }
            _ => kernels::permute(backend, out, from, index),
        }
    }
}
