//! Polynomials as rows of residues, with their form in the type.

use crate::backend::aligned::AlignedBuffer;
use crate::ntt::NttTable;
use crate::word::Word;
use std::marker::PhantomData;
use zeroize::Zeroize;

mod sealed {
    pub trait Sealed {}
}

/// The form of a polynomial: [`Coefficient`] or [`Evaluation`].
pub trait Form: sealed::Sealed + Send + Sync + 'static {
    /// Whether rows hold slots of the transform.
    const IS_EVALUATION: bool;
}

/// Row i holds coefficients modulo q_i, that of X^0 first.
#[derive(Clone, Copy, Debug)]
pub enum Coefficient {}

/// Row i holds the slots of the transform modulo q_i (see [`crate::ntt`]).
#[derive(Clone, Copy, Debug)]
pub enum Evaluation {}

impl sealed::Sealed for Coefficient {}
impl sealed::Sealed for Evaluation {}
impl Form for Coefficient {
    const IS_EVALUATION: bool = false;
}
impl Form for Evaluation {
    const IS_EVALUATION: bool = true;
}

/// An element of R_q for a list of moduli: one row of N residues a modulus, each below it.
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
    /// Zero, with `moduli` rows.
    pub fn zero(degree: usize, moduli: usize) -> Self {
        Self { residues: AlignedBuffer::zeroed(degree * moduli), degree, form: PhantomData }
    }

    /// Any values, for those who overwrite them all.
    pub(crate) fn any(degree: usize, moduli: usize) -> Self {
        Self { residues: AlignedBuffer::any(degree * moduli), degree, form: PhantomData }
    }

    /// N.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// How many moduli it has left.
    pub fn moduli(&self) -> usize {
        self.residues.len().checked_div(self.degree).unwrap_or(0)
    }

    /// The residues modulo the modulus of that index.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row(&self, index: usize) -> &[W] {
        &self.residues[index * self.degree..][..self.degree]
    }

    /// As [`Self::row`].
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row_mut(&mut self, index: usize) -> &mut [W] {
        &mut self.residues[index * self.degree..][..self.degree]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[W]> {
        self.residues.chunks_exact(self.degree.max(1))
    }

    /// All rows in order.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [W]> {
        self.residues.chunks_exact_mut(self.degree.max(1))
    }

    /// The first rows only.
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
    /// A copy in evaluation form; `basis` begins with the moduli of the rows.
    pub fn to_evaluation(&self, basis: &[NttTable<W>]) -> Poly<W, Evaluation> {
        let mut copy = Poly::any(self.degree, self.moduli());
        for ((out, row), table) in copy.rows_mut().zip(self.rows()).zip(basis) {
            table.forward_from(row, out);
        }
        copy
    }

    /// To evaluation form; `basis` begins with the moduli of the rows.
    pub fn into_evaluation(mut self, basis: &[NttTable<W>]) -> Poly<W, Evaluation> {
        for (row, table) in self.rows_mut().zip(basis) {
            table.forward(row);
        }
        self.with_form()
    }
}

impl<W: Word> Poly<W, Evaluation> {
    /// A copy in coefficient form; `basis` begins with the moduli of the rows.
    pub fn to_coefficients(&self, basis: &[NttTable<W>]) -> Poly<W, Coefficient> {
        let mut copy = Poly::any(self.degree, self.moduli());
        for ((out, row), table) in copy.rows_mut().zip(self.rows()).zip(basis) {
            table.inverse_from(row, out);
        }
        copy
    }

    /// To coefficient form; `basis` begins with the moduli of the rows.
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
