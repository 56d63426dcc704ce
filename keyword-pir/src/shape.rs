//! From a number of plaintexts to the shape of a database.

use crate::cost::{LookupCounts, Shape};
use crate::parameters::MAX_EXPANDED;

/// Largest number of dimensions of a database.
pub const MAX_DIMENSIONS: usize = 2;

/// The shape that the reference's tool chooses for `plaintexts`: as square as possible, or, if
/// `uneven`, with a longer first dimension as long as queries do not grow past a power of two.
/// `calls` is the number of lookups that a query makes at once.
///
/// ```
/// use keyword_pir::shape::choose_dimensions;
/// assert_eq!(choose_dimensions(150, 2, 2, true), [25, 6]);
/// ```
#[must_use]
pub fn choose_dimensions(plaintexts: u64, dimensions: usize, calls: u64, uneven: bool) -> Vec<u64> {
    let plaintexts = plaintexts.max(1);
    if dimensions < 2 {
        return vec![plaintexts];
    }
    let root = plaintexts.isqrt();
    let mut shape = [root, root];
    for side in 0..2 {
        if shape[0] * shape[1] < plaintexts {
            shape[side] += 1;
        }
    }
    if uneven {
        let expanded = |shape: [u64; 2]| ((shape[0] + shape[1]) * calls).next_power_of_two();
        let limit = expanded(shape);
        let mut longer = shape;
        while expanded(longer) <= limit {
            shape = longer;
            if longer[1] == 1 {
                break;
            }
            longer[1] -= 1;
            longer[0] = plaintexts.div_ceil(longer[1]);
        }
    }
    shape.to_vec()
}

/// How the dimensions of a database follow from its plaintexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers that store settings must name each variant")]
pub enum DimensionRule {
    /// As the reference's tool chooses them: [`choose_dimensions`].
    #[default]
    Reference,
    /// Those with the least work for the server: [`cheapest_dimensions`].
    Cheapest,
    /// These numbers of rows and columns, whatever the plaintexts are.
    Fixed([u64; 2]),
}

/// The two dimensions that hold `plaintexts` with the least work for the server, by
/// [`LookupCounts::work`]. `calls` is the number of lookups that a query makes at once, `chunks` the
/// number of plaintexts of an entry.
///
/// ```
/// use keyword_pir::shape::{KeyCompression, cheapest_dimensions};
/// let set = bfv::Parameters::predefined("n_4096_logq_27_28_28_logt_5").unwrap();
/// assert_eq!(cheapest_dimensions(&set, 375, 1, 1, KeyCompression::None), [29, 13]);
/// ```
#[must_use]
pub fn cheapest_dimensions(
    encryption: &bfv::Parameters,
    plaintexts: u64,
    calls: u64,
    chunks: u64,
    compression: KeyCompression,
) -> [u64; 2] {
    let plaintexts = plaintexts.max(1);
    // A column costs more than a row, so there are never more columns than rows.
    let most = plaintexts.isqrt().clamp(1, MAX_EXPANDED);
    let mut best = ([plaintexts, 1], f64::INFINITY);
    for columns in 1..=most {
        let shape = Shape::of_columns(plaintexts, columns, calls, chunks);
        if shape.expanded > MAX_EXPANDED {
            continue;
        }
        let Ok(counts) = LookupCounts::of_compression(encryption, &shape, compression) else {
            continue;
        };
        let work = counts.work(encryption);
        if work < best.1 {
            best = ([shape.rows, columns], work);
        }
    }
    best.0
}

/// Which Galois keys a client sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers that store settings must name each variant")]
pub enum KeyCompression {
    /// One for each step of the expansion: the largest upload, and the smallest work for the server.
    #[default]
    None,
    /// The smallest possible number, with the largest work for the server.
    Maximum,
    /// One more than the smallest number, which saves most of the additional work.
    Hybrid,
}

/// The Galois elements, ascending, that expansion to `expanded` values needs in polynomials of
/// `degree`.
///
/// ```
/// use keyword_pir::shape::{KeyCompression, galois_elements};
/// assert_eq!(galois_elements(4096, 62, KeyCompression::Hybrid), [129, 1025]);
/// ```
#[must_use]
pub fn galois_elements(degree: usize, expanded: u64, compression: KeyCompression) -> Vec<u32> {
    let log_degree = degree.ilog2();
    let values = expanded.clamp(1, degree as u64);
    let low = log_degree + 1 - values.next_power_of_two().ilog2();
    let high = low.max((log_degree + 1).div_ceil(2)).min(log_degree);
    let mut exponents: Vec<u32> = match compression {
        KeyCompression::None => (low..=log_degree).collect(),
        KeyCompression::Maximum | KeyCompression::Hybrid => (low..=high).collect(),
    };
    if compression == KeyCompression::Hybrid {
        let middle = high.max((log_degree + high).div_ceil(2));
        if !exponents.is_empty() && !exponents.contains(&middle) && middle <= log_degree {
            exponents.push(middle);
        }
    }
    exponents.into_iter().map(|exponent| (1 << exponent) + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_shapes() {
        for (plaintexts, calls, expected) in [
            (9, 1, [5, 2]),
            (20, 1, [10, 2]),
            (100, 1, [25, 4]),
            (72, 1, [24, 3]),
            (100, 3, [13, 8]),
            (1, 1, [1, 1]),
        ] {
            assert_eq!(choose_dimensions(plaintexts, 2, calls, true), expected, "{plaintexts}");
        }
        assert_eq!(choose_dimensions(100, 2, 1, false), [10, 10]);
        assert_eq!(choose_dimensions(101, 2, 1, false), [11, 10]);
        assert_eq!(choose_dimensions(111, 2, 1, false), [11, 11]);
        assert_eq!(choose_dimensions(7, 1, 1, true), [7]);
    }

    #[test]
    fn published_elements() {
        let all = [129, 257, 513, 1025, 2049, 4097];
        assert_eq!(galois_elements(4096, 62, KeyCompression::None), all);
        assert_eq!(galois_elements(4096, 62, KeyCompression::Maximum), [129]);
        assert_eq!(galois_elements(4096, 62, KeyCompression::Hybrid), [129, 1025]);
        assert!(galois_elements(4096, 1, KeyCompression::None).is_empty());
        // As many values as the ring holds, or more, need every step.
        assert_eq!(galois_elements(8, 9, KeyCompression::None), [3, 5, 9]);
    }

    proptest! {
        #[test]
        fn shapes_hold_their_plaintexts(plaintexts in 1_u64..1 << 40, calls in 1_u64..5, uneven: bool) {
            let shape = choose_dimensions(plaintexts.min(1 << 24), 2, calls, uneven);
            prop_assert!(shape[0] * shape[1] >= plaintexts.min(1 << 24));
            // No smaller first dimension would do.
            prop_assert!((shape[0] - 1) * shape[1] < plaintexts.min(1 << 24));
        }
    }
}
