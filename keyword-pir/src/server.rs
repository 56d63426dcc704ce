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
use crate::scheme::{ByWord, EvaluationKey, Scheme, both_words, by_word};
use bfv::{Ciphertext, Coefficient};
use execution::StageTimer;
use work::Work;

pub use execution::{Execution, StageTimes};

type Ciphertexts<W> = Vec<Ciphertext<W, Coefficient>>;

/// The ciphertexts of a reply, for each lookup.
type Replies = ByWord<Vec<Ciphertexts<u32>>, Vec<Ciphertexts<u64>>>;

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
        let timer = StageTimer::default();
        let reply = self.compute(query, key, &execution, &timer)?;
        let reply = self.write(&reply, execution.keep_low_bits, &timer)?;
        Ok((reply, timer.finish()))
    }

    /// Answers a query as [`answer`](Self::answer) does, and returns the same reply with its low bits, too, as
    /// [`Execution::keep_low_bits`] gives it: for [`Client::noise_budget`](crate::Client::noise_budget), without
    /// computing the answer twice.
    ///
    /// # Errors
    /// Those of [`answer`](Self::answer).
    pub fn answer_with_low_bits(
        &self,
        query: &Query,
        key: &EvaluationKey,
        execution: Execution<'_>,
    ) -> Result<(Reply, Reply, StageTimes), Error> {
        let timer = StageTimer::default();
        let reply = self.compute(query, key, &execution, &timer)?;
        let full = self.write(&reply, true, &StageTimer::default())?;
        let reply = self.write(&reply, false, &timer)?;
        Ok((reply, full, timer.finish()))
    }

    fn compute(
        &self,
        query: &Query,
        key: &EvaluationKey,
        execution: &Execution<'_>,
        timer: &StageTimer,
    ) -> Result<Replies, Error> {
        self.scheme.check_key(key)?;
        let (calls, database) = (query.calls, &self.database);
        match (&self.scheme.0, &query.ciphertexts, &key.keys) {
            (ByWord::Narrow(tables), ByWord::Narrow(query), ByWord::Narrow(keys)) => {
                let work = Work { database, tables, keys, execution, timer };
                Ok(ByWord::Narrow(work.answer(query, calls)?))
            }
            (ByWord::Wide(tables), ByWord::Wide(query), ByWord::Wide(keys)) => {
                let work = Work { database, tables, keys, execution, timer };
                Ok(ByWord::Wide(work.answer(query, calls)?))
            }
            _ => Err(Error::Mismatch("the query")),
        }
    }

    /// Serializes a reply, with its low bits or without them.
    fn write(&self, reply: &Replies, low_bits: bool, timer: &StageTimer) -> Result<Reply, Error> {
        both_words!(&self.scheme.0, reply, "the reply", (tables, reply) => {
            let write = |ciphertext| match low_bits {
                true => tables.context.write_ciphertext(ciphertext),
                false => tables.context.write_for_decryption(ciphertext),
            };
            let written = || reply.iter().map(|lookup| lookup.iter().map(write).collect()).collect();
            Ok(timer.time(|times| &mut times.reply, written))
        })
    }
}
