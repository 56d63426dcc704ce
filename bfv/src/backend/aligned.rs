//! Residues on cache-line boundaries.

use crate::word::Word;
use bytemuck::Zeroable;
use std::ops::{Deref, DerefMut};
use zeroize::Zeroize;

/// 64 bytes, the size of a cache line and of the widest vector.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; 8]);

// SAFETY: eight integers without padding, for which all zeros is a value.
unsafe impl Zeroable for Line {}
// SAFETY: as above; any bits are a value, and there is no interior pointer.
unsafe impl bytemuck::Pod for Line {}

/// A fixed number of words that start on a cache line.
pub(crate) struct AlignedBuffer<W> {
    lines: Vec<Line>,
    length: usize,
    word: std::marker::PhantomData<W>,
}

impl<W: Word> AlignedBuffer<W> {
    /// `length` zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let lines = (length * size_of::<W>()).div_ceil(size_of::<Line>());
        Self { lines: vec![Line::zeroed(); lines], length, word: std::marker::PhantomData }
    }
}

impl<W: Word> Deref for AlignedBuffer<W> {
    type Target = [W];

    #[inline]
    fn deref(&self) -> &[W] {
        &bytemuck::cast_slice(&self.lines)[..self.length]
    }
}

impl<W: Word> DerefMut for AlignedBuffer<W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [W] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.length]
    }
}

impl<W> Clone for AlignedBuffer<W> {
    fn clone(&self) -> Self {
        Self { lines: self.lines.clone(), length: self.length, word: std::marker::PhantomData }
    }
}

impl<W: Word> Zeroize for AlignedBuffer<W> {
    fn zeroize(&mut self) {
        self.deref_mut().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_cache_line() {
        for length in [0, 1, 15, 16, 4096] {
            let mut buffer = AlignedBuffer::<u32>::zeroed(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.iter().all(|&word| word == 0));
            assert_eq!(buffer.as_ptr().align_offset(64), 0);
            buffer.fill(7);
            let mut copy = buffer.clone();
            assert_eq!(*copy, *buffer);
            copy.zeroize();
            assert!(copy.iter().all(|&word| word == 0));
        }
    }
}
