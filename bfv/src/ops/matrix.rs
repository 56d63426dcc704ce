//! A vector of ciphertexts times a matrix of plaintexts: the first dimension of PIR.
//!
//! The matrix is laid out tile by tile and is read once. All columns of a tile are summed before the next one,
//! so that the tiles of the ciphertexts stay in the nearest cache, and the sums of both polynomials in registers.

use crate::backend::kernels::{self, TILE};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::Error;
use crate::ops::key_switch::DualCiphertext;
use crate::plaintext::Plaintext;
use crate::rings::poly::{Evaluation, Poly};
use crate::word::Word;

/// Two-polynomial ciphertexts in evaluation form, of all ciphertext moduli.
pub struct CiphertextVector<W> {
    items: Vec<DualCiphertext<W>>,
}

impl<W> CiphertextVector<W> {
    /// The number of ciphertexts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no ciphertexts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Plaintexts as words in the order in which products read them.
///
/// For each ciphertext modulus, for each tile of [`Context::tile`] slots, for each column, for each
/// plaintext of the column: the tile's slots, in the centred lift, times 2^(bits of the word) modulo
/// the modulus (Montgomery form).
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a view that its maker fills")]
pub struct PlaintextMatrix<'m, W> {
    /// All words: [`Context::matrix_words`] for each plaintext.
    pub words: &'m [W],
    /// For each column, the rows that have a plaintext, ascending.
    pub columns: &'m [Vec<u32>],
}

impl<W: Word> Context<W> {
    /// Slots of a tile: 32, or N for smaller rings.
    #[must_use]
    pub fn tile(&self) -> usize {
        if self.degree().is_multiple_of(TILE) { TILE } else { self.degree() }
    }

    /// Words that one plaintext of a matrix takes: L·N.
    #[must_use]
    pub fn matrix_words(&self) -> usize {
        self.degree() * self.ciphertext_moduli()
    }

    /// One plaintext of a matrix: rows in Montgomery form, one for each ciphertext modulus.
    #[must_use]
    pub fn matrix_plaintext(&self, plaintext: &Plaintext<W>) -> Poly<W, Evaluation> {
        let mut poly = Poly::zero(self.degree(), self.ciphertext_moduli());
        for (index, row) in poly.rows_mut().enumerate() {
            self.lift_plaintext_row(plaintext.coefficients(), index, row);
            kernels::to_montgomery(self.backend(), row, *self.basis()[index].modulus());
        }
        poly
    }

    /// One plaintext of a matrix from its centred lift, as
    /// [`lift_plaintext`](Self::lift_plaintext) gives it.
    #[must_use]
    pub fn matrix_rows(&self, mut poly: Poly<W, Evaluation>) -> Poly<W, Evaluation> {
        for (row, table) in poly.rows_mut().zip(self.basis()) {
            kernels::to_montgomery(self.backend(), row, *table.modulus());
        }
        poly
    }

    /// A vector of ciphertexts of all ciphertext moduli.
    ///
    /// # Errors
    /// [`Error::Shape`] if a ciphertext has another number of moduli or another degree.
    pub fn arrange(&self, items: Vec<DualCiphertext<W>>) -> Result<CiphertextVector<W>, Error> {
        let moduli = self.ciphertext_moduli();
        for item in &items {
            let (expected, found) = (moduli, item.slots()[0].moduli());
            if expected != found || item.slots()[0].degree() != self.degree() {
                return Err(Error::Shape { what: "ciphertext moduli", expected, found });
            }
        }
        Ok(CiphertextVector { items })
    }

    /// For each column, the sum of its plaintexts times the ciphertexts of their rows.
    ///
    /// # Errors
    /// [`Error::Shape`] if the matrix has another number of words than its columns make, or a row
    /// for which the vector has no ciphertext.
    pub fn multiply_columns(
        &self,
        vector: &CiphertextVector<W>,
        matrix: PlaintextMatrix<'_, W>,
    ) -> Result<Vec<Ciphertext<W, Evaluation>>, Error> {
        let present: usize = matrix.columns.iter().map(Vec::len).sum();
        let (expected, found) = (present * self.matrix_words(), matrix.words.len());
        if expected != found {
            return Err(Error::Shape { what: "words of a plaintext matrix", expected, found });
        }
        let largest = matrix.columns.iter().flatten().max();
        if let Some(&row) = largest.filter(|&&row| row as usize >= vector.len()) {
            let (expected, found) = (vector.len(), row as usize);
            return Err(Error::Shape { what: "row of a plaintext matrix", expected, found });
        }
        let degree = self.degree();
        let moduli = self.ciphertext_moduli();
        let columns = matrix.columns;
        let sums =
            |poly: fn(usize, usize) -> Poly<W, Evaluation>| -> Vec<[Poly<W, Evaluation>; 2]> {
                columns.iter().map(|_| [(); 2].map(|()| poly(degree, moduli))).collect()
            };
        if present == 0 {
            let zeros = sums(Poly::zero);
            return Ok(zeros.into_iter().map(|sum| Ciphertext::new(sum.into())).collect());
        }
        // Every word is written below.
        let mut sums = sums(Poly::any);
        let words = matrix.words.chunks_exact(present * degree);
        for ((modulus, table), words) in self.prefix(moduli).iter().enumerate().zip(words) {
            let items: Vec<[&[W]; 2]> = vector
                .items
                .iter()
                .map(|item| item.slots().each_ref().map(|poly| poly.row(modulus)))
                .collect();
            let mut results: Vec<[&mut [W]; 2]> = sums
                .iter_mut()
                .map(|sum| sum.each_mut().map(|poly| poly.row_mut(modulus)))
                .collect();
            let m = *table.modulus();
            if degree.is_multiple_of(TILE) {
                W::matrix_products(self.backend(), &mut results, &items, words, columns, m);
            } else {
                kernels::matrix_products_short(
                    self.backend(),
                    &mut results,
                    &items,
                    words,
                    columns,
                    m,
                );
            }
        }
        Ok(sums.into_iter().map(|sum| Ciphertext::new(sum.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Backend;
    use crate::random::sampling::OsRandom;
    use crate::{EvaluationPlaintext, Parameters};

    fn agrees<W: Word>(name: &str) {
        let mut expected_bytes: Option<Vec<Vec<u64>>> = None;
        for backend in Backend::permitted().unwrap() {
            let parameters = Parameters::predefined(name).unwrap();
            let t = parameters.plaintext_modulus();
            let context = Context::<W>::with_backend(parameters, backend).unwrap();
            let key = context.generate_secret_key(&mut OsRandom).unwrap();
            let items: Vec<DualCiphertext<W>> = (0..5)
                .map(|i| {
                    let message = context.encode_coefficients(&[i % t, 1]).unwrap();
                    let fresh = context.encrypt(&message, &key, &mut OsRandom).unwrap();
                    context.to_dual(&fresh).unwrap()
                })
                .collect();
            let columns = vec![vec![0, 2, 4], vec![], vec![1]];
            let plaintexts: Vec<Plaintext<W>> = (0..4)
                .map(|i| context.encode_coefficients(&[(3 * i + 1) % t, i % t, 2]).unwrap())
                .collect();
            let rows: Vec<_> = plaintexts.iter().map(|p| context.matrix_plaintext(p)).collect();
            let mut words = Vec::new();
            for modulus in 0..context.ciphertext_moduli() {
                for start in (0..context.degree()).step_by(context.tile()) {
                    for row in &rows {
                        words.extend_from_slice(&row.row(modulus)[start..][..context.tile()]);
                    }
                }
            }
            let vector = context.arrange(items.clone()).unwrap();
            let matrix = PlaintextMatrix { words: &words, columns: &columns };
            let sums = context.multiply_columns(&vector, matrix).unwrap();
            let mut next = plaintexts.iter();
            let mut decrypted = Vec::new();
            for (sum, column) in sums.into_iter().zip(&columns) {
                let (mut terms, mut factors) = (Vec::new(), Vec::new());
                for &row in column {
                    terms.push(items[row as usize].clone().into_evaluation());
                    let plaintext = next.next().unwrap();
                    let lifted = context.lift_plaintext(plaintext, context.ciphertext_moduli());
                    factors.push(Some(lifted.unwrap()));
                }
                let expected = if terms.is_empty() {
                    Ciphertext::transparent_zero(context.degree(), context.ciphertext_moduli())
                } else {
                    let factors: Vec<Option<EvaluationPlaintext<W>>> = factors;
                    context.inner_product_plaintexts(&terms, &factors).unwrap()
                };
                assert!(sum.polys() == expected.polys());
                let sum = context.to_coefficients(sum);
                decrypted.push(context.decrypt(&sum, &key).unwrap().to_numbers());
            }
            assert_eq!(*expected_bytes.get_or_insert(decrypted.clone()), decrypted);
            let short = PlaintextMatrix { words: &words[1..], columns: &columns };
            assert!(context.multiply_columns(&vector, short).is_err());
            let wrong = vec![vec![0, 2, 5], vec![], vec![1]];
            let wrong = PlaintextMatrix { words: &words, columns: &wrong };
            assert!(context.multiply_columns(&vector, wrong).is_err());
        }
    }

    #[test]
    fn agrees_with_products_one_by_one() {
        agrees::<u32>("n_4096_logq_27_28_28_logt_5");
        agrees::<u32>("insecure_n_8_logq_5x18_logt_5");
        agrees::<u64>("n_8192_logq_3x55_logt_24");
    }
}
