//! The formats of processed databases.

/// How the processed databases are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseFormat {
    /// The format that `pir-server` maps as it is.
    #[default]
    Native,
    /// The format that Apple's service reads.
    Apple,
}
