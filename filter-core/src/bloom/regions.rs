//! Setting the bits of a filter that is larger than the caches, region by region.
//!
//! The bits of one key are spread over the whole filter. If that does not fit into the caches, nearly every bit waits for
//! memory, and moves a line of 64 bytes there and back. So bits are put aside by the region of the filter that they are in. A
//! region that has enough of them is read once, in the nearer caches, for about sixteen bits of each line.

/// The bytes of a region, as a power of two: 128 KiB, which the second caches of all processors hold.
const REGION_BYTES_LOG: u32 = 17;

/// How many bits of a region are put aside, at most. They take as much memory as the region, so all of them as much as the
/// filter.
const PENDING_BITS: usize = 1 << 15;

/// The smallest filter for which this pays, in bytes: 8 MiB. Smaller ones fit into the last cache, where processors overlap
/// the waiting by themselves.
pub(super) const MIN_BYTES: usize = 1 << 23;

/// Bits that were put aside, by region.
pub(super) struct Regions<'f> {
    bytes: &'f mut [u8],
    pending: Vec<Vec<u32>>,
}

impl<'f> Regions<'f> {
    pub(super) fn new(bytes: &'f mut [u8]) -> Self {
        let count = bytes.len().div_ceil(1 << REGION_BYTES_LOG);
        Self { bytes, pending: vec![Vec::new(); count] }
    }

    /// Sets a bit of the filter, now or before [`finish`](Self::finish) returns. Panics if the filter has no such bit.
    #[inline]
    pub(super) fn set(&mut self, bit: u32) {
        let region = &mut self.pending[(bit >> (REGION_BYTES_LOG + 3)) as usize];
        region.push(bit);
        if region.len() >= PENDING_BITS {
            set_all(self.bytes, region);
        }
    }

    /// Sets what was put aside.
    pub(super) fn finish(mut self) {
        for region in &mut self.pending {
            set_all(self.bytes, region);
        }
    }
}

fn set_all(bytes: &mut [u8], bits: &mut Vec<u32>) {
    for bit in bits.drain(..) {
        bytes[(bit >> 3) as usize] |= 1 << (bit & 7);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One bit below, at and above the number at which a region is written, in the first, a middle and the last region.
    #[test]
    fn every_bit_is_set_however_many_are_put_aside() {
        let length = (3 << REGION_BYTES_LOG) + 5;
        for count in [0, 1, PENDING_BITS - 1, PENDING_BITS, PENDING_BITS + 1, 3 * PENDING_BITS] {
            let mut bytes = vec![0; length];
            let mut expected = bytes.clone();
            let mut regions = Regions::new(&mut bytes);
            let mut set = |bit: usize| {
                regions.set(bit as u32);
                expected[bit / 8] |= 1 << (bit % 8);
            };
            for number in 0..count {
                set(number * 7 % (8 << REGION_BYTES_LOG));
                set((8 << REGION_BYTES_LOG) + number * 13 % (8 << REGION_BYTES_LOG));
                set((24 << REGION_BYTES_LOG) + number % 40);
            }
            regions.finish();
            assert_eq!(bytes, expected, "{count}");
        }
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn a_bit_behind_the_last_region_is_no_bit_of_the_filter() {
        Regions::new(&mut [0; 9]).set(8 << REGION_BYTES_LOG);
    }
}
