//! Whether the issuer issues tokens for the user token.

use crate::deployment::host_of;
use crate::error::chain;
use crate::network::{DIRECTORY_PATH, Network};
use crate::reach::is_same_origin;
use crate::{Advice, Check, Deployment, Findings};
use http::HeaderValue;
use privacy_pass::{IssuerDirectory, PendingToken, PublicKey, Token, TokenChallenge};
use unix_clock::{Clock, SystemClock};
use url::Url;
use zeroize::Zeroizing;

/// What pir-server says of a request without a user token.
const NO_AUTHORIZATION: &str = "no Authorization header";

struct Issuer<'d> {
    deployment: &'d Deployment,
    network: &'d Network,
    /// Its address without a slash at the end.
    base: &'d str,
}

/// Whether devices get tokens.
pub(crate) enum Tokens {
    Issued(Token),
    /// The issuer works, and does not know the user token.
    Refused,
    /// The issuer does not answer as it should.
    Failed,
}

/// What a request for a token came to.
enum Failure {
    /// What was seen, with cause and fix if the answer tells them.
    Answer(String, Option<Advice>),
    /// The token, or what it was asked for with, cannot be used.
    Token(String),
}

impl Failure {
    fn seen(&self) -> &str {
        match self {
            Self::Answer(seen, _) | Self::Token(seen) => seen,
        }
    }
}

pub(crate) async fn check(
    deployment: &Deployment,
    network: &Network,
    findings: &mut Findings,
) -> Tokens {
    let base = deployment.issuer.trim_end_matches('/');
    let issuer = Issuer { deployment, network, base };
    let Some(directory) = issuer.directory(findings).await else { return Tokens::Failed };
    let key = match issuer.tier_key(findings).await {
        Ok(key) => key,
        Err(without) => return without,
    };
    compare_with_directory(&key, &directory, findings);
    let address = issuer.issue_address(&directory);
    let token = match issuer.issue(&address, &key).await {
        Ok(token) => token,
        Err(failure) => {
            not_issued(deployment, &address, failure, findings);
            return Tokens::Failed;
        }
    };
    findings.good(Check::Issuance, "a token was issued, and its signature is valid");
    if let Some(first) = first_valid_key(&directory).filter(|first| *first != key) {
        if let Err(failure) = issuer.issue(&address, &first).await {
            findings.warning(
                Check::FirstKeyIssuance,
                format!("the first key of the directory: {}", failure.seen()),
                "devices from iOS and macOS 27.3 on request tokens for the first valid key, whatever the user's tier, \
                 and this issuer refuses",
                "with pir-server, set issuer.strictTiers to false; otherwise issue from the first key for all users",
            );
            // The lookups that follow would request the same.
            return Tokens::Refused;
        }
        findings
            .good(Check::FirstKeyIssuance, "the first key of the directory serves this user, too");
    }
    Tokens::Issued(token)
}

fn not_issued(deployment: &Deployment, address: &str, failure: Failure, findings: &mut Findings) {
    let (seen, told) = match failure {
        Failure::Answer(seen, told) => (seen, told),
        Failure::Token(seen) => (format!("{address}: {seen}"), None),
    };
    if !is_same_origin(address, &deployment.issuer) {
        return findings.bad(
            Check::Issuance,
            seen,
            "the directory sends devices to another server for tokens (issuer-request-uri), which issues none: the \
             address may be that of an earlier deployment",
            "set issuerRequestUri in the service's configuration to the address of this issuer, or to /issue",
        );
    }
    match told {
        Some(advice) => findings.bad_for(Check::Issuance, seen, advice),
        None => findings.bad(
            Check::Issuance,
            seen,
            "without tokens there are no lookups: devices log `failed to fetch token`",
            "look at the issuer's log and pir_tokens_refused_total; behind a load balancer, make sure that POST /issue \
             and the directory's issuer-request-uri reach the same issuer",
        ),
    }
}

fn compare_with_directory(key: &PublicKey, directory: &IssuerDirectory, findings: &mut Findings) {
    let now = SystemClock.now();
    let mut entries = directory.token_keys.iter();
    let entry = entries.find(|entry| entry.public_key().is_ok_and(|listed| listed == *key));
    match entry {
        Some(entry) if entry.is_valid_at(now) => {
            findings.good(Check::TierKey, "the key for the user token is in the directory");
        }
        Some(_) => findings.bad(
            Check::TierKey,
            "the key for the user token is in the directory, but not valid yet (not-before)",
            "the issuer uses a key too early, or one of the two clocks is wrong",
            "see the finding about the clock; let keys be published ahead of their time \
             (issuer.publishedAheadHours)",
        ),
        None => findings.bad(
            Check::TierKey,
            "the key for the user token is not in the directory",
            "a key that no one else sees would identify its user, so devices refuse it. The nodes behind this \
             address have different keys, or a cache serves an old directory",
            "let all nodes share their state (store.redis), and let caches keep the directory only as long as its \
             Cache-Control says",
        ),
    }
}

fn first_valid_key(directory: &IssuerDirectory) -> Option<PublicKey> {
    let now = SystemClock.now();
    let mut valid = directory.token_keys.iter().filter(|entry| entry.is_valid_at(now));
    valid.find_map(|entry| entry.public_key().ok())
}

impl Issuer<'_> {
    async fn directory(&self, findings: &mut Findings) -> Option<IssuerDirectory> {
        let url = format!("{}{DIRECTORY_PATH}", self.base);
        let exchanged = self.network.get(&url).await;
        let reason = match exchanged.body().map(|body| read_directory(body)) {
            Some(Ok(directory)) => {
                let count = directory.token_keys.len();
                findings.good(Check::Directory, format!("{count} token keys"));
                return Some(directory);
            }
            Some(Err(reason)) if exchanged.advice().is_none() => format!(": {reason}"),
            _ => String::new(),
        };
        let advice = exchanged.advice_or(
            "devices find the issuer's keys there; without it they fetch no tokens",
            "check that --issuer is the issuer's address, and that the proxy in front of it passes /.well-known/ on",
        );
        findings.bad_for(Check::Directory, format!("{}{reason}", exchanged.seen()), advice);
        None
    }

    /// The key that devices before 27.3 fetch with the user token.
    async fn tier_key(&self, findings: &mut Findings) -> Result<PublicKey, Tokens> {
        // A header cannot have it, and a finding about its form says why.
        if HeaderValue::from_str(&self.deployment.user_token).is_err() {
            return Err(Tokens::Refused);
        }
        let url = format!("{}/token-key-for-user-token", self.base);
        let exchanged = self.network.get_as(&url, &self.deployment.user_token).await;
        if let Some(Ok(key)) = exchanged.body().map(|body| PublicKey::from_spki(body)) {
            findings.good(Check::UserToken, "the issuer accepts the user token");
            return Ok(key);
        }
        let seen = exchanged.seen();
        if let Some(advice) = exchanged.advice() {
            findings.bad_for(Check::UserToken, seen, advice);
            return Err(Tokens::Failed);
        }
        if !matches!(exchanged.status(), Some(401 | 403)) {
            findings.bad(
                Check::UserToken,
                format!("{seen}, without a valid key"),
                "devices before 27.3 fetch the key of the user's tier there",
                "check that the proxy in front of the issuer passes the path and the Authorization header on",
            );
            return Err(Tokens::Failed);
        }
        if exchanged.reason().is_some_and(|reason| reason.contains(NO_AUTHORIZATION)) {
            findings.bad(
                Check::UserToken,
                seen,
                "the request reaches the issuer without its Authorization header: what is in front of it removes the \
                 header",
                "let the proxy in front of the issuer pass the Authorization header on, for all paths",
            );
            return Err(Tokens::Failed);
        }
        // A token that devices cannot use is no token that the service should know.
        if !findings.is_bad(Check::UserTokenForm) {
            findings.bad(
                Check::UserToken,
                seen,
                "the issuer does not know the user token. The Authorization header has it as given here, after `Bearer `",
                "use the token that the app sets (pirAuthenticationToken); add it to `users` of the configuration, to the \
                 token file, or to the answers of the hook, and reload",
            );
        }
        Err(Tokens::Refused)
    }

    fn issue_address(&self, directory: &IssuerDirectory) -> String {
        let address = &directory.issuer_request_uri;
        match Url::parse(address) {
            Ok(url) => url.to_string(),
            Err(_) => format!("{}/{}", self.base, address.trim_start_matches('/')),
        }
    }

    async fn issue(&self, address: &str, key: &PublicKey) -> Result<Token, Failure> {
        let unusable = |error: privacy_pass::Error| Failure::Token(chain(&error));
        let host = host_of(&self.deployment.issuer);
        let pending = TokenChallenge::for_issuer(&host)
            .and_then(|challenge| PendingToken::new(&challenge, key))
            .map_err(unusable)?;
        let (media, body) = ("application/private-token-request", pending.request().to_bytes());
        let authorization = Zeroizing::new(format!("Bearer {}", *self.deployment.user_token));
        let exchanged = self.network.post_with(address, &authorization, media, body.to_vec()).await;
        match (exchanged.body(), exchanged.advice()) {
            (Some(body), None) => pending.finalize(body).map_err(unusable),
            (_, advice) => Err(Failure::Answer(exchanged.seen(), advice)),
        }
    }
}

/// A directory with a key that is valid now. The error says what it is instead.
fn read_directory(body: &[u8]) -> Result<IssuerDirectory, String> {
    let directory: IssuerDirectory = serde_json::from_slice(body)
        .map_err(|error| format!("not an issuer directory: {}", chain(&error)))?;
    match directory.key_at(SystemClock.now()) {
        Ok(_) => Ok(directory),
        Err(_) => {
            let count = directory.token_keys.len();
            Err(format!("none of its {count} keys is of type 2 and valid now"))
        }
    }
}
