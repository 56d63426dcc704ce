//! Lists that the service keeps up to date by itself.

#[cfg(feature = "lists")]
use super::UseCase;
use super::error::ConfigurationError;
#[cfg(not(feature = "lists"))]
use super::error::Feature;
use serde::Deserialize;
use std::path::PathBuf;

/// Where the list configuration is, and what its sources may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ListSettings {
    /// The list configuration, as `urlfilter update` reads it.
    pub file: PathBuf,
    /// Whether sources may have private and loopback addresses. Default: no.
    #[serde(default)]
    pub allow_private: bool,
}

impl ListSettings {
    /// A list configuration whose sources are of the open internet.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), allow_private: false }
    }

    /// Sets whether sources may have private and loopback addresses.
    #[must_use]
    pub fn with_private_addresses(mut self, are_allowed: bool) -> Self {
        self.allow_private = are_allowed;
        self
    }

    /// The use case that the lists are served as.
    #[cfg(feature = "lists")]
    pub(super) fn use_case(&self) -> Result<UseCase, ConfigurationError> {
        use list_update::configuration::Delivery;
        let wrong = |reason: String| {
            ConfigurationError::value("lists", format!("{}: {reason}", self.file.display()))
        };
        let lists = list_update::Configuration::read(&self.file).map_err(|error| {
            ConfigurationError::value("lists", error_reporter::Report::new(&error).to_string())
        })?;
        if matches!(lists.delivery, Delivery::Reload { .. }) {
            let reason = "service.reload is for other services; this one serves what it makes";
            return Err(wrong(reason.to_owned()));
        }
        let name = lists.use_case.ok_or_else(|| {
            wrong(
                "service.use_case is missing; it is the name that the lists are served under"
                    .to_owned(),
            )
        })?;
        let use_case = UseCase::from_files(name, lists.folders.stem(), None::<u32>)?;
        let use_case = use_case.with_prefilter(lists.folders.build());
        Ok(use_case.with_levels(lists.folders.levels()).awaiting_files())
    }

    #[cfg(not(feature = "lists"))]
    pub(super) fn use_case(&self) -> Result<super::UseCase, ConfigurationError> {
        Err(ConfigurationError::Feature {
            file: None,
            key: "lists".to_owned(),
            feature: Feature::Lists,
        })
    }
}
