//! Whether the service answers what a device asks: configuration, evaluation key, lookups.

use crate::deployment::Feature;
use crate::error::{ExamineError, chain};
use crate::network::Network;
use crate::same_build::LocalBuild;
use crate::{Advice, Check, Deployment, Findings, caller, costs, levels, same_build};
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
/// What pir-server says of a request without a token.
const NO_TOKEN: &str = "no private token";

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
    // The transport ends requests, and knows then what was asked for.
    options.request_timeout = deployment.timeout + Duration::from_secs(1);
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

/// A request of the client that failed.
pub(crate) struct Failure {
    seen: String,
    /// Cause and fix, if the answer tells them.
    told: Option<Advice>,
}

impl Failure {
    /// The failure of the exchange that came last.
    pub(crate) fn of(error: &Error, network: &Network) -> Self {
        match (error, network.last()) {
            (Error::Status { .. } | Error::Transport { .. }, Some(last)) => {
                Self { seen: last.seen(), told: last.advice() }
            }
            (Error::Response { .. }, Some(last)) => {
                Self { seen: format!("{}: {}", last.seen(), chain(error)), told: last.advice() }
            }
            // A service says that it lacks the use case by its status, and so may a web site.
            (Error::UseCase, Some(last)) => Self { seen: last.seen(), told: last.advice() },
            _ => Self { seen: chain(error), told: None },
        }
    }

    /// Reports it: with `cause` and `fix` if the answer does not tell them.
    pub(crate) fn report(self, check: Check, cause: &str, fix: &str, findings: &mut Findings) {
        match self.told {
            Some(advice) => findings.bad_for(check, self.seen, advice),
            None => findings.bad(check, self.seen, cause, fix),
        }
    }

    /// The same, of this use case.
    pub(crate) fn in_use_case(self, use_case: &str) -> Self {
        Self { seen: format!("{use_case}: {}", self.seen), ..self }
    }
}

/// Cause and fix of a query without an answer that tells them.
pub(crate) const NO_ANSWER: [&str; 2] = [
    "the service did not answer a query as the protocol requires",
    "look at the service's log; check that bodies of some hundred kilobytes pass in both directions",
];
/// The same of a query after one that was answered.
pub(crate) const NO_SECOND_ANSWER: [&str; 2] = [
    "a lookup failed although the first succeeded: nodes do not share their state",
    "let nodes share their state (store.redis); look at pir_busy_total",
];

/// Returns whether lookups succeed. Nothing is checked after the first that failed.
pub(crate) async fn check(
    deployment: &Deployment,
    network: &Arc<Network>,
    build: Option<&LocalBuild>,
    findings: &mut Findings,
) -> Result<bool, ExamineError> {
    let public = public_config(deployment, network).await;
    for use_case in deployment.use_cases() {
        let prepared = prepare(deployment, network, &use_case, public.as_ref(), findings);
        let Some(client) = prepared.await else { return Ok(false) };
        let service = Service { deployment, network, client: &client, public: public.as_ref() };
        let has_lookups = match deployment.feature {
            Feature::UrlFilter => service.lookups(build, findings).await,
            Feature::CallerId => {
                caller::lookups(deployment, &use_case, network, &client, findings).await
            }
        };
        if !has_lookups {
            return Ok(false);
        }
        if deployment.feature == Feature::UrlFilter {
            levels::check(deployment, network, &use_case, findings).await?;
        }
    }
    costs::check(deployment, &network.log(), findings);
    Ok(true)
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
        not_prepared(deployment, use_case, &error, network, public, findings);
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
    let exchanged = network.get(&url).await;
    api::ConfigResponse::decode(exchanged.body()?.clone()).ok()
}

/// Explains why the client could not get ready for lookups.
fn not_prepared(
    deployment: &Deployment,
    use_case: &str,
    error: &Error,
    network: &Network,
    public: Option<&api::ConfigResponse>,
    findings: &mut Findings,
) {
    let failure = Failure::of(error, network);
    let reason = network.last().and_then(|last| last.reason()).unwrap_or_default();
    match error {
        Error::UseCase if failure.told.is_none() => {
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
            failure.report(
                Check::KeyUpload,
                "the service did not accept an evaluation key",
                "look at the service's log, and at pir_store_failures_total",
                findings,
            );
        }
        Error::Status { status: 401, .. } if reason.contains(NO_TOKEN) => failure.report(
            Check::Config,
            "the request reaches the service without its Authorization header: what is in front of it removes the header",
            "let the proxy in front of the service pass the Authorization header on, for all paths",
            findings,
        ),
        Error::Status { status: 401, .. } => failure.report(
            Check::Config,
            "the service does not accept tokens of this issuer: its keys are different, or it counts the token as \
             spent",
            "let service and issuer be one, or let their nodes share their state (store.redis)",
            findings,
        ),
        _ => failure.report(
            Check::Config,
            "the service does not answer a device's first request as the protocol requires",
            "look at the service's log; check that the proxy in front of it passes on paths, bodies and the headers \
             Authorization, User-Identifier and User-Agent",
            findings,
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

/// The value of a keyword.
pub(crate) async fn look_up(
    network: &Network,
    client: &PirClient,
    keyword: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    match client.answers(&[keyword]).await.pop().expect("one keyword has one answer") {
        Ok(Answer { is_readable: true, value, .. }) => Ok(value),
        Ok(_) => Err(Failure { seen: "the reply cannot be decrypted".to_owned(), told: None }),
        Err(error) => Err(Failure::of(&error, network)),
    }
}

/// A service that takes queries.
struct Service<'a> {
    deployment: &'a Deployment,
    network: &'a Arc<Network>,
    client: &'a PirClient,
    public: Option<&'a api::ConfigResponse>,
}

impl Service<'_> {
    /// Looks up the entry of Apple's onboarding, a key that is on no list, and keys of the build on this machine. Returns
    /// whether all were answered.
    async fn lookups(&self, build: Option<&LocalBuild>, findings: &mut Findings) -> bool {
        let value = match look_up(self.network, self.client, ONBOARDING_ENTRY.as_bytes()).await {
            Ok(value) => value,
            Err(failure) => {
                let [cause, fix] = NO_ANSWER;
                failure.report(Check::OnboardingEntry, cause, fix, findings);
                return false;
            }
        };
        // `.invalid` is reserved (RFC 6761): no list has such a name.
        let number = SystemClock.now().unix_seconds().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let absent = format!("{number:016x}.invalid");
        let absent = look_up(self.network, self.client, absent.as_bytes()).await;
        let compared = match build.filter(|_| absent.is_ok()) {
            Some(build) => {
                let (network, client) = (self.network, self.client);
                let compared =
                    same_build::compare(self.deployment, network, client, self.public, build);
                Some(compared.await)
            }
            None => None,
        };
        // Where most keys are missing, this one is missing for the same reason.
        let is_explained = value.is_none()
            && matches!(&compared, Some(Ok(compared)) if compared.explains_missing_keys);
        if !is_explained {
            self.onboarding_entry(value.as_deref(), findings);
        }
        let [cause, fix] = NO_SECOND_ANSWER;
        match absent {
            Ok(None) => findings.good(Check::AbsentKey, "a key that is on no list is not found"),
            Ok(Some(_)) => findings.bad(
                Check::AbsentKey,
                "a key that is on no list is found",
                "the data set has values for keys that were never listed: devices would block every URL that hits the \
                 prefilter",
                "process the data set with --fresh and publish it; please report this with the processing configuration",
            ),
            Err(failure) => {
                failure.report(Check::AbsentKey, cause, fix, findings);
                return false;
            }
        }
        match compared {
            Some(Ok(compared)) => compared.report(findings),
            Some(Err(failure)) => {
                failure.report(Check::SameBuild, cause, fix, findings);
                return false;
            }
            None => {}
        }
        true
    }

    fn onboarding_entry(&self, value: Option<&[u8]>, findings: &mut Findings) {
        const FIX: &str = "build with --onboarding-entry, process and publish";
        let check = Check::OnboardingEntry;
        match value {
            Some(b"1") => findings.good(check, format!("{ONBOARDING_ENTRY} is found")),
            Some(_) => findings.bad(
                check,
                format!("{ONBOARDING_ENTRY} is found, but its value is not 1"),
                "Apple looks it up and expects the value 1",
                FIX,
            ),
            None => {
                let seen = format!("{ONBOARDING_ENTRY} is not found");
                let cause = "Apple looks it up before it approves a distribution";
                match self.deployment.is_development {
                    true => findings.warning(check, seen, cause, FIX),
                    false => findings.bad(check, seen, cause, FIX),
                }
            }
        }
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
            let network = Network::new(&deployment).unwrap();
            let error = Error::UseCase;
            not_prepared(&deployment, use_case, &error, &network, Some(&public), &mut findings);
            let seen = &findings.iter().next().unwrap().seen;
            assert_eq!(seen.matches("use-case-").count(), count.min(MAX_NAMED_USE_CASES), "{seen}");
        }
    }
}
