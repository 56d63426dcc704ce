//! Whether the prefilter and the data set that is served are of one build.

use super::{Deployment, Findings};
use anyhow::Context;
use blocklist::builder::DATA_SET_FILE;
use filter_client::PirClient;
use keyword_database::Reader;
use pir_api::api;
use pir_dataset::publication::{Gathered, gather};
use pir_server::causes::WithCauses;
use std::fs::File;
use std::path::Path;

const CHECK: &str = "sameBuild";
/// Keys of the prefilter that the service is asked for.
const SAMPLES: usize = 16;

/// Some keys of the build, the same each time, from everywhere in it.
fn samples(folder: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let path = folder.join(DATA_SET_FILE);
    let name = || path.display().to_string();
    let read = |visit: &mut dyn FnMut(u64, &[u8])| -> anyhow::Result<u64> {
        let mut reader = Reader::text(File::open(&path).with_context(name)?);
        let mut number = 0;
        while let Some(row) = reader.next_row().with_context(name)? {
            visit(number, row.keyword);
            number += 1;
        }
        Ok(number)
    };
    let count = read(&mut |_, _| {})?;
    let step = count.div_ceil(SAMPLES as u64).max(1);
    let mut some = Vec::new();
    read(&mut |number, keyword| {
        if number % step == step / 2 {
            some.push(keyword.to_vec());
        }
    })?;
    Ok(some)
}

pub(super) async fn check(
    deployment: &Deployment,
    client: &PirClient,
    configs: Option<&api::ConfigResponse>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let Some(filter) = &deployment.filter else { return Ok(()) };
    const FIX: &str = "publish both of one build, with `urlfilter publish`, the prefilter last";
    if let Some(data) = &deployment.data {
        match gather(data, filter) {
            Err(error) => {
                findings.bad(
                    CHECK,
                    WithCauses(&error).to_string(),
                    "prefilter and data set on this machine do not belong together",
                    FIX,
                );
                return Ok(());
            }
            Ok(Gathered { config_id, .. }) => {
                let served = configs.and_then(|all| all.configs.get(&deployment.use_case()));
                let served = served.map(|config| hex::encode(&config.config_id));
                if served.as_ref().is_some_and(|served| *served != config_id) {
                    findings.bad(
                        CHECK,
                        format!(
                            "the service has configuration {}, {} has {config_id}",
                            served.unwrap_or_default(),
                            data.display()
                        ),
                        "another data set is served than the one on this machine",
                        FIX,
                    );
                    return Ok(());
                }
            }
        }
    }
    let keys = samples(filter)?;
    let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    match client.lookup(&borrowed).await {
        Ok(values) => {
            let missing = values.iter().filter(|value| value.is_none()).count();
            match missing {
                0 => findings.good(
                    CHECK,
                    format!("{} keys of the prefilter are found at the service", keys.len()),
                ),
                _ => findings.bad(
                    CHECK,
                    format!("{missing} of {} keys of the prefilter are not at the service", keys.len()),
                    "the prefilter is of another build than the data set: devices ask and are told that \
                     nothing is there, so that these URLs are not blocked",
                    FIX,
                ),
            }
        }
        Err(error) => {
            findings.bad(CHECK, WithCauses(&*error).to_string(), "the lookup failed", FIX);
        }
    }
    Ok(())
}
