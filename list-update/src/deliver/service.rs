//! A running service: it is told to reload, and asked what it serves.

use http_body_util::{BodyExt, Limited};
use pir_dataset::{Cause, Manifest};
use serde::Deserialize;
use std::time::Duration;

/// Largest answer of a service that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How long a service may take to reload.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// How long it may take to say what it serves.
const STATUS_TIMEOUT: Duration = Duration::from_secs(30);

/// Tells a service to reload, and checks that it serves this data set with this prefilter.
pub(super) async fn reload(
    address: &str,
    use_case: Option<&str>,
    tag: &str,
    manifest: &Manifest,
) -> Result<(), Cause> {
    #[derive(Deserialize)]
    struct Refused {
        error: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }

    let client = client(RELOAD_TIMEOUT)?;
    let response = client.post(format!("{address}/reload")).send().await?;
    let status = response.status();
    let body = body(response).await?;
    if !status.is_success() {
        let reason = serde_json::from_slice::<Refused>(&body).map(|refused| refused.error.message);
        return Err(match reason {
            Ok(reason) => format!("the service does not reload: {reason}").into(),
            Err(_) => {
                format!("the answer to POST /reload has the status {}", status.as_u16()).into()
            }
        });
    }
    let served: Served = serde_json::from_slice(&body)
        .map_err(|error| format!("not the answer of a pir-server: {error}"))?;
    match served.difference(use_case, tag, manifest) {
        None => Ok(()),
        Some(difference) => Err(difference.into()),
    }
}

/// Asks a service whether it serves this data set with this prefilter. `None` if it does not say: earlier versions have no
/// such address.
pub(super) async fn serves(
    address: &str,
    use_case: Option<&str>,
    tag: &str,
    manifest: &Manifest,
) -> Result<Option<bool>, Cause> {
    let response = client(STATUS_TIMEOUT)?.get(format!("{address}/status")).send().await?;
    if !response.status().is_success() {
        return Ok(None);
    }
    let served = serde_json::from_slice::<Served>(&body(response).await?).ok();
    // Services of earlier versions do not name the keywords there. Other use cases may have none.
    let is_meant = |one: &&ServedUseCase| use_case.is_none_or(|name| one.name == name);
    let names_keywords = |served: &Served| {
        served.use_cases.iter().filter(is_meant).all(|one| one.keywords_sha256.is_some())
    };
    let served =
        served.filter(|served| manifest.keywords_sha256.is_none() || names_keywords(served));
    Ok(served.map(|served| served.difference(use_case, tag, manifest).is_none()))
}

fn client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().timeout(timeout).no_proxy().build()
}

async fn body(response: reqwest::Response) -> Result<Vec<u8>, Cause> {
    Ok(Limited::new(reqwest::Body::from(response), MAX_ANSWER).collect().await?.to_bytes().to_vec())
}

/// What a service says that it serves, in answers to `POST /reload` and `GET /status`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    use_cases: Vec<ServedUseCase>,
}

impl Served {
    /// Why this is not the data set and the prefilter; `None` if it is.
    fn difference(&self, use_case: Option<&str>, tag: &str, manifest: &Manifest) -> Option<String> {
        let Some(use_case) = use_case else {
            let is_this = |served: &ServedUseCase| served.difference(tag, manifest).is_none();
            return match self.use_cases.iter().any(is_this) {
                true => None,
                false => Some(
                    "none of the use cases of the service is this data set; its fileStem names other files, or the \
                     service is older than this program"
                        .to_owned(),
                ),
            };
        };
        match self.use_cases.iter().find(|served| served.name == use_case) {
            None => Some(format!("the service does not serve the use case {use_case}")),
            Some(served) => served
                .difference(tag, manifest)
                .map(|difference| format!("the service serves {use_case}, and {difference}")),
        }
    }
}

/// What a service says of a use case.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServedUseCase {
    name: String,
    shards: u32,
    config_id: Option<String>,
    rows: Option<u64>,
    keywords_sha256: Option<String>,
    #[serde(alias = "prefilterTag")]
    tag: Option<String>,
}

impl ServedUseCase {
    /// What shows that something else is served; `None` if this data set is.
    fn difference(&self, tag: &str, manifest: &Manifest) -> Option<String> {
        let other_files = "its fileStem names other files";
        if self.shards != manifest.shard_count {
            let (served, here) = (self.shards, manifest.shard_count);
            return Some(format!("it has {served} shards there, and {here} here; {other_files}"));
        }
        let Some(config_id) = &self.config_id else {
            return Some(
                "it does not say which data set that is; update the service to the version of this program"
                    .to_owned(),
            );
        };
        if *config_id != manifest.config_id {
            return Some(format!(
                "its configuration there is {config_id}, and {} here; {other_files}",
                manifest.config_id
            ));
        }
        if let Some(rows) = self.rows.filter(|rows| *rows != manifest.rows) {
            return Some(format!(
                "it has {rows} rows there, and {} here; {other_files}",
                manifest.rows
            ));
        }
        if self.keywords_sha256 != manifest.keywords_sha256 {
            return Some(format!("it has other keywords there; {other_files}"));
        }
        match &self.tag {
            Some(served) if served != tag => Some(format!(
                "its prefilter there has the tag {served}, and {tag} here; its filter names another folder"
            )),
            _ => None,
        }
    }
}
