//! Whether the prefilter and the data set that is served are of one build.

use crate::error::{ExamineError, chain};
use crate::levels::MAX_PREFILTER;
use crate::network::Network;
use crate::service::Failure;
use crate::{Advice, Check, Deployment, Findings};
use blocklist::builder::DATA_SET_FILE;
use filter_client::PirClient;
use filter_core::Prefilter;
use filter_core::file::FileError;
use keyword_database::Reader;
use keyword_pir::{KeywordHash, ShardingFunction};
use pir_api::api;
use pir_dataset::publication::{GatherError, gather};
use std::error::Error;
use std::fs::File;
use std::path::Path;

/// Keys of the prefilter that the service is asked for first.
const SAMPLES: usize = 16;
/// Keys that it is asked for in all, if it lacks one of the first: they tell numbers of shards apart.
const ALL_SAMPLES: usize = 4 * SAMPLES;
/// With fewer keys than this, the number of shards of the data set is not guessed.
const MIN_SAMPLES: usize = 12;
/// Largest number of shards that is guessed.
const MAX_GUESSED_SHARDS: u32 = 64;
/// Numbers that are named at most.
const MAX_GUESSES: usize = 4;
const PUBLISH: &str = "publish both of one build with `urlfilter publish`, the prefilter last";
const BUILD: &str =
    "build again with `urlfilter build` into an empty folder; process and publish what it writes";

/// What is wrong with a build, here or at the service.
#[derive(Debug)]
struct Fault {
    seen: String,
    advice: Advice,
}

impl Fault {
    fn new(seen: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        let advice = Advice { cause: cause.into(), fix: fix.into() };
        Self { seen: seen.into(), advice }
    }
}

/// A data set on this machine.
#[derive(Clone, Debug)]
struct DataSet {
    name: String,
    config_id: String,
    shard_count: u32,
}

/// The build on this machine: a prefilter that has all of its rows, and perhaps its data set.
#[derive(Debug)]
pub(crate) struct LocalBuild {
    folder: String,
    tag: String,
    /// Some of its keys, at equal distances: the same ones each time.
    keys: Vec<Vec<u8>>,
    data: Option<DataSet>,
}

/// The build on this machine, as far as there is one. A faulty one is a finding.
pub(crate) fn local(
    deployment: &Deployment,
    findings: &mut Findings,
) -> Result<Option<LocalBuild>, ExamineError> {
    let Some(folder) = &deployment.filter else { return Ok(None) };
    match read(folder, deployment.data.as_deref())? {
        Ok(build) => Ok(Some(build)),
        Err(Fault { seen, advice }) => {
            findings.bad_for(Check::SameBuild, seen, advice);
            Ok(None)
        }
    }
}

/// Reads a build. The outer error is that a file cannot be read, the inner one what is wrong with its files.
fn read(folder: &Path, data: Option<&Path>) -> Result<Result<LocalBuild, Fault>, ExamineError> {
    let name = folder.display().to_string();
    let prefilter = match Prefilter::open(folder) {
        Ok(prefilter) => prefilter,
        Err(error @ FileError::Content { .. }) => {
            let cause = "the prefilter on this machine is damaged, or its files are of two builds: no device can use it";
            return Ok(Err(Fault::new(chain(&error), cause, BUILD)));
        }
        Err(error) => {
            let path = folder.to_owned();
            return Err(ExamineError::Prefilter { path, source: error.into() });
        }
    };
    let path = folder.join(DATA_SET_FILE);
    let mut lost = 0_u64;
    let rows = visit_keywords(&path, |_, keyword| {
        lost += u64::from(!prefilter.filter().contains(keyword));
    })?;
    if lost > 0 {
        return Ok(Err(Fault::new(
            format!(
                "{name}: {lost} of {rows} rows of {DATA_SET_FILE} are not found in the prefilter beside it"
            ),
            "the files in this folder are of two builds: devices with this prefilter let through what these rows list",
            BUILD,
        )));
    }
    let data = match data.map(|stem| data_set(stem, folder)).transpose()? {
        Some(Err(fault)) => return Ok(Err(fault)),
        Some(Ok(data)) => Some(data),
        None => None,
    };
    Ok(Ok(LocalBuild { folder: name, tag: prefilter.tag(), keys: samples(&path, rows)?, data }))
}

fn data_set(stem: &Path, folder: &Path) -> Result<Result<DataSet, Fault>, ExamineError> {
    let failed =
        |error: GatherError| ExamineError::DataSet { path: stem.to_owned(), source: error.into() };
    let (error, cause) = match gather(stem, folder) {
        Ok(gathered) => {
            return Ok(Ok(DataSet {
                name: stem.display().to_string(),
                config_id: gathered.config_id,
                shard_count: gathered.shard_count,
            }));
        }
        Err(error) => match error {
            GatherError::OtherContent { .. } => {
                (error, "a file of the data set on this machine changed after it was processed")
            }
            GatherError::NoKeywords { .. } => {
                (error, "the data set on this machine cannot be compared with the prefilter")
            }
            GatherError::OtherKeywords { .. } | GatherError::NotInPrefilter { .. } => {
                (error, "prefilter and data set on this machine do not belong together")
            }
            error => return Err(failed(error)),
        },
    };
    let fix = "run `urlfilter process` on this build, and publish both with `urlfilter publish`, the prefilter last";
    Ok(Err(Fault::new(chain(&error), cause, fix)))
}

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

/// Keys at equal distances in a build of so many rows.
fn samples(path: &Path, rows: u64) -> Result<Vec<Vec<u8>>, ExamineError> {
    let step = rows.div_ceil(ALL_SAMPLES as u64).max(1);
    let mut samples = Vec::new();
    visit_keywords(path, |number, keyword| {
        if number % step == step / 2 {
            samples.push(keyword.to_vec());
        }
    })?;
    Ok(samples)
}

/// What the service says of its data set.
struct Served {
    config_id: String,
    shard_count: Option<u32>,
}

/// What became of keys that the service was asked for.
struct Sampled<'k> {
    keys: Vec<&'k [u8]>,
    found: Vec<bool>,
}

impl Sampled<'_> {
    fn missing(&self) -> usize {
        self.found.iter().filter(|found| !**found).count()
    }
}

/// How the build on this machine compares with what is served.
pub(crate) struct Comparison {
    fault: Option<Fault>,
    seen: String,
    /// Whether the fault is why other keys are not found.
    pub(crate) explains_missing_keys: bool,
}

impl Comparison {
    pub(crate) fn report(self, findings: &mut Findings) {
        match self.fault {
            Some(Fault { seen, advice }) => findings.bad_for(Check::SameBuild, seen, advice),
            None => findings.good(Check::SameBuild, self.seen),
        }
    }
}

/// Looks keys of the build up, and compares it with what the service has and gives out.
pub(crate) async fn compare(
    deployment: &Deployment,
    network: &Network,
    client: &PirClient,
    configs: Option<&api::ConfigResponse>,
    build: &LocalBuild,
) -> Result<Comparison, Failure> {
    let use_case = &deployment.use_cases()[0];
    let served = configs.and_then(|all| all.configs.get(use_case)).map(|config| Served {
        config_id: hex::encode(&config.config_id),
        shard_count: shard_count(config).and_then(|count| u32::try_from(count).ok()),
    });
    let sampled = sample(network, client, build).await?;
    let mut fault = judge(build, &sampled, served.as_ref());
    let explains_missing_keys = fault.is_some() && sampled.missing() * 2 > sampled.keys.len()
        || matches!(&fault, Some(Judged::Shards(_)));
    if fault.is_none() {
        let url = deployment.server_url(&format!("filter/{use_case}"));
        fault = given_out(network, &url, build).await.map(Judged::Build);
    }
    let seen = format!("{} keys of the prefilter are found at the service", sampled.keys.len());
    let fault = fault.map(|judged| match judged {
        Judged::Shards(fault) | Judged::Build(fault) => fault,
    });
    Ok(Comparison { fault, seen, explains_missing_keys })
}

async fn sample<'b>(
    network: &Network,
    client: &PirClient,
    build: &'b LocalBuild,
) -> Result<Sampled<'b>, Failure> {
    let mut sampled = Sampled { keys: Vec::new(), found: Vec::new() };
    let all = || build.keys.iter().map(Vec::as_slice).enumerate();
    let distance = build.keys.len().div_ceil(SAMPLES).max(1);
    let (first, others): (Vec<_>, Vec<_>) =
        all().partition(|(number, _)| number % distance == distance / 2);
    for keys in [first, others] {
        // The others only tell why some of the first are missing.
        if keys.is_empty() || (!sampled.keys.is_empty() && sampled.missing() == 0) {
            continue;
        }
        let keys: Vec<&[u8]> = keys.into_iter().map(|(_, key)| key).collect();
        let values = client.lookup(&keys).await;
        let values = values.map_err(|error| Failure::of(&error, network))?;
        sampled.found.extend(values.iter().map(Option::is_some));
        sampled.keys.extend(keys);
    }
    Ok(sampled)
}

/// A fault of what is served.
enum Judged {
    /// The number of shards is not the one that the data set was made with.
    Shards(Fault),
    /// Another build is served.
    Build(Fault),
}

/// What follows from the keys that were found, and from what the service says of its data set.
fn judge(build: &LocalBuild, sampled: &Sampled<'_>, served: Option<&Served>) -> Option<Judged> {
    let (asked, missing) = (sampled.keys.len(), sampled.missing());
    let served_count = served.and_then(|served| served.shard_count);
    // Without the configuration's number there is nothing to compare with.
    let made = served_count.map_or_else(Vec::new, |count| {
        let known = build.data.as_ref().map(|data| data.shard_count);
        made_with(&sampled.keys, &sampled.found, count, known)
    });
    if let Some(count) = served_count.filter(|_| !made.is_empty()) {
        let numbers: Vec<String> = made.iter().map(u32::to_string).collect();
        let numbers = numbers.join(" or ");
        return Some(Judged::Shards(Fault::new(
            format!(
                "{missing} of {asked} keys of the prefilter are not at the service: just those that a data set of \
                 {numbers} shards has in other shards than one of {count}"
            ),
            "the data set was made with another number of shards than the service's configuration names: devices ask \
             the wrong shard",
            format!(
                "set shardCount in the service's configuration to the number of shards that were processed ({numbers}), \
                 with all their files beside each other; reload"
            ),
        )));
    }
    if let (Some(data), Some(served)) = (&build.data, served)
        && data.config_id != served.config_id
    {
        return Some(Judged::Build(Fault::new(
            format!(
                "the service has configuration {}, {} has {}",
                served.config_id, data.name, data.config_id
            ),
            "the service serves another data set than the one on this machine",
            PUBLISH,
        )));
    }
    (missing > 0).then(|| {
        Judged::Build(Fault::new(
            format!("{missing} of {asked} keys of the prefilter are not at the service"),
            "prefilter and data set are of different builds: devices look up keys that the service does not have, so \
             these URLs are not blocked",
            PUBLISH,
        ))
    })
}

/// Whether the prefilter that the service gives out is another one. A service need not give one out.
async fn given_out(network: &Network, url: &str, build: &LocalBuild) -> Option<Fault> {
    let exchanged = network.get_up_to(url, MAX_PREFILTER).await;
    let body = exchanged.body().filter(|_| exchanged.advice().is_none())?;
    let prefilter = match Prefilter::from_plist(body) {
        Ok(prefilter) => prefilter,
        Err(error) => {
            return Some(Fault::new(
                format!("{url}: no prefilter: {}", chain(&error)),
                "devices that fetch their prefilter from the service get something else",
                "let what is in front of the service pass this path on to it, unchanged",
            ));
        }
    };
    (prefilter.tag() != build.tag).then(|| {
        Fault::new(
            format!("the service gives out the prefilter {}, {} has {}", prefilter.tag(), build.folder, build.tag),
            "it is not the prefilter on this machine; while an update is under way, the one before is given out",
            PUBLISH,
        )
    })
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
/// the same shard as with `served`. Some cannot be told apart, such as 3 and 6 from 2: `known` is then the number of the
/// data set on this machine. Empty if nothing speaks for another number.
fn made_with(keywords: &[&[u8]], found: &[bool], served: u32, known: Option<u32>) -> Vec<u32> {
    // Few keys fit some number by chance.
    let is_enough = keywords.len() >= MIN_SAMPLES && found.contains(&false) && served > 0;
    if !is_enough {
        return Vec::new();
    }
    let shard =
        |keyword: &[u8], count| ShardingFunction::Sha256.shard(KeywordHash::of(keyword), count);
    let fits = |made: &u32| {
        let mut asked = keywords.iter().zip(found);
        asked.all(|(keyword, found)| (shard(keyword, *made) == shard(keyword, served)) == *found)
    };
    if let Some(known) = known {
        return Some(known).filter(|known| *known != served && fits(known)).into_iter().collect();
    }
    let others = (1..=MAX_GUESSED_SHARDS).filter(|made| *made != served);
    let made: Vec<u32> = others.filter(fits).collect();
    // Whatever fits that many fits anything.
    if made.len() <= MAX_GUESSES { made } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyword_database::Writer;

    #[test]
    fn samples_are_spread_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 2, ALL_SAMPLES - 1, ALL_SAMPLES, ALL_SAMPLES + 1, 1000] {
            let mut writer = Writer::text(Vec::new());
            for number in 0..count {
                writer.write(format!("host{number}.example").as_bytes(), b"1").unwrap();
            }
            let path = folder.path().join(DATA_SET_FILE);
            std::fs::write(&path, writer.finish().unwrap()).unwrap();
            let samples = samples(&path, count as u64).unwrap();
            assert!(samples.len() <= ALL_SAMPLES, "{count}: {}", samples.len());
            assert_eq!(samples.is_empty(), count == 0);
            assert!(samples.len() >= count.min(ALL_SAMPLES) / 2, "{count}: {}", samples.len());
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
            let made = made_with(&keys, &found, 4, None);
            assert_eq!(made.contains(&3), count >= MIN_SAMPLES, "{count}");
        }
    }

    #[test]
    fn numbers_of_shards_are_guessed_up_to_a_limit() {
        for made in [MAX_GUESSED_SHARDS - 1, MAX_GUESSED_SHARDS, MAX_GUESSED_SHARDS + 1] {
            let (keys, found) = found(2_000, made, 5);
            let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
            let guessed = made_with(&keys, &found, 5, None);
            assert_eq!(guessed.contains(&made), made <= MAX_GUESSED_SHARDS, "{made}: {guessed:?}");
            // The data set on this machine says it, if there is one.
            assert_eq!(made_with(&keys, &found, 5, Some(made)), [made]);
            assert_eq!(made_with(&keys, &found, 5, Some(5)), [0_u32; 0]);
        }
    }

    fn build(data: Option<(&str, u32)>) -> LocalBuild {
        let data = data.map(|(config_id, shard_count)| DataSet {
            name: "dist/urls".to_owned(),
            config_id: config_id.to_owned(),
            shard_count,
        });
        LocalBuild { folder: "dist".to_owned(), tag: "t".to_owned(), keys: Vec::new(), data }
    }

    #[test]
    fn a_data_set_with_too_few_of_its_shards_is_no_other_build() {
        for (made, served_count) in [(5, 4), (3, 2), (8, 4), (4, 1)] {
            let (keys, found) = found(ALL_SAMPLES, made, served_count);
            let keys = keys.iter().map(|key| key.as_bytes()).collect();
            let sampled = Sampled { keys, found };
            let served = Served { config_id: "aa".to_owned(), shard_count: Some(served_count) };
            // With the data set beside it, whose configuration is another one just because of this.
            for data in [None, Some(("bb", made))] {
                let judged = judge(&build(data), &sampled, Some(&served));
                let Some(Judged::Shards(fault)) = judged else { panic!("{made} {served_count}") };
                assert!(fault.advice.fix.contains(&made.to_string()), "{fault:?}");
            }
        }
    }

    #[test]
    fn another_data_set_and_missing_keys_are_told_apart() {
        let (keys, found) = found(ALL_SAMPLES, 4, 4);
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let served = Served { config_id: "aa".to_owned(), shard_count: Some(4) };
        let judged = |data, found: &[bool]| {
            let sampled = Sampled { keys: keys.clone(), found: found.to_vec() };
            match judge(&build(data), &sampled, Some(&served)) {
                Some(Judged::Build(fault)) => Some(fault.seen),
                Some(Judged::Shards(fault)) => panic!("{fault:?}"),
                None => None,
            }
        };
        assert_eq!(judged(None, &found), None);
        assert_eq!(judged(Some(("aa", 4)), &found), None);
        assert!(judged(Some(("bb", 8)), &found).unwrap().contains("configuration aa"));
        let mut some = found.clone();
        some[7] = false;
        assert!(judged(Some(("aa", 4)), &some).unwrap().contains("1 of 64 keys"));
        assert!(judged(None, &some).unwrap().contains("1 of 64 keys"));
    }
}
