//! Lookups: queries for keywords, in batches.

use super::answer::Source;
use super::answers::Reply;
use super::exchange::Lookup;
use super::inner::Inner;
use super::keywords::Keywords;
use super::session::{PreparedKeyword, Session};
use super::sharding::ShardingError;
use crate::endpoint::ServiceEndpoint;
use crate::error::Error;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Replies by keyword, and where they came from.
type Found<'k> = HashMap<&'k [u8], (Arc<Reply>, Source)>;

impl Inner {
    /// The reply to each keyword, on its own: if the service cannot answer some, others may be cached, and
    /// stale ones are used where there are any. None is decrypted.
    pub(super) async fn look_up(self: &Arc<Self>, keywords: &Keywords) -> Lookup {
        let now = self.now();
        let mut found = Found::new();
        let mut seen = HashSet::new();
        let mut missing: Vec<&[u8]> = Vec::new();
        for keyword in keywords.as_slice().iter().map(Vec::as_slice) {
            if !seen.insert(keyword) {
                continue;
            }
            match self.answers.fresh(keyword, now) {
                Some(reply) => {
                    found.insert(keyword, (reply, Source::Cache));
                }
                None => missing.push(keyword),
            }
        }
        let failure = match missing.is_empty() {
            true => None,
            false => self.ask(keywords, &missing, &mut found).await.err().map(Arc::new),
        };
        let now = self.now();
        let reply = |keyword: &Vec<u8>| {
            if let Some((reply, source)) = found.get(keyword.as_slice()) {
                return Ok((Arc::clone(reply), *source));
            }
            match self.answers.stale(keyword, now) {
                Some(reply) => Ok((reply, Source::StaleCache)),
                None => {
                    let failure = failure.as_ref();
                    Err(Arc::clone(failure.expect("a keyword without a reply has a failure")))
                }
            }
        };
        Lookup { replies: keywords.as_slice().iter().map(reply).collect(), failure }
    }

    /// Asks the service for the `missing` ones of a lookup's keywords and caches the replies as they arrive. On success
    /// every keyword has one.
    async fn ask<'k>(
        self: &Arc<Self>,
        keywords: &'k Keywords,
        missing: &[&'k [u8]],
        found: &mut Found<'k>,
    ) -> Result<(), Error> {
        let max = self.options.max_keywords;
        if missing.len() > max {
            return Err(Error::TooManyKeywords { found: missing.len(), max });
        }
        let elapsed = self.caller.io.now().elapsed;
        self.lock().outage.check(elapsed)?;
        self.within_timeout(self.ask_in_batches(keywords, missing, found)).await
    }

    /// Sends the queries for all missing keywords, as far as the indices of their shards may be told. What did arrive is
    /// in `found`.
    async fn ask_in_batches<'k>(
        self: &Arc<Self>,
        keywords: &'k Keywords,
        missing: &[&'k [u8]],
        found: &mut Found<'k>,
    ) -> Result<(), Error> {
        let first = self.session(None).await?;
        let (bits, max) =
            (self.told_bits(first.sharding()), self.options.sharding.max_bits_per_url);
        let allowed = keywords.within_bits(bits, max);
        let (asked, withheld): (Vec<&[u8]>, Vec<&[u8]>) =
            missing.iter().partition(|keyword| allowed.contains(**keyword));
        let mut next = Some(Arc::clone(&first));
        for batch in asked.chunks(first.batch_size(self.options.batch_size)) {
            let session = match next.take() {
                Some(session) => session,
                None => self.session(None).await?,
            };
            session.check_unchanged_sharding(&first)?;
            let replies = self.ask_batch(session, batch).await?;
            let now = self.now();
            for (&keyword, reply) in batch.iter().zip(replies) {
                let reply = Arc::new(reply);
                self.answers.put(keyword, Arc::clone(&reply), now);
                found.insert(keyword, (reply, Source::Service));
            }
        }
        match withheld.is_empty() {
            true => Ok(()),
            false => Err(ShardingError::TooManyBits { bits, max }.into()),
        }
    }

    /// The replies to one batch of keywords, one for each. If the service refuses the session, the batch
    /// is asked once more with a new one, unless that would tell more about the keywords.
    async fn ask_batch(
        self: &Arc<Self>,
        session: Arc<Session>,
        keywords: &[&[u8]],
    ) -> Result<Vec<Reply>, Error> {
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

    async fn query(
        self: &Arc<Self>,
        session: Arc<Session>,
        keywords: &[&[u8]],
    ) -> Result<Vec<Reply>, Error> {
        let prepared = self.prepare_keywords(&session, keywords).await?;
        self.pin_sharding(session.sharding())?;
        let body = session.requests(&self.use_case, &prepared)?;
        self.caller.counters.asked_keywords(prepared.len());
        let max_body = session.max_response_bytes(prepared.len());
        let body = self.post(ServiceEndpoint::Queries, Bytes::from(body), max_body).await?;
        let replies = session.replies(prepared.len(), &body)?;
        let reply = |(prepared, reply)| Reply::new(Arc::clone(&session), prepared, reply);
        Ok(prepared.into_iter().zip(replies).map(reply).collect())
    }

    /// Prepares keywords for a query. For a use case of the symmetric variant, the service transforms
    /// them first, without seeing them.
    async fn prepare_keywords(
        self: &Arc<Self>,
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
