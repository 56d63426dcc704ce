//! Sends the counts of each finished day to an address of the operator's, once.
//!
//! What was sent is recorded beside the reports, so that a restart sends nothing twice. A process that ends between an
//! answer and the record sends the day again, under the same source. So does one whose clock was ahead and was corrected.

use super::counts::{CountError, CountOptions, DayCounts, count};
use super::day::Day;
use crate::blocking::{TaskFailed, blocking};
use durable_file::{Access, FileError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use unix_clock::Timestamp;

const STATE: &str = "webhook.json";
/// Largest record, in bytes.
const MAX_STATE: u64 = 4096;
/// How long the address may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long after its end a day is finished: requests that began before midnight are written then.
const SETTLED: Duration = Duration::from_secs(300);

/// Counts cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    #[error(transparent)]
    Count(#[from] CountError),
    #[error("what was sent cannot be recorded")]
    State(#[from] FileError),
    #[error("{0}: not a record of what was sent; remove it to send all days again")]
    Damaged(PathBuf),
    #[error("the address of reports.webhook does not answer")]
    Unreachable(#[source] reqwest::Error),
    #[error("the address of reports.webhook answered with status {0}")]
    Status(u16),
    #[error("no random numbers for the name of this source")]
    Random(#[source] getrandom::Error),
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    /// Tells nodes apart, so that their counts can be added up.
    source: String,
    /// The last day that was sent.
    #[serde(default)]
    sent: Option<Day>,
}

impl State {
    fn read(directory: &Path) -> Result<Self, WebhookError> {
        let path = directory.join(STATE);
        match durable_file::read(&path, MAX_STATE) {
            Ok(content) => {
                serde_json::from_slice(&content).map_err(|_| WebhookError::Damaged(path))
            }
            Err(error) if error.is_not_found() => {
                let mut random = [0; 16];
                getrandom::fill(&mut random).map_err(WebhookError::Random)?;
                let state = Self { source: hex::encode(random), sent: None };
                state.write(directory)?;
                Ok(state)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, directory: &Path) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).expect("a text and a day are JSON");
        durable_file::write(&directory.join(STATE), Access::Owner, &text)
    }
}

#[derive(Serialize)]
struct Message<'m> {
    source: &'m str,
    #[serde(flatten)]
    counts: &'m DayCounts,
}

/// Sends the days that are finished at `now` and were not sent. Days without reports are not sent. Returns how many
/// were.
pub(crate) async fn deliver(
    directory: PathBuf,
    url: &str,
    min_count: u64,
    now: Timestamp,
) -> Result<usize, WebhookError> {
    let folder = directory.clone();
    let mut state = blocking(move || State::read(&folder)).await?;
    let last = Day::of(now - SETTLED).previous();
    // A day later than today was recorded while the clock was ahead, and tells nothing about the days before.
    let was_ahead = state.sent.is_some_and(|sent| sent > Day::of(now));
    let from = state.sent.filter(|_| !was_ahead).map(Day::next);
    if from.is_some_and(|from| from > last) {
        return Ok(0);
    }
    let options = CountOptions { from, to: Some(last), min_count };
    let folder = directory.clone();
    let days = blocking(move || count(&folder, &options).map_err(WebhookError::from)).await?;
    if was_ahead && days.is_empty() {
        // It may be today that is wrong, on a machine that has not asked for the time yet: the record stays.
        return Ok(0);
    }
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(WebhookError::Unreachable)?;
    let count = days.len();
    let sent = days.iter().map(|day| (Some(day), day.day));
    // The record also says that there was nothing until yesterday.
    for (counts, day) in sent.chain([(None, last)]) {
        if let Some(counts) = counts {
            let body = serde_json::to_vec(&Message { source: &state.source, counts })
                .expect("counts are JSON");
            let request = client.post(url).header(http::header::CONTENT_TYPE, "application/json");
            let response = request.body(body).send().await;
            // The address may hold a secret.
            let response =
                response.map_err(|error| WebhookError::Unreachable(error.without_url()))?;
            if !response.status().is_success() {
                return Err(WebhookError::Status(response.status().as_u16()));
            }
        }
        state.sent = Some(day);
        let (folder, state) = (directory.clone(), state.clone());
        blocking(move || state.write(&folder).map_err(WebhookError::from)).await?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_at_most_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        for length in [MAX_STATE - 1, MAX_STATE, MAX_STATE + 1] {
            let text = "{\"source\":\"a\"}";
            let padding = " ".repeat(usize::try_from(length).unwrap() - text.len());
            std::fs::write(folder.path().join(STATE), format!("{text}{padding}")).unwrap();
            assert_eq!(State::read(folder.path()).is_ok(), length <= MAX_STATE, "{length}");
        }
    }
}
