//! Whether the issuer issues tokens for the user token.

use crate::deployment::host_of;
use crate::error::chain;
use crate::network::{DIRECTORY_PATH, Network};
use crate::{Check, Deployment, Findings};
use http::StatusCode;
use privacy_pass::{IssuerDirectory, PendingToken, PublicKey, Token, TokenChallenge};
use unix_clock::{Clock, SystemClock};
use url::Url;

struct Issuer<'d> {
    deployment: &'d Deployment,
    network: &'d Network,
    /// Its address without a slash at the end.
    base: &'d str,
}

/// Returns a token, if a device gets tokens.
pub(crate) async fn check(
    deployment: &Deployment,
    network: &Network,
    findings: &mut Findings,
) -> Option<Token> {
    let base = deployment.issuer.trim_end_matches('/');
    let issuer = Issuer { deployment, network, base };
    let directory = issuer.directory(findings).await?;
    let key = issuer.tier_key(findings).await?;
    compare_with_directory(&key, &directory, findings);
    let address = issuer.issue_address(&directory);
    let token = match issuer.issue(&address, &key).await {
        Ok(token) => {
            findings.good(Check::Issuance, "a token was issued, and its signature is valid");
            token
        }
        Err(reason) => {
            let seen = format!("{address}: {reason}");
            match is_elsewhere(&address, &deployment.issuer) {
                true => findings.bad(
                    Check::Issuance,
                    seen,
                    "the directory sends devices to another server for tokens (issuer-request-uri), which issues none: \
                     the address may be that of an earlier deployment",
                    "set issuerRequestUri in the service's configuration to the address of this issuer, or to /issue",
                ),
                false => findings.bad(
                    Check::Issuance,
                    seen,
                    "without tokens there are no lookups: devices log `failed to fetch token`",
                    "look at the issuer's log and pir_tokens_refused_total; behind a load balancer, make sure that POST \
                     /issue and the directory's issuer-request-uri reach the same issuer",
                ),
            }
            return None;
        }
    };
    let first = first_valid_key(&directory);
    if let Some(first) = first.filter(|first| *first != key) {
        return match issuer.issue(&address, &first).await {
            Ok(_) => {
                findings.good(
                    Check::FirstKeyIssuance,
                    "the first key of the directory serves this user, too",
                );
                Some(token)
            }
            Err(reason) => {
                findings.warning(
                    Check::FirstKeyIssuance,
                    format!("the first key of the directory: {reason}"),
                    "devices from iOS and macOS 27.3 on request tokens for the first valid key, whatever the user's \
                     tier, and this issuer refuses",
                    "with pir-server, set issuer.strictTiers to false; otherwise issue from the first key for all \
                     users",
                );
                None
            }
        };
    }
    Some(token)
}

/// Whether an address is not one of the issuer's own server.
fn is_elsewhere(address: &str, issuer: &str) -> bool {
    let origin = |text: &str| Url::parse(text).map(|url| url.origin());
    match (origin(address), origin(issuer)) {
        (Ok(address), Ok(issuer)) => address != issuer,
        _ => false,
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
        match self.fetch_directory(&url).await {
            Ok(directory) => {
                let count = directory.token_keys.len();
                findings.good(Check::Directory, format!("{count} token keys"));
                Some(directory)
            }
            Err(reason) => {
                findings.bad(
                    Check::Directory,
                    format!("{url}: {reason}"),
                    "devices find the issuer's keys there; without it they fetch no tokens",
                    "check that --issuer is the issuer's address, and that the proxy in front of it passes \
                     /.well-known/ on",
                );
                None
            }
        }
    }

    async fn fetch_directory(&self, url: &str) -> Result<IssuerDirectory, String> {
        let response = self.network.get(url).await.map_err(|error| chain(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let directory: IssuerDirectory = serde_json::from_slice(response.body())
            .map_err(|error| format!("not an issuer directory: {}", chain(&error)))?;
        if directory.key_at(SystemClock.now()).is_err() {
            let count = directory.token_keys.len();
            return Err(format!("none of its {count} keys is of type 2 and valid now"));
        }
        Ok(directory)
    }

    /// The key that devices before 27.3 fetch with the user token.
    async fn tier_key(&self, findings: &mut Findings) -> Option<PublicKey> {
        let url = format!("{}/token-key-for-user-token", self.base);
        let response = match self.network.get_as(&url, &self.deployment.user_token).await {
            Ok(response) => response,
            Err(error) => {
                findings.bad(
                    Check::UserToken,
                    format!("{url}: {}", chain(&error)),
                    "the issuer answered other requests, but not this one",
                    "look at the issuer's log",
                );
                return None;
            }
        };
        let status = response.status().as_u16();
        match (status, PublicKey::from_spki(response.body())) {
            (200, Ok(key)) => {
                findings.good(Check::UserToken, "the issuer accepts the user token");
                Some(key)
            }
            (401 | 403, _) => {
                findings.bad(
                    Check::UserToken,
                    format!("{url}: status {status}"),
                    "the issuer does not know the user token. The Authorization header has it as given here, after \
                     `Bearer `",
                    "use the token that the app sets (pirAuthenticationToken); add it to `users` of the \
                     configuration, to the token file, or to the answers of the hook, and reload",
                );
                None
            }
            _ => {
                findings.bad(
                    Check::UserToken,
                    format!("{url}: status {status}, without a valid key"),
                    "devices before 27.3 fetch the key of the user's tier there",
                    "check that the proxy in front of the issuer passes the path and the Authorization header on",
                );
                None
            }
        }
    }

    fn issue_address(&self, directory: &IssuerDirectory) -> String {
        let address = &directory.issuer_request_uri;
        match Url::parse(address) {
            Ok(url) => url.to_string(),
            Err(_) => format!("{}/{}", self.base, address.trim_start_matches('/')),
        }
    }

    async fn issue(&self, address: &str, key: &PublicKey) -> Result<Token, String> {
        let host = host_of(&self.deployment.issuer);
        let pending = TokenChallenge::for_issuer(&host)
            .and_then(|challenge| PendingToken::new(&challenge, key))
            .map_err(|error| chain(&error))?;
        let (content_type, body) =
            ("application/private-token-request", pending.request().to_bytes());
        let token = &self.deployment.user_token;
        let response = self.network.post_as(address, token, content_type, body.to_vec()).await;
        let response = response.map_err(|error| chain(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        pending.finalize(response.body()).map_err(|error| chain(&error))
    }
}
