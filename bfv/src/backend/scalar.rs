//! The transform in portable code: the twin that vector back ends are compared with.

use crate::ntt::NttTable;
use crate::word::Word;

/// Forward transform: inputs below 4p, outputs below p.
pub(crate) fn forward<W: Word>(table: &NttTable<W>, row: &mut [W]) {
    let modulus = table.modulus();
    let two_p = modulus.value().wrapping_add(modulus.value());
    let mut half = row.len() / 2;
    let mut blocks = 1;
    while half > 0 {
        let roots = &table.roots().forward(blocks)[..blocks];
        for (block, &root) in row.chunks_exact_mut(2 * half).zip(roots) {
            let (low, high) = block.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                // x < 4p, y anything; both below 4p afterwards.
                let u = (*x).min(x.wrapping_sub(two_p));
                let v = modulus.mul_factor_lazy(*y, root);
                *x = u.wrapping_add(v);
                *y = u.wrapping_sub(v).wrapping_add(two_p);
            }
        }
        blocks *= 2;
        half /= 2;
    }
    for x in row {
        let below_two_p = (*x).min(x.wrapping_sub(two_p));
        *x = modulus.correct(below_two_p);
    }
}

/// Inverse transform, divided by N: inputs below 2p, outputs below p.
pub(crate) fn inverse<W: Word>(table: &NttTable<W>, row: &mut [W]) {
    let modulus = table.modulus();
    let two_p = modulus.value().wrapping_add(modulus.value());
    let mut half = 1;
    let mut blocks = row.len() / 2;
    while blocks > 0 {
        let roots = &table.roots().inverse(blocks)[..blocks];
        for (block, &root) in row.chunks_exact_mut(2 * half).zip(roots) {
            let (low, high) = block.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                // Both below 2p, before and after.
                let sum = x.wrapping_add(*y);
                let difference = x.wrapping_sub(*y).wrapping_add(two_p);
                *x = sum.min(sum.wrapping_sub(two_p));
                *y = modulus.mul_factor_lazy(difference, root);
            }
        }
        blocks /= 2;
        half *= 2;
    }
    for x in row {
        *x = modulus.mul_factor(*x, table.degree_inverse());
    }
}

/// [`forward`], of another row if there is one.
pub(crate) fn forward_from<W: Word>(table: &NttTable<W>, from: Option<&[W]>, row: &mut [W]) {
    if let Some(from) = from {
        row.copy_from_slice(from);
    }
    forward(table, row);
}

/// [`inverse`], of another row if there is one.
pub(crate) fn inverse_from<W: Word>(table: &NttTable<W>, from: Option<&[W]>, row: &mut [W]) {
    if let Some(from) = from {
        row.copy_from_slice(from);
    }
    inverse(table, row);
}
