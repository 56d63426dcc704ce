//! Whether the service gives out the prefilters of levels.

use crate::error::{ExamineError, chain};
use crate::network::Network;
use crate::{Check, Deployment, Findings};
use filter_core::Prefilter;
use pir_dataset::level::{self, LevelFile, LevelFileError};
use std::collections::BTreeMap;
use std::path::Path;

/// Longest prefilter that is fetched, in bytes: as long as clients take.
pub(crate) const MAX_PREFILTER: usize = 256 << 20;
const NOT_GIVEN_OUT: &str = "devices of this level get no prefilter, or no newer one";
const PUBLISH: &str =
    "publish with `urlfilter publish --levels`, or set filterLevels in the service's configuration";
const REPUBLISH: &str =
    "update the lists again, and publish their prefilters together with the data set";

/// The levels on this machine: the tag of the prefilter of each.
fn local(folder: &Path) -> Result<BTreeMap<String, String>, LevelFileError> {
    level::folders(folder)?
        .into_iter()
        .map(|(name, path)| Ok((name, LevelFile::read(&path)?.tag)))
        .collect()
}

pub(crate) async fn check(
    deployment: &Deployment,
    network: &Network,
    use_case: &str,
    findings: &mut Findings,
) -> Result<(), ExamineError> {
    let local = match &deployment.levels_folder {
        Some(folder) => local(folder)
            .map_err(|error| ExamineError::Levels { path: folder.clone(), source: error.into() })?,
        None => BTreeMap::new(),
    };
    let mut names: Vec<&str> = deployment.levels.iter().map(String::as_str).collect();
    names.extend(local.keys().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    for name in names {
        let url = deployment.server_url(&format!("filter/{use_case}/{name}"));
        one(network, &url, name, local.get(name).map(String::as_str), findings).await;
    }
    Ok(())
}

async fn one(
    network: &Network,
    url: &str,
    name: &str,
    local: Option<&str>,
    findings: &mut Findings,
) {
    if !level::is_name(name) {
        let seen = format!("{name:?} is not the name of a level");
        let fix = format!("levels have names of 1 to {} of a-z, 0-9 and -", level::MAX_NAME);
        return findings.bad(Check::Level, seen, NOT_GIVEN_OUT, fix);
    }
    let exchanged = network.get_up_to(url, MAX_PREFILTER).await;
    let Some(body) = exchanged.body().filter(|_| exchanged.advice().is_none()) else {
        let seen = format!("level {name}: {}", exchanged.seen());
        return findings.bad_for(Check::Level, seen, exchanged.advice_or(NOT_GIVEN_OUT, PUBLISH));
    };
    let prefilter = match Prefilter::from_plist(body) {
        Ok(prefilter) => prefilter,
        Err(error) => {
            let seen = format!("level {name}: no prefilter: {}", chain(&error));
            return findings.bad(Check::Level, seen, NOT_GIVEN_OUT, REPUBLISH);
        }
    };
    if local.is_some_and(|local| local != prefilter.tag()) {
        let seen = format!("level {name}: the service gives out {}", prefilter.tag());
        let cause = "it is not the prefilter on this machine; while an update is under way, the one before is given out";
        return findings.bad(Check::Level, seen, cause, REPUBLISH);
    }
    match prefilter.description().false_positive_tolerance {
        Some(rate) if rate <= level::MAX_TOLERANCE => findings.good(
            Check::Level,
            format!(
                "level {name}: of a billion loads, {:.0} are blocked that only other levels list",
                level::blocked_by_chance(rate) * 1e9
            ),
        ),
        rate => findings.bad(
            Check::Level,
            match rate {
                Some(rate) => format!("level {name}: its rate of false positives is {rate}"),
                None => format!("level {name}: it does not tell its rate of false positives"),
            },
            "a URL that only other levels list is blocked under this one if it hits its prefilter by chance",
            format!("build with a rate of at most {}", level::MAX_TOLERANCE),
        ),
    }
}
