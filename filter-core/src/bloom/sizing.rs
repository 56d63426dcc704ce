//! From a number of keys and a tolerance to bits and hashes.

use super::error::BloomError;
use super::parameters::Parameters;
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;

/// How the two real-valued sizes are rounded to integers.
///
/// Apple documents the formulas, not the rounding. Both ways work on a device, because the file of the filter
/// states the integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Sizing {
    /// To the nearest integer, halves up: the default of this project.
    #[default]
    Round,
    /// Up, as the tool of Apple's released sample does; gives the same files byte for byte.
    Ceil,
}

impl Sizing {
    /// The parameters for `keys` distinct keys (at least 1) at the false-positive rate `tolerance` (strictly
    /// between 0 and 1): `bitCount = -n ln p / (ln 2)^2`, then `hashCount = bitCount / n * ln 2` from the rounded
    /// `bitCount`; each at least 1. The formulas are Apple's.
    ///
    /// # Errors
    /// [`BloomError::NoKeys`], [`BloomError::Tolerance`] or [`BloomError::TooLarge`].
    pub fn parameters(
        self,
        keys: u64,
        tolerance: f64,
        murmur_seed: u32,
    ) -> Result<Parameters, BloomError> {
        if !(tolerance > 0.0 && tolerance < 1.0) {
            return Err(BloomError::Tolerance(tolerance));
        }
        if keys == 0 {
            return Err(BloomError::NoKeys);
        }
        let n = keys as f64;
        let bits = self.to_integer(-n * tolerance.ln() / (LN_2 * LN_2));
        if bits > f64::from(u32::MAX) {
            return Err(BloomError::TooLarge { keys, tolerance, bits });
        }
        let bit_count = bits as u32;
        let hash_count = self.to_integer(f64::from(bit_count) / n * LN_2) as u32;
        Parameters::new(bit_count, hash_count, murmur_seed)
    }

    fn to_integer(self, x: f64) -> f64 {
        let integer = match self {
            Self::Round => (x + 0.5).floor(),
            Self::Ceil => x.ceil(),
        };
        integer.max(1.0)
    }
}

impl std::fmt::Display for Sizing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Round => "round",
            Self::Ceil => "ceil",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_requests_are_named() {
        let ask = |n, p| Sizing::Round.parameters(n, p, 0);
        assert_eq!(ask(0, 0.01), Err(BloomError::NoKeys));
        for p in [0.0, 1.0, -0.5, 2.0, f64::INFINITY] {
            assert_eq!(ask(1, p), Err(BloomError::Tolerance(p)));
        }
        assert!(matches!(ask(1, f64::NAN), Err(BloomError::Tolerance(_))));
        assert!(matches!(ask(u64::MAX, 0.5), Err(BloomError::TooLarge { .. })));
        assert!(matches!(ask(1_000_000_000, 0.001), Err(BloomError::TooLarge { .. })));
        assert!(ask(298_000_000, 0.001).is_ok());
        assert!(ask(1, f64::from_bits(1)).is_ok());
        assert_eq!(ask(1_000, 0.999_999).map(Parameters::bit_count), Ok(1));
    }
}
