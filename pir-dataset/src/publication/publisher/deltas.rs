//! Deltas that a publisher uploads, for nodes that have the release before.

use super::Publisher;
use crate::progress::{Notice, Phase, Running};
use crate::publication::delta::{Delta, Deltas};
use crate::publication::release::{Release, ReleasedFile};
use crate::publication::store::ReleaseStoreError;
use error_reporter::Report;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Smaller files have no deltas, in bytes: another request would take longer than what it saves.
const MIN_FILE: u64 = 1 << 16;

impl Publisher<'_> {
    /// Uploads what makes files of a release from those of the same names in the release that nodes serve now, as far as it
    /// is much less than they are. Returns the number of deltas. One that cannot be made is left out.
    pub(super) async fn upload_deltas(
        &self,
        release: &Release,
        files: &[(ReleasedFile, PathBuf)],
    ) -> usize {
        let Some((current, _)) = &self.current else { return 0 };
        let previous = match self.store.release(current.effective_at(self.clock.now())).await {
            Ok(previous) => previous,
            Err(error) => return self.no_delta(&release.id, error),
        };
        let by_name: BTreeMap<&str, &ReleasedFile> =
            previous.data_files().map(|file| (file.name.as_str(), file)).collect();
        let pairs: Vec<_> = files
            .iter()
            .filter(|(file, _)| file.bytes >= MIN_FILE)
            .filter_map(|(file, path)| Some((*by_name.get(file.name.as_str())?, file, path)))
            .filter(|(before, file, _)| before.bytes == file.bytes && before.sha256 != file.sha256)
            .collect();
        if pairs.is_empty() {
            return 0;
        }
        let bytes = pairs.iter().map(|(_, file, _)| file.bytes).sum();
        let phase = Running::begin(self.progress, Phase::MakingDeltas, bytes);
        let mut deltas: Vec<Delta> = Vec::new();
        for (before, file, path) in pairs {
            match self.store.put_delta(before, file, path).await {
                Ok(delta) => deltas.extend(delta),
                Err(error) => {
                    self.no_delta(&file.name, error);
                }
            }
            phase.advance(file.bytes);
        }
        let count = deltas.len();
        if count == 0 {
            return 0;
        }
        match self.store.put_deltas(&release.id, &Deltas::new(deltas)).await {
            Ok(()) => count,
            Err(error) => self.no_delta(&release.id, error),
        }
    }

    /// Tells that there is no delta. Nodes fetch whole files then.
    fn no_delta(&self, name: &str, error: ReleaseStoreError) -> usize {
        let reason = Report::new(&error).to_string();
        self.progress.notice(Notice::NoDelta { name: name.to_owned(), reason });
        0
    }
}
