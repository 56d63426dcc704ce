//! The server half of MulPIR: from an encrypted query to an encrypted reply.
//!
//! Nothing here depends on what is asked for: the work, its order and its time are those of the
//! parameters and of the database.

mod execution;
mod expansion;
mod work;

use crate::database::Database;
use crate::error::Error;
use crate::parameters::ShardParameters;
use crate::query::{Reply, SerializedQuery};
use crate::scheme::{ByWord, EvaluationKey, Scheme, by_word};
use bfv::{Ciphertext, Coefficient};
use execution::StageTimer;
use work::Work;

pub use execution::{Execution, StageTimes};

type Ciphertexts<W> = Vec<Ciphertext<W, Coefficient>>;

/// A query whose ciphertexts were checked, see [`Server::read_query`].
pub struct Query {
    ciphertexts: ByWord<Ciphertexts<u32>, Ciphertexts<u64>>,
    calls: usize,
}

/// A shard that answers queries.
pub struct Server {
    scheme: Scheme,
    database: Database,
}

impl Server {
    /// A server of one shard.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the database is of another parameter set than the scheme.
    pub fn new(scheme: Scheme, database: Database) -> Result<Self, Error> {
        if database.parameters().encryption() != scheme.parameters() {
            return Err(Error::Mismatch("the database"));
        }
        Ok(Self { scheme, database })
    }

    /// The shard's parameters.
    #[must_use]
    pub fn parameters(&self) -> &ShardParameters {
        self.database.parameters()
    }

    /// The shard's database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Checks a query: its number of lookups, its number of ciphertexts, and each of them.
    ///
    /// # Errors
    /// [`Error::Count`] if a number is not what the parameters make it, and [`Error::Scheme`] if a
    /// ciphertext is not valid.
    pub fn read_query(&self, query: &SerializedQuery) -> Result<Query, Error> {
        let parameters = self.parameters();
        let max = parameters.calls();
        let calls = usize::try_from(query.calls).unwrap_or(usize::MAX);
        if !(1..=max).contains(&calls) {
            return Err(Error::Count { what: "lookups of a query", expected: max, found: calls });
        }
        let (expected, found) = (parameters.query_ciphertexts(calls), query.ciphertexts.len());
        if expected != found {
            return Err(Error::Count { what: "ciphertexts of a query", expected, found });
        }
        let ciphertexts = by_word!(&self.scheme.0, tables => query
            .ciphertexts
            .iter()
            .map(|serialized| {
                let context = &tables.context;
                let parsed = context.read_ciphertext(serialized, context.ciphertext_moduli())?;
                match parsed.polys().len() {
                    2 => Ok(parsed),
                    found => {
                        let what = "polynomials of a query ciphertext";
                        Err(Error::Count { what, expected: 2, found })
                    }
                }
            })
            .collect::<Result<Vec<_>, Error>>()?);
        Ok(Query { ciphertexts, calls })
    }

    /// Answers a query, of which only the shape is known here. The key holds what
    /// [`ShardParameters::evaluation_key_config`] asks for.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the key or the query is of another parameter set, [`Error::Cancelled`]
    /// if the flag of [`Execution::cancelled_by`] was set, and [`Error::Scheme`] if the key lacks a
    /// part.
    pub fn answer(
        &self,
        query: &Query,
        key: &EvaluationKey,
        execution: Execution<'_>,
    ) -> Result<(Reply, StageTimes), Error> {
        self.scheme.check_key(key)?;
        let timer = StageTimer::default();
        let reply = self.compute(query, key, &execution, &timer)?;
        Ok((reply, timer.finish()))
    }

    fn compute(
        &self,
        query: &Query,
        key: &EvaluationKey,
        execution: &Execution<'_>,
        timer: &StageTimer,
    ) -> Result<Reply, Error> {
        let (calls, database) = (query.calls, &self.database);
        match (&self.scheme.0, &query.ciphertexts, &key.keys) {
            (ByWord::Narrow(tables), ByWord::Narrow(query), ByWord::Narrow(keys)) => {
                Work { database, tables, keys, execution, timer }.answer(query, calls)
            }
            (ByWord::Wide(tables), ByWord::Wide(query), ByWord::Wide(keys)) => {
                Work { database, tables, keys, execution, timer }.answer(query, calls)
            }
            _ => Err(Error::Mismatch("the query")),
        }
    }
}
