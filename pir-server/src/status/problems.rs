//! What is wrong with what is served, in sentences: the alerts of deploy/prometheus/alerts.yaml that concern data, for those who
//! look at the page.

use super::Status;
use super::doctor::DoctorReport;
use super::page::ago;
use crate::service::NO_USER_TOKEN;
use std::time::Duration;

/// From when on a data set, or the last update of lists, is too old. As in the alert `PirDataSetOld`, which a test compares.
const STALE: Duration = Duration::from_secs(3 * 24 * 3600);

/// Sentences about what is old, late or not served.
pub(super) fn problems(status: &Status) -> Vec<String> {
    let now = status.now;
    let mut problems = Vec::new();
    if let Some(reason) = &status.reload_failure {
        problems.push(format!("the last reload failed, and everything stayed as it was: {reason}"));
    }
    for (file, reason) in &status.refresh_failures {
        problems.push(format!(
            "{file}: cannot be read again, and the earlier content stays in use: {reason}"
        ));
    }
    if status.admits_nobody {
        problems.push(NO_USER_TOKEN.to_owned());
    }
    if let Some(end) = status.certificate_ends_at.filter(|&end| end <= now) {
        problems.push(format!(
            "the certificate has expired, {}, and no client accepts it; replace its files",
            ago(now, Some(end))
        ));
    }
    match &status.doctor {
        Some(DoctorReport::Found { ready: false, .. }) => {
            problems.push("the doctor found that devices cannot use this deployment".to_owned());
        }
        Some(DoctorReport::Unusable { problem }) => problems.push(problem.clone()),
        _ => {}
    }
    for use_case in &status.use_cases {
        if let Some(written_at) = use_case.written_at
            && now.since(written_at) > STALE
        {
            problems.push(format!(
                "use case {}: its data set was made {}; look at the log of what builds and publishes it",
                use_case.name,
                ago(now, Some(written_at))
            ));
        }
    }
    for release in &status.releases {
        if let Some(problem) = &release.problem {
            problems.push(format!(
                "use case {}: its publication cannot be followed: {problem}",
                release.use_case
            ));
        }
    }
    for release in status.releases.iter().filter(|release| release.late) {
        problems.push(format!(
            "use case {}: a release is announced that this node cannot serve yet, and it is late; the log has the reason",
            release.use_case
        ));
    }
    #[cfg(feature = "lists")]
    lists(status, &mut problems);
    problems
}

#[cfg(feature = "lists")]
fn lists(status: &Status, problems: &mut Vec<String>) {
    let Some(lists) = &status.lists else { return };
    if let Some(error) = &lists.error {
        problems.push(format!("the last update of the lists failed: {error}"));
    }
    if lists.is_served == Some(false) {
        problems.push(
            "what was made of the lists last is not served: the last update failed before it could be, and the log has \
             the reason; the next update that does not fail serves it"
                .to_owned(),
        );
    }
    if let Some(time) = lists.last_success
        && status.now.since(time) > STALE
    {
        problems.push(format!(
            "the lists were updated without a failure {} for the last time",
            ago(status.now, Some(time))
        ));
    }
    let sources = lists.updated.iter().flat_map(|updated| updated.old_sources());
    problems.extend(sources.map(|source| format!("list {}: an old copy is used", source.name)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn data_sets_are_as_old_here_as_in_the_alert() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yaml");
        let alerts = std::fs::read_to_string(path).unwrap();
        let (_, alert) = alerts.split_once("- alert: PirDataSetOld\n").unwrap();
        let (alert, _) = alert.split_once("- alert: ").unwrap();
        let expression = alert.lines().find_map(|line| line.trim().strip_prefix("expr: "));
        let expected = format!(
            "time() - max by (usecase) (pir_data_set_timestamp_seconds) > {}",
            STALE.as_secs()
        );
        assert_eq!(expression, Some(&*expected));
        let comment = "longer time than three days";
        assert!(alerts.contains(comment) && STALE.as_secs() == 3 * 86_400);
    }
}
