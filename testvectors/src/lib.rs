//! Writes the published test vectors.
