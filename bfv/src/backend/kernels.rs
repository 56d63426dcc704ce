//! Element-wise loops over rows of residues: safe code, compiled once for each back end.
//!
//! Rows of one call have equal lengths; a shorter one shortens the work or panics, it never reads past its
//! end. No loop branches on a value, so the same code serves secret and public rows.
//!
//! Sums of products are kept in words of twice the width. Bounds: after [`Modulus::lazy_products`]
//! products a sum is folded to below p·R, R = 2^(bits of the word), so that it never overflows; where
//! all products together stay below p·R ([`Modulus::reduces_at_once`]), nothing is folded.
#![allow(unsafe_code, reason = "calls of functions that need CPU features")]

use crate::arithmetic::modulus::{Factor, Modulus};
use crate::arithmetic::word::MachineWord;
use crate::cpu::{Backend, Level};

/// Coefficients whose sums of products are kept in registers together. Rows are cut into tiles of
/// this many; it is part of the layout of prepared keys and of database files.
pub(crate) const TILE: usize = 32;

/// What makes a base conversion exact: e·constant, and `over` where e has reached `threshold`.
pub struct Correction<'e, W> {
    /// e, one number for each coefficient.
    pub(crate) extra: &'e [W],
    /// What each e is multiplied by.
    pub(crate) constant: W,
    /// The first e that stands for a negative number.
    pub(crate) threshold: W,
    /// What is added for e at `threshold` and above.
    pub(crate) over: W,
}

/// A row of an automorphism's image, as a key switch leaves it: (sum - rounded)·inverse, and what is added.
pub struct Image<'r, W> {
    /// The sum of products with the key, below p. If `keep`, the image takes its place.
    pub(crate) sum: &'r mut [W],
    /// What the division by the key modulus rounds away, at most `bound`.
    pub(crate) rounded: &'r [W],
    /// What `rounded` is at most: a multiple of p, of which five times fit a word.
    pub(crate) bound: W,
    /// The inverse of the key modulus.
    pub(crate) inverse: Factor<W>,
    /// A row of slots below p, and the table of an automorphism of it.
    pub(crate) added: Option<(&'r [W], &'r [u32])>,
    /// Whether the image itself is needed.
    pub(crate) keep: bool,
}

/// Defines functions whose bodies are compiled for every back end. The first argument of each
/// function is the back end.
macro_rules! kernels {
    ($( $(#[$meta:meta])* fn $name:ident<$word:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block )*) => {
        $(
            $(#[$meta])*
            #[allow(clippy::too_many_arguments, reason = "constants of one formula")]
            pub(crate) fn $name<$word: MachineWord>(backend: Backend, $($arg: $ty),*) {
                #[inline(always)]
                fn portable<$word: MachineWord>($($arg: $ty),*) $body

                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,bmi2")]
                fn avx2<$word: MachineWord>($($arg: $ty),*) {
                    portable($($arg),*);
                }

                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi2")]
                fn avx512<$word: MachineWord>($($arg: $ty),*) {
                    portable($($arg),*);
                }

                match backend.level() {
                    Level::Portable => portable($($arg),*),
                    // SAFETY: the level carries the proof that the CPU has AVX2 and BMI2.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2(_) => unsafe { avx2($($arg),*) },
                    // SAFETY: the level carries the proof that the CPU has AVX2, BMI2 and these
                    // sets of AVX-512.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512(_) => unsafe { avx512($($arg),*) },
                    // Every build for this processor may use its vectors.
                    #[cfg(target_arch = "aarch64")]
                    Level::Neon(_) => portable($($arg),*),
                }
            }
        )*
    };
}

kernels! {
    /// a += b.
    fn add<W>(a: &mut [W], b: &[W], m: Modulus<W>) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = m.add(*x, y);
        }
    }

    /// a -= b.
    fn sub<W>(a: &mut [W], b: &[W], m: Modulus<W>) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = m.sub(*x, y);
        }
    }

    /// (a + b, w·(a - b)) for b, the image of an automorphism, and w in Montgomery form.
    fn split_row<W>(out: [&mut [W]; 2], image: Image<'_, W>, a: &[W], w: &[W], m: Modulus<W>) {
        let Image { sum, rounded, bound, inverse, added, keep } = image;
        let [plus, minus] = out;
        let tiles = plus.chunks_mut(TILE).zip(minus.chunks_mut(TILE)).zip(sum.chunks_mut(TILE));
        for (tile, ((plus, minus), sum)) in tiles.enumerate() {
            let places = tile * TILE..tile * TILE + sum.len();
            let mut image = [W::ZERO; TILE];
            for ((b, &x), &y) in image.iter_mut().zip(&*sum).zip(&rounded[places.clone()]) {
                *b = m.mul_factor(bound.wrapping_sub(y).wrapping_add(x), inverse);
            }
            if let Some((from, index)) = added {
                // The mask says to the compiler what the tables hold anyway.
                let mask = from.len() - 1;
                for (b, &i) in image.iter_mut().zip(&index[places.clone()]) {
                    *b = m.add(*b, from[i as usize & mask]);
                }
            }
            let (a, w) = (&a[places.clone()], &w[places]);
            for ((((plus, minus), &x), &y), &w) in plus.iter_mut().zip(minus).zip(a).zip(&image).zip(w) {
                *plus = m.add(x, y);
                *minus = m.montgomery_reduce(m.sub(x, y).widening_mul(w));
            }
            if keep {
                sum.copy_from_slice(&image[..sum.len()]);
            }
        }
    }

    /// (a + b, (a - b)·X^-power) for rows of coefficients, with 0 < power < N.
    fn split_coefficients<W>(out: [&mut [W]; 2], a: &[W], b: &[W], power: usize, m: Modulus<W>) {
        let [plus, minus] = out;
        let top = minus.len() - power;
        for (i, ((plus, &x), &y)) in plus.iter_mut().zip(a).zip(b).enumerate().take(power) {
            *plus = m.add(x, y);
            // What falls below X^0 comes back at the top, negated.
            minus[top + i] = m.sub(y, x);
        }
        let rest = plus[power..].iter_mut().zip(&mut minus[..top]).zip(&a[power..]).zip(&b[power..]);
        for (((plus, minus), &x), &y) in rest {
            *plus = m.add(x, y);
            *minus = m.sub(x, y);
        }
    }

    /// a = -a.
    fn neg<W>(a: &mut [W], m: Modulus<W>) {
        for x in a {
            *x = m.neg(*x);
        }
    }

    /// a ∘= b.
    fn mul<W>(a: &mut [W], b: &[W], m: Modulus<W>) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = m.mul(*x, y);
        }
    }

    /// a = w·a.
    fn mul_factor<W>(a: &mut [W], w: Factor<W>, m: Modulus<W>) {
        for x in a {
            *x = m.mul_factor(*x, w);
        }
    }

    /// out = w·a, of any words.
    fn mul_factor_into<W>(out: &mut [W], a: &[W], w: Factor<W>, m: Modulus<W>) {
        for (o, &x) in out.iter_mut().zip(a) {
            *o = m.mul_factor(x, w);
        }
    }

    /// Montgomery form.
    fn to_montgomery<W>(a: &mut [W], m: Modulus<W>) {
        for x in a {
            *x = m.to_montgomery(*x);
        }
    }

    /// out_i = Σ_k x_ik·weight_k / R, where the words x_ik of number i lie side by side: numbers of 128
    /// bits as residues, or as their Montgomery form, see [`Modulus::word_weights`].
    ///
    /// Bounds: a product is below R·p, and p is at most R/4, so that the sum of at most four is below
    /// R². It is folded once, to below p·R.
    fn reduce_numbers<W>(out: &mut [W], words: &[W], weights: &[W; 4], m: Modulus<W>) {
        if W::BITS == 32 {
            for (o, words) in out.iter_mut().zip(words.as_chunks::<4>().0) {
                let low = W::wide_add(
                    words[0].widening_mul(weights[0]),
                    words[1].widening_mul(weights[1]),
                );
                let high = W::wide_add(
                    words[2].widening_mul(weights[2]),
                    words[3].widening_mul(weights[3]),
                );
                *o = m.montgomery_reduce_any(W::wide_add(low, high));
            }
        } else {
            for (o, words) in out.iter_mut().zip(words.as_chunks::<2>().0) {
                let low = words[0].widening_mul(weights[0]);
                let high = words[1].widening_mul(weights[1]);
                *o = m.montgomery_reduce_any(W::wide_add(low, high));
            }
        }
    }

    /// out ≡ a, below 2p, for any words.
    fn reduce_lazy<W>(out: &mut [W], a: &[W], m: Modulus<W>) {
        for (o, &x) in out.iter_mut().zip(a) {
            *o = m.reduce_lazy(x);
        }
    }

    /// a mod p for any words.
    fn reduce<W>(a: &mut [W], m: Modulus<W>) {
        for x in a {
            *x = m.reduce(*x);
        }
    }

    /// out[j] = from[index[j]]: an automorphism of slots.
    fn permute<W>(out: &mut [W], from: &[W], index: &[u32]) {
        // The mask says to the compiler what the tables hold anyway.
        let mask = from.len() - 1;
        for (o, &i) in out.iter_mut().zip(index) {
            *o = from[i as usize & mask];
        }
    }

    /// out[j] = ±from[index[j]], minus where the index has its top bit set: an automorphism of
    /// coefficients.
    fn permute_signed<W>(out: &mut [W], from: &[W], index: &[u32], m: Modulus<W>) {
        let mask = from.len() - 1;
        for (o, &i) in out.iter_mut().zip(index) {
            let x = from[i as usize & mask];
            *o = if i >> 31 == 0 { x } else { m.neg(x) };
        }
    }

    /// Two inner products that share their first factors: out_c = Σ_j x_j ∘ key_jc / R. `digits` has the
    /// x_j, and what they are below, at most 2^`MODULUS_BITS`. The key's words lie in the order of
    /// reading: for each tile of coefficients, for each of its `count` ciphertexts j, for both c.
    fn switch_row<W>(
        out: [&mut [W]; 2], digits: (&[&[W]], W), key: &[W], count: usize, m: Modulus<W>,
    ) {
        let ([out0, out1], (digits, below)) = (out, digits);
        let group = 2 * TILE * count;
        let limit = m.lazy_products(W::MODULUS_BITS);
        let at_once = m.reduces_at_once(digits.len(), below.to_u64());
        let tiles = out0.chunks_exact_mut(TILE).zip(out1.chunks_exact_mut(TILE));
        for (tile, ((o0, o1), keys)) in tiles.zip(key.chunks_exact(group)).enumerate() {
            let mut sum0 = [W::Wide::default(); TILE];
            let mut sum1 = [W::Wide::default(); TILE];
            for (j, (digit, key)) in digits.iter().zip(keys.chunks_exact(2 * TILE)).enumerate() {
                let (k0, k1) = key.split_at(TILE);
                let digit = &digit[tile * TILE..][..TILE];
                for lane in 0..TILE {
                    sum0[lane] = W::wide_add(sum0[lane], digit[lane].widening_mul(k0[lane]));
                    sum1[lane] = W::wide_add(sum1[lane], digit[lane].widening_mul(k1[lane]));
                }
                if (j + 1).is_multiple_of(limit) {
                    for lane in 0..TILE {
                        sum0[lane] = m.fold(sum0[lane]);
                        sum1[lane] = m.fold(sum1[lane]);
                    }
                }
            }
            for lane in 0..TILE {
                o0[lane] = m.montgomery_reduce_if(sum0[lane], at_once);
                o1[lane] = m.montgomery_reduce_if(sum1[lane], at_once);
            }
        }
    }

    /// The same for rows shorter than a tile: for each j, for both c, all coefficients.
    fn switch_row_short<W>(out: [&mut [W]; 2], digits: &[&[W]], key: &[W], m: Modulus<W>) {
        let [out0, out1] = out;
        let degree = out0.len();
        for lane in 0..degree {
            let (mut sum0, mut sum1) = (W::Wide::default(), W::Wide::default());
            for (j, digit) in digits.iter().enumerate() {
                let at = 2 * j * degree + lane;
                sum0 = m.fold(W::wide_add(sum0, digit[lane].widening_mul(key[at])));
                sum1 = m.fold(W::wide_add(sum1, digit[lane].widening_mul(key[at + degree])));
            }
            out0[lane] = m.montgomery_reduce_any(sum0);
            out1[lane] = m.montgomery_reduce_any(sum1);
        }
    }

    /// out ≡ ⌈x⌋ mod p for the centred representative of x modulo `last`, lazily below 4p: the
    /// part of x that division by `last` rounds away. `half` is ⌊last/2⌋ and `minus_half` its
    /// negative modulo p, which is below p.
    fn centre_row<W>(
        out: &mut [W], from: &[W], last: Modulus<W>, half: W, minus_half: W, m: Modulus<W>,
    ) {
        // Below `last` is below 3p then.
        if last.to_u64() <= 3 * m.to_u64() {
            for (o, &x) in out.iter_mut().zip(from) {
                *o = last.add(x, half).wrapping_add(minus_half);
            }
            return;
        }
        for (o, &x) in out.iter_mut().zip(from) {
            *o = m.reduce_lazy(last.add(x, half)).wrapping_add(minus_half);
        }
    }

    /// a = w·(a - b) + c, for b at most `bound`, a multiple of p.
    fn sub_mul_factor_add<W>(a: &mut [W], b: &[W], bound: W, w: Factor<W>, c: &[W], m: Modulus<W>) {
        for ((x, &y), &z) in a.iter_mut().zip(b).zip(c) {
            let product = m.mul_factor(bound.wrapping_sub(y).wrapping_add(*x), w);
            *x = m.add(product, z);
        }
    }

    /// a = w·(a - b), for b at most `bound`, a multiple of p.
    fn sub_mul_factor<W>(a: &mut [W], b: &[W], bound: W, w: Factor<W>, m: Modulus<W>) {
        for (x, &y) in a.iter_mut().zip(b) {
            *x = m.mul_factor(bound.wrapping_sub(y).wrapping_add(*x), w);
        }
    }

    /// out = (Σ_i y_i·c_i + e·c + [e ≥ threshold]·over) / R: a base conversion with the correction
    /// that makes it exact.
    fn convert_row<W>(
        out: &mut [W], ys: &[&[W]], constants: &[W], correction: &Correction<'_, W>, m: Modulus<W>,
    ) {
        let Correction { extra, constant, threshold, over } = *correction;
        let limit = m.lazy_products(W::MODULUS_BITS) - 1;
        // One product more for what is added at the end.
        let at_once = m.reduces_at_once(ys.len() + 2, 1 << W::MODULUS_BITS);
        for (tile, (o, e)) in out.chunks_mut(TILE).zip(extra.chunks(TILE)).enumerate() {
            let mut sums = [W::Wide::default(); TILE];
            for (i, (y, &c)) in ys.iter().zip(constants).enumerate() {
                for (sum, &x) in sums.iter_mut().zip(&y[tile * TILE..]) {
                    *sum = W::wide_add(*sum, x.widening_mul(c));
                }
                if (i + 1).is_multiple_of(limit) {
                    for sum in &mut sums {
                        *sum = m.fold(*sum);
                    }
                }
            }
            for ((o, &sum), &e) in o.iter_mut().zip(&sums).zip(e) {
                // e < threshold gives a mask of ones.
                let below = e.less_mask(threshold);
                let over = over.wrapping_sub(over.and(below));
                let product = W::wide_add(e.widening_mul(constant), over.wide());
                *o = if at_once {
                    m.montgomery_reduce(W::wide_add(sum, product))
                } else {
                    m.montgomery_reduce_any(W::wide_add(m.fold(sum), product))
                };
            }
        }
    }

    /// out = (Σ_i y_i·c_i) / R.
    fn dot_constants<W>(out: &mut [W], ys: &[&[W]], constants: &[W], m: Modulus<W>) {
        let limit = m.lazy_products(W::MODULUS_BITS);
        let at_once = m.reduces_at_once(ys.len(), 1 << W::MODULUS_BITS);
        for (tile, o) in out.chunks_mut(TILE).enumerate() {
            let mut sums = [W::Wide::default(); TILE];
            for (i, (y, &c)) in ys.iter().zip(constants).enumerate() {
                for (sum, &x) in sums.iter_mut().zip(&y[tile * TILE..]) {
                    *sum = W::wide_add(*sum, x.widening_mul(c));
                }
                if (i + 1).is_multiple_of(limit) {
                    for sum in &mut sums {
                        *sum = m.fold(*sum);
                    }
                }
            }
            for (o, &sum) in o.iter_mut().zip(&sums) {
                *o = m.montgomery_reduce_if(sum, at_once);
            }
        }
    }

    /// x = w·x - (Σ_i y_i·c_i) / R.
    fn floor_row<W>(x: &mut [W], w: Factor<W>, ys: &[&[W]], constants: &[W], m: Modulus<W>) {
        let limit = m.lazy_products(W::MODULUS_BITS);
        let at_once = m.reduces_at_once(ys.len(), 1 << W::MODULUS_BITS);
        for (tile, x) in x.chunks_mut(TILE).enumerate() {
            let mut sums = [W::Wide::default(); TILE];
            for (i, (y, &c)) in ys.iter().zip(constants).enumerate() {
                for (sum, &x) in sums.iter_mut().zip(&y[tile * TILE..]) {
                    *sum = W::wide_add(*sum, x.widening_mul(c));
                }
                if (i + 1).is_multiple_of(limit) {
                    for sum in &mut sums {
                        *sum = m.fold(*sum);
                    }
                }
            }
            for (x, &sum) in x.iter_mut().zip(&sums) {
                *x = m.sub(m.mul_factor(*x, w), m.montgomery_reduce_if(sum, at_once));
            }
        }
    }

    /// out = Σ_i y_i·c_i modulo mask + 1, a power of two.
    fn dot_power_of_two<W>(out: &mut [W], ys: &[&[W]], constants: &[W], mask: W) {
        out.fill(W::ZERO);
        for (y, &c) in ys.iter().zip(constants) {
            for (o, &x) in out.iter_mut().zip(*y) {
                *o = o.wrapping_add(x.wrapping_mul(c));
            }
        }
        for o in out {
            *o = o.and(mask);
        }
    }

    /// Products of a plaintext matrix with a vector of ciphertexts modulo one modulus, over R: for each
    /// column, for both polynomials, Σ_j plaintext_j ∘ item_j over the rows j of the column. `items` has a
    /// pair of rows for each row of the matrix, `out` one for each column. The words of the matrix lie in
    /// the order of reading: for each tile, for each column, for each plaintext of it.
    fn matrix_products<W>(
        out: &mut [[&mut [W]; 2]], items: &[[&[W]; 2]], matrix: &[W], columns: &[Vec<u32>],
        m: Modulus<W>,
    ) {
        let limit = m.lazy_products(m.bits());
        let present: usize = columns.iter().map(Vec::len).sum();
        let mut words = matrix.chunks_exact(TILE);
        let tiles = words.len() / present.max(1);
        assert!(out.len() == columns.len() && words.len() == tiles * present);
        for at in (0..tiles).map(|tile| tile * TILE) {
            for (column, [out0, out1]) in columns.iter().zip(out.iter_mut()) {
                let at_once = m.reduces_at_once(column.len(), m.to_u64());
                let mut sum0 = [W::Wide::default(); TILE];
                let mut sum1 = [W::Wide::default(); TILE];
                for (j, (&row, plaintext)) in column.iter().zip(words.by_ref()).enumerate() {
                    let [item0, item1] = items[row as usize].map(|item| &item[at..][..TILE]);
                    for lane in 0..TILE {
                        let x = plaintext[lane];
                        sum0[lane] = W::wide_add(sum0[lane], x.widening_mul(item0[lane]));
                        sum1[lane] = W::wide_add(sum1[lane], x.widening_mul(item1[lane]));
                    }
                    if (j + 1).is_multiple_of(limit) {
                        for lane in 0..TILE {
                            sum0[lane] = m.fold(sum0[lane]);
                            sum1[lane] = m.fold(sum1[lane]);
                        }
                    }
                }
                let (out0, out1) = (&mut out0[at..][..TILE], &mut out1[at..][..TILE]);
                for lane in 0..TILE {
                    out0[lane] = m.montgomery_reduce_if(sum0[lane], at_once);
                    out1[lane] = m.montgomery_reduce_if(sum1[lane], at_once);
                }
            }
        }
    }

    /// The same for rows shorter than a tile, where the words of a plaintext are a whole row.
    fn matrix_products_short<W>(
        out: &mut [[&mut [W]; 2]], items: &[[&[W]; 2]], matrix: &[W], columns: &[Vec<u32>],
        m: Modulus<W>,
    ) {
        let mut words = matrix;
        for (column, out) in columns.iter().zip(out) {
            for out in out.iter_mut() {
                out.fill(W::ZERO);
            }
            for &row in column {
                let items = items[row as usize];
                let (plaintext, rest) = words.split_at(items[0].len());
                words = rest;
                for (out, item) in out.iter_mut().zip(items) {
                    for ((o, &x), &y) in out.iter_mut().zip(plaintext).zip(item) {
                        *o = m.add(*o, m.montgomery_reduce(x.widening_mul(y)));
                    }
                }
            }
        }
    }

    /// Sums of products of two-polynomial ciphertexts, over R: (Σ a0·b0, Σ a0·b1 + a1·b0, Σ a1·b1).
    fn product_row<W>(out: [&mut [W]; 3], a: &[[&[W]; 2]], b: &[[&[W]; 2]], m: Modulus<W>) {
        const PART: usize = 16;
        let limit = (m.lazy_products(m.bits()) / 2).max(1);
        let at_once = m.reduces_at_once(2 * a.len(), m.to_u64());
        let [out0, out1, out2] = out;
        let parts = out0.chunks_mut(PART).zip(out1.chunks_mut(PART)).zip(out2.chunks_mut(PART));
        for (part, ((o0, o1), o2)) in parts.enumerate() {
            let mut s0 = [W::Wide::default(); PART];
            let mut s1 = [W::Wide::default(); PART];
            let mut s2 = [W::Wide::default(); PART];
            let at = part * PART;
            for (j, ([a0, a1], [b0, b1])) in a.iter().zip(b).enumerate() {
                let rows = a0[at..].iter().zip(&a1[at..]).zip(b0[at..].iter().zip(&b1[at..]));
                let sums = s0.iter_mut().zip(&mut s1).zip(&mut s2);
                for (((s0, s1), s2), ((&a0, &a1), (&b0, &b1))) in sums.zip(rows) {
                    *s0 = W::wide_add(*s0, a0.widening_mul(b0));
                    *s1 = W::wide_add(*s1, a0.widening_mul(b1));
                    *s1 = W::wide_add(*s1, a1.widening_mul(b0));
                    *s2 = W::wide_add(*s2, a1.widening_mul(b1));
                }
                if (j + 1).is_multiple_of(limit) {
                    for sum in s0.iter_mut().chain(&mut s1).chain(&mut s2) {
                        *sum = m.fold(*sum);
                    }
                }
            }
            for (o, sums) in [(o0, &s0), (o1, &s1), (o2, &s2)] {
                for (o, &sum) in o.iter_mut().zip(sums) {
                    *o = m.montgomery_reduce_if(sum, at_once);
                }
            }
        }
    }
}
