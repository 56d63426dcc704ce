//! Recordings of other implementations, for tests.
