//! Evaluation keys in the form in which a server uses them.

use crate::arithmetic::buffer::AlignedBuffer;
use crate::backend::kernels::{self, TILE};
use crate::context::Context;
use crate::error::Error;
use crate::keys::evaluation_key::{EvaluationKey, KeySwitchKey};
use crate::rings::galois::{Automorphism, GaloisElement};
use crate::word::Word;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key-switching key ready for use: in Montgomery form, in the order in which it is read.
pub(crate) struct PreparedSwitchKey<W> {
    /// One row for each modulus, that of key switching last: for each tile of coefficients, for each
    /// ciphertext, for both of its polynomials, the tile's words.
    pub(crate) rows: Vec<AlignedBuffer<W>>,
    /// The number L of its ciphertexts.
    pub(crate) count: usize,
}

impl<W: Word> PreparedSwitchKey<W> {
    /// A key of `count` ciphertexts whose words are unspecified, for callers who write them all.
    pub(crate) fn any(degree: usize, moduli: usize, count: usize) -> Self {
        let row = |_| AlignedBuffer::any(2 * degree * count);
        Self { rows: (0..moduli).map(row).collect(), count }
    }

    /// Writes residues in Montgomery form, of polynomial `poly` of ciphertext `ciphertext`, from
    /// residue `start` on. Both `start` and their number are multiples of a tile.
    pub(crate) fn write(
        &mut self,
        row: usize,
        [ciphertext, poly]: [usize; 2],
        start: usize,
        residues: &[W],
    ) {
        let row = &mut self.rows[row];
        let degree = row.len() / (2 * self.count);
        let tile = if degree.is_multiple_of(TILE) { TILE } else { degree };
        let group = 2 * self.count * tile;
        let groups = row.chunks_exact_mut(group).skip(start / tile);
        for (out, residues) in groups.zip(residues.chunks_exact(tile)) {
            out[(2 * ciphertext + poly) * tile..][..tile].copy_from_slice(residues);
        }
    }
}

/// A Galois key ready for use, with the automorphism's tables.
pub(crate) struct PreparedGaloisKey<W> {
    pub(crate) automorphism: Arc<Automorphism>,
    pub(crate) key: PreparedSwitchKey<W>,
}

/// Evaluation keys ready for use by a server: expanded, in Montgomery form and in the order in which
/// they are read. Each key takes about 2·L·(L+1)·N words. Build it once for each client and cache it.
pub struct PreparedEvaluationKey<W> {
    pub(crate) galois: BTreeMap<GaloisElement, PreparedGaloisKey<W>>,
    pub(crate) relinearization: Option<PreparedSwitchKey<W>>,
}

impl<W: Word> PreparedEvaluationKey<W> {
    /// The Galois elements that it has keys for, ascending.
    #[must_use]
    pub fn galois_elements(&self) -> impl DoubleEndedIterator<Item = GaloisElement> {
        self.galois.keys().copied()
    }

    /// Whether it has a relinearization key.
    #[must_use]
    pub fn has_relinearization_key(&self) -> bool {
        self.relinearization.is_some()
    }

    /// Memory that it takes, in bytes. What all keys of a context share is not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        let words = |key: &PreparedSwitchKey<W>| {
            key.rows.iter().map(|row| row.len() * size_of::<W>()).sum::<usize>()
        };
        self.galois.values().map(|key| words(&key.key)).sum::<usize>()
            + self.relinearization.as_ref().map_or(0, words)
    }

    pub(crate) fn galois(&self, element: GaloisElement) -> Result<&PreparedGaloisKey<W>, Error> {
        self.galois.get(&element).ok_or(Error::MissingGaloisKey(element.get()))
    }

    pub(crate) fn relinearization(&self) -> Result<&PreparedSwitchKey<W>, Error> {
        self.relinearization.as_ref().ok_or(Error::MissingRelinearizationKey)
    }
}

impl<W: Word> Context<W> {
    fn prepare_switch_key(&self, key: &KeySwitchKey<W>) -> PreparedSwitchKey<W> {
        let mut prepared = PreparedSwitchKey::any(self.degree(), self.basis().len(), key.0.len());
        let mut scratch = AlignedBuffer::any(self.degree());
        for (j, ciphertext) in key.0.iter().enumerate() {
            for (c, poly) in ciphertext.polys.iter().enumerate() {
                for (i, (row, table)) in poly.rows().zip(self.basis()).enumerate() {
                    scratch.copy_from_slice(row);
                    kernels::to_montgomery(self.backend(), &mut scratch, *table.modulus());
                    prepared.write(i, [j, c], 0, &scratch);
                }
            }
        }
        prepared
    }

    /// Joins a prepared key with the automorphism of its element.
    pub(crate) fn prepared_galois_key(
        &self,
        element: GaloisElement,
        key: PreparedSwitchKey<W>,
    ) -> PreparedGaloisKey<W> {
        PreparedGaloisKey { automorphism: self.automorphisms().get(element, self.degree()), key }
    }

    /// Makes evaluation keys ready for use. From bytes,
    /// [`read_prepared_evaluation_key`](Self::read_prepared_evaluation_key) is several times faster.
    #[must_use]
    pub fn prepare_evaluation_key(&self, key: &EvaluationKey<W>) -> PreparedEvaluationKey<W> {
        let galois = key.galois.iter().map(|(&element, key)| {
            (element, self.prepared_galois_key(element, self.prepare_switch_key(key)))
        });
        PreparedEvaluationKey {
            galois: galois.collect(),
            relinearization: key.relinearization.as_ref().map(|key| self.prepare_switch_key(key)),
        }
    }
}
