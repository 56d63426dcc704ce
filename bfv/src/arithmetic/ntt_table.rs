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
    /// Quotients are those of `quotient`.
    fn new(roots: &[Factor<W>], lanes: usize, quotient: impl Fn(Factor<W>) -> W) -> Self {
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
            all.quotients[index] = quotient(*root);
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
                        all.tail_quotients[at] = quotient(root);
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
    /// Roots of the forward transform, with quotients as [`Products`] has them.
    pub(crate) forward: VectorRoots<W>,
    pub(crate) inverse: VectorRoots<W>,
    /// The root of the last inverse stage, divided by N.
    pub(crate) last_root: Factor<W>,
}

/// Largest number of bits of a modulus p of which 16 times fits a word of 32 bits.
const CENTRED_MODULUS_BITS: u32 = 28;

/// How vectors multiply by a root w modulo p, and which quotient of w that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Products {
    /// Below 2p, or a little more where it does no harm, with Shoup's quotient ⌊w·R/p⌋ of words below R. For all moduli.
    Lazy,
    /// Forward products are between -p and p, with quotients that are larger by 1: where 16p fits a word of 32 bits.
    Centred,
    /// Residues have a sign, and products are between -p and p, with the quotient -w·2^31/p, rounded: where 8p fits 31 bits and
    /// the CPU has the high half of doubled products.
    Signed,
}

impl Products {
    /// Those of a modulus. `signed`: the vectors have [`Self::Signed`].
    fn of<W: MachineWord>(modulus: &Modulus<W>, signed: bool) -> Self {
        match W::BITS == 32 && modulus.bits() <= CENTRED_MODULUS_BITS {
            true if signed => Self::Signed,
            true => Self::Centred,
            false => Self::Lazy,
        }
    }

    /// The quotient of a root of the inverse transform.
    pub(crate) fn inverse_quotient<W: MachineWord>(self, root: Factor<W>) -> W {
        match self {
            Self::Lazy | Self::Centred => root.quotient,
            // Half of w·2^32/p, rounded: the fraction that its quotient lacks makes no difference.
            Self::Signed => W::ZERO.wrapping_sub(W::truncate(root.quotient.to_u64().div_ceil(2))),
        }
    }

    fn forward_quotient<W: MachineWord>(self, root: Factor<W>) -> W {
        match self {
            Self::Lazy | Self::Signed => self.inverse_quotient(root),
            Self::Centred => root.quotient.wrapping_add(W::ONE),
        }
    }
}

/// A prime modulus q with the tables of its transform for polynomials of N coefficients.
pub struct NttTable<W> {
    modulus: Modulus<W>,
    degree: usize,
    backend: Backend,
    roots: Roots<W>,
    degree_inverse: Factor<W>,
    products: Products,
    /// Where the back end's vectors fit the degree.
    vector: Option<VectorTables<W>>,
}

impl<W: MachineWord> NttTable<W> {
    /// As [`NttTable::new`], for a back end whose vectors have `lanes` residues. `signed`: they have [`Products::Signed`].
    pub(crate) fn with_lanes(
        degree: usize,
        modulus: u64,
        backend: Backend,
        lanes: usize,
        signed: bool,
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
        let products = Products::of(&reduced, signed);
        let vector = (lanes > 1 && degree >= lanes * lanes).then(|| VectorTables {
            forward: VectorRoots::new(&roots.forward, lanes, |root| {
                products.forward_quotient(root)
            }),
            inverse: VectorRoots::new(&roots.inverse, lanes, |root| {
                products.inverse_quotient(root)
            }),
            last_root: reduced.factor(reduced.mul(roots.inverse(1)[0].value, degree_inverse.value)),
        });
        Some(Self { modulus: reduced, degree, backend, roots, degree_inverse, products, vector })
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

    /// How vectors multiply by roots.
    pub(crate) fn products(&self) -> Products {
        self.products
    }

    /// What the results of a lazy forward transform are below: a multiple of q, of which five times fit a
    /// word.
    pub(crate) fn lazy_bound(&self) -> W {
        let q = self.modulus.value();
        if self.products == Products::Lazy {
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
