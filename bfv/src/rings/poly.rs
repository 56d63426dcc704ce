//! Polynomials as rows of residues, with their form in the type.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::rings::ntt::NttTable;
use crate::word::Word;
use std::marker::PhantomData;
use zeroize::Zeroize;

mod sealed {
    pub trait Sealed {}
}

/// The form of a polynomial: [`Coefficient`] or [`Evaluation`].
pub trait Form: sealed::Sealed + Send + Sync + 'static {
    /// Whether rows hold slots of the transform, not coefficients.
    const IS_EVALUATION: bool;
}

/// Coefficient form: row i holds coefficients modulo q_i, that of X^0 first.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark in types, without values")]
pub enum Coefficient {}

/// Evaluation form: row i holds the slots of the transform modulo q_i (see [`crate::ntt`]).
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mark in types, without values")]
pub enum Evaluation {}

impl sealed::Sealed for Coefficient {}
impl sealed::Sealed for Evaluation {}
impl Form for Coefficient {
    const IS_EVALUATION: bool = false;
}
impl Form for Evaluation {
    const IS_EVALUATION: bool = true;
}

/// A polynomial modulo X^N + 1 and a list of moduli: one row of N residues for each modulus, each
/// below it.
pub struct Poly<W, F> {
    residues: AlignedBuffer<W>,
    degree: usize,
    form: PhantomData<F>,
}

impl<W: Word, F: Form> Clone for Poly<W, F> {
    fn clone(&self) -> Self {
        Self { residues: self.residues.clone(), degree: self.degree, form: PhantomData }
    }
}

impl<W: Word, F: Form> PartialEq for Poly<W, F> {
    /// Compares residues; takes time that depends on them, so not for secrets.
    fn eq(&self, other: &Self) -> bool {
        self.degree == other.degree && *self.residues == *other.residues
    }
}

impl<W: Word, F: Form> Poly<W, F> {
    /// The zero polynomial of N = `degree` coefficients, with `moduli` rows.
    #[must_use]
    pub fn zero(degree: usize, moduli: usize) -> Self {
        Self { residues: AlignedBuffer::zeroed(degree * moduli), degree, form: PhantomData }
    }

    /// Unspecified values, for callers who overwrite them all.
    pub(crate) fn any(degree: usize, moduli: usize) -> Self {
        Self { residues: AlignedBuffer::any(degree * moduli), degree, form: PhantomData }
    }

    /// The number N of coefficients.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// The number of moduli, and so of rows.
    #[must_use]
    pub fn moduli(&self) -> usize {
        self.residues.len().checked_div(self.degree).unwrap_or(0)
    }

    /// The N residues modulo the modulus of that index.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    #[must_use]
    pub fn row(&self, index: usize) -> &[W] {
        &self.residues[index * self.degree..][..self.degree]
    }

    /// The N residues modulo the modulus of that index, to change.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row_mut(&mut self, index: usize) -> &mut [W] {
        &mut self.residues[index * self.degree..][..self.degree]
    }

    /// All rows, in the order of the moduli.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[W]> {
        self.residues.chunks_exact(self.degree.max(1))
    }

    /// All rows, in the order of the moduli, to change.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [W]> {
        self.residues.chunks_exact_mut(self.degree.max(1))
    }

    /// A copy of the first `moduli` rows.
    ///
    /// # Panics
    /// If there are fewer rows.
    #[must_use]
    pub fn truncated(&self, moduli: usize) -> Self {
        let mut result = Self::any(self.degree, moduli);
        result.residues.copy_from_slice(&self.residues[..moduli * self.degree]);
        result
    }

    fn with_form<G: Form>(self) -> Poly<W, G> {
        Poly { residues: self.residues, degree: self.degree, form: PhantomData }
    }
}

impl<W: Word> Poly<W, Coefficient> {
    /// A copy in evaluation form. `basis` starts with the tables of the rows' moduli.
    ///
    /// # Panics
    /// If a table is for another degree.
    #[must_use]
    pub fn to_evaluation(&self, basis: &[NttTable<W>]) -> Poly<W, Evaluation> {
        let mut copy = Poly::any(self.degree, self.moduli());
        for ((out, row), table) in copy.rows_mut().zip(self.rows()).zip(basis) {
            table.forward_from(row, out);
        }
        copy
    }

    /// Changes to evaluation form. `basis` starts with the tables of the rows' moduli.
    ///
    /// # Panics
    /// If a table is for another degree.
    #[must_use]
    pub fn into_evaluation(mut self, basis: &[NttTable<W>]) -> Poly<W, Evaluation> {
        for (row, table) in self.rows_mut().zip(basis) {
            table.forward(row);
        }
        self.with_form()
    }
}

impl<W: Word> Poly<W, Evaluation> {
    /// A copy in coefficient form. `basis` starts with the tables of the rows' moduli.
    ///
    /// # Panics
    /// If a table is for another degree.
    #[must_use]
    pub fn to_coefficients(&self, basis: &[NttTable<W>]) -> Poly<W, Coefficient> {
        let mut copy = Poly::any(self.degree, self.moduli());
        for ((out, row), table) in copy.rows_mut().zip(self.rows()).zip(basis) {
            table.inverse_from(row, out);
        }
        copy
    }

    /// Changes to coefficient form. `basis` starts with the tables of the rows' moduli.
    ///
    /// # Panics
    /// If a table is for another degree.
    #[must_use]
    pub fn into_coefficients(mut self, basis: &[NttTable<W>]) -> Poly<W, Coefficient> {
        for (row, table) in self.rows_mut().zip(basis) {
            table.inverse(row);
        }
        self.with_form()
    }
}

impl<W: Word, F> Zeroize for Poly<W, F> {
    fn zeroize(&mut self) {
        self.residues.zeroize();
    }
}
