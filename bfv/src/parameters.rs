//! Parameter sets: which are valid, which are predefined.

use crate::arithmetic::prime;
use crate::arithmetic::word::MachineWord;

/// Largest number of coefficient moduli of a set.
pub const MAX_MODULI: usize = 32;
/// Largest polynomial degree N.
pub const MAX_DEGREE: usize = 32_768;

/// How a set's security is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "formats must give every level a number")]
pub enum Security {
    /// At least 128 bits against quantum computers, by the table of [`Parameters::new`].
    Quantum128,
    /// Not judged: for tests only, and never chosen silently.
    Unchecked,
}

/// Why a parameter set is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// The degree is out of range.
    #[error("polynomial degree {0} is not a power of two from 4 to 32768")]
    Degree(u64),
    /// The number of coefficient moduli is out of range.
    #[error("{0} coefficient moduli; 1 to 32 are possible")]
    ModuliCount(usize),
    /// A coefficient modulus is composite, too large or too small.
    #[error("coefficient modulus {0} is not a prime below 2^62 and above the plaintext modulus")]
    CoefficientModulus(u64),
    /// A coefficient modulus has no transform of the degree.
    #[error("coefficient modulus {0} is not 1 modulo twice the polynomial degree")]
    NotTransformable(u64),
    /// A coefficient modulus occurs twice, or is a constant of the arithmetic.
    #[error("coefficient modulus {0} is used twice or reserved")]
    Repeated(u64),
    /// The plaintext modulus is not an odd prime, or too large.
    #[error("plaintext modulus {0} is not an odd prime below 2^62")]
    PlaintextModulus(u64),
    /// The moduli together are too large for 128 bits of security.
    #[error(
        "the moduli have {log_q:.1} bits, {limit} are safe at degree {degree}: \
         take a larger degree or fewer bits"
    )]
    Insecure {
        /// The degree N.
        degree: usize,
        /// log2 of the product of all moduli.
        log_q: Millibits,
        /// The largest safe log2 of the product, in bits.
        limit: u32,
    },
}

/// A number of bits in thousandths, so that errors compare exactly. Displayed in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a number with its unit")]
pub struct Millibits(pub u32);

impl std::fmt::Display for Millibits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&(f64::from(self.0) / 1000.0), f)
    }
}

/// A valid parameter set of BFV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    degree: usize,
    plaintext_modulus: u64,
    coefficient_moduli: Vec<u64>,
    security: Security,
}

impl Parameters {
    /// Checks a set of degree N, plaintext modulus t and coefficient moduli. The last coefficient
    /// modulus is only for key switching, unless it is the only one.
    ///
    /// Rules, which are those of the reference: the degree is a power of two; moduli are distinct
    /// primes, 1 modulo twice the degree, above the plaintext modulus, below 2^62, and not one of
    /// the constants γ and m̃ of the arithmetic; the plaintext modulus is an odd prime. With
    /// [`Security::Quantum128`] the moduli together have at most 21, 41, 83, 165, 330, 660 bits for
    /// degrees 1024 to 32768, and smaller degrees are refused.
    ///
    /// # Errors
    /// The rule that does not hold.
    pub fn new(
        degree: u64,
        plaintext_modulus: u64,
        coefficient_moduli: Vec<u64>,
        security: Security,
    ) -> Result<Self, ParameterError> {
        if !degree.is_power_of_two() || !(4..=MAX_DEGREE as u64).contains(&degree) {
            return Err(ParameterError::Degree(degree));
        }
        if coefficient_moduli.is_empty() || coefficient_moduli.len() > MAX_MODULI {
            return Err(ParameterError::ModuliCount(coefficient_moduli.len()));
        }
        let t = plaintext_modulus;
        if t < 3 || t >> 62 != 0 || !prime::is_prime(t) {
            return Err(ParameterError::PlaintextModulus(t));
        }
        let reserved = [<u32 as MachineWord>::GAMMA, <u64 as MachineWord>::GAMMA];
        for (index, &q) in coefficient_moduli.iter().enumerate() {
            if q <= t || q >> 62 != 0 || !prime::is_prime(q) {
                return Err(ParameterError::CoefficientModulus(q));
            }
            if q % (2 * degree) != 1 {
                return Err(ParameterError::NotTransformable(q));
            }
            if coefficient_moduli[..index].contains(&q) || reserved.contains(&q) {
                return Err(ParameterError::Repeated(q));
            }
        }
        let parameters =
            Self { degree: degree as usize, plaintext_modulus, coefficient_moduli, security };
        if security == Security::Quantum128 {
            parameters.check_security()?;
        }
        Ok(parameters)
    }

    fn check_security(&self) -> Result<(), ParameterError> {
        let limit = match self.degree {
            1024 => 21,
            2048 => 41,
            4096 => 83,
            8192 => 165,
            16_384 => 330,
            32_768 => 660,
            _ => 0,
        };
        // Single precision: the sets that are full to the brim pass by its rounding, as they do
        // in the reference.
        let log_q: f32 = self.coefficient_moduli.iter().map(|&q| (q as f32).log2()).sum();
        if log_q > limit as f32 {
            let log_q = Millibits((f64::from(log_q) * 1000.0) as u32);
            return Err(ParameterError::Insecure { degree: self.degree, log_q, limit });
        }
        Ok(())
    }

    /// The degree N of the polynomials: a power of two from 4 to [`MAX_DEGREE`].
    #[must_use]
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// The plaintext modulus t: an odd prime below 2^62.
    #[must_use]
    pub fn plaintext_modulus(&self) -> u64 {
        self.plaintext_modulus
    }

    /// All coefficient moduli, that of key switching last.
    #[must_use]
    pub fn coefficient_moduli(&self) -> &[u64] {
        &self.coefficient_moduli
    }

    /// The moduli of fresh ciphertexts: all but the last, or the only one.
    #[must_use]
    pub fn ciphertext_moduli(&self) -> &[u64] {
        &self.coefficient_moduli[..self.ciphertext_modulus_count()]
    }

    /// L, the number of moduli of fresh ciphertexts.
    #[must_use]
    pub fn ciphertext_modulus_count(&self) -> usize {
        (self.coefficient_moduli.len() - 1).max(1)
    }

    /// Whether there is a modulus for key switching, and so evaluation keys.
    #[must_use]
    pub fn has_key_switching(&self) -> bool {
        self.coefficient_moduli.len() > 1
    }

    /// How its security was judged.
    #[must_use]
    pub fn security(&self) -> Security {
        self.security
    }

    /// The width of the words that its arithmetic is done in, in bits: 32 where every modulus is
    /// below 2^30, else 64.
    #[must_use]
    pub fn word_bits(&self) -> u32 {
        let all = self.coefficient_moduli.iter().chain([&self.plaintext_modulus]);
        if all.into_iter().all(|&modulus| modulus >> 30 == 0) { 32 } else { 64 }
    }

    /// ⌊log2 t⌋, the bits of payload in a plaintext coefficient.
    #[must_use]
    pub fn payload_bits(&self) -> u32 {
        self.plaintext_modulus.ilog2()
    }

    /// Bytes of payload in a plaintext: N·⌊log2 t⌋/8.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.degree * self.payload_bits() as usize / 8
    }

    /// The number of low bits that a ciphertext serialized for decryption leaves out of the residues
    /// of c0 and of c1: what the rounding of decryption cannot see. Section 8 of `docs/pir.md`.
    #[must_use]
    pub fn decryption_skip_bits(&self) -> [u32; 2] {
        let (q, t) = (self.coefficient_moduli[0], self.plaintext_modulus);
        let low = if q >= 2 * t { (q / t).ilog2() as i64 - 3 } else { 0 };
        let spread = (8.0 * (2.0 * self.degree as f64 / 9.0).sqrt()) as u64;
        let spread_bits = if spread == 0 { 0 } else { u64::BITS - (spread - 1).leading_zeros() };
        let second = low - i64::from(spread_bits);
        if second > 1 { [low.max(0) as u32, second as u32] } else { [(low + 1).max(0) as u32, 0] }
    }

    /// The predefined set of that name, as configurations of Apple's tool write it. Sets whose names
    /// start with `insecure_` are for tests.
    #[must_use]
    pub fn predefined(name: &str) -> Option<Self> {
        let preset = PRESETS.iter().find(|preset| preset.name == name)?;
        let security =
            if name.starts_with("insecure_") { Security::Unchecked } else { Security::Quantum128 };
        Some(Self {
            degree: preset.degree,
            plaintext_modulus: preset.plaintext_modulus,
            coefficient_moduli: preset.coefficient_moduli.to_vec(),
            security,
        })
    }

    /// The name of the predefined set that equals this one, if one does.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        let same = |preset: &&Preset| {
            preset.degree == self.degree
                && preset.plaintext_modulus == self.plaintext_modulus
                && preset.coefficient_moduli == self.coefficient_moduli
        };
        PRESETS.iter().find(same).map(|preset| preset.name)
    }

    /// The names of all predefined sets.
    pub fn predefined_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|preset| preset.name)
    }
}

struct Preset {
    name: &'static str,
    degree: usize,
    plaintext_modulus: u64,
    coefficient_moduli: &'static [u64],
}

const fn preset(
    name: &'static str,
    degree: usize,
    plaintext_modulus: u64,
    coefficient_moduli: &'static [u64],
) -> Preset {
    Preset { name, degree, plaintext_modulus, coefficient_moduli }
}

const Q_27_28_28: &[u64] = &[134_176_769, 268_369_921, 268_361_729];
const Q_3X55: &[u64] = &[36_028_797_018_652_673, 36_028_797_017_571_329, 36_028_797_017_456_641];

/// The sets that configurations name. Names of sets say one bit more of plaintext than it carries.
const PRESETS: &[Preset] = &[
    preset("insecure_n_8_logq_5x18_logt_5", 8, 17, &[131_249, 131_297, 131_441, 131_489, 131_617]),
    preset("insecure_n_16_logq_60_logt_15", 16, 16_417, &[1_152_921_504_606_830_593]),
    preset(
        "insecure_n_512_logq_4x60_logt_20",
        512,
        525_313,
        &[
            576_460_752_303_436_801,
            576_460_752_303_439_873,
            576_460_752_303_447_041,
            576_460_752_303_471_617,
        ],
    ),
    preset("n_4096_logq_16_33_33_logt_4", 4096, 11, &[40_961, 8_589_852_673, 8_589_844_481]),
    preset("n_4096_logq_27_28_28_logt_4", 4096, 11, Q_27_28_28),
    preset("n_4096_logq_27_28_28_logt_5", 4096, 17, Q_27_28_28),
    preset("n_4096_logq_27_28_28_logt_6", 4096, 37, Q_27_28_28),
    preset("n_4096_logq_27_28_28_logt_13", 4096, 4099, Q_27_28_28),
    preset("n_4096_logq_27_28_28_logt_16", 4096, 40_961, Q_27_28_28),
    preset("n_4096_logq_27_28_28_logt_17", 4096, 65_537, Q_27_28_28),
    preset(
        "n_8192_logq_28_60_60_logt_20",
        8192,
        557_057,
        &[268_369_921, 1_152_921_504_606_830_593, 1_152_921_504_606_748_673],
    ),
    preset(
        "n_8192_logq_29_60_60_logt_15",
        8192,
        16_411,
        &[536_690_689, 1_152_921_504_606_830_593, 1_152_921_504_606_748_673],
    ),
    preset(
        "n_8192_logq_40_60_60_logt_26",
        8192,
        33_832_961,
        &[1_099_511_480_321, 1_152_921_504_606_830_593, 1_152_921_504_606_748_673],
    ),
    preset("n_8192_logq_3x55_logt_24", 8192, 8_404_993, Q_3X55),
    preset("n_8192_logq_3x55_logt_29", 8192, 268_582_913, Q_3X55),
    preset("n_8192_logq_3x55_logt_30", 8192, 536_903_681, Q_3X55),
    preset("n_8192_logq_3x55_logt_42", 8192, 2_199_023_288_321, Q_3X55),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predefined_sets_are_valid() {
        for name in Parameters::predefined_names() {
            let set = Parameters::predefined(name).unwrap();
            let again = Parameters::new(
                set.degree() as u64,
                set.plaintext_modulus(),
                set.coefficient_moduli().to_vec(),
                set.security(),
            );
            assert_eq!(again.as_ref(), Ok(&set), "{name}");
            assert_eq!(set.name(), Some(name));
        }
        assert_eq!(Parameters::predefined("n_4096"), None);
    }

    #[test]
    fn derived_sizes() {
        let sizes = |name: &str| {
            let set = Parameters::predefined(name).unwrap();
            (set.payload_bytes(), set.decryption_skip_bits(), set.word_bits())
        };
        assert_eq!(sizes("n_4096_logq_27_28_28_logt_4"), (1536, [20, 12], 32));
        assert_eq!(sizes("n_4096_logq_27_28_28_logt_5"), (2048, [19, 11], 32));
        assert_eq!(sizes("n_4096_logq_27_28_28_logt_6"), (2560, [18, 10], 32));
        assert_eq!(sizes("n_4096_logq_27_28_28_logt_13"), (6144, [11, 3], 32));
        assert_eq!(sizes("n_4096_logq_27_28_28_logt_16"), (7680, [9, 0], 32));
        assert_eq!(sizes("n_4096_logq_27_28_28_logt_17"), (8192, [8, 0], 32));
        assert_eq!(sizes("n_4096_logq_16_33_33_logt_4"), (1536, [9, 0], 64));
        assert_eq!(sizes("n_8192_logq_3x55_logt_24"), (23_552, [28, 19], 64));
        assert_eq!(sizes("n_8192_logq_3x55_logt_42"), (41_984, [11, 0], 64));
        assert_eq!(sizes("n_8192_logq_28_60_60_logt_20"), (19_456, [6, 0], 64));
        assert_eq!(sizes("n_8192_logq_29_60_60_logt_15"), (14_336, [11, 2], 64));
        assert_eq!(sizes("n_8192_logq_40_60_60_logt_26"), (25_600, [11, 2], 64));
    }

    #[test]
    fn limits() {
        let new = |degree: u64, moduli: Vec<u64>| {
            Parameters::new(degree, 17, moduli, Security::Unchecked)
        };
        let moduli = |count| prime::primes_above(20, 8, count);
        for count in [1, MAX_MODULI - 1, MAX_MODULI] {
            assert!(new(4, moduli(count)).is_ok(), "{count}");
        }
        let refused = new(4, moduli(MAX_MODULI + 1));
        assert_eq!(refused, Err(ParameterError::ModuliCount(MAX_MODULI + 1)));
        let for_degree = |degree: u64| new(degree, prime::primes_above(40, 2 * degree, 1));
        for degree in [4, MAX_DEGREE as u64 / 2, MAX_DEGREE as u64] {
            assert!(for_degree(degree).is_ok(), "{degree}");
        }
        for degree in [2, 2 * MAX_DEGREE as u64] {
            assert_eq!(for_degree(degree), Err(ParameterError::Degree(degree)));
        }
        // A plaintext modulus of at least 3, below every coefficient modulus.
        let with_t = |t| Parameters::new(4, t, vec![1_048_609], Security::Unchecked);
        assert!(with_t(2).is_err() && with_t(3).is_ok());
        assert_eq!(with_t(1_048_609), Err(ParameterError::CoefficientModulus(1_048_609)));
    }

    #[test]
    fn refusals() {
        let new = |n, t, q: &[u64], s| Parameters::new(n, t, q.to_vec(), s).unwrap_err();
        use Security::{Quantum128, Unchecked};
        assert_eq!(new(4095, 17, Q_27_28_28, Unchecked), ParameterError::Degree(4095));
        assert_eq!(new(2, 17, Q_27_28_28, Unchecked), ParameterError::Degree(2));
        assert_eq!(new(1 << 40, 17, Q_27_28_28, Unchecked), ParameterError::Degree(1 << 40));
        assert_eq!(new(4096, 17, &[], Unchecked), ParameterError::ModuliCount(0));
        assert_eq!(new(4096, 17, &[3; 33], Unchecked), ParameterError::ModuliCount(33));
        assert_eq!(new(4096, 18, Q_27_28_28, Unchecked), ParameterError::PlaintextModulus(18));
        assert_eq!(new(4096, 2, Q_27_28_28, Unchecked), ParameterError::PlaintextModulus(2));
        assert_eq!(
            new(4096, 17, &[134_176_768], Unchecked),
            ParameterError::CoefficientModulus(134_176_768)
        );
        assert_eq!(new(8, 17, &[17], Unchecked), ParameterError::CoefficientModulus(17));
        assert_eq!(
            new(4096, 17, &[134_176_769, 1_000_003], Unchecked),
            ParameterError::NotTransformable(1_000_003)
        );
        assert_eq!(
            new(4096, 17, &[134_176_769, 134_176_769], Unchecked),
            ParameterError::Repeated(134_176_769)
        );
        let insecure = new(2048, 17, Q_27_28_28, Quantum128);
        assert!(matches!(insecure, ParameterError::Insecure { limit: 41, .. }));
        assert!(insecure.to_string().contains("83.0 bits"), "{insecure}");
        let small = new(8, 17, &[131_249, 131_297], Quantum128);
        assert!(matches!(small, ParameterError::Insecure { limit: 0, .. }));
    }
}
