//! The files of reports: one line of JSON for each report, in files that rotate and are removed when they are old.
//!
//! A line has the time, the system's name and version, and the reported keys. Neither the whole `User-Agent` nor
//! anything that tells one device from another is stored.

use crate::blocking::blocking;
use crate::configuration::ReportSettings;
use crate::platform::Platform;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;
use unix_clock::Timestamp;

const CURRENT: &str = "reports.jsonl";
const FINISHED: &str = "reports-";

/// Longest line that is read, in bytes. Reports have been shorter in every version of this service, with each character escaped.
pub(super) const MAX_LINE: u64 = 8 << 20;

/// What is read of a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadLine {
    pub(super) received_at: Timestamp,
    pub(super) urls: Vec<String>,
}

/// The next line of a file. `Some(Err(()))` for one that cannot be read, which a crash may leave.
pub(super) fn next_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
) -> io::Result<Option<Result<ReadLine, ()>>> {
    line.clear();
    if input.by_ref().take(MAX_LINE).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(line).map_err(drop)))
}

/// When the first report of a file was received.
fn first_received(path: &Path) -> Option<Timestamp> {
    let mut input = BufReader::new(File::open(path).ok()?);
    let first = next_line(&mut input, &mut Vec::new()).ok()??;
    first.ok().map(|line| line.received_at)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'r> {
    received_at: Timestamp,
    platform: String,
    urls: &'r [String],
}

/// The file that reports are added to, the time of its first report, or of its opening while it has none, and its length.
struct Current {
    file: File,
    opened: Timestamp,
    bytes: u64,
}

/// What all logs of one folder share.
#[derive(Default)]
struct Files {
    /// `None` until it is opened, and after it was finished.
    current: Option<Current>,
    /// Names of files whose time was later than that of the last maintenance.
    ahead: HashSet<String>,
}

/// The folder of report files, with the settings of one configuration.
pub(crate) struct ReportLog {
    directory: PathBuf,
    settings: ReportSettings,
    /// One report is written at a time, and those that wait take no thread.
    files: Arc<Mutex<Files>>,
    /// Number of files that were removed before their days had passed, because there were too many, and that nobody was told of.
    removed_early: Arc<AtomicUsize>,
}

impl ReportLog {
    /// Opens the folder, or creates it, and the current file in it.
    ///
    /// # Errors
    /// If the folder cannot be created, or the file cannot be opened.
    pub(crate) fn open(directory: &Path, settings: &ReportSettings) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let log = Self {
            directory: directory.to_owned(),
            settings: settings.clone(),
            files: Arc::default(),
            removed_early: Arc::default(),
        };
        // A folder that cannot be written fails now rather than at the first report.
        log.open_current(Timestamp::MIN)?;
        Ok(log)
    }

    /// The same folder with other settings. Both write to the same file, one at a time.
    pub(crate) fn with_settings(&self, settings: &ReportSettings) -> Self {
        Self {
            directory: self.directory.clone(),
            settings: settings.clone(),
            files: Arc::clone(&self.files),
            removed_early: Arc::clone(&self.removed_early),
        }
    }

    /// The folder that it was opened with.
    #[must_use]
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The settings that it was opened with.
    #[must_use]
    pub(crate) fn settings(&self) -> &ReportSettings {
        &self.settings
    }

    fn open_current(&self, now: Timestamp) -> io::Result<Current> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = self.directory.join(CURRENT);
        let file = options.open(&path)?;
        let bytes = file.metadata()?.len();
        // A process before this one may have begun it.
        let opened = first_received(&path).unwrap_or(now);
        Ok(Current { file, opened, bytes })
    }

    /// The number of files that were removed before their days had passed, because there were too many, since the last call.
    pub(crate) fn take_removed_early(&self) -> usize {
        self.removed_early.swap(0, Ordering::Relaxed)
    }

    /// Adds a report at `now`. `held` is dropped once the report takes no memory any more, also if nobody awaits this.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) async fn add<H: Send + 'static>(
        self: Arc<Self>,
        urls: Vec<String>,
        platform: Platform,
        now: Timestamp,
        held: H,
    ) -> io::Result<()> {
        let mut files = Arc::clone(&self.files).lock_owned().await;
        blocking(move || {
            let added = self.write(&mut files, &urls, platform, now);
            drop((urls, held));
            added
        })
        .await
    }

    fn write(
        &self,
        files: &mut Files,
        urls: &[String],
        platform: Platform,
        now: Timestamp,
    ) -> io::Result<()> {
        let line = Line { received_at: now, platform: platform.to_string(), urls };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        let mut current = match files.current.take() {
            Some(current) => current,
            None => self.open_current(now)?,
        };
        let age = now.since(current.opened);
        let full = current.bytes + line.len() as u64 > self.settings.file_bytes;
        if current.bytes > 0 && (full || age >= self.settings.file_age) {
            current.file.sync_data()?;
            self.finish(now)?;
            current = self.open_current(now)?;
        }
        // One call, so that lines never mix.
        if let Err(error) = current.file.write_all(&line) {
            // The next report must not continue a line that was written in part.
            current.file.set_len(current.bytes)?;
            return Err(error);
        }
        if current.bytes == 0 {
            current.opened = now;
        }
        current.bytes += line.len() as u64;
        files.current = Some(current);
        Ok(())
    }

    /// Finishes a file that is old enough, and removes finished ones that are older than reports are kept.
    ///
    /// Files whose time is later than now, twice in a row, were written while the clock was ahead: they are finished now. In
    /// the first round after a start it may be now that is wrong, on a machine that has not asked for the time yet. So call it
    /// every hour.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) async fn maintain(self: Arc<Self>, now: Timestamp) -> io::Result<()> {
        let mut files = Arc::clone(&self.files).lock_owned().await;
        blocking(move || self.maintain_files(&mut files, now)).await
    }

    fn maintain_files(&self, files: &mut Files, now: Timestamp) -> io::Result<()> {
        let known = std::mem::take(&mut files.ahead);
        let current = match files.current.take() {
            Some(current) => current,
            None => self.open_current(now)?,
        };
        let is_ahead = current.bytes > 0 && current.opened > now;
        let is_old = current.bytes > 0 && now.since(current.opened) >= self.settings.file_age;
        if is_old || is_ahead && known.contains(CURRENT) {
            current.file.sync_data()?;
            self.finish(now)?;
        } else {
            files.current = Some(current);
            files.ahead.extend(is_ahead.then(|| CURRENT.to_owned()));
        }
        for name in self.finished()? {
            let Some(finished) = finished_at(&name) else { continue };
            if finished > now && known.contains(&name) {
                let new = free_name(now, &self.finished()?)?;
                fs::rename(self.directory.join(name), self.directory.join(new))?;
            } else if finished > now {
                files.ahead.insert(name);
            } else if self.settings.kept.is_some_and(|kept| now.since(finished) >= kept) {
                fs::remove_file(self.directory.join(name))?;
            }
        }
        Ok(())
    }

    /// The files that there are, the oldest first.
    pub(super) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names = finished_in(directory)?;
        names.sort();
        names.push(CURRENT.to_owned());
        let paths = names.into_iter().map(|name| directory.join(name));
        Ok(paths.filter(|path| path.exists()).collect())
    }

    /// Renames the current file to its final name, and removes the oldest finished files.
    fn finish(&self, now: Timestamp) -> io::Result<()> {
        let mut finished = self.finished()?;
        let name = free_name(now, &finished)?;
        fs::rename(self.directory.join(CURRENT), self.directory.join(&name))?;
        finished.push(name);
        finished.sort();
        let surplus = finished.len().saturating_sub(self.settings.files);
        for name in finished.drain(..surplus) {
            let age = finished_at(&name).map(|finished| now.since(finished));
            fs::remove_file(self.directory.join(name))?;
            // Without a number of days, files are kept for as long as there is room for them.
            let is_early = self.settings.kept.is_some_and(|kept| age.is_none_or(|age| age < kept));
            self.removed_early.fetch_add(usize::from(is_early), Ordering::Relaxed);
        }
        Ok(())
    }

    fn finished(&self) -> io::Result<Vec<String>> {
        finished_in(&self.directory)
    }
}

fn finished_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.starts_with(FINISHED)) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// When a file was finished, by its name.
fn finished_at(name: &str) -> Option<Timestamp> {
    let (seconds, _) = name.strip_prefix(FINISHED)?.split_once('-')?;
    seconds.parse().ok().map(Timestamp::from_unix_seconds)
}

fn finished_name(now: Timestamp, number: u32) -> String {
    format!("{FINISHED}{:012}-{number:04}.jsonl", now.unix_seconds())
}

/// A name for a file that is finished now.
fn free_name(now: Timestamp, finished: &[String]) -> io::Result<String> {
    (0..=u32::MAX)
        .map(|number| finished_name(now, number))
        .find(|name| !finished.contains(name))
        .ok_or_else(|| io::Error::other("all names of this second are in use"))
}

#[cfg(test)]
impl ReportLog {
    /// Adds a report, and returns how many files were removed early.
    pub(super) fn add_now(&self, urls: &[String], platform: Platform, now: Timestamp) -> usize {
        self.write(&mut self.files.blocking_lock(), urls, platform, now).unwrap();
        self.take_removed_early()
    }

    fn maintain_now(&self, now: Timestamp) {
        self.maintain_files(&mut self.files.blocking_lock(), now).unwrap();
        assert_eq!(self.take_removed_early(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn files_rotate_and_the_oldest_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let settings = ReportSettings {
            file_bytes: 200,
            file_age: Duration::from_secs(3600),
            files: 2,
            entries: 10,
            ..ReportSettings::default()
        };
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        let urls = vec!["https://example.com/".to_owned()];
        for now in 0..20 {
            log.add_now(&urls, Platform::Ios(27, 0), at(1000 + now));
        }
        log.add_now(&urls, Platform::Unknown, at(10_000));
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), 3, "{names:?}");
        let last = fs::read_to_string(folder.path().join(CURRENT)).unwrap();
        let line: serde_json::Value = serde_json::from_str(last.trim()).unwrap();
        assert_eq!(line["urls"][0], "https://example.com/");
        assert_eq!((&line["receivedAt"], &line["platform"]), (&10_000.into(), &"unknown".into()));
        // A restart appends to the same file.
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        log.add_now(&urls, Platform::Unknown, at(10_001));
        let text = fs::read_to_string(folder.path().join(CURRENT)).unwrap();
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn files_are_removed_when_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        let settings =
            ReportSettings { file_age: day, kept: Some(3 * day), ..ReportSettings::default() };
        let start = at(1_000_000);
        let key = ["example.com".to_owned()];
        let count = || ReportLog::files(folder.path()).unwrap().len();
        let finished = || finished_in(folder.path()).unwrap().len();
        ReportLog::open(folder.path(), &settings).unwrap().add_now(&key, Platform::Unknown, start);
        // A restart does not make the file younger.
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        log.maintain_now(start + day - Duration::from_secs(1));
        assert_eq!((count(), finished()), (1, 0));
        log.maintain_now(start + day);
        assert_eq!(finished(), 1);
        log.maintain_now(start + 4 * day - Duration::from_secs(1));
        assert_eq!(finished(), 1);
        log.maintain_now(start + 4 * day);
        assert_eq!(finished(), 0);
        // Without a limit, they stay.
        let settings = ReportSettings { kept: None, ..settings };
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        log.add_now(&key, Platform::Unknown, start);
        log.maintain_now(start + day);
        log.maintain_now(start + 1000 * day);
        assert_eq!(finished(), 1);
    }

    #[test]
    fn files_that_are_removed_before_their_days_are_counted() {
        let key = ["example.com".to_owned()];
        // Each report has a file of its own, and with the seventh there are more than five.
        for (kept, early) in [(Some(3), 0), (Some(4), 0), (Some(5), 1), (None, 0)] {
            let folder = tempfile::tempdir().unwrap();
            let kept = kept.map(|days| 24 * HOUR * days);
            let settings =
                ReportSettings { file_bytes: 1, files: 5, kept, ..ReportSettings::default() };
            let log = ReportLog::open(folder.path(), &settings).unwrap();
            let start = at(1_000_000);
            for day in 0..6 {
                assert_eq!(log.add_now(&key, Platform::Unknown, start + 24 * HOUR * day), 0);
            }
            // The first file was finished on the second day, four days ago at the end.
            let now = start + 24 * HOUR * 5;
            assert_eq!(log.add_now(&key, Platform::Unknown, now), early, "{kept:?}");
        }
    }

    /// A file of the future is finished in the second round, and removed when it is old since then.
    #[test]
    fn files_of_a_clock_that_was_ahead_are_removed_when_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let settings = ReportSettings {
            file_age: 24 * HOUR,
            kept: Some(72 * HOUR),
            ..ReportSettings::default()
        };
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        let key = ["example.com".to_owned()];
        let (now, ahead) = (at(1_000_000), at(1_000_000) + 9600 * HOUR);
        let count = || finished_in(folder.path()).unwrap().len();
        log.add_now(&key, Platform::Unknown, ahead - 24 * HOUR);
        log.maintain_now(ahead);
        log.add_now(&key, Platform::Unknown, ahead);
        assert_eq!(count(), 1);
        // A restart knows no more than the files.
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        log.maintain_now(now);
        assert_eq!(count(), 1);
        log.maintain_now(now + HOUR);
        assert_eq!(count(), 2);
        assert!(
            finished_in(folder.path())
                .unwrap()
                .iter()
                .all(|name| finished_at(name) == Some(now + HOUR))
        );
        log.maintain_now(now + 72 * HOUR);
        assert_eq!(count(), 2);
        log.maintain_now(now + 73 * HOUR);
        assert_eq!(count(), 0);
    }

    #[test]
    fn a_clock_that_is_behind_for_one_round_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let settings = ReportSettings { file_bytes: 1, ..ReportSettings::default() };
        let now = at(1_795_000_000);
        let key = ["example.com".to_owned()];
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        for _ in 0..3 {
            log.add_now(&key, Platform::Unknown, now);
        }
        let before = ReportLog::files(folder.path()).unwrap();
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        for now in [at(0), now, at(0), now + HOUR] {
            log.maintain_now(now);
            assert_eq!(ReportLog::files(folder.path()).unwrap(), before);
        }
    }

    /// As during a reload: requests that began before it hold the log of before.
    #[test]
    fn logs_of_one_folder_write_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let settings = ReportSettings { file_bytes: 150, ..ReportSettings::default() };
        let before = ReportLog::open(folder.path(), &settings).unwrap();
        let after = before.with_settings(&ReportSettings { file_bytes: 300, ..settings });
        let key = ["example.com".to_owned()];
        for _ in 0..20 {
            before.add_now(&key, Platform::Unknown, at(1000));
            after.add_now(&key, Platform::Unknown, at(1000));
        }
        let mut lines = 0;
        for path in ReportLog::files(folder.path()).unwrap() {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.len() <= 300, "{}", text.len());
            lines += text.lines().count();
        }
        assert_eq!(lines, 40);
    }

    #[test]
    fn lines_are_read_up_to_their_limit() {
        for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1] {
            let short = "{\"receivedAt\":1,\"urls\":[\"a.example\"]}";
            let padding = " ".repeat(usize::try_from(length).unwrap() - short.len() - 1);
            let text = format!("{short}{padding}\n{short}\n");
            let mut input = text.as_bytes();
            let mut line = Vec::new();
            let mut read = Vec::new();
            while let Some(found) = next_line(&mut input, &mut line).unwrap() {
                read.push(found.is_ok());
            }
            // The rest of a line that is too long is no line, and the next one is read.
            let expected: &[bool] =
                if length <= MAX_LINE { &[true, true] } else { &[true, false, true] };
            assert_eq!(read, expected, "{length}");
        }
    }
}
