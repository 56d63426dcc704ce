//! The page at `/` of the admin address: one file, without scripts and external resources.

use super::Status;
use super::chart::bars;
use super::doctor::DoctorReport;
use crate::traffic::Minute;
use html_escape::encode_double_quoted_attribute;
use std::fmt::{Display, Write};
use std::time::Duration;
use unix_clock::Timestamp;

const TEMPLATE: &str = include_str!("page.html");

/// For how long findings of the doctor tell how a deployment is.
const MAX_DOCTOR_AGE: Duration = Duration::from_secs(2 * 24 * 3600);

/// A text whose characters have no meaning in HTML, also in attributes, which are in double quotes on this page.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&encode_double_quoted_attribute(&self.0.to_string()))
    }
}

/// A span in the largest unit that fits.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub(super) fn ago(now: Timestamp, time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| format!("{} ago", span(now.since(time))))
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A table: its title, the names of its columns, and the cells of its rows.
fn table(out: &mut String, title: &str, names: &[&str], rows: &[Vec<String>]) {
    let _ = write!(out, "<h2>{}</h2>\n<table>\n<thead><tr>", Escaped(title));
    for name in names {
        let _ = write!(out, "<th>{}</th>", Escaped(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (name, cell) in names.iter().zip(row) {
            let is_number = cell.starts_with(|c: char| c.is_ascii_digit());
            let class = if is_number { " class=\"number\"" } else { "" };
            let _ =
                write!(out, "<td{class} data-name=\"{}\">{}</td>", Escaped(name), Escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

/// The page as a whole: HTML with the style inside.
pub(crate) fn page(status: &Status) -> String {
    let now = status.now;
    let mut out = String::new();
    let class = if status.ready { "good" } else { "bad" };
    let _ = write!(
        out,
        "<h1>pir-server {}</h1>\n<p class=\"{class}\">{}</p>\n",
        Escaped(status.version),
        Escaped(&status.readiness)
    );
    for problem in &status.problems {
        let _ = writeln!(out, "<p class=\"bad\">{}</p>", Escaped(problem));
    }
    for warning in status.warnings.iter().filter(|warning| !status.problems.contains(warning)) {
        let _ = writeln!(out, "<p class=\"warning\">{}</p>", Escaped(warning));
    }
    use_cases(&mut out, status);
    #[cfg(feature = "lists")]
    lists(&mut out, status);
    if !status.releases.is_empty() {
        let rows: Vec<_> = status
            .releases
            .iter()
            .map(|release| {
                let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".to_owned());
                let replica = &release.replica;
                let state = match (&release.problem, release.late) {
                    (Some(_), _) => "cannot be followed",
                    (None, true) => "late",
                    (None, false) if replica.active == replica.published => "in step",
                    (None, false) => "waits for its time",
                };
                vec![
                    release.use_case.clone(),
                    id(&replica.active),
                    id(&replica.ready),
                    id(&replica.published),
                    state.to_owned(),
                ]
            })
            .collect();
        let names = ["use case", "served", "ready", "published", "state"];
        table(&mut out, "Publications", &names, &rows);
    }
    let certificate = match status.certificate_ends_at {
        None => "none".to_owned(),
        Some(end) if end <= now => format!("expired {}", ago(now, Some(end))),
        Some(end) => format!("{} left", span(end.since(now))),
    };
    let store = &status.store;
    let used = match store.capacity_bytes {
        0 => "not limited".to_owned(),
        capacity => format!("{} of {}", bytes(store.used_bytes), bytes(capacity)),
    };
    let facts = [
        ("certificate", certificate),
        ("queue", format!("{} tasks, {} threads", status.queue_depth, status.threads)),
        ("memory", status.memory_bytes.map_or_else(|| "not known".to_owned(), bytes)),
        (
            "evaluation keys",
            format!("{}, {}", store.evaluation_keys, bytes(store.evaluation_key_bytes)),
        ),
        ("spent tokens", store.nonces.to_string()),
        ("memory of the store", used),
        ("user tokens", status.user_tokens.to_string()),
    ];
    let rows: Vec<_> = facts.into_iter().map(|(name, fact)| vec![name.to_owned(), fact]).collect();
    table(&mut out, "Service", &["what", "state"], &rows);
    traffic(&mut out, &status.minutes);
    doctor(&mut out, status);
    TEMPLATE.replacen("{{content}}", &out, 1)
}

/// Charts of the last hour.
fn traffic(out: &mut String, minutes: &[Minute]) {
    out.push_str("<h2>Traffic of the last hour, by minutes</h2>\n<div class=\"charts\">\n");
    let mut chart = |title, unit, value: fn(&Minute) -> u64| {
        let values: Vec<_> = minutes.iter().map(value).collect();
        bars(out, title, unit, &values);
    };
    chart("queries", "", |minute| minute.queries);
    chart("slowest query", " ms", |minute| minute.slowest_milliseconds);
    chart("token requests", "", |minute| minute.tokens);
    chart("other requests", "", |minute| minute.others);
    chart("refused", "", |minute| minute.refused);
    chart("failed or busy", "", |minute| minute.failed);
    out.push_str("</div>\n");
}

/// What the doctor found that is not good.
fn doctor(out: &mut String, status: &Status) {
    let Some(report) = &status.doctor else { return };
    let (written_at, ready, findings) = match report {
        DoctorReport::Found { written_at, ready, findings } => (*written_at, *ready, findings),
        DoctorReport::Unusable { problem } => {
            let problem = Escaped(problem);
            let _ = writeln!(out, "<h2>Doctor</h2>\n<p class=\"bad\">{problem}</p>");
            return;
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let rows: Vec<_> = findings
        .iter()
        .filter(|finding| finding.state != "good")
        .map(|finding| {
            let (cause, fix) = (text(&finding.cause), text(&finding.fix));
            vec![finding.state.clone(), finding.check.clone(), finding.seen.clone(), cause, fix]
        })
        .collect();
    match rows.is_empty() {
        true => out.push_str("<h2>Doctor</h2>\n"),
        false => table(out, "Doctor", &["state", "check", "seen", "cause", "fix"], &rows),
    }
    let is_old = written_at.is_none_or(|time| status.now.since(time) > MAX_DOCTOR_AGE);
    let (class, verdict) = match (ready, rows.is_empty()) {
        (true, true) if is_old => {
            ("warning", "Devices could use this deployment; run the doctor again.")
        }
        (true, true) => ("good", "Devices can use this deployment; nothing is to be done."),
        (true, false) => ("warning", "Devices can use this deployment; there are warnings."),
        (false, _) => ("bad", "Devices cannot use this deployment."),
    };
    let age = Escaped(ago(status.now, written_at));
    let _ = writeln!(out, "<p class=\"{class}\">{verdict} Examined {age}.</p>");
}

fn use_cases(out: &mut String, status: &Status) {
    let rows: Vec<_> = status
        .use_cases
        .iter()
        .map(|use_case| {
            vec![
                use_case.name.clone(),
                use_case.rows.map_or_else(|| "not known".to_owned(), |rows| rows.to_string()),
                use_case.shards.to_string(),
                use_case.versions.to_string(),
                ago(status.now, use_case.written_at),
                match use_case.levels.is_empty() {
                    true => "none".to_owned(),
                    false => use_case.levels.join(", "),
                },
                use_case.prefilter_tag.as_ref().map_or_else(
                    || "not given out here".to_owned(),
                    |tag| tag.chars().take(12).collect(),
                ),
            ]
        })
        .collect();
    match rows.is_empty() {
        true => out.push_str("<h2>Served</h2>\n<p class=\"bad\">Nothing is served yet.</p>\n"),
        false => {
            let names =
                ["use case", "rows", "shards", "versions", "data set", "levels", "prefilter"];
            table(out, "Served", &names, &rows);
        }
    }
}

#[cfg(feature = "lists")]
fn lists(out: &mut String, status: &Status) {
    use list_update::SourceState;

    let Some(lists) = &status.lists else { return };
    let now = status.now;
    if let Some(updated) = &lists.updated {
        let rows: Vec<_> = updated
            .sources
            .iter()
            .map(|source| {
                let state = match source.state {
                    SourceState::Old => format!(
                        "old copy: {}",
                        source.problem.as_deref().unwrap_or("the source cannot be used")
                    ),
                    SourceState::NotDue => "not due".to_owned(),
                    _ => "current".to_owned(),
                };
                vec![
                    source.name.clone(),
                    source.entries.to_string(),
                    ago(now, Some(source.fetched_at)),
                    state,
                ]
            })
            .collect();
        table(out, "Lists", &["list", "entries", "fetched", "state"], &rows);
    } else {
        out.push_str("<h2>Lists</h2>\n");
    }
    let _ = writeln!(
        out,
        "<p>Last update {}; last one without a failure {}.</p>",
        Escaped(ago(now, lists.last_update)),
        Escaped(ago(now, lists.last_success))
    );
    if let Some(error) = &lists.error {
        let _ = writeln!(out, "<p class=\"bad\">The last update failed: {}</p>", Escaped(error));
    }
    if let Some(change) = &lists.last_change {
        let moved = match (change.keys_in, change.keys_out) {
            (Some(keys_in), Some(keys_out)) => format!("{keys_in} keys came, {keys_out} went"),
            _ => "the first build".to_owned(),
        };
        let _ = writeln!(
            out,
            "<p>Last change {}: {}; {} keys.</p>",
            Escaped(ago(now, Some(change.built_at))),
            Escaped(moved),
            change.keys
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_no_meaning_in_html() {
        assert_eq!(Escaped("<a href='x'>&\"").to_string(), "&lt;a href='x'&gt;&amp;&quot;");
        let mut out = String::new();
        table(&mut out, "<t>", &["<n>"], &[vec!["<c>".to_owned()]]);
        assert!(
            out.contains("&lt;t&gt;") && out.contains("&lt;n&gt;") && out.contains("&lt;c&gt;")
        );
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for text in ["src=", "http://", "https://", "<script", "@import", "url("] {
            assert!(!TEMPLATE.contains(text), "{text}");
        }
    }

    #[test]
    fn spans_and_sizes_have_the_unit_that_fits() {
        for (seconds, expected) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(
            [bytes(0), bytes(1_500_000), bytes(2_000_000_000)],
            ["0.0 KB", "1.5 MB", "2.0 GB"]
        );
    }
}
