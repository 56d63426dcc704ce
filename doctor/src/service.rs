//! Whether the service answers what a device asks: configuration, evaluation key, lookups.

use crate::deployment::Feature;
use crate::error::{ExamineError, chain};
use crate::network::{LoggedExchange, Network};
use crate::{Check, Deployment, Findings, caller, levels, same_build};
use blocklist::key::ONBOARDING_ENTRY;
use filter_client::{
    Answer, AnswerPolicy, ClientOptions, EmptyWallet, Endpoint, Error, PirClient, RetryPolicy,
    ShardingError, Transport,
};
use pir_api::{Message, api};
use std::sync::Arc;
use std::time::Duration;
use unix_clock::{Clock, SystemClock};

/// Use cases of the service that are named when the wanted one is missing.
const MAX_NAMED_USE_CASES: usize = 10;
/// Largest number of shards that devices from iOS and macOS 27.3 on accept.
const MAX_SHARDS: usize = 1 << 16;
/// What the sizes declared in Apple's form should have more than the largest ones seen: headers count as well.
const FORM_MARGIN: f64 = 1.1;
/// Keywords of one URL for which the declared sizes have room.
const FORM_KEYWORDS: u64 = 4;

/// A client that reports the first failure instead of trying again. It asks for keywords that are no
/// secret, so that requests to the issuer and to the service travel over the same, logged, transport.
pub(crate) fn client(
    deployment: &Deployment,
    use_case: &str,
    server: &str,
    issuer: &str,
    transport: Arc<dyn Transport>,
    fixed_count: Option<u32>,
) -> Result<PirClient, Error> {
    let mut options = ClientOptions::default();
    options.request_timeout = deployment.timeout;
    options.lookup_timeout = deployment.timeout * 4;
    options.retry = RetryPolicy::never();
    options.outage_backoff = Duration::ZERO;
    options.answers = AnswerPolicy::disabled();
    options.sharding.fixed_count = fixed_count;
    options.sharding.max_count = u32::MAX;
    // The keys of a prefilter that are looked up together are no URL's that anybody visits.
    options.sharding.max_bits_per_url = u32::MAX;
    options.wallet.when_empty = EmptyWallet::Fetch;
    options.wallet.refill_count = 0;
    options.wallet.spare = 9;
    PirClient::builder(server, use_case)
        .issuer(issuer)
        .user_token(deployment.user_token.as_str())
        .transport(transport.clone())
        .issuer_transport(transport)
        .options(options)
        .build()
}

pub(crate) async fn check(
    deployment: &Deployment,
    network: &Arc<Network>,
    findings: &mut Findings,
) -> Result<(), ExamineError> {
    let public = public_config(deployment, network).await;
    for use_case in deployment.use_cases() {
        let prepared = prepare(deployment, network, &use_case, public.as_ref(), findings);
        let Some(client) = prepared.await else { return Ok(()) };
        match deployment.feature {
            Feature::UrlFilter => {
                lookups(deployment, &client, findings).await;
                same_build::check(deployment, &client, public.as_ref(), findings).await?;
                levels::check(deployment, network, &use_case, findings).await?;
            }
            Feature::CallerId => caller::lookups(deployment, &use_case, &client, findings).await,
        }
    }
    costs(deployment, &network.log(), findings);
    Ok(())
}

/// A client of a use case that has its configuration and has uploaded its key.
async fn prepare(
    deployment: &Deployment,
    network: &Arc<Network>,
    use_case: &str,
    public: Option<&api::ConfigResponse>,
    findings: &mut Findings,
) -> Option<PirClient> {
    let (server, issuer) = (&deployment.server, &deployment.issuer);
    let client_for =
        |fixed_count| client(deployment, use_case, server, issuer, network.clone(), fixed_count);
    let mut client = match client_for(None) {
        Ok(client) => client,
        Err(error) => {
            findings.bad(
                Check::Config,
                chain(&error),
                "nothing can be requested at such an address",
                "see the findings about addresses",
            );
            return None;
        }
    };
    let mut prepared = client.prepare().await;
    // Devices before 27.3 accept any number of shards; another finding tells about it.
    if let Err(Error::Sharding(ShardingError::NotPowerOfTwo { count })) = prepared
        && let Ok(accepting) = client_for(Some(count))
    {
        client = accepting;
        prepared = client.prepare().await;
    }
    if let Err(error) = prepared {
        not_prepared(deployment, use_case, &error, public, findings);
        return None;
    }
    findings.good(Check::Config, format!("the service has the use case {use_case}"));
    shards(public.and_then(|all| all.configs.get(use_case)), findings);
    findings.good(Check::KeyUpload, "the service accepted an evaluation key");
    Some(client)
}

/// The configurations that devices from 27.3 on fetch without a token; none if there is no such answer.
async fn public_config(deployment: &Deployment, network: &Network) -> Option<api::ConfigResponse> {
    let url = deployment.server_url("config");
    let response = network.get(&url).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    api::ConfigResponse::decode(response.into_body()).ok()
}

/// Explains why the client could not get ready for lookups.
fn not_prepared(
    deployment: &Deployment,
    use_case: &str,
    error: &Error,
    public: Option<&api::ConfigResponse>,
    findings: &mut Findings,
) {
    match error {
        Error::UseCase => {
            let others = match public {
                Some(all) if all.configs.is_empty() => "the service has none".to_owned(),
                Some(all) => {
                    let names = all.configs.keys().map(String::as_str);
                    let names: Vec<&str> = names.take(MAX_NAMED_USE_CASES).collect();
                    format!("the service has {}", names.join(", "))
                }
                None => "which it has cannot be seen, for want of GET /config".to_owned(),
            };
            findings.bad(
                Check::Config,
                format!("no use case {use_case}; {others}"),
                match deployment.feature {
                    Feature::UrlFilter => {
                        "a device requests the bundle id of the app (not of its extension) followed by \
                         `.url.filtering`; it logs `missing configuration`"
                    }
                    Feature::CallerId => {
                        "a device requests the bundle id of the extension (not of the app) followed by `.block`, and by \
                         `.identity`; it logs `missing configuration`"
                    }
                },
                "check --bundle-id, or give the use case that name in the configuration (usecases.name) and reload",
            );
        }
        Error::UserToken | Error::IssuerKey => findings.bad(
            Check::Config,
            chain(error),
            "nothing can be requested without a token",
            "see the findings about the issuer",
        ),
        Error::Status { endpoint: Endpoint::Key, .. }
        | Error::Transport { endpoint: Endpoint::Key, .. } => {
            findings.good(Check::Config, format!("the service has the use case {use_case}"));
            findings.bad(
                Check::KeyUpload,
                chain(error),
                "the service did not accept an evaluation key of about 0.8 MB: a proxy in front of it may limit \
                 bodies, or its store is full",
                "let bodies of 10 MB pass (client_max_body_size or the like); look at pir_store_failures_total and at \
                 the disk of the store",
            );
        }
        Error::Status { status: 401, .. } => findings.bad(
            Check::Config,
            chain(error),
            "the service does not accept tokens of this issuer: its keys are different, or it counts the token as \
             spent",
            "let service and issuer be one, or let their nodes share their state (store.redis)",
        ),
        _ => findings.bad(
            Check::Config,
            chain(error),
            "the service does not answer a device's first request as the protocol requires",
            "look at the service's log; check that the proxy in front of it passes on paths, bodies and the headers \
             Authorization, User-Identifier and User-Agent",
        ),
    }
}

fn shards(config: Option<&api::Config>, findings: &mut Findings) {
    let Some(count) = config.and_then(same_build::shard_count) else {
        findings.warning(
            Check::ShardCount,
            "GET /config has no configuration of this use case",
            "devices from iOS and macOS 27.3 on fetch configurations there, without a token",
            "let the proxy in front of the service pass GET /config on; older services do not have it",
        );
        return;
    };
    match count.is_power_of_two() && count <= MAX_SHARDS {
        true => findings.good(Check::ShardCount, format!("shards: {count}")),
        false => findings.warning(
            Check::ShardCount,
            format!("shards: {count}"),
            "devices from iOS and macOS 27.3 on accept only powers of two up to 65536",
            "set requirePowerOfTwoShardCount in the configuration of `urlfilter process`; process and publish again",
        ),
    }
}

/// The value of a keyword, or what is seen instead of an answer.
pub(crate) async fn look_up(client: &PirClient, keyword: &[u8]) -> Result<Option<Vec<u8>>, String> {
    match client.answers(&[keyword]).await.pop().expect("one keyword has one answer") {
        Ok(Answer { is_readable: true, value, .. }) => Ok(value),
        Ok(_) => Err("the reply cannot be decrypted".to_owned()),
        Err(error) => Err(chain(error.as_ref())),
    }
}

async fn lookups(deployment: &Deployment, client: &PirClient, findings: &mut Findings) {
    let value = match look_up(client, ONBOARDING_ENTRY.as_bytes()).await {
        Ok(value) => value,
        Err(seen) => {
            findings.bad(
                Check::OnboardingEntry,
                seen,
                "the service did not answer a query as the protocol requires",
                "look at the service's log; check that bodies of some hundred kilobytes pass in both directions",
            );
            return;
        }
    };
    const FIX: &str = "build with --onboarding-entry, process and publish";
    match value.as_deref() {
        Some(b"1") => findings.good(Check::OnboardingEntry, format!("{ONBOARDING_ENTRY} is found")),
        Some(_) => findings.bad(
            Check::OnboardingEntry,
            format!("{ONBOARDING_ENTRY} is found, but its value is not 1"),
            "Apple looks it up and expects the value 1",
            FIX,
        ),
        None => {
            let seen = format!("{ONBOARDING_ENTRY} is not found");
            let cause = "Apple looks it up before it approves a distribution";
            match deployment.is_development {
                true => findings.warning(Check::OnboardingEntry, seen, cause, FIX),
                false => findings.bad(Check::OnboardingEntry, seen, cause, FIX),
            }
        }
    }
    // `.invalid` is reserved (RFC 6761): no list has such a name.
    let number = SystemClock.now().unix_seconds().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let absent = format!("{number:016x}.invalid");
    match look_up(client, absent.as_bytes()).await {
        Ok(None) => {
            findings.good(Check::AbsentKey, "a key that is on no list is not found");
        }
        Ok(_) => findings.bad(
            Check::AbsentKey,
            "a key that is on no list is found",
            "the data set has values for keys that were never listed: devices would block every URL that hits the \
             prefilter",
            "process the data set with --fresh and publish it; please report this with the processing configuration",
        ),
        Err(seen) => findings.bad(
            Check::AbsentKey,
            seen,
            "the second lookup failed although the first succeeded: nodes do not share their state, or a rate limit \
             was reached",
            "let nodes share their state (store.redis); look at pir_busy_total",
        ),
    }
}

/// Time and sizes of the lookups so far.
fn costs(deployment: &Deployment, log: &[LoggedExchange], findings: &mut Findings) {
    let to = |path: &str| log.iter().filter(|sent| sent.path.ends_with(path)).collect::<Vec<_>>();
    let queries = to("/queries");
    let mut times: Vec<Duration> = queries.iter().map(|exchange| exchange.time).collect();
    times.sort();
    let Some(&median) = times.get(times.len() / 2) else { return };
    // The shortest bodies are those for one keyword.
    let reply = queries.iter().map(|exchange| exchange.received).min().expect("there is a lookup");
    let query = queries.iter().map(|exchange| exchange.sent).min().expect("there is a lookup");
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
    if median > deployment.max_latency {
        findings.warning(
            Check::Costs,
            seen,
            "a device waits for the answer before it loads a page",
            "put nodes near the users; look at pir_stage_seconds and pir_queue_depth: add cores, or make shards \
             smaller",
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

    fn config(shard_count: usize) -> api::Config {
        let shard_configs = vec![api::pir::PirShardConfig::default(); shard_count];
        let config = api::pir::PirConfig { shard_configs, ..Default::default() };
        api::Config { config: Some(api::config::Config::PirConfig(config)), ..Default::default() }
    }

    #[test]
    fn shards_are_a_power_of_two_up_to_the_limit() {
        for (count, severity) in [
            (1, Severity::Good),
            (2, Severity::Good),
            (3, Severity::Warning),
            (MAX_SHARDS - 1, Severity::Warning),
            (MAX_SHARDS, Severity::Good),
            (MAX_SHARDS + 1, Severity::Warning),
            (MAX_SHARDS * 2, Severity::Warning),
        ] {
            let mut findings = Findings::default();
            shards(Some(&config(count)), &mut findings);
            assert_eq!(findings.count(severity), 1, "{count}: {findings:?}");
        }
    }

    #[test]
    fn at_most_ten_use_cases_are_named() {
        let deployment = Deployment::new("https://pir.example.com", "com.example.app", "AAAA");
        for count in [MAX_NAMED_USE_CASES - 1, MAX_NAMED_USE_CASES, MAX_NAMED_USE_CASES + 1] {
            let configs = (0..count).map(|i| (format!("use-case-{i}"), api::Config::default()));
            let public = api::ConfigResponse { configs: configs.collect(), ..Default::default() };
            let mut findings = Findings::default();
            let use_case = &deployment.use_cases()[0];
            not_prepared(&deployment, use_case, &Error::UseCase, Some(&public), &mut findings);
            let seen = &findings.iter().next().unwrap().seen;
            assert_eq!(seen.matches("use-case-").count(), count.min(MAX_NAMED_USE_CASES), "{seen}");
        }
    }
}
