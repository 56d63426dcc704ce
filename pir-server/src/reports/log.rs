//! The files of reports: one line of JSON for each report, in files that rotate and are removed when they are old.
//!
//! A line has the time, the system's name and version, and the reported keys. Neither the whole `User-Agent` nor
//! anything that tells one device from another is stored.

use crate::configuration::ReportSettings;
use crate::platform::Platform;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use unix_clock::Timestamp;

const CURRENT: &str = "reports.jsonl";
const FINISHED: &str = "reports-";

/// Longest line, in bytes: a report of the largest length in which every character is escaped.
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

/// The file that reports are added to, its time of opening, and its length.
struct Current {
    file: File,
    opened: Timestamp,
    bytes: u64,
}

/// The folder of report files.
pub(crate) struct ReportLog {
    directory: PathBuf,
    settings: ReportSettings,
    current: Mutex<Option<Current>>,
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
            current: Mutex::new(None),
        };
        // A folder that cannot be written fails now rather than at the first report.
        log.open_current(Timestamp::MIN)?;
        Ok(log)
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

    /// Adds a report at `now`. It blocks for the disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn add(
        &self,
        urls: &[String],
        platform: Platform,
        now: Timestamp,
    ) -> io::Result<()> {
        let line = Line { received_at: now, platform: platform.to_string(), urls };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        let mut slot = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = match slot.take() {
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
        current.bytes += line.len() as u64;
        *slot = Some(current);
        Ok(())
    }

    /// Finishes a file that is old enough, and removes finished ones that are older than reports are kept. It blocks for
    /// the disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn maintain(&self, now: Timestamp) -> io::Result<()> {
        let mut slot = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = match slot.take() {
            Some(current) => current,
            None => self.open_current(now)?,
        };
        if current.bytes > 0 && now.since(current.opened) >= self.settings.file_age {
            current.file.sync_data()?;
            self.finish(now)?;
        } else {
            *slot = Some(current);
        }
        let Some(kept) = self.settings.kept else { return Ok(()) };
        for name in self.finished()? {
            let is_old = finished_at(&name).is_some_and(|finished| now.since(finished) >= kept);
            if is_old {
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
        let name = (0..=u32::MAX)
            .map(|number| finished_name(now, number))
            .find(|name| !finished.contains(name))
            .ok_or_else(|| io::Error::other("all names of this second are in use"))?;
        fs::rename(self.directory.join(CURRENT), self.directory.join(&name))?;
        finished.push(name);
        finished.sort();
        let surplus = finished.len().saturating_sub(self.settings.files);
        for name in finished.drain(..surplus) {
            fs::remove_file(self.directory.join(name))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
            log.add(&urls, Platform::Ios(27, 0), at(1000 + now)).unwrap();
        }
        log.add(&urls, Platform::Unknown, at(10_000)).unwrap();
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
        log.add(&urls, Platform::Unknown, at(10_001)).unwrap();
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
        ReportLog::open(folder.path(), &settings)
            .unwrap()
            .add(&key, Platform::Unknown, start)
            .unwrap();
        // A restart does not make the file younger.
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        log.maintain(start + day - Duration::from_secs(1)).unwrap();
        assert_eq!((count(), finished()), (1, 0));
        log.maintain(start + day).unwrap();
        assert_eq!(finished(), 1);
        log.maintain(start + 4 * day - Duration::from_secs(1)).unwrap();
        assert_eq!(finished(), 1);
        log.maintain(start + 4 * day).unwrap();
        assert_eq!(finished(), 0);
        // Without a limit, they stay.
        let settings = ReportSettings { kept: None, ..settings };
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        log.add(&key, Platform::Unknown, start).unwrap();
        log.maintain(start + day).unwrap();
        log.maintain(start + 1000 * day).unwrap();
        assert_eq!(finished(), 1);
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
