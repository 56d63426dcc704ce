//! Vectors as arrays, for tests of the algorithms with any number of lanes on any machine: those of
//! register types that this machine lacks, too.

use super::transform::signed::SignedLanes;
use super::{Lanes, NarrowLanes};

/// L residues of 32 bits, 2 ≤ L ≤ 16. Products are those of halves, or of even and odd lanes.
#[derive(Clone, Copy)]
pub(crate) struct Model<const L: usize, const HALVES: bool>([u32; L]);

impl<const L: usize, const HALVES: bool> Model<L, HALVES> {
    /// The lane of product i.
    fn first(self, i: usize) -> u32 {
        self.0[if HALVES { i } else { 2 * i }]
    }

    fn each(f: impl Fn(usize) -> u32) -> Self {
        Self(std::array::from_fn(f))
    }

    fn wide(self, pair: usize) -> u64 {
        u64::from(self.0[2 * pair]) | u64::from(self.0[2 * pair + 1]) << 32
    }

    fn each_wide(f: impl Fn(usize) -> u64) -> Self {
        Self::each(|i| (f(i / 2) >> (32 * (i % 2))) as u32)
    }
}

impl<const L: usize, const HALVES: bool> Lanes<u32> for Model<L, HALVES> {
    type Cpu = ();

    const COUNT: usize = L;
    const RADIX: usize = 16;

    fn splat((): (), value: u32) -> Self {
        Self([value; L])
    }
    unsafe fn load((): (), from: *const u32) -> Self {
        // SAFETY: the caller knows that L words can be read.
        Self::each(|i| unsafe { *from.add(i) })
    }
    unsafe fn store(self, to: *mut u32) {
        for (i, &word) in self.0.iter().enumerate() {
            // SAFETY: the caller knows that L words can be written.
            unsafe { *to.add(i) = word };
        }
    }
    fn add(self, other: Self) -> Self {
        Self::each(|i| self.0[i].wrapping_add(other.0[i]))
    }
    fn sub(self, other: Self) -> Self {
        Self::each(|i| self.0[i].wrapping_sub(other.0[i]))
    }
    fn min(self, other: Self) -> Self {
        Self::each(|i| self.0[i].min(other.0[i]))
    }
    fn mul_lazy(self, value: Self, quotient: Self, p: Self) -> Self {
        Self::each(|i| {
            let high = (u64::from(self.0[i]) * u64::from(quotient.0[i])) >> 32;
            self.0[i].wrapping_mul(value.0[i]).wrapping_sub((high as u32).wrapping_mul(p.0[i]))
        })
    }
    fn permute(self, index: &[u32]) -> Self {
        Self::each(|i| self.0[index[i] as usize % L])
    }
    fn transpose(rows: &mut [Self]) {
        assert_eq!(rows.len(), L);
        for i in 0..L {
            for j in 0..i {
                let (low, high) = rows.split_at_mut(i);
                std::mem::swap(&mut low[j].0[i], &mut high[0].0[j]);
            }
        }
    }
}

impl<const L: usize, const HALVES: bool> SignedLanes for Model<L, HALVES> {
    fn mul_signed(self, value: Self, quotient: Self, p: Self) -> Self {
        Self::each(|i| {
            let product =
                i64::from(self.0[i].cast_signed()) * i64::from(quotient.0[i].cast_signed());
            let high = (product + (1 << 30)) >> 31;
            self.0[i].wrapping_mul(value.0[i]).wrapping_add((high as u32).wrapping_mul(p.0[i]))
        })
    }
}

impl<const L: usize, const HALVES: bool> NarrowLanes for Model<L, HALVES> {
    fn prefetch((): (), _: *const u32) {}
    fn zero((): ()) -> Self {
        Self([0; L])
    }
    fn second(self) -> Self {
        Self::each(|i| self.0[(i + if HALVES { L / 2 } else { 1 }) % L])
    }
    fn mul_first(self, other: Self) -> Self {
        Self::each_wide(|i| u64::from(self.first(i)) * u64::from(other.first(i)))
    }
    fn widen_first(self) -> Self {
        Self::each_wide(|i| u64::from(self.first(i)))
    }
    fn widen_second(self) -> Self {
        Self::each_wide(|i| u64::from(self.second().first(i)))
    }
    fn wide_low(self) -> Self {
        Self::each_wide(|i| self.wide(i) & 0xffff_ffff)
    }
    fn wide_high(self) -> Self {
        Self::each_wide(|i| self.wide(i) >> 32)
    }
    fn mul_wide(self, constant: Self) -> Self {
        Self::each_wide(|i| (self.wide(i) & 0xffff_ffff) * u64::from(constant.0[0]))
    }
    fn add_wide(self, other: Self) -> Self {
        Self::each_wide(|i| self.wide(i).wrapping_add(other.wide(i)))
    }
    fn high_halves(first: Self, second: Self) -> Self {
        let mut out = [0; L];
        for i in 0..L / 2 {
            let places = if HALVES { [i, L / 2 + i] } else { [2 * i, 2 * i + 1] };
            out[places[0]] = (first.wide(i) >> 32) as u32;
            out[places[1]] = (second.wide(i) >> 32) as u32;
        }
        Self(out)
    }
    fn unless_below(self, value: Self, threshold: Self) -> Self {
        Self::each(|i| if value.0[i] >= threshold.0[i] { self.0[i] } else { 0 })
    }
    fn select(mask: Self, a: Self, b: Self) -> Self {
        Self::each(|i| mask.0[i] & a.0[i] | !mask.0[i] & b.0[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::modulus::Modulus;
    use crate::backend::kernels::{self, Correction, Image, TILE};
    use crate::backend::lanes::{self, automorphism, narrow, transform};
    use crate::backend::lift::{self, Lift, Source, Target};
    use crate::cpu::Backend;
    use crate::rings::galois::GaloisElement;
    use crate::rings::ntt::NttTable;

    const PRIMES: [u64; 3] = [134_176_769, 268_369_921, 1_073_479_681];

    /// Numbers below a bound, the largest ones among them.
    fn numbers(count: usize, bound: u64, salt: u64) -> Vec<u32> {
        let mut state = salt;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(2 * salt + 1);
            match state >> 61 {
                0 => (bound - 1) as u32,
                _ => (((state >> 32) * bound) >> 32) as u32,
            }
        };
        (0..count).map(next).collect()
    }

    fn transforms<const L: usize>() {
        for (degree, prime) in [(256, PRIMES[0]), (1024, PRIMES[1]), (4096, PRIMES[1])] {
            let portable = NttTable::<u32>::new(degree, prime, Backend::portable()).unwrap();
            let with_lanes = |signed| {
                NttTable::with_lanes(degree, prime, Backend::portable(), L, signed).unwrap()
            };
            let (table, signed) = (with_lanes(false), with_lanes(true));
            let start = numbers(degree, 4 * prime, 3);
            let mut expected = start.clone();
            portable.forward(&mut expected);
            let mut row = vec![0; degree];
            transform::forward::<u32, Model<L, false>, L>(
                (),
                &table,
                Some(&start),
                &mut row,
                false,
            );
            assert!(row == expected, "forward {L} {degree}");
            let mut row_signed = vec![0; degree];
            let mut forward = |lazy| {
                let (from, row) = (Some(&start[..]), &mut row_signed);
                transform::signed::forward::<Model<L, true>, L>((), &signed, from, row, lazy);
                row_signed.clone()
            };
            assert!(forward(false) == expected, "signed forward {L} {degree}");
            let m = signed.modulus();
            let lazy = forward(true);
            assert!(lazy.iter().all(|&x| x < signed.lazy_bound()));
            let lazy: Vec<u32> = lazy.into_iter().map(|x| m.reduce(x)).collect();
            assert!(lazy == expected, "signed lazy forward {L} {degree}");
            let mut back = vec![0; degree];
            transform::inverse::<u32, Model<L, false>, L>((), &table, Some(&row), &mut back);
            // Some slots are as large as a caller may leave them.
            for slot in row.iter_mut().step_by(3) {
                *slot += prime as u32;
            }
            let mut back_signed = vec![0; degree];
            let (from, out) = (Some(&row[..]), &mut back_signed);
            transform::signed::inverse::<Model<L, true>, L>((), &signed, from, out);
            portable.inverse(&mut expected);
            assert!(back == expected, "inverse {L} {degree}");
            assert!(back_signed == expected, "signed inverse {L} {degree}");
        }
    }

    fn automorphisms<const L: usize>() {
        let degree = 4096;
        let m = Modulus::<u32>::new(PRIMES[1]).unwrap();
        let from = numbers(degree, PRIMES[1], 5);
        let mut shifted = 0;
        for power in 1..=12 {
            let element = GaloisElement::new((1 << power) + 1, degree).unwrap();
            let Some(rows) = automorphism::rows(element.get(), degree, L) else { continue };
            let (mut expected, mut found) = (vec![1; degree], vec![2; degree]);
            let index = element.coefficient_table(degree);
            kernels::permute_signed(Backend::portable(), &mut expected, &from, &index, m);
            automorphism::permute_rows::<Model<L, false>>((), &mut found, &from, rows, m);
            assert!(found == expected, "{L} {power}");
            shifted += 1;
        }
        // 129 to 4097, which keys of 4096 coefficients are made for.
        assert_eq!(shifted, 6);
    }

    fn sums<const L: usize, const HALVES: bool>() {
        let portable = Backend::portable();
        for prime in PRIMES {
            let m = Modulus::<u32>::new(prime).unwrap();
            let columns = vec![(0..40).collect(), vec![], vec![1, 3]];
            let (items, words) = (numbers(160 * TILE, prime, 1), numbers(84 * TILE, prime, 2));
            let items: Vec<[&[u32]; 2]> =
                items.chunks_exact(4 * TILE).map(|pair| pair.split_at(2 * TILE).into()).collect();
            let mut expected = vec![1; 12 * TILE];
            let mut found = vec![2; 12 * TILE];
            let pairs = |out| {
                <[u32]>::chunks_exact_mut(out, 4 * TILE)
                    .map(|pair| pair.split_at_mut(2 * TILE).into())
                    .collect::<Vec<[&mut [u32]; 2]>>()
            };
            kernels::matrix_products(
                portable,
                &mut pairs(&mut expected),
                &items,
                &words,
                &columns,
                m,
            );
            narrow::matrix_products::<Model<L, HALVES>>(
                (),
                &mut pairs(&mut found),
                &items,
                &words,
                &columns,
                m,
            );
            assert_eq!(found, expected);

            let rows: Vec<Vec<u32>> = (0..12).map(|i| numbers(2 * TILE, prime, 3 + i)).collect();
            let rows: Vec<&[u32]> = rows.iter().map(|row| &row[..]).collect();
            let key = numbers(2 * 2 * TILE * 3, prime, 4);
            let mut expected = [vec![1; 2 * TILE], vec![1; 2 * TILE]];
            let mut found = expected.clone();
            let [a, b] = &mut expected;
            // As a lazy transform gives them.
            let below = if prime < 1 << 28 { 4 * prime } else { prime };
            let digits = [numbers(2 * TILE, below, 6), numbers(2 * TILE, below, 7)];
            let digits: &[&[u32]] = &[&digits[0], &digits[1]];
            let digits = (digits, below as u32);
            kernels::switch_row(portable, [a, b], digits, &key, 3, m);
            let [a, b] = &mut found;
            narrow::switch_row::<Model<L, HALVES>>((), [a, b], digits, &key, 3, m);
            assert_eq!(found, expected);

            let correction = Correction {
                extra: &numbers(2 * TILE, 1 << 16, 9),
                constant: 12_345,
                threshold: 1 << 15,
                over: prime as u32 - 7,
            };
            let constants = numbers(3, prime, 8);
            let (mut expected, mut found) = (vec![1; 2 * TILE], vec![2; 2 * TILE]);
            let ys = &rows[..3];
            kernels::convert_row(portable, &mut expected, ys, &constants, &correction, m);
            narrow::convert_row::<Model<L, HALVES>>((), &mut found, ys, &constants, &correction, m);
            assert_eq!(found, expected);

            let pairs: Vec<[&[u32]; 2]> = rows.chunks_exact(2).map(|c| [c[0], c[1]]).collect();
            let mut expected = [(); 3].map(|()| vec![1; 2 * TILE]);
            let mut found = expected.clone();
            let [a, b, c] = &mut expected;
            kernels::product_row(portable, [a, b, c], &pairs[..3], &pairs[3..], m);
            let [a, b, c] = &mut found;
            narrow::product_row::<Model<L, HALVES>>((), [a, b, c], &pairs[..3], &pairs[3..], m);
            assert_eq!(found, expected);
        }
    }

    /// For each number of rows that vectors serve, to one row more, as operands of products have it.
    fn lifts<const L: usize, const HALVES: bool>() {
        let degree = 64;
        let prime = |at: usize| PRIMES[at % PRIMES.len()];
        let modulus = |at: usize| Modulus::<u32>::new(prime(at)).unwrap();
        for count in 1..=lanes::lift::MAX_ROWS {
            let weights = numbers(count, 1 << 32, 3);
            let constants: Vec<_> =
                (0..=count).map(|i| numbers(count, prime(i + 1), 4 + i as u64)).collect();
            let constants = Lift {
                sources: (0..count)
                    .map(|i| Source {
                        modulus: modulus(i),
                        factor: modulus(i).factor(prime(i) as u32 - 3),
                        weight: weights[i],
                    })
                    .collect(),
                mask: (1 << 16) - 1,
                threshold: 1 << 15,
                targets: (0..=count)
                    .map(|i| Target {
                        modulus: modulus(i + 1),
                        constants: &constants[i],
                        constant: prime(i + 1) as u32 - 5,
                        over: prime(i + 1) as u32 - 7,
                    })
                    .collect(),
            };
            let rows: Vec<_> =
                (0..count).map(|i| numbers(degree, prime(i), 20 + i as u64)).collect();
            let rows: Vec<&[u32]> = rows.iter().map(|row| &row[..]).collect();
            let (mut expected, mut found) =
                (vec![vec![1; degree]; count + 1], vec![vec![2; degree]; count + 1]);
            let mut out: Vec<&mut [u32]> = expected.iter_mut().map(|row| &mut row[..]).collect();
            lift::lift_rows(Backend::portable(), &mut out, &rows, &constants);
            let mut out: Vec<&mut [u32]> = found.iter_mut().map(|row| &mut row[..]).collect();
            lanes::lift::lift_rows::<Model<L, HALVES>>((), &mut out, &rows, &constants);
            assert!(found == expected, "{L} {count}");
        }
    }

    fn splits<const L: usize, const HALVES: bool>() {
        let degree = 1024;
        let index = GaloisElement::new(33, degree).unwrap().slot_table(degree);
        for prime in PRIMES {
            let m = Modulus::<u32>::new(prime).unwrap();
            let bound = if prime < 1 << 28 { 4 * prime } else { prime };
            let [sum, from, a, w] = [11, 12, 13, 14].map(|seed| numbers(degree, prime, seed));
            let rounded = numbers(degree, bound + 1, 15);
            for (keep, add) in [(false, false), (true, true)] {
                let image = |sum| Image {
                    sum,
                    rounded: &rounded,
                    bound: bound as u32,
                    inverse: m.factor(from[0]),
                    added: add.then_some((&from[..], &index[..])),
                    keep,
                };
                let mut expected = [vec![1; degree], vec![1; degree], sum.clone()];
                let mut found = [vec![2; degree], vec![2; degree], sum.clone()];
                let [plus, minus, sum] = &mut expected;
                kernels::split_row(Backend::portable(), [plus, minus], image(sum), &a, &w, m);
                let [plus, minus, sum] = &mut found;
                narrow::split_row::<Model<L, HALVES>>((), [plus, minus], image(sum), &a, &w, m);
                assert!(found == expected, "{L} {prime} {add}");
            }
        }
    }

    /// 4 lanes as NEON and SSE, 8 as AVX2, 16 as AVX-512.
    #[test]
    fn algorithms_over_vectors_agree_with_their_scalar_twins() {
        transforms::<4>();
        transforms::<8>();
        transforms::<16>();
        automorphisms::<4>();
        automorphisms::<8>();
        automorphisms::<16>();
        sums::<4, true>();
        sums::<8, false>();
        sums::<16, false>();
        splits::<4, true>();
        splits::<8, false>();
        splits::<16, false>();
        lifts::<4, true>();
        lifts::<8, false>();
        lifts::<16, false>();
    }
}
