//! The server half of MulPIR: from an encrypted query to an encrypted reply.
//!
//! Nothing here depends on what is asked for: the work, its order and its time are those of the
//! parameters and of the database.

mod expansion;

use crate::database::Database;
use crate::error::Error;
use crate::parameters::ShardParameters;
use crate::query::SerializedQuery;
use crate::scheme::{ByWord, EvaluationKey, Scheme, Tables, by_word};
use bfv::serialize::SerializedCiphertext;
use bfv::{Ciphertext, Coefficient, DualCiphertext, Operand, PreparedEvaluationKey, Word};
use rayon::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

type Ciphertexts<W> = Vec<Ciphertext<W, Coefficient>>;

/// A query whose ciphertexts were checked.
pub struct Query {
    ciphertexts: ByWord<Ciphertexts<u32>, Ciphertexts<u64>>,
    calls: usize,
}

/// A reply: for each lookup one ciphertext a chunk.
pub type Reply = Vec<Vec<SerializedCiphertext>>;

/// How a reply is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// Skips a second dimension of length 1, which changes nothing but noise: less work, and a
    /// reply with more noise budget.
    #[default]
    Fast,
    /// Every byte as the reference's server has it.
    Identical,
}

/// What the work on a query cost, as time on cores, by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// From the query to one ciphertext for each row and column.
    pub expansion: Duration,
    /// Products with the database.
    pub first_dimension: Duration,
    /// Products of ciphertexts.
    pub second_dimension: Duration,
    /// Relinearization, mod switching and serialization.
    pub reply: Duration,
}

/// How and whether to go on.
#[derive(Clone, Copy, Default)]
pub struct Execution<'e> {
    /// Where work is shared out; without one everything runs on the calling thread.
    pub pool: Option<&'e rayon::ThreadPool>,
    /// Stops the work, soon after it is set.
    pub cancelled: Option<&'e AtomicBool>,
    /// How the reply is computed.
    pub mode: ReplyMode,
    /// Writes the low bits, too, that decryption cannot see. The reply is larger; measurements of
    /// noise need it.
    pub keep_low_bits: bool,
}

impl Execution<'_> {
    fn check(&self) -> Result<(), Error> {
        match self.cancelled {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    /// Runs two pieces of work, on two threads if there are.
    fn both<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        if self.pool.is_some() { rayon::join(a, b) } else { (a(), b()) }
    }

    /// Does the work on each item, on all threads if there are several, and keeps their order.
    fn map<I: Send, T: Send>(
        &self,
        items: Vec<I>,
        work: impl Fn(I) -> Result<T, Error> + Sync + Send,
    ) -> Result<Vec<T>, Error> {
        let work = |item| {
            self.check()?;
            work(item)
        };
        if self.pool.is_some() {
            items.into_par_iter().map(work).collect()
        } else {
            items.into_iter().map(work).collect()
        }
    }
}

/// Times of stages that run on several threads.
#[derive(Default)]
struct Clock(Mutex<StageTimes>);

impl Clock {
    fn time<T>(
        &self,
        stage: impl FnOnce(&mut StageTimes) -> &mut Duration,
        work: impl FnOnce() -> T,
    ) -> T {
        let start = Instant::now();
        let result = work();
        let elapsed = start.elapsed();
        let mut times = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *stage(&mut times) += elapsed;
        result
    }

    fn finish(self) -> StageTimes {
        self.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A shard that answers queries.
pub struct Server {
    scheme: Scheme,
    database: Database,
}

impl Server {
    /// Fails if the database is of other parameters than the scheme.
    pub fn new(scheme: Scheme, database: Database) -> Result<Self, Error> {
        if database.parameters().encryption() != scheme.parameters() {
            return Err(Error::Mismatch("the database"));
        }
        Ok(Self { scheme, database })
    }

    /// The parameters.
    pub fn parameters(&self) -> &ShardParameters {
        self.database.parameters()
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Checks a query: its number of lookups, its number of ciphertexts, and each of them.
    pub fn read_query(&self, query: &SerializedQuery) -> Result<Query, Error> {
        let parameters = self.parameters();
        let most = parameters.calls();
        let calls = usize::try_from(query.calls).unwrap_or(usize::MAX);
        if !(1..=most).contains(&calls) {
            return Err(Error::Count { what: "lookups of a query", expected: most, found: calls });
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

    /// Answers a query. The key holds what [`ShardParameters::evaluation_key_config`] asks for.
    pub fn answer(
        &self,
        query: &Query,
        key: &EvaluationKey,
        execution: Execution<'_>,
    ) -> Result<(Reply, StageTimes), Error> {
        self.scheme.check_key(key)?;
        let clock = Clock::default();
        let reply = match execution.pool {
            Some(pool) => pool.install(|| self.compute(query, key, &execution, &clock)),
            None => self.compute(query, key, &execution, &clock),
        }?;
        Ok((reply, clock.finish()))
    }

    fn compute(
        &self,
        query: &Query,
        key: &EvaluationKey,
        execution: &Execution<'_>,
        clock: &Clock,
    ) -> Result<Reply, Error> {
        let calls = query.calls;
        match (&self.scheme.0, &query.ciphertexts, &key.keys) {
            (ByWord::Narrow(tables), ByWord::Narrow(query), ByWord::Narrow(keys)) => {
                Work { server: self, tables, keys, execution, clock }.answer(query, calls)
            }
            (ByWord::Wide(tables), ByWord::Wide(query), ByWord::Wide(keys)) => {
                Work { server: self, tables, keys, execution, clock }.answer(query, calls)
            }
            _ => Err(Error::Mismatch("the query")),
        }
    }
}

/// The work on one query, in words of one width.
struct Work<'w, W: Word> {
    server: &'w Server,
    tables: &'w Tables<W>,
    keys: &'w PreparedEvaluationKey<W>,
    execution: &'w Execution<'w>,
    clock: &'w Clock,
}

impl<W: Word> Work<'_, W> {
    fn answer(&self, query: &[Ciphertext<W, Coefficient>], calls: usize) -> Result<Reply, Error> {
        self.execution.check()?;
        let parameters = self.server.parameters();
        let expanded =
            self.clock.time(|times| &mut times.expansion, || self.expand(query, calls))?;
        let chunks = parameters.chunks();
        let mut values = expanded.into_iter();
        let mut take = |count| values.by_ref().take(count).collect::<Vec<_>>();
        let second = parameters.expanded(1) - parameters.rows();
        let lookups: Vec<_> = (0..calls).map(|_| (take(parameters.rows()), take(second))).collect();
        // Of one lookup: the first dimension arranged, and the second ready for products.
        let dimensions = self.execution.map(lookups, |(first, second)| {
            let first: Vec<&DualCiphertext<W>> = first.iter().collect();
            let vector = self
                .clock
                .time(|times| &mut times.first_dimension, || self.tables.context.arrange(&first))?;
            let second = match self.multiplies() {
                true => self.clock.time(
                    |times| &mut times.second_dimension,
                    || self.execution.map(second, |value| self.operand(value)),
                )?,
                false => Vec::new(),
            };
            Ok((vector, second))
        })?;
        let replies = self.execution.map((0..calls * chunks).collect(), |index| {
            let (call, chunk) = (index / chunks, index % chunks);
            let (vector, second) = &dimensions[call];
            // A database of one table serves every lookup.
            let table = call.min(parameters.tables() - 1);
            self.reply(vector, second, table, chunk)
        })?;
        let mut replies = replies.into_iter();
        Ok((0..calls).map(|_| replies.by_ref().take(chunks).collect()).collect())
    }

    /// Whether there are products of ciphertexts. A second dimension of length 1 multiplies by an
    /// encryption of one.
    fn multiplies(&self) -> bool {
        let parameters = self.server.parameters();
        parameters.has_second_dimension()
            && (parameters.columns() > 1 || self.execution.mode == ReplyMode::Identical)
    }

    fn operand(&self, value: DualCiphertext<W>) -> Result<Operand<W>, Error> {
        let context = &self.tables.context;
        let coefficients = context.dual_coefficients(&value);
        Ok(context.operand_from(value.into_slots(), &coefficients)?)
    }

    /// The reply to one lookup in one chunk of one table.
    fn reply(
        &self,
        vector: &bfv::CiphertextVector<W>,
        second: &[Operand<W>],
        table: usize,
        chunk: usize,
    ) -> Result<SerializedCiphertext, Error> {
        let context = &self.tables.context;
        let matrix = self.server.database.matrix(context, table, chunk)?;
        let columns = self.clock.time(
            |times| &mut times.first_dimension,
            || context.multiply_columns(vector, matrix),
        )?;
        self.execution.check()?;
        let mut ciphertext = if self.multiplies() {
            let product = self.clock.time(
                |times| &mut times.second_dimension,
                || {
                    let operands = self.execution.map(columns, |column| {
                        let coefficients = context.coefficients_of(&column);
                        Ok(context.operand_from(column.into_polys()?, &coefficients)?)
                    })?;
                    let a: Vec<&Operand<W>> = second.iter().collect();
                    let b: Vec<&Operand<W>> = operands.iter().collect();
                    Ok::<_, Error>(context.inner_product(&a, &b)?)
                },
            )?;
            self.execution.check()?;
            self.clock
                .time(|times| &mut times.reply, || context.relinearize(&product, self.keys))?
        } else {
            let sum = columns.into_iter().next().ok_or(Error::Mismatch("the database"))?;
            self.clock.time(|times| &mut times.first_dimension, || context.to_coefficients(sum))
        };
        self.clock.time(
            |times| &mut times.reply,
            || {
                context.mod_switch_to_single(&mut ciphertext)?;
                Ok(match self.execution.keep_low_bits {
                    true => context.write_ciphertext(&ciphertext),
                    false => context.write_for_decryption(&ciphertext),
                })
            },
        )
    }
}
