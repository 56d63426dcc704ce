//! The transform in portable code: the twin that vector back ends are compared with.

use crate::arithmetic::modulus::{Factor, Modulus};
use crate::arithmetic::ntt_table::NttTable;
use crate::arithmetic::word::MachineWord;

/// A modulus and its double.
#[derive(Clone, Copy)]
struct Bounds<W> {
    modulus: Modulus<W>,
    two_p: W,
}

impl<W: MachineWord> Bounds<W> {
    fn new(modulus: &Modulus<W>) -> Self {
        Self { modulus: *modulus, two_p: modulus.value().wrapping_add(modulus.value()) }
    }

    /// x < 4p, y anything; both below 4p afterwards.
    #[inline(always)]
    fn forward(&self, x: W, y: W, root: Factor<W>) -> (W, W) {
        let v = self.modulus.mul_factor_lazy(y, root);
        let u = x.less_once(self.two_p);
        (u.wrapping_add(v), u.wrapping_sub(v).wrapping_add(self.two_p))
    }

    /// Both below 2p, before and after.
    #[inline(always)]
    fn inverse(&self, x: W, y: W, root: Factor<W>) -> (W, W) {
        let sum = x.wrapping_add(y);
        let difference = x.wrapping_sub(y).wrapping_add(self.two_p);
        (sum.less_once(self.two_p), self.modulus.mul_factor_lazy(difference, root))
    }
}

/// The four quarters of a block, side by side.
#[inline(always)]
fn quarters<W>(block: &mut [W]) -> impl Iterator<Item = [&mut W; 4]> {
    let (low, high) = block.split_at_mut(block.len() / 2);
    let (a, b) = low.split_at_mut(low.len() / 2);
    let (c, d) = high.split_at_mut(high.len() / 2);
    a.iter_mut().zip(b).zip(c.iter_mut().zip(d)).map(|((a, b), (c, d))| [a, b, c, d])
}

/// Forward transform: inputs below 4p, outputs below p.
pub(crate) fn forward<W: MachineWord>(table: &NttTable<W>, row: &mut [W]) {
    let bounds = Bounds::new(table.modulus());
    let (mut blocks, mut length) = (1, row.len());
    if length.ilog2() % 2 == 1 {
        let root = table.roots().forward(1)[0];
        let (low, high) = row.split_at_mut(length / 2);
        for (x, y) in low.iter_mut().zip(high) {
            (*x, *y) = bounds.forward(*x, *y, root);
        }
        (blocks, length) = (2, length / 2);
    }
    // Two stages at a time: half the loads and stores.
    while length >= 4 {
        let outer = &table.roots().forward(blocks)[..blocks];
        let inner = table.roots().forward(2 * blocks)[..2 * blocks].chunks_exact(2);
        for ((block, &root), inner) in row.chunks_exact_mut(length).zip(outer).zip(inner) {
            for [a, b, c, d] in quarters(block) {
                let (a1, c1) = bounds.forward(*a, *c, root);
                let (b1, d1) = bounds.forward(*b, *d, root);
                (*a, *b) = bounds.forward(a1, b1, inner[0]);
                (*c, *d) = bounds.forward(c1, d1, inner[1]);
            }
        }
        (blocks, length) = (4 * blocks, length / 4);
    }
    for x in row {
        *x = x.less_once(bounds.two_p).less_once(bounds.modulus.value());
    }
}

/// Inverse transform, divided by N: inputs below 2p, outputs below p.
pub(crate) fn inverse<W: MachineWord>(table: &NttTable<W>, row: &mut [W]) {
    let bounds = Bounds::new(table.modulus());
    let mut length = 4;
    while length <= row.len() {
        let blocks = row.len() / length;
        let outer = &table.roots().inverse(blocks)[..blocks];
        let inner = table.roots().inverse(2 * blocks)[..2 * blocks].chunks_exact(2);
        for ((block, &root), inner) in row.chunks_exact_mut(length).zip(outer).zip(inner) {
            for [a, b, c, d] in quarters(block) {
                let (a1, b1) = bounds.inverse(*a, *b, inner[0]);
                let (c1, d1) = bounds.inverse(*c, *d, inner[1]);
                (*a, *c) = bounds.inverse(a1, c1, root);
                (*b, *d) = bounds.inverse(b1, d1, root);
            }
        }
        length *= 4;
    }
    if length == 2 * row.len() {
        let root = table.roots().inverse(1)[0];
        let (low, high) = row.split_at_mut(length / 4);
        for (x, y) in low.iter_mut().zip(high) {
            (*x, *y) = bounds.inverse(*x, *y, root);
        }
    }
    for x in row {
        *x = bounds.modulus.mul_factor(*x, table.degree_inverse());
    }
}

/// [`forward`], of another row if there is one.
pub(crate) fn forward_from<W: MachineWord>(table: &NttTable<W>, from: Option<&[W]>, row: &mut [W]) {
    if let Some(from) = from {
        row.copy_from_slice(from);
    }
    forward(table, row);
}

/// [`inverse`], of another row if there is one.
pub(crate) fn inverse_from<W: MachineWord>(table: &NttTable<W>, from: Option<&[W]>, row: &mut [W]) {
    if let Some(from) = from {
        row.copy_from_slice(from);
    }
    inverse(table, row);
}
