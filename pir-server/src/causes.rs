//! Errors with their causes, for log lines and answers of the admin endpoints.

use std::error::Error;
use std::fmt;

/// An error and its causes on one line, as `anyhow` prints them with `{:#}`. No error of this workspace repeats its
/// cause in its own message.
pub(crate) struct WithCauses<'e>(pub(crate) &'e (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut causes = std::iter::successors(self.0.source(), |&cause| cause.source());
        causes.try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("the list cannot be read")]
        Outer(#[source] Box<Layer>),
        #[error("the disk is gone")]
        Root,
    }

    #[test]
    fn every_cause_is_printed() {
        assert_eq!(WithCauses(&Layer::Root).to_string(), "the disk is gone");
        let nested = Layer::Outer(Box::new(Layer::Outer(Box::new(Layer::Root))));
        assert_eq!(
            WithCauses(&nested).to_string(),
            "the list cannot be read: the list cannot be read: the disk is gone"
        );
    }
}
