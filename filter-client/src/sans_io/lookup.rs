//! Lookups: queries for keywords, in batches.

use super::answers::CachedAnswer;
use super::session::{PreparedKeyword, Session};
use super::{Answer, Inner, Lookup, Source};
use crate::endpoint::ServiceEndpoint;
use crate::error::Error;
use bytes::Bytes;
use keyword_pir::Reply;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The replies to one batch of keywords. None was decrypted.
struct Batch<'a, 'k> {
    session: Arc<Session>,
    keywords: &'a [&'k [u8]],
    prepared: Vec<PreparedKeyword>,
    replies: Vec<Reply>,
}

impl Inner {
    /// The answer to each keyword, on its own: if the service cannot answer some, others may be cached,
    /// and stale answers are used where there are any.
    pub(super) async fn look_up(self: &Arc<Self>, keywords: &[Vec<u8>]) -> Lookup {
        let now = self.now();
        let mut found: HashMap<&[u8], Answer> = HashMap::new();
        let mut seen = HashSet::new();
        let mut missing: Vec<&[u8]> = Vec::new();
        for keyword in keywords.iter().map(Vec::as_slice) {
            if !seen.insert(keyword) {
                continue;
            }
            match self.answers.fresh(keyword, now) {
                Some(cached) => {
                    found.insert(keyword, cached.answer(Source::Cache));
                }
                None => missing.push(keyword),
            }
        }
        let failure = match missing.is_empty() {
            true => None,
            false => self.ask(&missing, &mut found).await.err().map(Arc::new),
        };
        let now = self.now();
        let answer = |keyword: &Vec<u8>| {
            if let Some(answer) = found.get(keyword.as_slice()) {
                return Ok(answer.clone());
            }
            match self.answers.stale(keyword, now) {
                Some(cached) => Ok(cached.answer(Source::StaleCache)),
                None => {
                    let failure = failure.as_ref();
                    Err(Arc::clone(failure.expect("a keyword without an answer has a failure")))
                }
            }
        };
        Lookup { answers: keywords.iter().map(answer).collect(), failure }
    }

    /// Asks the service for keywords and caches the answers. On success every keyword has an answer.
    ///
    /// All requests are sent before any reply is decrypted, so that none of them, and no pause between
    /// them, depends on what a reply decrypts to.
    async fn ask<'k>(
        self: &Arc<Self>,
        keywords: &[&'k [u8]],
        found: &mut HashMap<&'k [u8], Answer>,
    ) -> Result<(), Error> {
        let max = self.options.max_keywords;
        if keywords.len() > max {
            return Err(Error::TooManyKeywords { found: keywords.len(), max });
        }
        let elapsed = self.caller.io.now().elapsed;
        self.lock().outage.check(elapsed)?;
        let mut batches = Vec::new();
        let outcome = self.within_timeout(self.fetch_replies(keywords, &mut batches)).await;
        self.plan_refill();
        let now = self.now();
        for batch in &batches {
            let values = batch.session.values(&batch.prepared, &batch.replies);
            for (&keyword, value) in batch.keywords.iter().zip(values) {
                let cached = CachedAnswer::new(value, now);
                found.insert(keyword, cached.answer(Source::Service));
                self.answers.put(keyword, cached);
            }
        }
        outcome
    }

    /// Sends the queries for all keywords. The replies that did arrive are in `batches`.
    async fn fetch_replies<'a, 'k>(
        &self,
        keywords: &'a [&'k [u8]],
        batches: &mut Vec<Batch<'a, 'k>>,
    ) -> Result<(), Error> {
        for keywords in keywords.chunks(self.options.batch_size.max(1)) {
            let session = self.session(None).await?;
            if let Some(first) = batches.first() {
                session.check_unchanged_sharding(&first.session)?;
            }
            batches.push(self.fetch_batch(session, keywords).await?);
        }
        Ok(())
    }

    /// The replies to one batch of keywords, one for each. If the service refuses the session, the batch
    /// is asked once more with a new one, unless that would tell more about the keywords.
    async fn fetch_batch<'a, 'k>(
        &self,
        session: Arc<Session>,
        keywords: &'a [&'k [u8]],
    ) -> Result<Batch<'a, 'k>, Error> {
        match self.query(Arc::clone(&session), keywords).await {
            // 410: the configuration is not served any more. 400: the key is missing or does not match.
            Err(Error::Status { status: 410 | 400, .. }) => {
                let renewed = self.session(Some(&session)).await?;
                renewed.check_unchanged_sharding(&session)?;
                self.query(renewed, keywords).await
            }
            outcome => outcome,
        }
    }

    async fn query<'a, 'k>(
        &self,
        session: Arc<Session>,
        keywords: &'a [&'k [u8]],
    ) -> Result<Batch<'a, 'k>, Error> {
        let prepared = self.prepare_keywords(&session, keywords).await?;
        self.pin_sharding(&session)?;
        let body = session.requests(&self.use_case, &prepared)?;
        self.caller.counters.asked_keywords(prepared.len());
        let max_body = session.max_response_bytes(prepared.len());
        let body = self.post(ServiceEndpoint::Queries, Bytes::from(body), max_body).await?;
        let replies = session.replies(prepared.len(), &body)?;
        Ok(Batch { session, keywords, prepared, replies })
    }

    /// Prepares keywords for a query. For a use case of the symmetric variant, the service transforms
    /// them first, without seeing them.
    async fn prepare_keywords(
        &self,
        session: &Session,
        keywords: &[&[u8]],
    ) -> Result<Vec<PreparedKeyword>, Error> {
        #[cfg(feature = "symmetric")]
        if let Some(public_key) = session.public_key() {
            let blinded = keywords
                .iter()
                .map(|keyword| keyword_pir::symmetric::BlindedKeyword::new(keyword))
                .collect::<Result<Vec<_>, _>>()?;
            let body = session.blinded_requests(&self.use_case, &blinded);
            let max_body = session.max_response_bytes(blinded.len());
            let body = self.post(ServiceEndpoint::Queries, Bytes::from(body), max_body).await?;
            return session.unblind(&blinded, &body, public_key);
        }
        #[cfg(not(feature = "symmetric"))]
        let _ = session;
        let plain = |keyword: &&[u8]| PreparedKeyword::Plain(Zeroizing::new(keyword.to_vec()));
        Ok(keywords.iter().map(plain).collect())
    }
}
