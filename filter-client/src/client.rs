//! Private lookups of keywords: tokens, configuration, keys and queries, whatever of them a lookup
//! needs.

use crate::answers::{AnswerPolicy, Answers};
use crate::calls::{Calls, Costs, below};
use crate::error::Error;
use crate::issuance::Issuer;
use crate::retry::RetryPolicy;
use crate::secrets::{ClientState, HeldToken, StoredConfig, StoredSecret};
use crate::session::{Asked, MAX_CONFIG_FIELDS, Offer, Session};
use crate::transport::{HttpTransport, Transport};
use crate::wallet::{Wallet, WalletPolicy};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use keyword_pir::symmetric::BlindedKeyword;
use pir_api::{Message, api, bounded};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use url::Url;
use zeroize::Zeroizing;

const CONFIG: &str = "/config";
const KEY: &str = "/key";
const QUERIES: &str = "/queries";
const USER_IDENTIFIER: &str = "user-identifier";
/// Longest configuration: 65,536 shards spelled out, and then some.
const MAX_CONFIG: usize = 16 << 20;
/// Longest answer to an upload.
const MAX_EMPTY: usize = 64 << 10;

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

/// How a client behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Limit for one exchange with the service.
    pub request_timeout: Duration,
    /// Limit for a whole lookup, with everything that it needs first.
    pub lookup_timeout: Duration,
    /// Trying again.
    pub retry: RetryPolicy,
    /// Tokens.
    pub wallet: WalletPolicy,
    /// Answers that are remembered.
    pub answers: AnswerPolicy,
    /// Keywords in one request.
    pub batch: usize,
    /// Keywords in one lookup.
    pub most_keywords: usize,
    /// Seconds after which the configuration is asked for anew.
    pub config_lifetime: u64,
    /// After a failure of the network, how long lookups fail at once instead of trying; it doubles
    /// with each failure, up to a minute.
    pub pause: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            lookup_timeout: Duration::from_secs(20),
            retry: RetryPolicy::default(),
            wallet: WalletPolicy::default(),
            answers: AnswerPolicy::default(),
            batch: 16,
            most_keywords: 256,
            config_lifetime: 86_400,
            pause: Duration::from_secs(2),
        }
    }
}

/// Longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Puts a client together.
pub struct ClientBuilder {
    service: String,
    issuer: Option<String>,
    user_token: Option<Zeroizing<String>>,
    use_case: String,
    options: ClientOptions,
    state: ClientState,
    transport: Option<Arc<dyn Transport>>,
    clock: Clock,
}

impl ClientBuilder {
    /// Where tokens come from, if not from the service itself.
    #[must_use]
    pub fn issuer(mut self, url: impl Into<String>) -> Self {
        self.issuer = Some(url.into());
        self
    }

    /// What entitles to tokens. Without one, requests carry no token.
    #[must_use]
    pub fn user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(Zeroizing::new(token.into()));
        self
    }

    /// How the client behaves.
    #[must_use]
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    /// What an earlier client kept, see [`PirClient::state`].
    #[must_use]
    pub fn state(mut self, state: ClientState) -> Self {
        self.state = state;
        self
    }

    /// Another way to the service than HTTP over TLS.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Another clock, in seconds since 1970.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The client. Nothing is sent before the first lookup.
    ///
    /// # Errors
    /// If an address or a token cannot be used, or TLS cannot be set up.
    pub fn build(self) -> Result<PirClient, Error> {
        let options = self.options;
        let service = address("the service", &self.service)?;
        let issuer_url = match &self.issuer {
            Some(url) => address("the issuer", url)?,
            None => service.clone(),
        };
        let issuer = self.user_token.map(|token| Issuer::new(issuer_url, &token)).transpose()?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => {
                let made = HttpTransport::new(options.request_timeout)
                    .map_err(|source| Error::Transport { endpoint: "the transport", source })?;
                Arc::new(made) as Arc<dyn Transport>
            }
        };
        let user = HeaderValue::from_str(&self.state.user)
            .map_err(|_| Error::State("the pseudonym is no header value"))?;
        let offer = self.state.config.map(Offer::read).transpose().unwrap_or(None);
        let secrets = self.state.secrets;
        let session = offer.and_then(|offer| {
            let hash = &offer.key_config_hash;
            let secret = secrets.iter().find(|secret| secret.key_config_hash == *hash)?;
            Session::new(offer, secret).ok().map(Arc::new)
        });
        let now = (self.clock)();
        Ok(PirClient(Arc::new(Inner {
            service,
            issuer,
            use_case: self.use_case,
            user,
            calls: Calls::new(transport, options.retry),
            answers: Answers::new(options.answers).map_err(|_| Error::Randomness)?,
            kept: Mutex::new(Kept {
                user: self.state.user,
                secrets,
                config: session.as_ref().map(|session| session.stored_config().clone()),
                wallet: Wallet::new(options.wallet, self.state.tokens),
                checked_at: session.is_some().then_some(now),
                session,
                outage: Outage::default(),
            }),
            options,
            revision: AtomicU64::new(0),
            setting_up: tokio::sync::Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            refilling: AtomicBool::new(false),
            clock: self.clock,
        })))
    }
}

fn address(what: &'static str, text: &str) -> Result<Url, Error> {
    let wrong = |reason: &str| Error::Address { what, reason: reason.to_owned() };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(wrong("an address such as https://pir.example is needed"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("an address has neither query nor fragment"));
    }
    Ok(url)
}

/// Looks keywords up without telling the service which. Clones share everything.
#[derive(Clone)]
pub struct PirClient(Arc<Inner>);

struct Inner {
    service: Url,
    issuer: Option<Issuer>,
    use_case: String,
    user: HeaderValue,
    options: ClientOptions,
    calls: Calls,
    answers: Answers,
    kept: Mutex<Kept>,
    revision: AtomicU64,
    /// One at a time fetches configurations and uploads keys.
    setting_up: tokio::sync::Mutex<()>,
    /// One at a time fetches tokens that are needed at once.
    fetching: tokio::sync::Mutex<()>,
    /// Whether tokens are being fetched in the background.
    refilling: AtomicBool,
    clock: Clock,
}

struct Kept {
    user: String,
    secrets: Vec<StoredSecret>,
    config: Option<StoredConfig>,
    wallet: Wallet,
    session: Option<Arc<Session>>,
    /// When the configuration was last compared with the service's.
    checked_at: Option<u64>,
    outage: Outage,
}

/// The service could not be reached.
#[derive(Default)]
struct Outage {
    failures: u32,
    until: Option<Instant>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The service, just now.
    Service,
    /// An answer that was remembered.
    Memory,
    /// An answer that is too old, for want of a better one.
    Stale,
}

/// The answer to a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The value; none if the service does not have the keyword.
    pub value: Option<Vec<u8>>,
    /// Where it came from.
    pub source: Source,
}

impl PirClient {
    /// Begins a client of a use case: `<app bundle id>.url.filtering` for a URL filter. The service's
    /// address is an origin, or has a path below which the endpoints lie.
    #[must_use]
    pub fn builder(service: impl Into<String>, use_case: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            service: service.into(),
            issuer: None,
            user_token: None,
            use_case: use_case.into(),
            options: ClientOptions::default(),
            state: ClientState::new(),
            transport: None,
            clock: system_clock(),
        }
    }

    /// The values of keywords. Those that are not remembered are asked for, in as few requests as the
    /// options allow.
    ///
    /// # Errors
    /// If any of them cannot be answered anew. What was answered is remembered all the same.
    pub async fn lookup(&self, keywords: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Arc<Error>> {
        let (found, failure) = self.find(keywords).await;
        let value = |keyword: &&[u8]| match (found.get(keyword), &failure) {
            (Some(answer), _) => Ok(answer.value.clone()),
            (None, Some(error)) => Err(Arc::clone(error)),
            (None, None) => Err(Arc::new(Error::Deadline)),
        };
        keywords.iter().map(value).collect()
    }

    /// The answer to each keyword: if some cannot be had, others may be remembered, and old answers
    /// stand in where there are any.
    pub async fn answers(&self, keywords: &[&[u8]]) -> Vec<Result<Answer, Arc<Error>>> {
        let (found, failure) = self.find(keywords).await;
        let now = self.0.now();
        let answer = |keyword: &&[u8]| {
            if let Some(answer) = found.get(keyword) {
                return Ok(answer.clone());
            }
            match (self.0.answers.stale(keyword, now), &failure) {
                (Some(value), _) => Ok(Answer { value, source: Source::Stale }),
                (None, Some(error)) => Err(Arc::clone(error)),
                (None, None) => Err(Arc::new(Error::Deadline)),
            }
        };
        keywords.iter().map(answer).collect()
    }

    /// Remembered and new answers, and why there are not more of them.
    async fn find<'k>(
        &self,
        keywords: &[&'k [u8]],
    ) -> (HashMap<&'k [u8], Answer>, Option<Arc<Error>>) {
        let inner = &self.0;
        let now = inner.now();
        let mut found: HashMap<&[u8], Answer> = HashMap::new();
        let mut seen = HashSet::new();
        let mut missing: Vec<&[u8]> = Vec::new();
        for &keyword in keywords.iter().filter(|keyword| seen.insert(**keyword)) {
            match inner.answers.fresh(keyword, now) {
                Some(value) => {
                    found.insert(keyword, Answer { value, source: Source::Memory });
                }
                None => missing.push(keyword),
            }
        }
        if missing.is_empty() {
            return (found, None);
        }
        let failure = self.ask(&missing, &mut found).await.err().map(Arc::new);
        (found, failure)
    }

    /// Asks the service about keywords, and remembers what it says.
    async fn ask<'k>(
        &self,
        keywords: &[&'k [u8]],
        found: &mut HashMap<&'k [u8], Answer>,
    ) -> Result<(), Error> {
        let inner = &self.0;
        if keywords.len() > inner.options.most_keywords {
            return Err(Error::TooManyKeywords(keywords.len(), inner.options.most_keywords));
        }
        inner.check_outage()?;
        let work = async {
            for batch in keywords.chunks(inner.options.batch.max(1)) {
                let values = inner.ask_batch(batch).await?;
                let now = inner.now();
                for (&keyword, value) in batch.iter().zip(values) {
                    inner.answers.put(keyword, value.clone(), now);
                    found.insert(keyword, Answer { value, source: Source::Service });
                }
            }
            Ok(())
        };
        let outcome = tokio::time::timeout(inner.options.lookup_timeout, work).await;
        let outcome = outcome.unwrap_or(Err(Error::Deadline));
        inner.note_outage(&outcome);
        self.refill();
        outcome
    }

    /// Fetches what the first lookup would have to fetch: tokens, the configuration, and keys.
    ///
    /// # Errors
    /// If any of it cannot be had.
    pub async fn prepare(&self) -> Result<(), Error> {
        let inner = &self.0;
        let work = inner.session(None);
        let outcome = tokio::time::timeout(inner.options.lookup_timeout, work).await;
        let outcome = outcome.unwrap_or(Err(Error::Deadline)).map(drop);
        inner.note_outage(&outcome);
        self.refill();
        outcome
    }

    /// Fetches tokens ahead, besides those at hand: for a time of many lookups.
    ///
    /// # Errors
    /// If the issuer cannot be reached or refuses.
    pub async fn fetch_tokens(&self, count: usize) -> Result<(), Error> {
        self.0.fetch_tokens(count).await
    }

    /// Asks for the configuration anew, as after a change of the service's parameters.
    ///
    /// # Errors
    /// As for [`PirClient::prepare`].
    pub async fn refresh(&self) -> Result<(), Error> {
        let session = self.0.kept().session.clone();
        self.0.session(session.as_ref()).await.map(drop)
    }

    /// Forgets all answers: after a change of the data set.
    pub fn reset_answers(&self) {
        self.0.answers.clear();
    }

    /// What the next run needs: the caller stores it where secrets are kept. Store it whenever
    /// [`PirClient::revision`] has changed, and at the end: tokens in it that were spent meanwhile
    /// are refused by the service, and cost a request.
    #[must_use]
    pub fn state(&self) -> ClientState {
        let kept = self.0.kept();
        ClientState {
            user: kept.user.clone(),
            secrets: kept.secrets.clone(),
            tokens: kept.wallet.tokens().to_vec(),
            config: kept.config.clone(),
        }
    }

    /// Grows when something is worth storing.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Relaxed)
    }

    /// Tokens at hand.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.0.kept().wallet.tokens().len()
    }

    /// What was sent and received so far.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.0.calls.counters.snapshot()
    }

    /// Fetches tokens in the background when few are left.
    fn refill(&self) {
        let inner = &self.0;
        if inner.issuer.is_none() || inner.kept().wallet.wanted(inner.now()) == 0 {
            return;
        }
        if inner.refilling.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            let wanted = inner.kept().wallet.wanted(inner.now());
            // A failure shows when a token is needed, or at the next try.
            let _ = inner.fetch_tokens(wanted).await;
            inner.refilling.store(false, Ordering::Release);
        });
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        (self.clock)()
    }

    fn changed(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    fn check_outage(&self) -> Result<(), Error> {
        match self.kept().outage.until {
            Some(until) if Instant::now() < until => Err(Error::Paused),
            _ => Ok(()),
        }
    }

    fn note_outage<T>(&self, outcome: &Result<T, Error>) {
        let outage = &mut self.kept().outage;
        match outcome {
            Err(error) if error.is_passing() => {
                let pause = self.options.pause.saturating_mul(1 << outage.failures.min(10));
                outage.failures = outage.failures.saturating_add(1);
                outage.until = Some(Instant::now() + pause.min(LONGEST_PAUSE));
            }
            _ => *outage = Outage::default(),
        }
    }

    async fn fetch_tokens(&self, count: usize) -> Result<(), Error> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        if count == 0 {
            return Ok(());
        }
        let tokens = issuer.fetch(&self.calls, count, self.now()).await?;
        self.kept().wallet.add(tokens, self.now());
        self.changed();
        Ok(())
    }

    /// A token for one request; none if the service is asked without.
    async fn token(&self) -> Result<Option<HeldToken>, Error> {
        if self.issuer.is_none() {
            return Ok(None);
        }
        loop {
            if let Some(token) = self.kept().wallet.take(self.now()) {
                self.changed();
                return Ok(Some(token));
            }
            let _one = self.fetching.lock().await;
            // Someone else may have fetched some while this one waited.
            let count = {
                let wallet = &self.kept().wallet;
                if wallet.tokens().is_empty() { wallet.when_empty() } else { 0 }
            };
            self.fetch_tokens(count).await?;
        }
    }

    /// A request that carries a token, tried as often as the policy says, each time with another one.
    async fn post(&self, endpoint: &'static str, body: Bytes, most: usize) -> Result<Bytes, Error> {
        let mut tries = self.calls.tries();
        let mut renewed = false;
        loop {
            let token = self.token().await?;
            let mut request = http::Request::new(body.clone());
            *request.method_mut() = Method::POST;
            *request.uri_mut() = below(&self.service, endpoint);
            let headers = request.headers_mut();
            headers.insert(USER_IDENTIFIER, self.user.clone());
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            if let Some(token) = &token {
                let text = token.token.to_authorization();
                let value = HeaderValue::from_str(&text);
                let mut value = value.map_err(|_| privacy_pass::Error::Authorization)?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            let failure = match self.calls.attempt(endpoint, request, most).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            if let (false, Some(token)) = (failure.arrived, token) {
                self.kept().wallet.give_back(token);
            }
            if failure.status == Some(StatusCode::UNAUTHORIZED) && self.issuer.is_some() && !renewed
            {
                // The tokens at hand are of a key that is gone, or were spent by another run.
                self.kept().wallet.clear();
                renewed = true;
                continue;
            }
            tries.again(failure).await?;
        }
    }

    /// One batch: asked with what there is, and once more after a look at the configuration if the
    /// service says that it does not fit.
    async fn ask_batch(&self, keywords: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let session = self.session(None).await?;
        match self.query(&session, keywords).await {
            // 410: the configuration is gone. 400: there is no key, or one that does not fit.
            Err(Error::Status { status: 410 | 400, .. }) => {
                let session = self.session(Some(&session)).await?;
                self.query(&session, keywords).await
            }
            outcome => outcome,
        }
    }

    async fn query(
        &self,
        session: &Session,
        keywords: &[&[u8]],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let asked = self.asked(session, keywords).await?;
        let counters = &self.calls.counters;
        let begun = Instant::now();
        let body = session.requests(&self.use_case, &asked)?;
        counters.computed(begun.elapsed());
        counters.keywords_asked.fetch_add(asked.len() as u64, Ordering::Relaxed);
        let most = session.response_bytes(asked.len());
        let body = self.post(QUERIES, Bytes::from(body), most).await?;
        let begun = Instant::now();
        let values = session.values(&asked, &body);
        counters.computed(begun.elapsed());
        values
    }

    /// Keywords as they are asked for. The symmetric variant first has the service make something
    /// else of them, blindly.
    async fn asked(&self, session: &Session, keywords: &[&[u8]]) -> Result<Vec<Asked>, Error> {
        let Some(public_key) = session.public_key() else {
            let plain = |keyword: &&[u8]| Asked::Plain(Zeroizing::new(keyword.to_vec()));
            return Ok(keywords.iter().map(plain).collect());
        };
        let blinded = keywords
            .iter()
            .map(|keyword| BlindedKeyword::new(keyword))
            .collect::<Result<Vec<_>, _>>()?;
        let body = session.blinded_requests(&self.use_case, &blinded);
        let most = session.response_bytes(blinded.len());
        let body = self.post(QUERIES, Bytes::from(body), most).await?;
        session.secrets(&blinded, &body, public_key)
    }

    /// What queries are made with. `refused` is a session that the service does not take any more.
    async fn session(&self, refused: Option<&Arc<Session>>) -> Result<Arc<Session>, Error> {
        if let Some(session) = self.usable_session(refused) {
            return Ok(session);
        }
        let _one = self.setting_up.lock().await;
        // Someone else may have set up a new one while this one waited.
        if let Some(session) = self.usable_session(refused) {
            return Ok(session);
        }
        let session = Arc::new(self.set_up().await?);
        let mut kept = self.kept();
        if kept.config.as_ref().is_none_or(|config| config.id != session.config_id()) {
            // Other parameters, other data.
            self.answers.clear();
        }
        kept.config = Some(session.stored_config().clone());
        kept.session = Some(Arc::clone(&session));
        kept.checked_at = Some(self.now());
        drop(kept);
        self.changed();
        Ok(session)
    }

    fn usable_session(&self, refused: Option<&Arc<Session>>) -> Option<Arc<Session>> {
        let kept = self.kept();
        let session = kept.session.as_ref()?;
        let age = self.now().saturating_sub(kept.checked_at?);
        let fits = refused.is_none_or(|refused| !Arc::ptr_eq(refused, session));
        (fits && age < self.options.config_lifetime).then(|| Arc::clone(session))
    }

    /// Compares the configuration with the service's, and uploads a key if the service has not the
    /// one that fits.
    async fn set_up(&self) -> Result<Session, Error> {
        let known = self.kept().config.clone();
        let request = api::ConfigRequest {
            usecases: vec![self.use_case.clone()],
            existing_config_ids: known.iter().map(|known| known.id.clone()).collect(),
        };
        let body = Bytes::from(request.encode_to_vec());
        let body = match self.post(CONFIG, body, MAX_CONFIG).await {
            Err(Error::Status { status: 404, .. }) => return Err(Error::UseCase),
            body => body?,
        };
        let mut response: api::ConfigResponse =
            bounded::decode(&body, MAX_CONFIG_FIELDS).map_err(Error::response(CONFIG))?;
        let wrong = |reason: &str| Error::Response { endpoint: CONFIG, reason: reason.to_owned() };
        let config = response.configs.remove(&self.use_case);
        let config = config.ok_or_else(|| wrong("the use case is missing"))?;
        let status = response.key_info.into_iter().next();
        let status = status.ok_or_else(|| wrong("key_info is missing"))?;
        let keys = status.key_config.ok_or_else(|| wrong("key_config is missing"))?;
        let stored = match (config.reuse_existing_config, known, config.config) {
            (true, Some(known), _) if known.id == config.config_id => known,
            (false, _, Some(api::config::Config::PirConfig(message))) => StoredConfig {
                id: config.config_id,
                config: message.encode_to_vec(),
                keys: keys.encode_to_vec(),
            },
            _ => return Err(wrong("neither a configuration nor the word to keep the known one")),
        };
        let offer = Offer::read(stored)?;
        let fitting = {
            let kept = self.kept();
            let fits = |secret: &&StoredSecret| {
                secret.key_config_hash == offer.key_config_hash
                    && secret.timestamp == status.timestamp
            };
            kept.secrets.iter().find(fits).cloned()
        };
        if let Some(secret) = fitting {
            return Session::new(offer, &secret);
        }
        let secret = self.upload(&offer, status.timestamp).await?;
        Session::new(offer, &secret)
    }

    /// Draws keys and uploads the public one. The secret one is kept before: an upload whose answer
    /// is lost must not leave a key on the service that nobody can use.
    async fn upload(&self, offer: &Offer, stored_timestamp: u64) -> Result<StoredSecret, Error> {
        let begun = Instant::now();
        // Another time than that of any earlier key: the service tells keys apart by it.
        let now = self.now().max(stored_timestamp.saturating_add(1));
        let (secret, message) = offer.draw_keys(now)?;
        self.calls.counters.computed(begun.elapsed());
        {
            let mut kept = self.kept();
            kept.secrets.retain(|other| other.key_config_hash != secret.key_config_hash);
            kept.secrets.push(secret.clone());
        }
        self.changed();
        self.post(KEY, Bytes::from(message), MAX_EMPTY).await?;
        self.calls.counters.keys_uploaded.fetch_add(1, Ordering::Relaxed);
        Ok(secret)
    }
}
