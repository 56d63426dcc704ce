//! The answer to a keyword.

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The service, in this lookup.
    Service,
    /// The cache, with an answer that is [fresh](super::AnswerPolicy::fresh_for).
    Cache,
    /// The cache, with an answer that is [stale](super::AnswerPolicy::stale_for): the service could not
    /// answer.
    StaleCache,
}

/// The answer to a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Answer {
    /// The value; `None` if the data set does not have the keyword.
    pub value: Option<Vec<u8>>,
    /// Where the answer came from.
    pub source: Source,
    /// Whether the reply could be read. One that decrypts to nonsense counts as the answer that the
    /// keyword is absent: the service must not be able to tell the two apart. Do not send anything because
    /// of this: no report, no repetition, no new key.
    pub is_readable: bool,
}
