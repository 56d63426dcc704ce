//! How reports are stored.

use super::error::ConfigurationError;
use super::gateway::DeviceRequest;
use serde::Deserialize;
use std::time::Duration;
use url::Url;

/// Where reports are taken, unless the configuration says otherwise.
const DEFAULT_PATH: &str = "/report";
/// Longest path, in bytes.
const MAX_PATH: usize = 200;
/// Paths that are something else already.
const TAKEN: [&str; 6] = ["/issue", "/config", "/key", "/queries", "/healthz", "/readyz"];
/// What other paths begin with that are something else already.
const TAKEN_BELOW: [&str; 3] = ["/.well-known/", "/filter/", "/token-key-for-user-token"];
/// Largest number of entries in one report without a setting.
pub(crate) const DEFAULT_ENTRIES: usize = 1000;
/// Longest time that reports are kept, in days.
const MAX_DAYS: u32 = 3650;
const HOUR: Duration = Duration::from_secs(3600);

/// How reports are stored in `reportDirectory`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSettings {
    /// The path at which devices send them, which is the app's `reportEndpoint`.
    pub(crate) path: String,
    /// How long complete files are kept; `None` for as long as there are not too many.
    pub(crate) kept: Option<Duration>,
    /// How often a key must have been reported on a day to be named when counts leave the service.
    pub(crate) min_count: u64,
    /// Where the counts of each day are sent.
    pub(crate) webhook: Option<String>,
    /// Size at which a file is complete.
    pub(crate) file_bytes: u64,
    /// Age at which a file is complete.
    pub(crate) file_age: Duration,
    /// Number of complete files that are kept.
    pub(crate) files: usize,
    /// Largest number of entries in one report.
    pub(crate) entries: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RawReports {
    path: String,
    days: u32,
    min_count: u64,
    webhook: Option<String>,
    file_bytes: u64,
    file_hours: u32,
    files: usize,
    entries: usize,
}

impl Default for RawReports {
    fn default() -> Self {
        Self {
            path: DEFAULT_PATH.to_owned(),
            days: 90,
            min_count: 1,
            webhook: None,
            file_bytes: 64 << 20,
            file_hours: 24,
            files: 100,
            entries: DEFAULT_ENTRIES,
        }
    }
}

/// A path as it is given in an app: with or without its first slash.
fn path(text: &str) -> Result<String, ConfigurationError> {
    let path = format!("/{}", text.strip_prefix('/').unwrap_or(text));
    let is_taken =
        TAKEN.contains(&path.as_str()) || TAKEN_BELOW.iter().any(|start| path.starts_with(start));
    if is_taken {
        let reason = format!("{path} is another endpoint of the service");
        return Err(ConfigurationError::value("path", reason));
    }
    if path.len() > MAX_PATH || DeviceRequest::post(&path).is_none() {
        let reason = format!(
            "a path of at most {MAX_PATH} letters, digits, `-`, `.`, `_` and `~` between slashes is expected, such as \
             \"/reports\", not {text:?}"
        );
        return Err(ConfigurationError::value("path", reason));
    }
    Ok(path)
}

fn webhook(text: String) -> Result<String, ConfigurationError> {
    let is_http = Url::parse(&text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_http {
        // The text may hold a secret.
        let reason = "an address is expected, such as https://stats.example.com/filter";
        return Err(ConfigurationError::value("webhook", reason));
    }
    ConfigurationError::unless_reachable("webhook", &text)?;
    Ok(text)
}

impl TryFrom<RawReports> for ReportSettings {
    type Error = ConfigurationError;

    fn try_from(raw: RawReports) -> Result<Self, ConfigurationError> {
        for (key, is_zero) in [("entries", raw.entries == 0), ("fileBytes", raw.file_bytes == 0)] {
            if is_zero {
                return Err(ConfigurationError::value(key, "must not be 0"));
            }
        }
        if raw.days > MAX_DAYS {
            let reason = format!("a number of days from 0 to {MAX_DAYS} is expected");
            return Err(ConfigurationError::value("days", reason));
        }
        Ok(Self {
            path: path(&raw.path)?,
            kept: (raw.days > 0).then(|| 24 * HOUR * raw.days),
            min_count: raw.min_count,
            webhook: raw.webhook.map(webhook).transpose()?,
            file_bytes: raw.file_bytes,
            file_age: HOUR * raw.file_hours,
            files: raw.files,
            entries: raw.entries,
        })
    }
}

impl Default for ReportSettings {
    fn default() -> Self {
        RawReports::default().try_into().expect("the defaults are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ReportSettings, ConfigurationError> {
        serde_json::from_str::<RawReports>(text).unwrap().try_into()
    }

    #[test]
    fn the_path_is_that_of_an_app() {
        for (text, expected) in [
            ("reports", Some("/reports")),
            ("/reports", Some("/reports")),
            ("/v1/reports.json", Some("/v1/reports.json")),
            ("", None),
            ("/", None),
            ("//reports", None),
            ("/reports/", None),
            ("/a/../queries", None),
            ("/reports?x", None),
            ("/{reports}", None),
            ("/queries", None),
            ("key", None),
            ("/filter/x", None),
            ("/.well-known/ohttp-gateway", None),
            ("/token-key-for-user-token", None),
        ] {
            let found = parse(&serde_json::json!({ "path": text }).to_string());
            assert_eq!(found.as_ref().ok().map(|found| found.path.as_str()), expected, "{text}");
        }
        for length in [MAX_PATH - 1, MAX_PATH, MAX_PATH + 1] {
            let text = format!("{{\"path\": \"/{}\"}}", "a".repeat(length - 1));
            assert_eq!(parse(&text).is_ok(), length <= MAX_PATH, "{length}");
        }
    }

    #[test]
    fn days_and_addresses_are_checked() {
        assert_eq!(parse("{}").unwrap().kept, Some(90 * 24 * HOUR));
        assert_eq!(parse("{\"days\": 0}").unwrap().kept, None);
        for days in [MAX_DAYS - 1, MAX_DAYS, MAX_DAYS + 1] {
            assert_eq!(parse(&format!("{{\"days\": {days}}}")).is_ok(), days <= MAX_DAYS);
        }
        for (url, is_good) in [
            ("http://127.0.0.1:1/x", true),
            ("stats.example.com", false),
            ("ftp://a.example", false),
        ] {
            let found = parse(&format!("{{\"webhook\": \"{url}\"}}"));
            assert_eq!(found.is_ok(), is_good, "{url}");
        }
    }
}
