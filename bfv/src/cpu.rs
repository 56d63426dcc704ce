//! Which instructions this machine has, and which of them a program uses.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::sync::OnceLock;

/// The environment variable that forces a back end by its [name](Backend::name): `portable`, `avx2`,
/// `avx512` or `neon`. Unset or empty, the fastest back end of the machine is used.
pub const BACKEND_VARIABLE: &str = "BFV_BACKEND";

/// Proof that the CPU has AVX2 and BMI2: no value exists before the CPU was asked.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// Proof that the CPU has AVX2, BMI2 and the F, BW, CD, DQ and VL sets of AVX-512: no value exists
/// before the CPU was asked.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// Proof that the CPU has NEON: no value exists before the CPU was asked.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon(());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// A set of CPU instructions that this machine has. A value exists only after the CPU was asked.
///
/// All back ends compute the same bits; they differ in speed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Backend(Level);

/// [`BACKEND_VARIABLE`] names no back end that this machine can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{BACKEND_VARIABLE}={name}: expected one of the back ends of this machine, {available}; \
     correct the variable or unset it"
)]
pub struct BackendError {
    name: String,
    available: String,
}

impl BackendError {
    /// The value of the variable. Bytes that are not UTF-8 are shown as U+FFFD.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Backend {
    /// Portable code, of which the compiler vectorises what it can. Every machine has it.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Level::Portable)
    }

    /// 256-bit vectors, if this CPU has them (AVX2 and BMI2).
    #[must_use]
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") {
            return Some(Self(Level::Avx2(Avx2(()))));
        }
        None
    }

    /// 512-bit vectors, if this CPU has them: AVX2, BMI2, and of AVX-512 the sets F, BW, CD, DQ and VL.
    #[must_use]
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if Self::avx2().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            return Some(Self(Level::Avx512(Avx512(()))));
        }
        None
    }

    /// 128-bit vectors of 64-bit ARM, if this CPU has them (NEON; little-endian only).
    #[must_use]
    pub fn neon() -> Option<Self> {
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        if std::arch::is_aarch64_feature_detected!("neon") {
            return Some(Self(Level::Neon(Neon(()))));
        }
        None
    }

    /// Every back end of this machine, slowest first, whatever [`BACKEND_VARIABLE`] says.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Some(Self::portable()), Self::neon(), Self::avx2(), Self::avx512()];
        all.into_iter().flatten().collect()
    }

    /// The back end of that name; `None` if the name is unknown or this CPU lacks the instructions.
    /// `scalar`, the former name of `portable`, is understood too.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let name = if name == "scalar" { "portable" } else { name };
        Self::available().into_iter().find(|backend| backend.name() == name)
    }

    /// The back ends that this process may use, slowest first: the one that [`BACKEND_VARIABLE`]
    /// names, or every back end of the machine. Tests run under each of them.
    ///
    /// # Errors
    /// If the variable names a back end that is unknown or not available on this machine.
    pub fn permitted() -> Result<Vec<Self>, BackendError> {
        Self::permitted_by(env::var_os(BACKEND_VARIABLE).as_deref())
    }

    fn permitted_by(name: Option<&OsStr>) -> Result<Vec<Self>, BackendError> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(Self::available()) };
        match name.to_str().and_then(Self::by_name) {
            Some(backend) => Ok(vec![backend]),
            None => {
                let available: Vec<&str> = Self::available().into_iter().map(Self::name).collect();
                let name = name.to_string_lossy().into_owned();
                Err(BackendError { name, available: available.join(", ") })
            }
        }
    }

    /// The back end in use unless a caller chooses another: the fastest that is
    /// [permitted](Self::permitted). The environment is read once, by the first call.
    ///
    /// # Errors
    /// If [`BACKEND_VARIABLE`] names a back end that is unknown or not available on this machine.
    pub fn detect() -> Result<Self, BackendError> {
        static DETECTED: OnceLock<Result<Backend, BackendError>> = OnceLock::new();
        let fastest = || Ok(Self::permitted()?.pop().unwrap_or(Self::portable()));
        DETECTED.get_or_init(fastest).clone()
    }

    /// `portable`, `avx2`, `avx512` or `neon`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Level::Neon(_) => "neon",
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Defines functions that run with the CPU features that their first argument proves. The body is
/// compiled with the features; the function around it is safe to call from anywhere.
///
/// Users must give the features that the proof stands for.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! with_cpu_features {
    (
        $proof:ty, $features:literal;
        $(
            $(#[$meta:meta])*
            fn $name:ident($cpu:ident $(, $arg:ident: $ty:ty)* $(,)?) $body:block
        )*
    ) => {
        $(
            $(#[$meta])*
            pub(crate) fn $name(proof: $proof, $($arg: $ty),*) {
                #[target_feature(enable = $features)]
                fn with_features($cpu: $proof, $($arg: $ty),*) $body
                // SAFETY: the proof exists only where the CPU has been found to have the features.
                unsafe { with_features(proof, $($arg),*) }
            }
        )*
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use with_cpu_features;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_a_back_end_of_this_machine() {
        let permitted = |name: &str| Backend::permitted_by(Some(OsStr::new(name)));
        for backend in Backend::available() {
            assert_eq!(permitted(backend.name()), Ok(vec![backend]));
        }
        assert_eq!(permitted("scalar"), Ok(vec![Backend::portable()]));
        assert_eq!(permitted(""), Ok(Backend::available()));
        assert_eq!(Backend::permitted_by(None), Ok(Backend::available()));
        let error = permitted("axv2").unwrap_err();
        assert_eq!(error.name(), "axv2");
        assert!(error.to_string().starts_with("BFV_BACKEND=axv2: "), "{error}");
        assert!(error.to_string().contains("portable"), "{error}");
        for name in ["AVX2", " avx2", "portable,avx2"] {
            assert!(permitted(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_back_end_that_the_machine_lacks_is_refused() {
        let all = [Backend::avx2(), Backend::avx512(), Backend::neon()];
        for (name, backend) in ["avx2", "avx512", "neon"].into_iter().zip(all) {
            let permitted = Backend::permitted_by(Some(OsStr::new(name)));
            assert_eq!(permitted.ok(), backend.map(|backend| vec![backend]));
        }
    }
}
