//! Oblivious expansion: from a ciphertext of many values to one ciphertext a value.
//!
//! At each step an automorphism tells the values of even places from those of odd ones; a binary tree
//! of steps leaves one value a leaf, multiplied by 2^(number of steps), which the client divided by
//! beforehand. Ciphertexts stay in evaluation form, with the coefficients of the second polynomial at
//! hand, so that no transform is done and undone between steps.

use super::work::Work;
use crate::error::Error;
use crate::parameters::{ExpansionStep, expansion_steps};
use crate::threads;
use bfv::{Ciphertext, Coefficient, DualCiphertext, Word};

/// The part of the tree below one node.
struct Node<W> {
    ciphertext: DualCiphertext<W>,
    /// The place of its first value in the query's list, and the distance to the next one.
    first: usize,
    stride: usize,
    /// How many values it holds.
    count: usize,
    /// Steps above it.
    depth: usize,
}

impl<W: Word> Work<'_, W> {
    /// All values of a query, in order.
    pub(super) fn expand(
        &self,
        query: &[Ciphertext<W, Coefficient>],
        calls: usize,
    ) -> Result<Vec<DualCiphertext<W>>, Error> {
        let parameters = self.database.parameters();
        let total = parameters.expanded(calls);
        let degree = parameters.encryption().degree();
        // A key may hold more than this shard asks for; then there is less to do.
        let elements: Vec<_> = self.keys.galois_elements().collect();
        let steps = &expansion_steps(degree, total as u64, &elements)?;
        let parts = self.execution.map((0..query.len()).collect(), |index| {
            let count = (total - index * degree).min(degree);
            let height = count.next_power_of_two().ilog2() as usize;
            // Steps are those of polynomials of N coefficients, whatever the height of the tree.
            let steps = steps.get(..height).ok_or(Error::Mismatch("the query"))?;
            let ciphertext = self.tables.context.to_dual(&query[index])?;
            let first = index * degree;
            let root = Node { ciphertext, first, stride: 1, count, depth: 0 };
            let mut leaves = Vec::with_capacity(count);
            self.descend(root, steps, &mut leaves)?;
            leaves.sort_by_key(|(place, _)| *place);
            Ok(leaves)
        })?;
        Ok(parts.into_iter().flatten().map(|(_, leaf)| leaf).collect())
    }

    /// Whether the value at a place goes into products of ciphertexts, which need coefficients.
    fn needs_coefficients(&self, place: usize) -> bool {
        let parameters = self.database.parameters();
        self.multiplies() && place % parameters.expanded(1) >= parameters.rows()
    }

    fn descend(
        &self,
        node: Node<W>,
        steps: &[ExpansionStep],
        leaves: &mut Vec<(usize, DualCiphertext<W>)>,
    ) -> Result<(), Error> {
        let context = &self.tables.context;
        let Node { ciphertext, first, stride, count, depth } = node;
        if count == 1 {
            // Leaves one step above the others lack one doubling.
            let missing = depth < steps.len();
            let leaf = if missing { context.double_dual(&ciphertext) } else { ciphertext };
            leaves.push((first, leaf));
            return Ok(());
        }
        self.execution.check()?;
        let ExpansionStep { element, repeats } = steps[depth];
        let (even, odd) = (count.div_ceil(2), count / 2);
        let goes_on = |place, count| count > 1 || self.needs_coefficients(place);
        let wanted = goes_on(first, even) || goes_on(first + stride, odd);
        // All but the last automorphism, which the split does.
        let mut image = None;
        for _ in 1..repeats {
            let source = image.as_ref().unwrap_or(&ciphertext);
            image = Some(context.apply_galois_dual(source, element, self.keys, true)?);
        }
        let source = image.as_ref().unwrap_or(&ciphertext);
        let monomial = &self.tables.monomials[depth];
        let [x, y] = context.split(&ciphertext, source, element, self.keys, monomial, wanted)?;
        drop((ciphertext, image));
        let child = |ciphertext, first, count| Node {
            ciphertext,
            first,
            stride: 2 * stride,
            count,
            depth: depth + 1,
        };
        let (x, y) = (child(x, first, even), child(y, first + stride, odd));
        let mut others = Vec::new();
        let (a, b) = threads::join(
            self.execution.parallel,
            || self.descend(x, steps, leaves),
            || self.descend(y, steps, &mut others),
        );
        leaves.append(&mut others);
        a.and(b)
    }
}
