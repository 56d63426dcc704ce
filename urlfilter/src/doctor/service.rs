//! Whether configuration, key and lookups are answered as they should be.

use super::network::{Network, Sent};
use super::{Deployment, Findings, prefilter};
use crate::answer::body;
use blocklist::key::ONBOARDING_ENTRY;
use filter_client::{
    AnswerPolicy, ClientOptions, Endpoint, Error, PirClient, RetryPolicy, Transport,
};
use pir_api::{Message, api};
use pir_server::causes::WithCauses;
use std::sync::Arc;
use std::time::Duration;
use unix_clock::{Clock, SystemClock};

const CHECK_CONFIG: &str = "config";
const CHECK_SHARDS: &str = "shardCount";
const CHECK_KEY: &str = "keyUpload";
const CHECK_ENTRY: &str = "onboardingEntry";
const CHECK_ABSENT: &str = "absentKey";
const CHECK_COSTS: &str = "costs";

/// A client that says at once what is wrong.
pub(super) fn client(
    deployment: &Deployment,
    server: &str,
    issuer: &str,
    transport: Arc<dyn Transport>,
) -> Result<PirClient, Error> {
    let mut options = ClientOptions::default();
    options.request_timeout = deployment.timeout;
    options.lookup_timeout = deployment.timeout * 4;
    options.retry = RetryPolicy::never();
    options.outage_backoff = Duration::ZERO;
    options.answers = AnswerPolicy::disabled();
    PirClient::builder(server, deployment.use_case())
        .issuer(issuer)
        .user_token(deployment.token.as_str())
        .transport(transport)
        .options(options)
        .build()
}

pub(super) async fn check(
    deployment: &Deployment,
    network: &Network,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let public = public_config(deployment, network).await;
    let transport: Arc<dyn Transport> = network.transport.clone();
    let client = match client(deployment, &deployment.server, &deployment.issuer, transport) {
        Ok(client) => client,
        Err(error) => {
            findings.bad(
                CHECK_CONFIG,
                WithCauses(&error).to_string(),
                "nothing can be asked at such an address",
                "see the findings about addresses",
            );
            return Ok(());
        }
    };
    if let Err(error) = client.prepare().await {
        unprepared(deployment, &error, public.as_ref(), findings);
        return Ok(());
    }
    findings.good(CHECK_CONFIG, format!("the use case {} is there", deployment.use_case()));
    let configs = public.as_ref();
    shards(configs.and_then(|all| all.configs.get(&deployment.use_case())), findings);
    findings.good(CHECK_KEY, "an evaluation key was made and taken");
    lookups(&client, findings).await;
    prefilter::check(deployment, &client, configs, findings).await?;
    costs(deployment, &network.transport.log(), findings);
    Ok(())
}

/// What devices from 27.3 on fetch.
async fn public_config(deployment: &Deployment, network: &Network) -> Option<api::ConfigResponse> {
    let url = format!("{}/config", deployment.server.trim_end_matches('/'));
    let response = network.http.get(url).send().await.ok()?.error_for_status().ok()?;
    api::ConfigResponse::decode(body(response).await.ok()?.as_slice()).ok()
}

fn unprepared(
    deployment: &Deployment,
    error: &Error,
    public: Option<&api::ConfigResponse>,
    findings: &mut Findings,
) {
    let use_case = deployment.use_case();
    match error {
        Error::UseCase => {
            let others: Vec<&str> = public
                .iter()
                .flat_map(|all| all.configs.keys())
                .map(String::as_str)
                .take(10)
                .collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            findings.bad(
                CHECK_CONFIG,
                format!("no use case {use_case}; the service has {others}"),
                "a device asks for the bundle id of the app (not of its extension) and `.url.filtering`; it \
                 says `missing configuration`",
                "check --bundle-id, or name the use case so in the configuration (usecases.name) and reload",
            );
        }
        Error::UserToken | Error::IssuerKey => findings.bad(
            CHECK_CONFIG,
            WithCauses(error).to_string(),
            "nothing can be asked without a token",
            "see the findings about the issuer",
        ),
        Error::Status { endpoint: Endpoint::Key, .. }
        | Error::Transport { endpoint: Endpoint::Key, .. } => {
            findings.good(CHECK_CONFIG, format!("the use case {use_case} is there"));
            findings.bad(
                CHECK_KEY,
                WithCauses(error).to_string(),
                "an evaluation key of about 0.8 MB was not taken: what stands before the service may bound \
                 bodies, or the service's store has no room",
                "let bodies of 10 MB pass (client_max_body_size and the like); look at pir_store_failures_total \
                 and at the disk of the store",
            );
        }
        Error::Status { status: 401, .. } => findings.bad(
            CHECK_CONFIG,
            WithCauses(error).to_string(),
            "the service does not take tokens of this issuer: it has other keys, or spent nonces are not \
             known to it",
            "let the service and the issuer be one, or let their nodes share their state (store.redis)",
        ),
        _ => findings.bad(
            CHECK_CONFIG,
            WithCauses(error).to_string(),
            "the service does not answer a device's first request as it should",
            "look at the service's log; see that what stands before it passes paths, bodies and the headers \
             Authorization, User-Identifier and User-Agent on",
        ),
    }
}

fn shards(config: Option<&api::Config>, findings: &mut Findings) {
    use api::pir::pir_shard_configs::ShardConfigs::RepeatedShardConfig;
    let count = match config.and_then(|config| config.config.as_ref()) {
        Some(api::config::Config::PirConfig(config)) => {
            let alike = config.pir_shard_configs.as_ref().and_then(|s| s.shard_configs.as_ref());
            match alike {
                Some(RepeatedShardConfig(fixed)) => fixed.shard_count as usize,
                None => config.shard_configs.len(),
            }
        }
        _ => {
            findings.warning(
                CHECK_SHARDS,
                "GET /config has no configuration of this use case",
                "devices from iOS and macOS 27.3 on fetch configurations there, without a token",
                "let what stands before the service pass GET /config on; an older service does not have it",
            );
            return;
        }
    };
    match count.is_power_of_two() && count <= 65_536 {
        true => findings.good(CHECK_SHARDS, format!("shards: {count}")),
        false => findings.warning(
            CHECK_SHARDS,
            format!("shards: {count}"),
            "devices from iOS and macOS 27.3 on take powers of two up to 65536 only",
            "set requirePowerOfTwoShardCount in the configuration of `urlfilter process`, process and publish \
             again",
        ),
    }
}

async fn lookups(client: &PirClient, findings: &mut Findings) {
    match client.lookup(&[ONBOARDING_ENTRY.as_bytes()]).await {
        Err(error) => {
            findings.bad(
                CHECK_ENTRY,
                WithCauses(&*error).to_string(),
                "a query was not answered as it should be",
                "look at the service's log; see that bodies of some hundred kilobytes pass in both directions",
            );
            return;
        }
        Ok(values) => match values[0].as_deref() {
            Some(b"1") => findings.good(CHECK_ENTRY, format!("{ONBOARDING_ENTRY} is found")),
            Some(_) => findings.bad(
                CHECK_ENTRY,
                format!("{ONBOARDING_ENTRY} is found, and its value is not 1"),
                "Apple looks it up and expects the value 1",
                "build with --onboarding-entry, process and publish",
            ),
            None => findings.bad(
                CHECK_ENTRY,
                format!("{ONBOARDING_ENTRY} is not found"),
                "Apple looks it up before a distribution is approved",
                "build with --onboarding-entry, process and publish",
            ),
        },
    }
    // A name that nobody has: `.invalid` is reserved (RFC 6761).
    let absent = format!(
        "{:016x}.invalid",
        SystemClock.now().unix_seconds().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    );
    match client.lookup(&[absent.as_bytes()]).await {
        Ok(values) if values[0].is_none() => {
            findings.good(CHECK_ABSENT, "a key that is on no list is not found");
        }
        Ok(_) => findings.bad(
            CHECK_ABSENT,
            "a key that is on no list is found",
            "the data set answers for what it does not have: every URL that passes the prefilter would be \
             blocked",
            "process the data set anew with --anew and publish it; please report this with the processing \
             configuration",
        ),
        Err(error) => findings.bad(
            CHECK_ABSENT,
            WithCauses(&*error).to_string(),
            "the second lookup failed where the first did not: nodes do not share their state, or a limit of \
             rate was met",
            "let nodes share their state (store.redis); look at pir_busy_total",
        ),
    }
}

fn costs(deployment: &Deployment, log: &[Sent], findings: &mut Findings) {
    let of = |path: &str| log.iter().filter(|sent| sent.path.ends_with(path)).collect::<Vec<_>>();
    let queries = of("/queries");
    let mut times: Vec<Duration> = queries.iter().map(|sent| sent.time).collect();
    times.sort();
    let Some(&median) = times.get(times.len() / 2) else { return };
    // The shortest ones are those of one keyword.
    let reply = queries.iter().map(|sent| sent.received).min().unwrap_or(0);
    let key = of("/key").iter().map(|sent| sent.sent).max().unwrap_or(0);
    let query = queries.iter().map(|sent| sent.sent).min().unwrap_or(0);
    let kilobytes = |bytes: u64| bytes as f64 / 1e3;
    let seen = format!(
        "a lookup takes {:.0} ms; key {:.0} kB, query of one keyword {:.0} kB, its reply {:.0} kB",
        median.as_secs_f64() * 1e3,
        kilobytes(key),
        kilobytes(query),
        kilobytes(reply)
    );
    if median > deployment.patience {
        findings.warning(
            CHECK_COSTS,
            seen,
            "a device waits with loading a page until the answer is there",
            "put nodes near the users; look at pir_stage_seconds and pir_queue_depth: more cores, or smaller \
             shards",
        );
    } else if reply > deployment.most_bytes {
        findings.warning(
            CHECK_COSTS,
            seen,
            "long replies cost devices traffic and the relay time",
            "let values be short (1 is enough), or give shards other dimensions or parameters",
        );
    } else {
        findings.good(CHECK_COSTS, seen);
    }
}
