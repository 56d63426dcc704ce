//! Messages of parsers from other crates, without their types.

/// What a parser of another crate reported, as text. It is part of the message of the error that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserMessage(Box<str>);

impl ParserMessage {
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        Self(error.to_string().into_boxed_str())
    }

    #[cfg(feature = "plist")]
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for ParserMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
