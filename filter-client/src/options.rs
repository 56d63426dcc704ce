//! How a client behaves.

use crate::sans_io::answers::AnswerPolicy;
use crate::sans_io::retry::RetryPolicy;
use crate::sans_io::sharding::ShardingPolicy;
use crate::sans_io::wallet::WalletPolicy;
use std::time::Duration;

/// How a client behaves. Make one from [`ClientOptions::default`] and change its fields:
///
/// ```
/// use filter_client::ClientOptions;
/// use std::time::Duration;
///
/// let mut options = ClientOptions::default();
/// options.lookup_timeout = Duration::from_secs(5);
/// options.retry.max_attempts = 2;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Timeout of the built-in transport for one exchange. Default: 10 s.
    pub request_timeout: Duration,
    /// Timeout for a lookup with everything that it needs first: tokens, configuration and keys.
    /// Default: 20 s.
    pub lookup_timeout: Duration,
    /// When failed requests are repeated.
    pub retry: RetryPolicy,
    /// How many tokens are kept.
    pub wallet: WalletPolicy,
    /// How long answers are cached.
    pub answers: AnswerPolicy,
    /// Largest number of keywords in one request; 0 counts as 1, and fewer are sent where the response could have more
    /// than 32 MiB. Default: 16.
    pub batch_size: usize,
    /// Largest number of keywords that one lookup may ask the service for. Default: 256.
    pub max_keywords: usize,
    /// Age at which the configuration is compared with the service's. Default: one day.
    pub config_lifetime: Duration,
    /// Age at which a secret key is replaced, and a new evaluation key uploaded. Default: six days, as on
    /// devices. Whatever a service could learn about a key from what users do is lost to it then.
    pub key_lifetime: Duration,
    /// How many shards of the service's are accepted.
    pub sharding: ShardingPolicy,
    /// After a transient failure, how long lookups fail at once instead of trying. It doubles with each
    /// further failure, up to one minute; zero disables it. Default: 2 s.
    pub outage_backoff: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            request_timeout: Duration::from_secs(10),
            lookup_timeout: Duration::from_secs(20),
            retry: RetryPolicy::default(),
            wallet: WalletPolicy::default(),
            answers: AnswerPolicy::default(),
            batch_size: 16,
            max_keywords: 256,
            config_lifetime: DAY,
            key_lifetime: 6 * DAY,
            sharding: ShardingPolicy::default(),
            outage_backoff: Duration::from_secs(2),
        }
    }
}
