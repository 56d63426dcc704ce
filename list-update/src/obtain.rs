//! Which sources are due, and what they gave.

use crate::build::Input;
use crate::configuration::{Configuration, List, Location};
use crate::copies;
use crate::error::{FetchError, SourceProblem, UpdateError};
#[cfg(feature = "http")]
use crate::fetch::{Fetched, Fetcher, Reach, is_good};
use crate::outcome::SourceState;
use crate::state::{SourceCopy, State};
use std::path::Path;
use std::time::Duration;
use unix_clock::Timestamp;

/// Sources that are fetched at the same time.
#[cfg(feature = "http")]
const CONCURRENT_FETCHES: usize = 8;

/// A source with what was got of it.
pub(crate) struct Obtained<'c> {
    pub(crate) input: Input<'c>,
    pub(crate) state: SourceState,
    pub(crate) problem: Option<SourceProblem>,
    /// The copy that is used if this one cannot be.
    pub(crate) fallback: Option<SourceCopy>,
}

/// An answer of a source.
enum Got {
    Copy(SourceCopy),
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only servers say so"))]
    Current,
    NotDue,
}

/// Asks the sources of a configuration.
pub(crate) struct Sources<'u> {
    pub(crate) configuration: &'u Configuration,
    pub(crate) now: Timestamp,
    /// Whether sources may have private and loopback addresses.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only servers have addresses"))]
    pub(crate) allows_private: bool,
    /// Whether all sources are fetched whole.
    pub(crate) refreshes: bool,
}

impl<'u> Sources<'u> {
    /// Gets all sources. One that cannot be had is replaced by its last good copy.
    pub(crate) fn obtain_all(&self, state: &State) -> Result<Vec<Obtained<'u>>, UpdateError> {
        let configuration = self.configuration;
        let folders = &configuration.folders;
        let lists = configuration.lists.iter();
        let names: Vec<_> = lists.map(|list| state.names_before(list, configuration)).collect();
        let lists = configuration.lists.iter().zip(&names);
        let known: Vec<Option<SourceCopy>> =
            lists.map(|(list, names)| copies::last_good(list, names, state, folders)).collect();
        let answers = self.ask_all(&known)?;
        let (mut obtained, mut missing) = (Vec::new(), Vec::new());
        let lists = configuration.lists.iter().zip(names);
        for (((list, names), known), answer) in lists.zip(known).zip(answers) {
            let same = |copy: SourceCopy, state| Obtained {
                input: Input { list, copy, names_before: names.clone() },
                state,
                problem: None,
                fallback: None,
            };
            match (answer, known) {
                (Err(FetchError::Store(error)), _) => return Err(error.into()),
                (Ok(Got::Copy(copy)), known) => {
                    let is_same = known.as_ref().is_some_and(|known| known.sha256 == copy.sha256);
                    obtained.push(match known {
                        // The next request is about the content as it was given now.
                        Some(known) if is_same => {
                            let SourceCopy { etag, last_modified, .. } = copy;
                            let copy = SourceCopy { etag, last_modified, ..known };
                            same(copy, SourceState::Unchanged)
                        }
                        fallback => Obtained { fallback, ..same(copy, SourceState::Changed) },
                    });
                }
                (Ok(Got::Current), Some(known)) => {
                    obtained.push(same(known, SourceState::Unchanged));
                }
                (Ok(Got::NotDue), Some(known)) => obtained.push(same(known, SourceState::NotDue)),
                (Ok(Got::Current | Got::NotDue), None) => {
                    let status = FetchError::Status { status: 304 };
                    missing.push((list.name.clone(), status.into()));
                }
                (Err(error), Some(known)) => obtained.push(Obtained {
                    problem: Some(error.into()),
                    ..same(known, SourceState::Old)
                }),
                (Err(error), None) => missing.push((list.name.clone(), error.into())),
            }
        }
        match missing.is_empty() {
            true => Ok(obtained),
            false => Err(UpdateError::Sources { sources: missing }),
        }
    }

    /// Whether a source does not ask to be left alone.
    fn is_due(&self, known: Option<&SourceCopy>) -> bool {
        let expiry = known.and_then(|known| {
            let span = Duration::from_secs(known.expires_seconds?);
            Some((known.fetched_at, known.fetched_at + span))
        });
        // A copy from the future is of a clock that was wrong.
        self.refreshes || expiry.is_none_or(|(from, to)| self.now < from || self.now >= to)
    }

    #[cfg(feature = "http")]
    fn ask_all(
        &self,
        known: &[Option<SourceCopy>],
    ) -> Result<Vec<Result<Got, FetchError>>, UpdateError> {
        use futures_util::StreamExt;
        use futures_util::stream;

        let folders = &self.configuration.folders;
        let reach = if self.allows_private { Reach::Any } else { Reach::Public };
        let fetcher = Fetcher::new(reach)?;
        let ask = async |(list, known): (&List, &Option<SourceCopy>)| {
            let known = known.as_ref();
            match &list.location {
                Location::Path(path) => self.of_file(list, path, known),
                Location::Url(address) => {
                    // A copy that is damaged is no reason not to ask.
                    if let Some(known) = known.filter(|known| !self.is_due(Some(known)))
                        && is_good(known, folders).await
                    {
                        return Ok(Got::NotDue);
                    }
                    let known = known.filter(|_| !self.refreshes);
                    match fetcher.fetch(list, address, known, folders, self.now).await? {
                        Fetched::Unchanged => Ok(Got::Current),
                        Fetched::New(copy) => Ok(Got::Copy(copy)),
                    }
                }
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| UpdateError::Client { source: error.into() })?;
        let all = self.configuration.lists.iter().zip(known);
        Ok(runtime.block_on(stream::iter(all).map(ask).buffered(CONCURRENT_FETCHES).collect()))
    }

    #[cfg(not(feature = "http"))]
    fn ask_all(
        &self,
        known: &[Option<SourceCopy>],
    ) -> Result<Vec<Result<Got, FetchError>>, UpdateError> {
        let all = self.configuration.lists.iter().zip(known);
        let ask = |(list, known): (&List, &Option<SourceCopy>)| match &list.location {
            Location::Path(path) => self.of_file(list, path, known.as_ref()),
            Location::Url(_) if !self.is_due(known.as_ref()) => Ok(Got::NotDue),
            Location::Url(_) => Err(FetchError::Address),
        };
        Ok(all.map(ask).collect())
    }

    fn of_file(
        &self,
        list: &List,
        path: &Path,
        known: Option<&SourceCopy>,
    ) -> Result<Got, FetchError> {
        let folders = &self.configuration.folders;
        copies::of_file(list, path, known, folders, self.now).map(Got::Copy)
    }
}
