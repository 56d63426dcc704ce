//! Time and sizes of lookups.

use crate::network::LoggedExchange;
use crate::{Check, Deployment, Findings};
use std::time::Duration;

/// What the sizes declared in Apple's form should have more than the largest ones seen: headers count as well.
const FORM_MARGIN: f64 = 1.1;
/// Keywords of one URL for which the declared sizes have room.
const FORM_KEYWORDS: u64 = 4;

/// Time and sizes of the lookups so far.
pub(crate) fn check(deployment: &Deployment, log: &[LoggedExchange], findings: &mut Findings) {
    let to = |path: &str| log.iter().filter(|sent| sent.path.ends_with(path)).collect::<Vec<_>>();
    let queries = to("/queries");
    // The shortest bodies are those for one keyword.
    let Some(query) = queries.iter().map(|exchange| exchange.sent).min() else { return };
    let single: Vec<_> =
        queries.into_iter().filter(|exchange| exchange.sent <= query * 2).collect();
    let reply = single.iter().map(|exchange| exchange.received).min();
    let reply = reply.expect("the shortest query is one of them");
    let mut times: Vec<Duration> = single.iter().map(|exchange| exchange.time).collect();
    times.sort();
    let median = times[times.len() / 2];
    // Nothing is uploaded where queries have their key inside: 0 leaves the largest request to them.
    let key = to("/key").iter().map(|exchange| exchange.sent).max().unwrap_or(0);
    let kilobytes = |bytes: u64| bytes as f64 / 1e3;
    // The sizes that the form asks for bound every request; the relay answers longer ones with 413. A device asks for a few
    // keywords of one URL at once.
    let largest_request = key.max(query * FORM_KEYWORDS);
    let largest_reply = reply * FORM_KEYWORDS;
    let seen = format!(
        "a lookup takes {:.0} ms; evaluation key {:.0} kB, query for one keyword {:.0} kB, its reply {:.0} kB; declare \
         requests of at least {:.0} kB and replies of at least {:.0} kB in Apple's form",
        median.as_secs_f64() * 1e3,
        kilobytes(key),
        kilobytes(query),
        kilobytes(reply),
        (kilobytes(largest_request) * FORM_MARGIN).ceil(),
        (kilobytes(largest_reply) * FORM_MARGIN).ceil(),
    );
    const FASTER: &str = "put nodes near the users; look at pir_stage_seconds and pir_queue_depth: add cores, or make shards \
         smaller";
    if median > deployment.page_wait {
        findings.bad(
            Check::Costs,
            seen,
            format!(
                "a page waits {} s for the answer, and fails then: no device gets one in time",
                deployment.page_wait.as_secs_f64()
            ),
            FASTER,
        );
    } else if median > deployment.max_latency {
        findings.warning(
            Check::Costs,
            seen,
            "a device waits for the answer before it loads a page",
            FASTER,
        );
    } else if reply > deployment.max_reply_bytes {
        findings.warning(
            Check::Costs,
            seen,
            "long replies cost devices traffic and take the relay longer",
            "use short values (1 is enough), or other dimensions or parameters of the shards",
        );
    } else {
        findings.good(Check::Costs, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::deployment::PAGE_WAIT;

    fn exchange(sent: u64, time: Duration) -> LoggedExchange {
        LoggedExchange { path: "/queries".to_owned(), sent, received: 10_000, time }
    }

    #[test]
    fn an_answer_after_a_page_has_given_up_is_of_no_use() {
        let millisecond = Duration::from_millis(1);
        let deployment = Deployment::new("https://pir.example.com", "com.example.app", "AAAA");
        for (time, severity) in [
            (deployment.max_latency, Severity::Good),
            (deployment.max_latency + millisecond, Severity::Warning),
            (PAGE_WAIT - millisecond, Severity::Warning),
            (PAGE_WAIT, Severity::Warning),
            (PAGE_WAIT + millisecond, Severity::Bad),
        ] {
            // A query for many keywords at once takes longer, and no device waits for it.
            let log = [exchange(28_000, time), exchange(28_100, time), exchange(450_000, time * 9)];
            let mut findings = Findings::default();
            check(&deployment, &log, &mut findings);
            assert_eq!(findings.count(severity), 1, "{time:?}: {findings:?}");
        }
    }
}
