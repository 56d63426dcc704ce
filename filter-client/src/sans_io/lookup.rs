//! Queries for keywords, in batches.

use super::Inner;
use crate::endpoint::ServiceEndpoint;
use crate::error::Error;
use crate::session::{PreparedKeyword, Session};
use bytes::Bytes;
use std::time::Instant;
use zeroize::Zeroizing;

impl Inner {
    /// The values of one batch of keywords, one for each. If the service refuses the session, the batch
    /// is asked once more with a new one.
    pub(super) async fn ask_batch(
        &self,
        keywords: &[&[u8]],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let session = self.session(None).await?;
        match self.query(&session, keywords).await {
            // 410: the configuration is not served any more. 400: the key is missing or does not match.
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
        let prepared = self.prepare_keywords(session, keywords).await?;
        let counters = &self.caller.counters;
        let start = Instant::now();
        let body = session.requests(&self.use_case, &prepared)?;
        counters.computed(start.elapsed());
        counters.asked_keywords(prepared.len());
        let max_body = session.max_response_bytes(prepared.len());
        let body = self.post(ServiceEndpoint::Queries, Bytes::from(body), max_body).await?;
        let start = Instant::now();
        let values = session.values(&prepared, &body);
        counters.computed(start.elapsed());
        values
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
