//! What was found, with cause and fix.

use serde::Serialize;

/// How it stands with something that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// Works, and could do so better, or not for everyone.
    Warning,
    /// Devices cannot use it.
    Bad,
}

/// One of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// What was checked, in one word.
    pub(crate) check: String,
    pub(crate) state: State,
    /// What was seen.
    pub(crate) seen: String,
    /// What that comes from, and what devices make of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

/// All of them, in the order of the checks.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    pub(crate) fn good(&mut self, check: &str, seen: impl Into<String>) {
        let (check, seen) = (check.to_owned(), seen.into());
        self.0.push(Finding { check, state: State::Good, seen, cause: None, fix: None });
    }

    pub(crate) fn bad(
        &mut self,
        check: &str,
        seen: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(check, State::Bad, seen.into(), cause.into(), fix.into());
    }

    pub(crate) fn warning(
        &mut self,
        check: &str,
        seen: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(check, State::Warning, seen.into(), cause.into(), fix.into());
    }

    fn add(&mut self, check: &str, state: State, seen: String, cause: String, fix: String) {
        let (check, cause, fix) = (check.to_owned(), Some(cause), Some(fix));
        self.0.push(Finding { check, state, seen, cause, fix });
    }

    pub(crate) fn worst(&self) -> State {
        self.0.iter().map(|finding| finding.state).max().unwrap_or(State::Good)
    }
}
