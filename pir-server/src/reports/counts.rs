//! How often each key was reported, by day.
//!
//! Counts are all that leaves the files: no report, no time within a day, no system. Keys that were reported less often
//! than a minimum are summed up without their names.

use super::day::Day;
use super::log::{ReportLog, next_line};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Most different keys of all days that are counted by name.
const MAX_KEYS: usize = 1_000_000;
/// Most bytes of such keys.
const MAX_KEY_BYTES: usize = 256 << 20;

/// Which reports are counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CountOptions {
    /// The first day; `None` for the first that there is.
    pub from: Option<Day>,
    /// The last day; `None` for the last that there is.
    pub to: Option<Day>,
    /// How often a key must have been reported on a day to be named. 0 and 1 name all.
    pub min_count: u64,
}

impl Default for CountOptions {
    fn default() -> Self {
        Self { from: None, to: None, min_count: 1 }
    }
}

/// How often a key was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyCount {
    /// The key, as devices reported it.
    pub key: String,
    /// Reports that named it on the day.
    pub count: u64,
}

/// The counts of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DayCounts {
    /// The day on which reports were received, in UTC.
    pub day: Day,
    /// The keys, the most frequent first.
    pub keys: Vec<KeyCount>,
    /// How often other keys were reported, together: those below the minimum, and those above a million.
    pub others: u64,
}

/// Reports cannot be counted.
#[derive(Debug, thiserror::Error)]
#[error("{}: the reports cannot be read", path.display())]
#[non_exhaustive]
pub struct CountError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the file system answered.
    pub source: io::Error,
}

/// Counts the reports in the files of a folder. It reads all of them, which takes a second for some gigabytes. Lines
/// that cannot be read, which a crash may leave, are left out. A folder that does not exist has no reports.
///
/// # Errors
/// [`CountError`] if a file cannot be read.
pub fn count(directory: &Path, options: &CountOptions) -> Result<Vec<DayCounts>, CountError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CountError { path, source }
    };
    let files = match ReportLog::files(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        files => files.map_err(failed(directory))?,
    };
    let mut counter = Counter::new(MAX_KEYS, MAX_KEY_BYTES);
    let mut line = Vec::new();
    for path in files {
        let file = match File::open(&path) {
            // It was removed, or finished under another name, since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(failed(&path))?,
        };
        let mut input = BufReader::with_capacity(1 << 16, file);
        while let Some(read) = next_line(&mut input, &mut line).map_err(failed(&path))? {
            let Ok(read) = read else { continue };
            let day = Day::of(read.received_at);
            let is_wanted = options.from.is_none_or(|from| from <= day)
                && options.to.is_none_or(|to| day <= to);
            if is_wanted {
                // A device that met a key often reports it once.
                let keys: HashSet<String> = read.urls.into_iter().collect();
                keys.into_iter().for_each(|key| counter.add(day, key));
            }
        }
    }
    Ok(counter.finish(options.min_count))
}

/// Counts within limits of memory.
struct Counter {
    days: BTreeMap<Day, (HashMap<String, u64>, u64)>,
    keys_left: usize,
    bytes_left: usize,
}

impl Counter {
    fn new(keys: usize, bytes: usize) -> Self {
        Self { days: BTreeMap::new(), keys_left: keys, bytes_left: bytes }
    }

    fn add(&mut self, day: Day, key: String) {
        let (keys, others) = self.days.entry(day).or_default();
        if let Some(count) = keys.get_mut(&key) {
            *count += 1;
        } else if self.keys_left > 0 && key.len() <= self.bytes_left {
            self.keys_left -= 1;
            self.bytes_left -= key.len();
            keys.insert(key, 1);
        } else {
            *others += 1;
        }
    }

    fn finish(self, min_count: u64) -> Vec<DayCounts> {
        let day = |(day, (keys, mut others)): (Day, (HashMap<String, u64>, u64))| {
            let mut named = Vec::with_capacity(keys.len());
            for (key, count) in keys {
                match count >= min_count {
                    true => named.push(KeyCount { key, count }),
                    false => others += count,
                }
            }
            named.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
            DayCounts { day, keys: named, others }
        };
        self.days.into_iter().map(day).collect()
    }
}

/// A table of comma-separated values with the columns `day`, `key` and `count`. A row without a key has the sum of the
/// keys of its day that are not named. A key that a spreadsheet would take for a formula, because it begins with one of
/// `=+-@` or a tab, has an apostrophe before it: whoever has a token decides what is reported.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "memory can be written, and its text is UTF-8")]
pub fn to_csv(days: &[DayCounts]) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut write = |row: [&str; 3]| table.write_record(row).expect("memory can be written");
    write(["day", "key", "count"]);
    for DayCounts { day, keys, others } in days {
        let day = day.to_string();
        for KeyCount { key, count } in keys {
            let is_formula = key.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let key = if is_formula { &format!("'{key}") } else { key };
            write([&day, key, &count.to_string()]);
        }
        if *others > 0 {
            write([&day, "", &others.to_string()]);
        }
    }
    let text = table.into_inner().expect("memory can be written");
    String::from_utf8(text).expect("all fields are text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::ReportSettings;
    use crate::platform::Platform;
    use unix_clock::Timestamp;

    const DAY: u64 = 86_400;

    fn add(log: &ReportLog, seconds: u64, keys: &[&str]) {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        log.add_now(&keys, Platform::Ios(27, 0), Timestamp::from_unix_seconds(seconds));
    }

    #[test]
    fn keys_are_counted_by_day_over_all_files() {
        let folder = tempfile::tempdir().unwrap();
        // Each report has a file of its own.
        let settings = ReportSettings { file_bytes: 1, ..ReportSettings::default() };
        let log = ReportLog::open(folder.path(), &settings).unwrap();
        add(&log, DAY - 1, &["a.example", "b.example"]);
        add(&log, DAY, &["a.example", "a.example", "c,\"d\""]);
        add(&log, DAY + 1, &[]);
        add(&log, 2 * DAY - 1, &["a.example", "b.example"]);
        add(&log, 3 * DAY, &["b.example"]);
        // A crash left a part of a line.
        std::fs::write(folder.path().join("reports-000000000001-9999.jsonl"), "{\"receivedAt\":1,")
            .unwrap();
        let days = count(folder.path(), &CountOptions::default()).unwrap();
        assert_eq!(
            to_csv(&days),
            "day,key,count\n1970-01-01,a.example,1\n1970-01-01,b.example,1\n1970-01-02,a.example,2\n\
             1970-01-02,b.example,1\n1970-01-02,\"c,\"\"d\"\"\",1\n1970-01-04,b.example,1\n"
        );
        let options = CountOptions {
            from: Some("1970-01-02".parse().unwrap()),
            to: Some("1970-01-03".parse().unwrap()),
            min_count: 2,
        };
        let days = count(folder.path(), &options).unwrap();
        assert_eq!(to_csv(&days), "day,key,count\n1970-01-02,a.example,2\n1970-01-02,,2\n");
        assert!(count(&folder.path().join("nowhere"), &options).unwrap().is_empty());
    }

    #[test]
    fn formulas_are_texts_in_tables() {
        let keys = ["=1+1", "+1", "-1", "@a", "\t=1", "a=1"]
            .map(|key| KeyCount { key: key.to_owned(), count: 1 });
        let day = DayCounts { day: Day::of(Timestamp::MIN), keys: keys.to_vec(), others: 0 };
        let table = to_csv(&[day]);
        let column: Vec<&str> =
            table.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
        assert_eq!(column, ["'=1+1", "'+1", "'-1", "'@a", "'\t=1", "a=1"]);
    }

    #[test]
    fn a_key_is_named_from_the_minimum_on() {
        let day = Day::of(Timestamp::MIN);
        for count in [2, 3, 4] {
            let mut counter = Counter::new(10, 100);
            (0..count).for_each(|_| counter.add(day, "a".to_owned()));
            let days = counter.finish(3);
            assert_eq!(
                (days[0].keys.len(), days[0].others),
                if count < 3 { (0, 2) } else { (1, 0) }
            );
        }
    }

    #[test]
    fn memory_for_keys_is_limited() {
        let day = Day::of(Timestamp::MIN);
        for count in [2, 3, 4] {
            let by_number = Counter::new(3, 100);
            let by_bytes = Counter::new(100, 6);
            for mut counter in [by_number, by_bytes] {
                for number in 0..count {
                    counter.add(day, format!("k{number}"));
                    counter.add(day, "k0".to_owned());
                }
                let days = counter.finish(1);
                assert_eq!(days[0].keys.len(), count.min(3));
                assert_eq!(days[0].others, count.saturating_sub(3) as u64);
            }
        }
    }
}
