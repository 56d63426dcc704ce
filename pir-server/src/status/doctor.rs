//! The last findings of the doctor, as `urlfilter doctor --json` wrote them to a file.

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::UNIX_EPOCH;
use unix_clock::Timestamp;

/// The largest file of findings, in bytes.
const MAX_REPORT: u64 = 1 << 20;

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(crate) enum DoctorReport {
    #[serde(rename_all = "camelCase")]
    Found {
        /// When the file was written.
        written_at: Option<Timestamp>,
        ready: bool,
        findings: Vec<Finding>,
    },
    /// Why the file cannot be used.
    Unusable { problem: String },
}

/// One finding, in the words of the doctor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) check: String,
    /// `good`, `warning` or `bad`.
    pub(crate) state: String,
    pub(crate) seen: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    ready: bool,
    findings: Vec<Finding>,
}

impl DoctorReport {
    /// Reads the file. May block.
    pub(crate) fn read(path: &Path) -> Self {
        let unusable = |reason: String| {
            let problem = format!(
                "{}: {reason}; write it with `urlfilter doctor --json`, or leave doctorReport out",
                path.display()
            );
            Self::Unusable { problem }
        };
        let text = match durable_file::read(path, MAX_REPORT) {
            Ok(text) => text,
            Err(error) => return unusable(error_reporter::Report::new(&error).to_string()),
        };
        let report: Report = match serde_json::from_slice(&text) {
            Ok(report) => report,
            Err(error) => return unusable(format!("not findings of the doctor: {error}")),
        };
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let since_epoch = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let written_at = since_epoch.map(|span| Timestamp::from_unix_seconds(span.as_secs()));
        Self::Found { written_at, ready: report.ready, findings: report.findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_and_other_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doctor.json");
        let problem = |report| match report {
            DoctorReport::Unusable { problem } => problem,
            DoctorReport::Found { .. } => panic!("the file cannot be used"),
        };
        assert!(problem(DoctorReport::read(&path)).contains("doctor.json"));
        std::fs::write(&path, "{}").unwrap();
        assert!(problem(DoctorReport::read(&path)).contains("not findings of the doctor"));
        let text = serde_json::json!({
            "ready": false,
            "findings": [
                { "check": "config", "state": "good", "seen": "4 shards" },
                { "check": "directory", "state": "bad", "seen": "404", "cause": "c", "fix": "f" },
            ],
            "notVisible": ["x"],
        });
        std::fs::write(&path, text.to_string()).unwrap();
        let DoctorReport::Found { written_at, ready, findings } = DoctorReport::read(&path) else {
            panic!("the file can be used")
        };
        assert!(written_at.is_some() && !ready && findings.len() == 2);
        assert_eq!((findings[1].state.as_str(), findings[1].fix.as_deref()), ("bad", Some("f")));
    }

    #[test]
    fn a_file_of_findings_has_a_largest_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doctor.json");
        let report = r#"{ "ready": true, "findings": [] }"#;
        for (size, is_read) in [(MAX_REPORT - 1, true), (MAX_REPORT, true), (MAX_REPORT + 1, false)]
        {
            let padding = " ".repeat(size as usize - report.len());
            std::fs::write(&path, format!("{report}{padding}")).unwrap();
            let found = matches!(DoctorReport::read(&path), DoctorReport::Found { .. });
            assert_eq!(found, is_read, "{size}");
        }
    }
}
