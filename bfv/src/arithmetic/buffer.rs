//! Residues on cache-line boundaries.
#![allow(unsafe_code, reason = "two claims about plain bytes")]

use super::word::MachineWord;
use bytemuck::Zeroable;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use zeroize::Zeroize;

/// 64 bytes, the size of a cache line and of the widest vector.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; 8]);

// SAFETY: eight integers without padding, for which all zeros is a value.
unsafe impl Zeroable for Line {}
// SAFETY: eight integers fill the 64 bytes without padding, any bits are a value of them, and there
// is no pointer and no interior mutability.
unsafe impl bytemuck::Pod for Line {}

/// Largest number of bytes of dropped buffers that a thread keeps for reuse.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// Dropped buffers by their number of lines, and the bytes of all of them.
#[derive(Default)]
struct Kept {
    by_size: BTreeMap<usize, Vec<Vec<Line>>>,
    bytes: usize,
}

thread_local! {
    // Fresh memory costs more than the arithmetic on it: the kernel clears each page that it gives.
    static KEPT_BUFFERS: RefCell<Kept> = RefCell::default();
}

fn take(lines: usize) -> Option<Vec<Line>> {
    let taken = KEPT_BUFFERS.try_with(|kept| {
        let mut kept = kept.try_borrow_mut().ok()?;
        let buffer = kept.by_size.get_mut(&lines)?.pop()?;
        kept.bytes -= lines * size_of::<Line>();
        Some(buffer)
    });
    taken.ok().flatten()
}

/// A fixed number of words that start on a cache line.
///
/// A thread reuses the memory of buffers that it dropped. Whoever owns a secret wipes it first.
pub(crate) struct AlignedBuffer<W> {
    lines: Vec<Line>,
    length: usize,
    word: std::marker::PhantomData<W>,
}

impl<W: MachineWord> AlignedBuffer<W> {
    /// `length` zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let mut buffer = Self::any(length);
        buffer.lines.fill(Line::zeroed());
        buffer
    }

    /// `length` words of unspecified values, for callers who overwrite them all.
    pub(crate) fn any(length: usize) -> Self {
        let lines = (length * size_of::<W>()).div_ceil(size_of::<Line>());
        // Zeros of the kernel, where it gives new memory: they are not written again.
        let lines = take(lines).unwrap_or_else(|| bytemuck::zeroed_vec(lines));
        Self { lines, length, word: std::marker::PhantomData }
    }
}

impl<W: MachineWord> Deref for AlignedBuffer<W> {
    type Target = [W];

    #[inline]
    fn deref(&self) -> &[W] {
        &bytemuck::cast_slice(&self.lines)[..self.length]
    }
}

impl<W: MachineWord> DerefMut for AlignedBuffer<W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [W] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.length]
    }
}

impl<W> Clone for AlignedBuffer<W> {
    fn clone(&self) -> Self {
        let lines = match take(self.lines.len()) {
            Some(mut lines) => {
                lines.copy_from_slice(&self.lines);
                lines
            }
            None => self.lines.clone(),
        };
        Self { lines, length: self.length, word: std::marker::PhantomData }
    }
}

impl<W> Drop for AlignedBuffer<W> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let bytes = size_of_val(&lines[..]);
        // A thread that is ending keeps nothing.
        let _ = KEPT_BUFFERS.try_with(|kept| {
            if let Ok(mut kept) = kept.try_borrow_mut()
                && bytes > 0
                && kept.bytes + bytes <= MAX_KEPT_BYTES
            {
                kept.bytes += bytes;
                kept.by_size.entry(lines.len()).or_default().push(lines);
            }
        });
    }
}

impl<W: MachineWord> Zeroize for AlignedBuffer<W> {
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
