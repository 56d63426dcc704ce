//! Whether the prefilter and the data set that is served are of one build.

use crate::error::{ExamineError, chain};
use crate::{Check, Deployment, Findings};
use blocklist::builder::DATA_SET_FILE;
use filter_client::PirClient;
use keyword_database::Reader;
use keyword_pir::{KeywordHash, ShardingFunction};
use pir_api::api;
use pir_dataset::publication::gather;
use std::error::Error;
use std::fs::File;
use std::path::Path;

/// Keys of the prefilter that the service is asked for.
const SAMPLES: usize = 16;
/// With fewer keys than this, the number of shards of the data set is not guessed.
const MIN_SAMPLES: usize = 12;
/// Largest number of shards that is guessed.
const MAX_GUESSED_SHARDS: u32 = 64;
/// Numbers that are named at most.
const MAX_GUESSES: usize = 4;
const FIX: &str = "publish both of one build with `urlfilter publish`, the prefilter last";

/// Visits the keywords of a build with their numbers. Returns how many there are.
fn visit_keywords(path: &Path, mut visit: impl FnMut(u64, &[u8])) -> Result<u64, ExamineError> {
    let failed =
        |source: Box<dyn Error + Send + Sync>| ExamineError::Keys { path: path.to_owned(), source };
    let input = File::open(path).map_err(|error| failed(error.into()))?;
    let mut reader = Reader::text(input);
    let mut number = 0;
    while let Some(row) = reader.next_row().map_err(|error| failed(error.into()))? {
        visit(number, row.keyword);
        number += 1;
    }
    Ok(number)
}

/// Keys at equal distances in the build: the same ones each time.
fn samples(folder: &Path) -> Result<Vec<Vec<u8>>, ExamineError> {
    let path = folder.join(DATA_SET_FILE);
    let count = visit_keywords(&path, |_, _| {})?;
    let step = count.div_ceil(SAMPLES as u64).max(1);
    let mut samples = Vec::new();
    visit_keywords(&path, |number, keyword| {
        if number % step == step / 2 {
            samples.push(keyword.to_vec());
        }
    })?;
    Ok(samples)
}

pub(crate) async fn check(
    deployment: &Deployment,
    client: &PirClient,
    configs: Option<&api::ConfigResponse>,
    findings: &mut Findings,
) -> Result<(), ExamineError> {
    let Some(filter) = &deployment.filter else { return Ok(()) };
    if let Some(data) = &deployment.data
        && let Err((seen, cause)) = compare_local(deployment, data, filter, configs)
    {
        findings.bad(Check::SameBuild, seen, cause, FIX);
        return Ok(());
    }
    let keys = samples(filter)?;
    let keywords: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let values = match client.lookup(&keywords).await {
        Ok(values) => values,
        Err(error) => {
            findings.bad(Check::SameBuild, chain(error.as_ref()), "the lookup failed", FIX);
            return Ok(());
        }
    };
    let found: Vec<bool> = values.iter().map(Option::is_some).collect();
    let (asked, missing) = (keys.len(), found.iter().filter(|found| !**found).count());
    let served =
        configs.and_then(|all| all.configs.get(&deployment.use_cases()[0])).and_then(shard_count);
    // Without the configuration's number there is nothing to compare with.
    let made = served.map_or_else(Vec::new, |served| made_with(&keywords, &found, served));
    let numbers: Vec<String> = made.iter().map(u32::to_string).collect();
    let numbers = numbers.join(" or ");
    match (missing, served) {
        (_, Some(served)) if !made.is_empty() => findings.bad(
            Check::SameBuild,
            format!(
                "{missing} of {asked} keys of the prefilter are not at the service: just those that a data set of \
                 {numbers} shards has in other shards than one of {served}"
            ),
            "the data set was made with another number of shards than the service's configuration names: devices ask \
             the wrong shard",
            format!(
                "set shardCount in the service's configuration to the number of shards that were processed ({numbers}), \
                 with all their files beside each other; reload"
            ),
        ),
        (0, ..) => findings.good(
            Check::SameBuild,
            format!("{asked} keys of the prefilter are found at the service"),
        ),
        _ => findings.bad(
            Check::SameBuild,
            format!("{missing} of {asked} keys of the prefilter are not at the service"),
            "prefilter and data set are of different builds: devices look up keys that the service does not have, so \
             these URLs are not blocked",
            FIX,
        ),
    }
    Ok(())
}

/// The number of shards that a configuration tells devices.
pub(crate) fn shard_count(config: &api::Config) -> Option<usize> {
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    let Some(api::config::Config::PirConfig(config)) = &config.config else { return None };
    let alike = config.pir_shard_configs.as_ref().and_then(|shards| shards.shard_configs.as_ref());
    Some(match alike {
        Some(RepeatedShardConfig(fixed)) => fixed.shard_count as usize,
        None => config.shard_configs.len(),
    })
}

/// The numbers of shards with which the data set may have been made: those with which just the keys that were found lie in
/// the same shard as with `served`. Some cannot be told apart, such as 3 and 6 from 2. Empty if nothing speaks for another
/// number.
fn made_with(keywords: &[&[u8]], found: &[bool], served: usize) -> Vec<u32> {
    // Few keys fit some number by chance.
    let is_enough = keywords.len() >= MIN_SAMPLES && found.contains(&false);
    let Some(served) = u32::try_from(served).ok().filter(|served| is_enough && *served > 0) else {
        return Vec::new();
    };
    let shard =
        |keyword: &[u8], count| ShardingFunction::Sha256.shard(KeywordHash::of(keyword), count);
    let fits = |made: &u32| {
        let mut asked = keywords.iter().zip(found);
        asked.all(|(keyword, found)| (shard(keyword, *made) == shard(keyword, served)) == *found)
    };
    let others = (1..=MAX_GUESSED_SHARDS).filter(|made| *made != served);
    let made: Vec<u32> = others.filter(fits).collect();
    // Whatever fits that many fits anything.
    if made.len() <= MAX_GUESSES { made } else { Vec::new() }
}

/// Compares the data set on this machine with its prefilter and with what is served. The error is what was seen,
/// and the cause.
fn compare_local(
    deployment: &Deployment,
    data: &Path,
    filter: &Path,
    configs: Option<&api::ConfigResponse>,
) -> Result<(), (String, &'static str)> {
    let gathered = gather(data, filter).map_err(|error| {
        (chain(&error), "prefilter and data set on this machine do not belong together")
    })?;
    let served = configs.and_then(|all| all.configs.get(&deployment.use_cases()[0]));
    match served.map(|config| hex::encode(&config.config_id)) {
        Some(served) if served != gathered.config_id => Err((
            format!(
                "the service has configuration {served}, {} has {}",
                data.display(),
                gathered.config_id
            ),
            "the service serves another data set than the one on this machine",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyword_database::Writer;

    #[test]
    fn samples_are_spread_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 2, SAMPLES - 1, SAMPLES, SAMPLES + 1, 1000] {
            let mut writer = Writer::text(Vec::new());
            for number in 0..count {
                writer.write(format!("host{number}.example").as_bytes(), b"1").unwrap();
            }
            std::fs::write(folder.path().join(DATA_SET_FILE), writer.finish().unwrap()).unwrap();
            let samples = samples(folder.path()).unwrap();
            assert!(samples.len() <= SAMPLES, "{count}: {}", samples.len());
            assert_eq!(samples.is_empty(), count == 0);
            assert!(samples.len() >= count.min(SAMPLES) / 2, "{count}: {}", samples.len());
        }
    }

    /// Keys of which those are found that lie in the same shard of `made` shards as of `served`.
    fn found(count: usize, made: u32, served: u32) -> (Vec<String>, Vec<bool>) {
        let keys: Vec<String> = (0..count).map(|number| format!("host{number}.example")).collect();
        let shard = |key: &str, count| {
            ShardingFunction::Sha256.shard(KeywordHash::of(key.as_bytes()), count)
        };
        let found = keys.iter().map(|key| shard(key, made) == shard(key, served)).collect();
        (keys, found)
    }

    #[test]
    fn a_number_of_shards_is_guessed_from_enough_keys() {
        for count in [MIN_SAMPLES - 1, MIN_SAMPLES, MIN_SAMPLES + 1] {
            let (keys, found) = found(count, 3, 4);
            assert!(found.contains(&true) && found.contains(&false));
            let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
            assert_eq!(made_with(&keys, &found, 4).contains(&3), count >= MIN_SAMPLES, "{count}");
        }
    }

    #[test]
    fn numbers_of_shards_are_guessed_up_to_a_limit() {
        for made in [MAX_GUESSED_SHARDS - 1, MAX_GUESSED_SHARDS, MAX_GUESSED_SHARDS + 1] {
            let (keys, found) = found(2_000, made, 5);
            let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
            let guessed = made_with(&keys, &found, 5);
            assert_eq!(guessed.contains(&made), made <= MAX_GUESSED_SHARDS, "{made}: {guessed:?}");
        }
    }
}
