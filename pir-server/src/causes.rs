//! Errors as people read them: what happened, and why.

use std::error::Error;
use std::fmt;

/// An error and what each of its causes adds, on one line. Some libraries repeat their causes in what
/// they say themselves, others do not; nothing is said twice here.
///
/// ```
/// use pir_server::causes::WithCauses;
/// #[derive(Debug, thiserror::Error)]
/// #[error("list.txt: {0}")]
/// struct Unreadable(#[source] std::io::Error);
/// let error = Unreadable(std::io::Error::other("the disk is gone"));
/// assert_eq!(WithCauses(&error).to_string(), "list.txt: the disk is gone");
/// ```
pub struct WithCauses<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let causes = std::iter::successors(self.0.source(), |&cause| cause.source());
        for cause in causes.map(|cause| cause.to_string()) {
            if !said.contains(&cause) {
                said += ": ";
                said += &cause;
            }
        }
        f.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("store: {0}")]
        Repeats(#[source] Box<Layer>),
        #[error("the request failed")]
        KeepsQuiet(#[source] Box<Layer>),
        #[error("connection refused")]
        Root,
    }

    #[test]
    fn every_cause_once() {
        use Layer::{KeepsQuiet, Repeats, Root};
        let says = |error: Layer| WithCauses(&error).to_string();
        assert_eq!(says(Root), "connection refused");
        assert_eq!(says(Repeats(Root.into())), "store: connection refused");
        let quiet = KeepsQuiet(Root.into());
        assert_eq!(
            says(Repeats(Repeats(quiet.into()).into())),
            "store: store: the request failed: connection refused"
        );
    }
}
