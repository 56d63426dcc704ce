//! What was found, with cause and fix.

use crate::Check;
use serde::Serialize;
use std::slice;

/// How a check came out. Later variants are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Severity {
    /// Nothing to do.
    Good,
    /// Works, but slowly, or not for all devices.
    Warning,
    /// Devices cannot use the deployment.
    Bad,
}

/// Why something is not good, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// The cause, and what devices make of it.
    pub cause: String,
    /// What to change.
    pub fix: String,
}

/// The result of one check.
///
/// Serialises as an object with the fields `check`, `state` (the [`Severity`]) and `seen`, and with `cause` and
/// `fix` unless it is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How it came out.
    #[serde(rename = "state")]
    pub severity: Severity,
    /// What was observed.
    pub seen: String,
    /// Cause and fix; present unless the severity is [`Severity::Good`].
    #[serde(flatten)]
    pub advice: Option<Advice>,
}

/// All findings, in the order of the checks. Serialises as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
#[must_use = "findings say whether the deployment is ready"]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Each finding.
    pub fn iter(&self) -> slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// Number of findings: checks that could be made.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no check was made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of findings of one severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether devices can use the deployment: nothing is [`Severity::Bad`]. There may be warnings.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.count(Severity::Bad) == 0
    }

    pub(crate) fn good(&mut self, check: Check, seen: impl Into<String>) {
        let seen = seen.into();
        self.0.push(Finding { check, severity: Severity::Good, seen, advice: None });
    }

    pub(crate) fn warning(
        &mut self,
        check: Check,
        seen: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(check, Severity::Warning, seen.into(), cause.into(), fix.into());
    }

    pub(crate) fn bad(
        &mut self,
        check: Check,
        seen: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(check, Severity::Bad, seen.into(), cause.into(), fix.into());
    }

    /// As [`Findings::bad`], with cause and fix in one.
    pub(crate) fn bad_for(&mut self, check: Check, seen: impl Into<String>, advice: Advice) {
        self.add(check, Severity::Bad, seen.into(), advice.cause, advice.fix);
    }

    /// Whether a check came out as [`Severity::Bad`].
    pub(crate) fn is_bad(&self, check: Check) -> bool {
        self.iter().any(|finding| finding.check == check && finding.severity == Severity::Bad)
    }

    /// Takes back what is not good of a check: another finding has its cause.
    pub(crate) fn withdraw(&mut self, check: Check) {
        self.0.retain(|finding| finding.check != check || finding.severity == Severity::Good);
    }

    fn add(&mut self, check: Check, severity: Severity, seen: String, cause: String, fix: String) {
        let advice = Some(Advice { cause, fix });
        self.0.push(Finding { check, severity, seen, advice });
    }
}

impl<'f> IntoIterator for &'f Findings {
    type Item = &'f Finding;
    type IntoIter = slice::Iter<'f, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
