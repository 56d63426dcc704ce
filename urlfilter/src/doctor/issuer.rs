//! Whether tokens are issued to the user token.

use super::network::Network;
use super::{Deployment, Findings, host_of};
use crate::answer::body;
use pir_server::causes::WithCauses;
use privacy_pass::{IssuerDirectory, PendingToken, PublicKey, TokenChallenge};
use unix_clock::{Clock, SystemClock};
use url::Url;

const CHECK_DIRECTORY: &str = "directory";
const CHECK_TOKEN: &str = "userToken";
const CHECK_TIER: &str = "tierKey";
const CHECK_ISSUANCE: &str = "issuance";
const CHECK_FIRST: &str = "firstKeyIssuance";

struct Asked<'d> {
    deployment: &'d Deployment,
    network: &'d Network,
    base: &'d str,
}

pub(super) async fn check(deployment: &Deployment, network: &Network, findings: &mut Findings) {
    let base = deployment.issuer.trim_end_matches('/');
    let asked = Asked { deployment, network, base };
    let Some(directory) = asked.directory(findings).await else { return };
    let Some(key) = asked.tier_key(findings).await else { return };
    let now = SystemClock.now();
    let listed =
        directory.token_keys.iter().find(|entry| entry.public_key().is_ok_and(|k| k == key));
    match listed {
        Some(entry) if entry.is_valid_at(now) => {
            findings.good(CHECK_TIER, "the user token's key is in the directory");
        }
        Some(_) => findings.bad(
            CHECK_TIER,
            "the user token's key is in the directory, and its time has not come (not-before)",
            "the issuer gives out a key too early, or its clock or this one's is wrong",
            "see the clock's finding; let keys be published ahead of their time (issuer.publishedAheadHours)",
        ),
        None => findings.bad(
            CHECK_TIER,
            "the user token's key is not in the directory",
            "a key that nobody else sees would tell its user apart, so devices do not use it: the nodes behind \
             this address have different keys, or a cache serves an old directory",
            "let all nodes share their state (store.redis), and let caches keep the directory only as long as \
             its Cache-Control says",
        ),
    }
    let address = asked.issue_address(&directory);
    match asked.issue(&address, &key).await {
        Ok(()) => findings.good(CHECK_ISSUANCE, "a token was issued, and its signature is good"),
        Err(reason) => findings.bad(
            CHECK_ISSUANCE,
            format!("{address}: {reason}"),
            "no token, no lookup: devices say `failed to fetch token`",
            "look at the issuer's log and pir_tokens_refused_total; behind a load balancer, see that POST /issue \
             and issuer-request-uri of the directory reach the same issuer",
        ),
    }
    let first = directory
        .token_keys
        .iter()
        .find_map(|entry| entry.public_key().ok().filter(|_| entry.is_valid_at(now)));
    match first {
        Some(first) if first != key => match asked.issue(&address, &first).await {
            Ok(()) => findings.good(CHECK_FIRST, "the first key of the directory serves this user, too"),
            Err(reason) => findings.warning(
                CHECK_FIRST,
                format!("the first key of the directory: {reason}"),
                "devices from iOS and macOS 27.3 on ask for tokens of the first valid key, whatever the user's \
                 tier, and this issuer refuses",
                "with pir-server, set issuer.strictTiers to false; otherwise issue from the first key for all",
            ),
        },
        _ => {}
    }
}

impl Asked<'_> {
    async fn directory(&self, findings: &mut Findings) -> Option<IssuerDirectory> {
        let url = format!("{}/.well-known/private-token-issuer-directory", self.base);
        let mut bad = |seen: String| {
            findings.bad(
                CHECK_DIRECTORY,
                seen,
                "devices find the issuer's keys there; without it they fetch no tokens",
                "check that --issuer is the issuer's address, and that what stands before it passes \
                 /.well-known/ on",
            );
            None
        };
        let body = match self.network.http.get(&url).send().await {
            Ok(response) if response.status() == 200 => body(response).await,
            Ok(response) => return bad(format!("{url}: status {}", response.status().as_u16())),
            Err(_) => return bad(format!("{url}: no answer")),
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => return bad(format!("{url}: {}", WithCauses(error.as_ref()))),
        };
        let directory: IssuerDirectory = match serde_json::from_slice(&body) {
            Ok(directory) => directory,
            Err(error) => return bad(format!("{url}: not an issuer directory: {error}")),
        };
        if directory.key_at(SystemClock.now()).is_err() {
            return bad(format!(
                "{url}: none of its {} keys is of type 2 and valid now",
                directory.token_keys.len()
            ));
        }
        let count = directory.token_keys.len();
        findings.good(CHECK_DIRECTORY, format!("{count} keys of tokens"));
        Some(directory)
    }

    async fn tier_key(&self, findings: &mut Findings) -> Option<PublicKey> {
        let url = format!("{}/token-key-for-user-token", self.base);
        let request = self.network.http.get(&url).bearer_auth(self.deployment.token.as_str());
        let response = match request.send().await {
            Ok(response) => response,
            Err(_) => {
                findings.bad(
                    CHECK_TOKEN,
                    format!("{url}: no answer"),
                    "the connection broke",
                    "look at the issuer's log",
                );
                return None;
            }
        };
        let status = response.status().as_u16();
        let key = body(response).await.ok().and_then(|body| PublicKey::from_spki(&body).ok());
        match (status, key) {
            (200, Some(key)) => {
                findings.good(CHECK_TOKEN, "the issuer knows the user token");
                Some(key)
            }
            (401 | 403, _) => {
                findings.bad(
                    CHECK_TOKEN,
                    format!("{url}: status {status}"),
                    "the issuer does not know the user token. In the header it stands as it is given here, \
                     after `Bearer `",
                    "use the token that the app sets (pirAuthenticationToken); add it to users of the \
                     configuration, to its token file, or to what the hook answers, and reload",
                );
                None
            }
            _ => {
                findings.bad(
                    CHECK_TOKEN,
                    format!("{url}: status {status}, and no key"),
                    "devices before 27.3 ask for the key of the user's tier there",
                    "check that what stands before the issuer passes the path and the Authorization header on",
                );
                None
            }
        }
    }

    fn issue_address(&self, directory: &IssuerDirectory) -> String {
        let relative = &directory.issuer_request_uri;
        match Url::parse(relative) {
            Ok(url) => url.to_string(),
            Err(_) => format!("{}/{}", self.base, relative.trim_start_matches('/')),
        }
    }

    async fn issue(&self, address: &str, key: &PublicKey) -> Result<(), String> {
        let host = host_of(&self.deployment.issuer);
        let pending = TokenChallenge::for_issuer(&host)
            .and_then(|challenge| PendingToken::new(&challenge, key))
            .map_err(|error| error.to_string())?;
        let request = self.network.http.post(address).bearer_auth(self.deployment.token.as_str());
        let request = request
            .header(http::header::CONTENT_TYPE, "application/private-token-request")
            .body(pending.request().to_bytes());
        let response = request.send().await.map_err(|_| "no answer".to_owned())?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("status {status}"));
        }
        let body = body(response).await.map_err(|error| WithCauses(error.as_ref()).to_string())?;
        pending.finalize(&body).map_err(|error| error.to_string())?;
        Ok(())
    }
}
