//! The negacyclic number-theoretic transform, in the order of slots that keys travel in.
//!
//! Slot j of a row modulo q holds f(ψ^(2·brv(j)+1)), where ψ is the *numerically smallest* primitive
//! 2N-th root of unity modulo q and brv reverses the bits of an index. Forward butterflies are those
//! of Cooley and Tukey, inverse ones those of Gentleman and Sande, with the lazy reductions of Harvey
//! ("Faster arithmetic for number-theoretic transforms", 2014).

use crate::backend::Backend;
use crate::backend::aligned::AlignedBuffer;
use crate::modulus::{Factor, Modulus};
use crate::prime;
use crate::word::Word;
use std::cell::Cell;

thread_local! {
    static TRANSFORMS: Cell<Transforms> = const { Cell::new(Transforms { forward: 0, inverse: 0 }) };
}

/// How many transforms a thread has done, for measurements: transforms are most of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transforms {
    /// Forward ones.
    pub forward: u64,
    /// Inverse ones.
    pub inverse: u64,
}

impl Transforms {
    /// Those of this thread, since it began.
    pub fn of_this_thread() -> Self {
        TRANSFORMS.get()
    }

    fn count(forward: u64, inverse: u64) {
        let Self { forward: f, inverse: i } = TRANSFORMS.get();
        TRANSFORMS.set(Self { forward: f + forward, inverse: i + inverse });
    }
}

/// Reverses the low `bits` bits of `index`.
pub(crate) fn reverse_bits(index: usize, bits: u32) -> usize {
    if bits == 0 { 0 } else { index.reverse_bits() >> (usize::BITS - bits) }
}

/// Powers of the root and of its inverse, in bit-reversed order.
pub struct Roots<W> {
    forward: Vec<Factor<W>>,
    inverse: Vec<Factor<W>>,
}

impl<W: Word> Roots<W> {
    /// The roots of the stage with that many blocks, one a block.
    pub(crate) fn forward(&self, blocks: usize) -> &[Factor<W>] {
        &self.forward[blocks..]
    }

    /// The roots of the inverse stage with that many blocks.
    pub(crate) fn inverse(&self, blocks: usize) -> &[Factor<W>] {
        &self.inverse[blocks..]
    }
}

/// The same roots apart, values from quotients, and once more in the order in which the last stages
/// of a vector transform read them.
pub(crate) struct VectorRoots<W> {
    /// Index blocks + block, as in [`Roots`].
    pub(crate) values: AlignedBuffer<W>,
    pub(crate) quotients: AlignedBuffer<W>,
    /// For each group of L blocks of L elements: for each stage s < log2 L, for each of its 2^s
    /// butterfly rows, one vector with a lane for each block.
    pub(crate) tail_values: AlignedBuffer<W>,
    pub(crate) tail_quotients: AlignedBuffer<W>,
}

impl<W: Word> VectorRoots<W> {
    fn new(roots: &[Factor<W>], lanes: usize) -> Self {
        let degree = roots.len();
        let groups = degree / (lanes * lanes);
        let tail = || AlignedBuffer::<W>::zeroed(groups * lanes * (lanes - 1));
        let mut all = Self {
            values: AlignedBuffer::zeroed(degree),
            quotients: AlignedBuffer::zeroed(degree),
            tail_values: tail(),
            tail_quotients: tail(),
        };
        for (index, root) in roots.iter().enumerate() {
            all.values[index] = root.value;
            all.quotients[index] = root.quotient;
        }
        let mut at = 0;
        for group in 0..groups {
            for stage in 0..lanes.trailing_zeros() {
                for butterfly in 0..1 << stage {
                    for lane in 0..lanes {
                        let blocks = (degree / lanes) << stage;
                        let block = ((group * lanes + lane) << stage) + butterfly;
                        all.tail_values[at] = roots[blocks + block].value;
                        all.tail_quotients[at] = roots[blocks + block].quotient;
                        at += 1;
                    }
                }
            }
        }
        all
    }
}

/// A prime modulus with the tables of its transform.
pub struct NttTable<W> {
    modulus: Modulus<W>,
    degree: usize,
    backend: Backend,
    roots: Roots<W>,
    degree_inverse: Factor<W>,
    /// Forward and inverse, where the back end's vectors fit the degree.
    vector: Option<(VectorRoots<W>, VectorRoots<W>)>,
}

impl<W: Word> NttTable<W> {
    /// Tables for polynomials of `degree` (a power of two) modulo the prime `modulus`; `None` if
    /// the modulus is not 1 modulo 2·`degree`, or too large for the word.
    pub fn new(degree: usize, modulus: u64, backend: Backend) -> Option<Self> {
        if !degree.is_power_of_two() {
            return None;
        }
        let reduced = Modulus::<W>::new(modulus)?;
        let root = prime::smallest_root(2 * degree as u64, modulus)?;
        let powers = |root: u64| {
            let mut table = vec![Factor::default(); degree];
            let mut power = 1;
            for index in 0..degree {
                table[reverse_bits(index, degree.trailing_zeros())] = reduced.factor_u64(power);
                power = prime::mul_mod(power, root, modulus);
            }
            table
        };
        let roots =
            Roots { forward: powers(root), inverse: powers(prime::inverse_mod(root, modulus)) };
        let lanes = W::lanes(backend);
        let vector = (lanes > 1 && degree >= lanes * lanes).then(|| {
            (VectorRoots::new(&roots.forward, lanes), VectorRoots::new(&roots.inverse, lanes))
        });
        let degree_inverse = reduced.factor_u64(prime::inverse_mod(degree as u64, modulus));
        Some(Self { modulus: reduced, degree, backend, roots, degree_inverse, vector })
    }

    /// The modulus.
    #[inline]
    pub fn modulus(&self) -> &Modulus<W> {
        &self.modulus
    }

    /// N.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// The back end that the tables were built for.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    pub(crate) fn roots(&self) -> &Roots<W> {
        &self.roots
    }

    pub(crate) fn vector_roots(&self) -> Option<&(VectorRoots<W>, VectorRoots<W>)> {
        self.vector.as_ref()
    }

    /// N^-1.
    pub(crate) fn degree_inverse(&self) -> Factor<W> {
        self.degree_inverse
    }

    fn check(&self, lengths: &[usize]) {
        let fits = lengths.iter().all(|&length| length == self.degree);
        assert!(fits, "a row has one residue per coefficient");
    }

    /// Coefficients to slots, in place. Inputs may be lazy, below 4p; outputs are below p.
    ///
    /// # Panics
    /// If the row has not N residues.
    pub fn forward(&self, row: &mut [W]) {
        self.check(&[row.len()]);
        Transforms::count(1, 0);
        match self.vector {
            Some(_) => W::vector_forward(self, None, row),
            None => crate::backend::scalar::forward(self, row),
        }
    }

    /// [`Self::forward`] from one row to another.
    ///
    /// # Panics
    /// If a row has not N residues.
    pub fn forward_from(&self, from: &[W], to: &mut [W]) {
        self.check(&[from.len(), to.len()]);
        Transforms::count(1, 0);
        match self.vector {
            Some(_) => W::vector_forward(self, Some(from), to),
            None => {
                to.copy_from_slice(from);
                crate::backend::scalar::forward(self, to);
            }
        }
    }

    /// Slots to coefficients, in place. Inputs may be lazy, below 2p; outputs are below p.
    ///
    /// # Panics
    /// If the row has not N residues.
    pub fn inverse(&self, row: &mut [W]) {
        self.check(&[row.len()]);
        Transforms::count(0, 1);
        match self.vector {
            Some(_) => W::vector_inverse(self, None, row),
            None => crate::backend::scalar::inverse(self, row),
        }
    }

    /// [`Self::inverse`] from one row to another.
    ///
    /// # Panics
    /// If a row has not N residues.
    pub fn inverse_from(&self, from: &[W], to: &mut [W]) {
        self.check(&[from.len(), to.len()]);
        Transforms::count(0, 1);
        match self.vector {
            Some(_) => W::vector_inverse(self, Some(from), to),
            None => {
                to.copy_from_slice(from);
                crate::backend::scalar::inverse(self, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn transform(values: &[u64], modulus: u64) -> Vec<u64> {
        let table = NttTable::<u64>::new(values.len(), modulus, Backend::scalar()).unwrap();
        let mut row = values.to_vec();
        table.forward(&mut row);
        row
    }

    #[test]
    fn published_small_transforms() {
        assert_eq!(transform(&[1, 2, 3, 4], 97), [30, 7, 64, 0]);
        assert_eq!(transform(&[5, 6, 7, 8], 113), [108, 31, 103, 4]);
        assert_eq!(
            transform(&[1, 2, 3, 4, 5, 6, 7, 8], 4_194_353),
            [3_372_683, 765_982, 387_853, 2_657_954, 2_013_665, 1_280_882, 2_457_874, 3_840_527]
        );
    }

    #[test]
    fn a_slot_is_the_value_at_its_root() {
        let (degree, modulus) = (16_u64, 12_289_u64);
        let values: Vec<u64> = (0..degree).map(|i| i * i * 31 % modulus).collect();
        let slots = transform(&values, modulus);
        let root = prime::smallest_root(2 * degree, modulus).unwrap();
        for (slot, value) in slots.iter().enumerate() {
            let point = prime::pow_mod(root, 2 * reverse_bits(slot, 4) as u64 + 1, modulus);
            let expected = values.iter().enumerate().fold(0, |sum, (i, &c)| {
                (sum + prime::mul_mod(c, prime::pow_mod(point, i as u64, modulus), modulus))
                    % modulus
            });
            assert_eq!(*value, expected);
        }
    }

    /// Every back end gives the bits of the scalar one, in both directions, for lazy inputs too.
    fn same_on_every_backend<W: Word>(degree: usize, modulus: u64, seed: u64) {
        let scalar = NttTable::<W>::new(degree, modulus, Backend::scalar()).unwrap();
        let mut state = seed;
        let mut random = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
            W::truncate(((u128::from(state) * u128::from(bound)) >> 64) as u64)
        };
        let start: Vec<W> = (0..degree).map(|_| random(4 * modulus)).collect();
        let reduced: Vec<W> = start.iter().map(|&x| scalar.modulus().reduce(x)).collect();
        let mut expected = start.clone();
        scalar.forward(&mut expected);
        assert!(expected.iter().all(|x| x.to_u64() < modulus));
        let mut back = expected.clone();
        scalar.inverse(&mut back);
        assert_eq!(back, reduced);
        for backend in Backend::available() {
            let table = NttTable::<W>::new(degree, modulus, backend).unwrap();
            let mut row = start.clone();
            table.forward(&mut row);
            assert_eq!(row, expected, "{backend:?} forward {degree} {modulus}");
            let mut other = vec![W::ZERO; degree];
            table.forward_from(&start, &mut other);
            assert_eq!(other, expected, "{backend:?} forward from {degree} {modulus}");
            // Lazy inputs of the inverse: some slots hold p more.
            for slot in row.iter_mut().step_by(3) {
                *slot = slot.wrapping_add(W::truncate(modulus));
            }
            table.inverse_from(&row, &mut other);
            assert_eq!(other, reduced, "{backend:?} inverse from {degree} {modulus}");
            table.inverse(&mut row);
            assert_eq!(row, reduced, "{backend:?} inverse {degree} {modulus}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn backends_agree(seed: u64) {
            for log in 3..=14 {
                let degree = 1_usize << log;
                for bits in [20, 27, 28, 29] {
                    let prime = prime::primes_above(bits, 2 * degree as u64, 1)[0];
                    same_on_every_backend::<u32>(degree, prime, seed);
                }
                for bits in [30, 40, 55, 57, 61] {
                    let prime = prime::primes_above(bits, 2 * degree as u64, 1)[0];
                    same_on_every_backend::<u64>(degree, prime, seed);
                }
            }
        }
    }
}
