//! Work shared out over the threads of rayon's current pool, where the feature `parallel` is on;
//! one piece after the other where it is off.

#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// Does both pieces of work, on two threads if `parallel`.
pub(crate) fn join<A: Send, B: Send>(
    parallel: bool,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "parallel")]
    if parallel {
        return rayon::join(a, b);
    }
    let _ = parallel;
    (a(), b())
}

/// Does the work on each item, on all threads if `parallel`, and keeps their order. Stops at an
/// error.
pub(crate) fn map<I: Send, T: Send, E: Send>(
    parallel: bool,
    items: Vec<I>,
    work: impl Fn(I) -> Result<T, E> + Sync + Send,
) -> Result<Vec<T>, E> {
    #[cfg(feature = "parallel")]
    if parallel {
        return items.into_par_iter().map(work).collect();
    }
    let _ = parallel;
    items.into_iter().map(work).collect()
}

/// Whether something holds for each number below `count`.
pub(crate) fn all(count: usize, holds: impl Fn(usize) -> bool + Sync + Send) -> bool {
    #[cfg(feature = "parallel")]
    return (0..count).into_par_iter().all(holds);
    #[cfg(not(feature = "parallel"))]
    return (0..count).all(holds);
}

/// Does the work on each part of `size` items, of which there are as many as inputs.
pub(crate) fn for_each_part<T: Send, I: Sync>(
    out: &mut [T],
    size: usize,
    inputs: &[I],
    work: impl Fn(&mut [T], &I) + Sync + Send,
) {
    #[cfg(feature = "parallel")]
    out.par_chunks_mut(size)
        .zip(inputs)
        .with_min_len(256)
        .for_each(|(out, input)| work(out, input));
    #[cfg(not(feature = "parallel"))]
    out.chunks_mut(size).zip(inputs).for_each(|(out, input)| work(out, input));
}
