//! Nodes that a publisher can ask how far they are.

use super::replica::UseCaseStatus;
use crate::Cause;
use crate::progress::{Notice, Phase, Progress, Running};
use error_reporter::Report;
use http_body_util::{BodyExt, Limited};
use std::time::{Duration, Instant};

/// Time between two questions to a node.
const PAUSE: Duration = Duration::from_millis(500);
/// Time between two notices about the same node.
const NOTICE_INTERVAL: Duration = Duration::from_secs(30);
/// Time for one question.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer of a node, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// The admin addresses of all nodes that serve a use case.
#[derive(Clone)]
pub struct Nodes {
    addresses: Vec<String>,
    use_case: String,
    http: reqwest::Client,
}

/// Nodes cannot be found or asked, or are not ready in time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodesError {
    /// The HTTP client cannot be set up.
    #[error("cannot set up an HTTP client")]
    Client {
        /// What the HTTP client says.
        source: Cause,
    },
    /// The name of the nodes is not a URL with a host.
    #[error("{url}: the URL of the nodes' admin listeners is expected, such as http://nodes:9090")]
    Url {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        source: Cause,
    },
    /// The name of the nodes cannot be resolved, or has no address.
    #[error("{url}: the name has no address")]
    Resolve {
        /// The URL.
        url: String,
        /// The answer of the resolver.
        source: Cause,
    },
    /// A node has not got as far as it should.
    #[error("node {address}: it does not {} the release after {} s", goal.verb(), timeout.as_secs())]
    Timeout {
        /// The admin address of the node.
        address: String,
        /// What was waited for.
        goal: Goal,
        /// How long.
        timeout: Duration,
    },
    /// A node does not answer as it should.
    #[error("node {address}: no usable answer after {} s", timeout.as_secs())]
    Unusable {
        /// The admin address of the node.
        address: String,
        /// How long it was tried.
        timeout: Duration,
        /// Why the last attempt failed.
        source: Cause,
    },
}

/// What nodes are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Goal {
    /// They have the release.
    Ready,
    /// They serve the release.
    Served,
}

impl Goal {
    fn verb(self) -> &'static str {
        match self {
            Self::Ready => "have",
            Self::Served => "serve",
        }
    }

    fn is_reached(self, status: &UseCaseStatus, release: &str) -> bool {
        let is = |id: &Option<String>| id.as_deref() == Some(release);
        match self {
            Self::Ready => is(&status.replica.ready) || is(&status.replica.active),
            Self::Served => is(&status.replica.active),
        }
    }
}

impl Nodes {
    /// Nodes by their admin addresses, such as `http://10.0.0.1:9090`. Without any, a publisher waits for
    /// times instead of nodes.
    ///
    /// # Errors
    /// [`NodesError::Url`] or [`NodesError::Client`]. No node is asked yet.
    pub fn new(addresses: &[String], use_case: &str) -> Result<Self, NodesError> {
        for address in addresses {
            let is_usable = url::Url::parse(address)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !is_usable {
                let source = "an address such as http://10.0.0.1:9090 is expected".into();
                return Err(NodesError::Url { url: address.clone(), source });
            }
        }
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| NodesError::Client { source: error.into() })?;
        let addresses =
            addresses.iter().map(|address| address.trim_end_matches('/').to_owned()).collect();
        Ok(Self { addresses, use_case: use_case.to_owned(), http })
    }

    /// All nodes behind one name: those of all its addresses.
    ///
    /// # Errors
    /// [`NodesError::Url`], [`NodesError::Resolve`] or [`NodesError::Client`].
    pub async fn resolve(url: &str, use_case: &str) -> Result<Self, NodesError> {
        let wrong = |source: Cause| NodesError::Url { url: url.to_owned(), source };
        let parsed = url::Url::parse(url).map_err(|error| wrong(error.into()))?;
        let host = parsed.host_str().ok_or_else(|| wrong("it names no host".into()))?;
        let port = parsed.port_or_known_default().unwrap_or(80);
        let unknown = |source: Cause| NodesError::Resolve { url: url.to_owned(), source };
        let found =
            tokio::net::lookup_host((host, port)).await.map_err(|error| unknown(error.into()))?;
        let mut addresses: Vec<String> =
            found.map(|address| format!("{}://{address}", parsed.scheme())).collect();
        addresses.sort();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(unknown("the resolver found none".into()));
        }
        Self::new(&addresses, use_case)
    }

    /// Whether there are no nodes to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    async fn status(&self, address: &str) -> Result<UseCaseStatus, Cause> {
        let response =
            self.http.get(format!("{address}/releases")).send().await?.error_for_status()?;
        let body = Limited::new(reqwest::Body::from(response), MAX_ANSWER).collect().await?;
        let all: Vec<UseCaseStatus> = serde_json::from_slice(&body.to_bytes())
            .map_err(|error| format!("not the answer of a pir-server: {error}"))?;
        let status = all.into_iter().find(|status| status.use_case == self.use_case);
        status.ok_or_else(|| format!("it does not follow the use case {}", self.use_case).into())
    }

    /// Waits until all nodes have reached a goal.
    ///
    /// # Errors
    /// [`NodesError::Timeout`] or [`NodesError::Unusable`], when the time is over.
    pub(super) async fn wait_until(
        &self,
        goal: Goal,
        release: &str,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<(), NodesError> {
        let phase = match goal {
            Goal::Ready => Phase::WaitingUntilReady,
            Goal::Served => Phase::WaitingUntilServed,
        };
        let phase = Running::begin(progress, phase, self.addresses.len() as u64);
        let end = Instant::now() + timeout;
        for address in &self.addresses {
            let mut told: Option<(Instant, Option<String>)> = None;
            loop {
                let status = self.status(address).await;
                if status.as_ref().is_ok_and(|status| goal.is_reached(status, release)) {
                    break;
                }
                if Instant::now() >= end {
                    let address = address.clone();
                    return Err(match status {
                        Ok(_) => NodesError::Timeout { address, goal, timeout },
                        Err(source) => NodesError::Unusable { address, timeout, source },
                    });
                }
                // The first failure, another one, and from time to time that it is still so.
                let reason = status.err().map(|error| Report::new(&*error).to_string());
                let is_due = |(at, known): &(Instant, Option<String>)| {
                    at.elapsed() >= NOTICE_INTERVAL || (reason.is_some() && *known != reason)
                };
                if told.as_ref().is_none_or(is_due) {
                    let (address, left) = (address.clone(), end.duration_since(Instant::now()));
                    match reason.clone() {
                        Some(reason) => {
                            progress.notice(Notice::NodeUnusable { address, reason, left });
                        }
                        // Fetching takes its time.
                        None if told.is_some() => {
                            progress.notice(Notice::NodeBehind { address, left });
                        }
                        None => {}
                    }
                    told = Some((Instant::now(), reason));
                }
                tokio::time::sleep(PAUSE).await;
            }
            phase.advance(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::ReplicaStatus;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A node that gives one answer, of a number of bytes.
    async fn node(length: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let status = UseCaseStatus::new("use".to_owned(), ReplicaStatus::default(), false);
        let mut body = serde_json::to_vec(&[status]).unwrap();
        body.resize(length, b' ');
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            // A client that reads no further closes the connection.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        });
        address
    }

    #[tokio::test]
    async fn answers_of_nodes_are_read_up_to_their_limit() {
        for length in [MAX_ANSWER - 1, MAX_ANSWER, MAX_ANSWER + 1] {
            let address = node(length).await;
            let nodes = Nodes::new(std::slice::from_ref(&address), "use").unwrap();
            let status = nodes.status(&address).await;
            assert_eq!(status.is_ok(), length <= MAX_ANSWER, "{length}: {:?}", status.err());
        }
    }
}
