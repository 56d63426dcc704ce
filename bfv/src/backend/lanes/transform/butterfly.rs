//! What a stage of the transform does with two vectors, and how far its numbers may grow.

use super::super::Lanes;
use crate::arithmetic::word::MachineWord;

/// What a direction of the transform does with two vectors, and around each pass of at most four stages.
pub(super) trait Butterflies<W: MachineWord, V: Lanes<W>>: Copy {
    /// The first inputs of the first stage of a pass.
    #[inline(always)]
    fn enter(self, x: V) -> V {
        x
    }
    /// Both outputs of stage `stage` of a pass, in the place of both inputs.
    fn butterfly(self, x: &mut V, y: &mut V, root: (V, V), stage: usize);
    /// Results of the transform, to below p.
    fn leave(self, x: V) -> V;
    /// Results of the transform, to below [`NttTable::lazy_bound`].
    #[inline(always)]
    fn leave_lazily(self, x: V) -> V {
        self.leave(x)
    }
}

/// What the inverse transform does, which ends with a stage that divides by N.
pub(super) trait InverseButterflies<W: MachineWord, V: Lanes<W>>: Butterflies<W, V> {
    /// The butterfly of the last stage: both outputs times N^-1, below p.
    fn last(self, x: &mut V, y: &mut V, scale: Scale<V>);
}

/// A modulus p in all lanes, and the bound of products.
#[derive(Clone, Copy)]
pub(super) struct Bounds<V> {
    p: V,
    /// `SLACK`·p.
    slack_p: V,
}

impl<V> Bounds<V> {
    #[inline(always)]
    pub(super) fn new<W: MachineWord>(cpu: V::Cpu, p: W) -> Self
    where
        V: Lanes<W>,
    {
        let slack_p = (1..V::SLACK).fold(p, |sum, _| sum.wrapping_add(p));
        Self { p: V::splat(cpu, p), slack_p: V::splat(cpu, slack_p) }
    }
}

/// Forward, for all moduli: x + w·y and x - w·y, both below 4p for x and y below 4p.
#[derive(Clone, Copy)]
pub(super) struct Forward<V>(pub(super) Bounds<V>);

impl<W: MachineWord, V: Lanes<W>> Butterflies<W, V> for Forward<V> {
    #[inline(always)]
    fn butterfly(self, x: &mut V, y: &mut V, (value, quotient): (V, V), _: usize) {
        let u = x.before_forward(self.0.slack_p);
        let v = y.mul_lazy(value, quotient, self.0.p);
        *x = u.add(v);
        *y = u.sub(v).add(self.0.slack_p);
    }
    #[inline(always)]
    fn leave(self, x: V) -> V {
        x.after_forward(self.0.p)
    }
}

/// Forward, for a word of 32 bits and 16p below 2^32: x + w·y and x - w·y without a reduction, since
/// quotients that are larger by 1 make products centred, between -p and p.
///
/// Why: let w' be ⌊w·R/p⌋ + 1. Then y·w - ⌊y·w'/R⌋·p is p times y·(w/p - w'/R), which is above -1 and at
/// most 0, plus a fraction of 1.
///
/// Bounds: a pass begins with numbers below 16p. Those that are not multiplied first are brought below 8p
/// and have 4p added: from 4p to 12p. Each stage widens that by p at both ends, so that after four stages
/// numbers are above 0 and below 16p.
#[derive(Clone, Copy)]
pub(super) struct Centred<V> {
    p: V,
    p2: V,
    p4: V,
    p8: V,
}

impl<V> Centred<V> {
    #[inline(always)]
    pub(super) fn new<W: MachineWord>(cpu: V::Cpu, p: W) -> Self
    where
        V: Lanes<W>,
    {
        let p = V::splat(cpu, p);
        let [p2, p4] = [p.add(p), p.add(p).add(p.add(p))];
        Self { p, p2, p4, p8: p4.add(p4) }
    }
}

/// x, less `bound` where x is not below it.
#[inline(always)]
fn less_once<W: MachineWord, V: Lanes<W>>(x: V, bound: V) -> V {
    // The difference wraps to a huge number exactly where x is below the bound.
    x.min(x.sub(bound))
}

impl<W: MachineWord, V: Lanes<W>> Butterflies<W, V> for Centred<V> {
    #[inline(always)]
    fn enter(self, x: V) -> V {
        less_once(x, self.p8).add(self.p4)
    }
    #[inline(always)]
    fn butterfly(self, x: &mut V, y: &mut V, (value, quotient): (V, V), _: usize) {
        let (u, v) = (*x, y.mul_lazy(value, quotient, self.p));
        *x = u.add(v);
        *y = u.sub(v);
    }
    #[inline(always)]
    fn leave(self, x: V) -> V {
        less_once(less_once(self.leave_lazily(x), self.p2), self.p)
    }
    #[inline(always)]
    fn leave_lazily(self, x: V) -> V {
        less_once(less_once(x, self.p8), self.p4)
    }
}

/// Inverse: x + y and w·(x - y), both below 2p for x and y below 2p.
#[derive(Clone, Copy)]
pub(super) struct Inverse<V>(pub(super) Bounds<V>);

/// Factors of the last stage of the inverse transform in all lanes, each with its quotient.
#[derive(Clone, Copy)]
pub(super) struct Scale<V> {
    /// N^-1 mod p, for sums.
    pub(super) sum: (V, V),
    /// The root of the stage times N^-1, for differences.
    pub(super) difference: (V, V),
}

impl<W: MachineWord, V: Lanes<W>> InverseButterflies<W, V> for Inverse<V> {
    #[inline(always)]
    fn last(self, x: &mut V, y: &mut V, scale: Scale<V>) {
        let Scale { sum: (s, s_quotient), difference: (d, d_quotient) } = scale;
        let (sum, difference) = (x.add(*y), x.sub(*y).add(self.0.slack_p));
        *x = self.leave(sum.mul_lazy(s, s_quotient, self.0.p));
        *y = self.leave(difference.mul_lazy(d, d_quotient, self.0.p));
    }
}

impl<W: MachineWord, V: Lanes<W>> Butterflies<W, V> for Inverse<V> {
    #[inline(always)]
    fn butterfly(self, x: &mut V, y: &mut V, (value, quotient): (V, V), _: usize) {
        let sum = x.add(*y);
        let difference = x.sub(*y).add(self.0.slack_p);
        *x = less_once(sum, self.0.slack_p);
        *y = difference.mul_lazy(value, quotient, self.0.p);
    }
    #[inline(always)]
    fn leave(self, x: V) -> V {
        x.after_inverse(self.0.p)
    }
}
