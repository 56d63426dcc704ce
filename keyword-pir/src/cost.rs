//! What a lookup costs a server, by counting, before anything is processed.
//!
//! The counts are exact up to the transforms of the coefficients that the last step of an expansion leaves
//! out. They are those of this crate's server: another one that speaks the same protocol may do other
//! work for the same reply.

use crate::parameters::{ParameterError, ShardParameters, expansion_steps};
use crate::shape::{KeyCompression, galois_elements};
use bfv::GaloisElement;

/// Work on one switch of keys of two ciphertext moduli, without its transforms, in transforms of a polynomial
/// modulo one modulus. This weight and the following ones were fitted to the instructions of AVX2 code for nine
/// shapes from 8 to 412 plaintexts, which they give within 7 %.
const KEY_SWITCH: f64 = 8.9;
/// Work on one plaintext: a product with both polynomials modulo one ciphertext modulus.
const PLAINTEXT: f64 = 0.15;
/// Work on one ciphertext that is made ready for products, without its transforms, modulo one modulus.
const OPERAND: f64 = 4.0;
/// Work on one product of ciphertexts modulo one modulus.
const PRODUCT: f64 = 1.0;
/// Work on one ciphertext of the reply, without its transforms, modulo one modulus.
const REPLY: f64 = 2.0;
/// How much longer a transform of 64-bit words takes than one of 32-bit words.
const WIDE: f64 = 2.5;

/// Counts of the work on one lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupCounts {
    /// Transforms of one polynomial modulo one modulus.
    pub transforms: u64,
    /// Automorphisms of the expansion, and relinearizations: each is one switch of keys.
    pub key_switches: u64,
    /// Products of a ciphertext with a plaintext.
    pub plaintext_products: u64,
    /// Ciphertexts that are made ready for products of ciphertexts.
    pub operands: u64,
    /// Products of two ciphertexts.
    pub ciphertext_products: u64,
    /// Ciphertexts of the reply.
    pub replies: u64,
}

/// A shape of a database, as far as the work on a lookup depends on it.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Lookups of a query: of a keyword, one for each hash function.
    pub(crate) calls: u64,
    /// Plaintexts of an entry.
    pub(crate) chunks: u64,
    pub(crate) plaintexts: u64,
    pub(crate) rows: u64,
    /// 1 if there is no second dimension.
    pub(crate) columns: u64,
    pub(crate) expanded: u64,
}

impl Shape {
    /// A shape of two dimensions that holds the plaintexts in so many columns.
    pub(crate) fn of_columns(plaintexts: u64, columns: u64, calls: u64, chunks: u64) -> Self {
        let rows = plaintexts.div_ceil(columns);
        Self { calls, chunks, plaintexts, rows, columns, expanded: calls * (rows + columns) }
    }
}

impl LookupCounts {
    /// The work on a lookup of one keyword, or of `batch_size` entries, in a shard.
    ///
    /// # Errors
    /// [`ParameterError::Element`] if the evaluation key does not allow the expansion.
    pub fn of(parameters: &ShardParameters) -> Result<Self, ParameterError> {
        let description = parameters.description();
        let degree = parameters.encryption().degree();
        let elements = description
            .galois_elements
            .iter()
            .map(|&element| GaloisElement::new(u64::from(element), degree))
            .collect::<Result<Vec<_>, _>>()?;
        let shape = Shape {
            calls: parameters.calls() as u64,
            chunks: parameters.chunks() as u64,
            plaintexts: parameters.plaintexts_per_chunk() as u64,
            rows: parameters.rows() as u64,
            columns: parameters.columns() as u64,
            expanded: parameters.expanded(parameters.calls()) as u64,
        };
        Self::of_shape(parameters.encryption(), &shape, &elements)
    }

    /// The work in a shape with the evaluation key of a compression.
    pub(crate) fn of_compression(
        encryption: &bfv::Parameters,
        shape: &Shape,
        compression: KeyCompression,
    ) -> Result<Self, ParameterError> {
        let degree = encryption.degree();
        let elements = galois_elements(degree, shape.expanded, compression)
            .into_iter()
            .map(|element| GaloisElement::new(u64::from(element), degree))
            .collect::<Result<Vec<_>, _>>()?;
        Self::of_shape(encryption, shape, &elements)
    }

    fn of_shape(
        encryption: &bfv::Parameters,
        shape: &Shape,
        elements: &[GaloisElement],
    ) -> Result<Self, ParameterError> {
        let moduli = encryption.ciphertext_modulus_count() as u64;
        let degree = encryption.degree() as u64;
        let steps = expansion_steps(degree as usize, shape.expanded, elements)?;
        let ciphertexts = shape.expanded.div_ceil(degree);
        let (mut nodes, mut switches) = (0, 0);
        for index in 0..ciphertexts {
            let count = (shape.expanded - index * degree).min(degree);
            let height = count.next_power_of_two().ilog2();
            for (depth, step) in (0..height).zip(&steps) {
                // The last step is that of the values that are more than a smaller tree has.
                let here = if depth + 1 < height { 1 << depth } else { count - (1 << depth) };
                nodes += here;
                switches += here * u64::from(step.repeats);
            }
        }
        let lookups = shape.calls * shape.chunks;
        let multiplies = shape.columns > 1;
        // Both leaves of such a node are of the first dimension, which needs no coefficients.
        let without_coefficients = (shape.calls * shape.rows / 2).min(nodes);
        let mut counts = Self {
            transforms: 2 * moduli * ciphertexts
                + switches * (moduli * moduli + 2 * moduli + 2)
                + (switches - without_coefficients.min(switches)) * moduli,
            key_switches: switches,
            plaintext_products: lookups * shape.plaintexts,
            replies: lookups,
            ..Self::default()
        };
        if multiplies {
            let (second, columns) = (shape.calls * shape.columns, lookups * shape.columns);
            counts.operands = second + columns;
            counts.ciphertext_products = columns;
            counts.key_switches += lookups;
            // To coefficients (of the second dimension c0 only), and to the auxiliary moduli.
            counts.transforms += second * moduli + columns * 2 * moduli;
            counts.transforms += counts.operands * 2 * (moduli + 1);
            // Of the product, and of its relinearization.
            counts.transforms += lookups * 3 * (2 * moduli + 1);
            counts.transforms += lookups * (moduli * (moduli + 1) + 2 * (moduli + 1));
        } else {
            counts.transforms += lookups * 2 * moduli;
        }
        Ok(counts)
    }

    /// The work as one number, to compare layouts, of different parameter sets, too: about the nanoseconds of
    /// a core of 2022 with AVX-512.
    #[must_use]
    pub fn work(&self, encryption: &bfv::Parameters) -> f64 {
        let moduli = encryption.ciphertext_modulus_count() as f64;
        let degree = encryption.degree() as f64;
        let word = if encryption.word_bits() > 32 { WIDE } else { 1.0 };
        let number = |count: u64| count as f64;
        let rows = number(self.transforms)
            + number(self.key_switches) * KEY_SWITCH * moduli / 2.0
            + moduli
                * (number(self.plaintext_products) * PLAINTEXT
                    + number(self.operands) * OPERAND
                    + number(self.ciphertext_products) * PRODUCT
                    + number(self.replies) * REPLY);
        rows * word * degree * degree.log2() * 0.07
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::shape::DimensionRule;
    use proptest::prelude::*;

    fn set(end: &str) -> bfv::Parameters {
        bfv::Parameters::predefined(&format!("n_4096_logq_27_28_28_{end}")).unwrap()
    }

    /// Counted in a run for 50,000 rows, except for the transforms: that run had 958.
    #[test]
    fn counts_of_a_usual_shard() {
        let parameters = Plan::new(set("logt_5")).expected_shard(50_000, 50_000, 1).unwrap();
        assert_eq!(parameters.description().dimensions, [25, 6]);
        let counts = LookupCounts::of(&parameters).unwrap();
        let expected = LookupCounts {
            transforms: 956,
            key_switches: 63,
            plaintext_products: 2 * 150,
            operands: 24,
            ciphertext_products: 12,
            replies: 2,
        };
        assert!(counts.plaintext_products.abs_diff(300) <= 4, "{counts:?}");
        let counts = LookupCounts { plaintext_products: 300, ..counts };
        assert_eq!(counts, expected);
    }

    #[test]
    fn fewer_keys_cost_more_work() {
        let mut plan = Plan::new(set("logt_5"));
        let work = |plan: &Plan| {
            let parameters = plan.expected_shard(50_000, 50_000, 1).unwrap();
            LookupCounts::of(&parameters).unwrap().work(&plan.encryption)
        };
        let none = work(&plan);
        plan.compression = KeyCompression::Hybrid;
        let hybrid = work(&plan);
        plan.compression = KeyCompression::Maximum;
        assert!(none < hybrid && hybrid < work(&plan));
    }

    /// Wide words, and a second dimension that is left out.
    #[test]
    fn other_sets_are_counted() {
        for name in bfv::Parameters::predefined_names().filter(|name| name.starts_with("n_")) {
            let plan = Plan::new(bfv::Parameters::predefined(name).unwrap());
            let one = plan.expected_shard(1, 1, 1).unwrap();
            let counts = LookupCounts::of(&one).unwrap();
            assert_eq!((counts.operands, counts.replies), (0, 2), "{name}");
            let many = plan.expected_shard(100_000, 100_000, 1).unwrap();
            let many = LookupCounts::of(&many).unwrap().work(&plan.encryption);
            assert!(many > 2.0 * counts.work(&plan.encryption), "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_cheapest_dimensions_cost_no_more_than_the_references(
            rows in 1_u64..200_000, value in 0_usize..3000, functions in 1_usize..4,
        ) {
            let mut plan = Plan::new(set("logt_6"));
            plan.hash_functions = functions;
            let work = |plan: &Plan| {
                let parameters = plan.expected_shard(rows, rows * value as u64, value).unwrap();
                LookupCounts::of(&parameters).unwrap().work(&plan.encryption)
            };
            let reference = work(&plan);
            plan.dimensions = DimensionRule::Cheapest;
            prop_assert!(work(&plan) <= reference);
        }
    }
}
