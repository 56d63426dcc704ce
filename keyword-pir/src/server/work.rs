//! The work on one query.

use super::execution::{Execution, StageTimer};
use crate::database::Database;
use crate::error::Error;
use crate::scheme::Tables;
use bfv::{
    Ciphertext, CiphertextVector, Coefficient, DualCiphertext, Operand, PreparedEvaluationKey, Word,
};
use std::cell::RefCell;

thread_local! {
    /// For words that are read from a file: a new buffer for each answer would have to be cleared.
    static BUFFER: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// The work on one query, in words of one width.
pub(super) struct Work<'w, W: Word> {
    pub(super) database: &'w Database,
    pub(super) tables: &'w Tables<W>,
    pub(super) keys: &'w PreparedEvaluationKey<W>,
    pub(super) execution: &'w Execution<'w>,
    pub(super) timer: &'w StageTimer,
}

impl<W: Word> Work<'_, W> {
    /// The ciphertexts of the reply, for each lookup.
    pub(super) fn answer(
        &self,
        query: &[Ciphertext<W, Coefficient>],
        calls: usize,
    ) -> Result<Vec<Vec<Ciphertext<W, Coefficient>>>, Error> {
        self.execution.check()?;
        let parameters = self.database.parameters();
        let expanded =
            self.timer.time(|times| &mut times.expansion, || self.expand(query, calls))?;
        let chunks = parameters.chunks();
        let mut values = expanded.into_iter();
        let mut take = |count| values.by_ref().take(count).collect::<Vec<_>>();
        let second = parameters.expanded(1) - parameters.rows();
        let lookups: Vec<_> = (0..calls).map(|_| (take(parameters.rows()), take(second))).collect();
        // Of one lookup: the first dimension, and the second ready for products.
        let dimensions = self.execution.map(lookups, |(first, second)| {
            let vector = self.tables.context.arrange(first)?;
            let second = match self.multiplies() {
                true => self.timer.time(
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
    pub(super) fn multiplies(&self) -> bool {
        let parameters = self.database.parameters();
        parameters.has_second_dimension() && (parameters.columns() > 1 || self.execution.identical)
    }

    fn operand(&self, value: DualCiphertext<W>) -> Result<Operand<W>, Error> {
        let context = &self.tables.context;
        let coefficients = context.dual_coefficients(&value);
        Ok(context.operand_from(value.into_slots(), &coefficients)?)
    }

    /// The reply to one lookup in one chunk of one table.
    fn reply(
        &self,
        vector: &CiphertextVector<W>,
        second: &[Operand<W>],
        table: usize,
        chunk: usize,
    ) -> Result<Ciphertext<W, Coefficient>, Error> {
        let context = &self.tables.context;
        let columns = self.timer.time(
            |times| &mut times.first_dimension,
            || {
                let mut buffer = BUFFER.take();
                let matrix = self.database.matrix(context, table, chunk, &mut buffer)?;
                let columns = context.multiply_columns(vector, matrix)?;
                BUFFER.set(buffer);
                Ok::<_, Error>(columns)
            },
        )?;
        self.execution.check()?;
        let mut ciphertext = if self.multiplies() {
            let product = self.timer.time(
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
            self.timer
                .time(|times| &mut times.reply, || context.relinearize(&product, self.keys))?
        } else {
            let sum = columns.into_iter().next().ok_or(Error::Mismatch("the database"))?;
            self.timer.time(|times| &mut times.first_dimension, || context.to_coefficients(sum))
        };
        let switched = || context.mod_switch_to_single(&mut ciphertext);
        self.timer.time(|times| &mut times.reply, switched)?;
        Ok(ciphertext)
    }
}
