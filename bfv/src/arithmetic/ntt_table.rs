//! The constants of the number-theoretic transform: powers of its root of unity, laid out in the
//! orders in which the back ends read them.

use super::buffer::AlignedBuffer;
use super::modulus::{Factor, Modulus};
use super::prime;
use super::word::MachineWord;
use crate::cpu::Backend;

/// Reverses the low `bits` bits of `index`.
pub(crate) fn reverse_bits(index: usize, bits: u32) -> usize {
    if bits == 0 { 0 } else { index.reverse_bits() >> (usize::BITS - bits) }
}

/// Powers of the root and of its inverse, in bit-reversed order.
pub(crate) struct Roots<W> {
    forward: Vec<Factor<W>>,
    inverse: Vec<Factor<W>>,
}

impl<W: MachineWord> Roots<W> {
    /// The roots of the forward stage with `blocks` blocks, one for each block.
    pub(crate) fn forward(&self, blocks: usize) -> &[Factor<W>] {
        &self.forward[blocks..]
    }

    /// The roots of the inverse stage with `blocks` blocks, one for each block.
    pub(crate) fn inverse(&self, blocks: usize) -> &[Factor<W>] {
        &self.inverse[blocks..]
    }
}

/// The roots with values and quotients in separate lists, and a second copy in the order in which
/// the last stages of a vector transform read them.
pub(crate) struct VectorRoots<W> {
    /// Index blocks + block, as in [`Roots`].
    pub(crate) values: AlignedBuffer<W>,
    pub(crate) quotients: AlignedBuffer<W>,
    /// For each group of L blocks of L elements: for each stage s < log2 L, for each of its 2^s
    /// butterfly rows, one vector with a lane for each block.
    pub(crate) tail_values: AlignedBuffer<W>,
    pub(crate) tail_quotients: AlignedBuffer<W>,
}

impl<W: MachineWord> VectorRoots<W> {
    /// `more` is added to each quotient.
    fn new(roots: &[Factor<W>], lanes: usize, more: W) -> Self {
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
            all.quotients[index] = root.quotient.wrapping_add(more);
        }
        let mut at = 0;
        for group in 0..groups {
            for stage in 0..lanes.trailing_zeros() {
                for butterfly in 0..1 << stage {
                    for lane in 0..lanes {
                        let blocks = (degree / lanes) << stage;
                        let block = ((group * lanes + lane) << stage) + butterfly;
                        let root = roots[blocks + block];
                        all.tail_values[at] = root.value;
                        all.tail_quotients[at] = root.quotient.wrapping_add(more);
                        at += 1;
                    }
                }
            }
        }
        all
    }
}

/// What the vector transforms read.
pub(crate) struct VectorTables<W> {
    /// Roots of the forward transform. Their quotients are larger by 1 where
    /// [`NttTable::centres_products`].
    pub(crate) forward: VectorRoots<W>,
    pub(crate) inverse: VectorRoots<W>,
    /// The root of the last inverse stage, divided by N.
    pub(crate) last_root: Factor<W>,
}

/// Largest number of bits of a modulus of which 16 times fits a word of 32 bits.
const CENTRED_MODULUS_BITS: u32 = 28;

/// A prime modulus q with the tables of its transform for polynomials of N coefficients.
pub struct NttTable<W> {
    modulus: Modulus<W>,
    degree: usize,
    backend: Backend,
    roots: Roots<W>,
    degree_inverse: Factor<W>,
    /// Where the back end's vectors fit the degree.
    vector: Option<VectorTables<W>>,
}

fn centres_products<W: MachineWord>(modulus: &Modulus<W>) -> bool {
    W::BITS == 32 && modulus.bits() <= CENTRED_MODULUS_BITS
}

impl<W: MachineWord> NttTable<W> {
    /// As [`NttTable::new`], for a back end whose vectors have `lanes` residues.
    pub(crate) fn with_lanes(
        degree: usize,
        modulus: u64,
        backend: Backend,
        lanes: usize,
    ) -> Option<Self> {
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
        let degree_inverse = reduced.factor_u64(prime::inverse_mod(degree as u64, modulus));
        let more = if centres_products(&reduced) { W::ONE } else { W::ZERO };
        let vector = (lanes > 1 && degree >= lanes * lanes).then(|| VectorTables {
            forward: VectorRoots::new(&roots.forward, lanes, more),
            inverse: VectorRoots::new(&roots.inverse, lanes, W::ZERO),
            last_root: reduced.factor(reduced.mul(roots.inverse(1)[0].value, degree_inverse.value)),
        });
        Some(Self { modulus: reduced, degree, backend, roots, degree_inverse, vector })
    }

    /// The modulus q.
    #[inline]
    #[must_use]
    pub fn modulus(&self) -> &Modulus<W> {
        &self.modulus
    }

    /// The degree N of the polynomials.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// The back end that the tables were built for.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    pub(crate) fn roots(&self) -> &Roots<W> {
        &self.roots
    }

    /// Whether forward products of vectors are between -q and q: where 16q fits a word of 32 bits.
    pub(crate) fn centres_products(&self) -> bool {
        centres_products(&self.modulus)
    }

    /// What the results of a lazy forward transform are below: a multiple of q, of which five times fit a
    /// word.
    pub(crate) fn lazy_bound(&self) -> W {
        let q = self.modulus.value();
        if !self.centres_products() {
            return q;
        }
        let q2 = q.wrapping_add(q);
        q2.wrapping_add(q2)
    }

    pub(crate) fn vector_roots(&self) -> Option<&VectorTables<W>> {
        self.vector.as_ref()
    }

    /// N^-1 mod q.
    pub(crate) fn degree_inverse(&self) -> Factor<W> {
        self.degree_inverse
    }
}
