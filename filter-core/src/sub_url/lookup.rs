//! Testing all sub-URLs of a URL against a Bloom filter in one pass.
//!
//! The walk over the path variants hashes four heads at once with FNV and tests probe 0 of each sub-URL. A filter of
//! the right size has half of its bits set, so that half of the sub-URLs of a harmless URL are out after this probe.
//! MurmurHash is computed for all, along the text: to choose costs more. Only the others go on to the later probes.

use super::expansion::{Head, Product, Sink, port_text};
use crate::bloom::{Bits, BloomFilter};
use crate::hash::{Fnv1a, KeyHash, Murmur3, Murmur3Prefixes};
use std::ops::ControlFlow;

/// Heads that are hashed at once: enough to hide the latency of a 32-bit multiplication.
const LANES: usize = 4;

/// Calls `visit` with the head and the number of the path variant of each hit.
pub(super) fn visit_hits<'u, B: AsRef<[u8]>, T>(
    product: &Product<'u>,
    filter: &BloomFilter<B>,
    tape: &mut Tape,
    mut visit: impl FnMut(Head<'u>, usize) -> ControlFlow<T>,
) -> ControlFlow<T> {
    let seed = filter.parameters().murmur_seed();
    let bits = filter.bits();
    let mut heads = product.heads();
    loop {
        let mut batch = [None; LANES];
        let mut states = [Fnv1a::new(); LANES];
        let mut beginnings = [Murmur3::new(seed); LANES];
        let mut used = 0;
        for head in heads.by_ref().take(LANES) {
            batch[used] = Some(head);
            (states[used], beginnings[used]) = match (head.port, used.checked_sub(1)) {
                // The same host with its port follows the host without.
                (Some(port), Some(plain)) => {
                    let mut buffer = [0; 6];
                    let port = port_text(port, &mut buffer);
                    (states[plain].update(port), beginnings[plain].update(port))
                }
                _ => (
                    feed(head, states[used], Fnv1a::update),
                    feed(head, beginnings[used], Murmur3::update),
                ),
            };
            used += 1;
        }
        if used == 0 {
            return ControlFlow::Continue(());
        }
        tape.rewind();
        let walked = product.walk(&mut FirstProbe { states, bits, tape });
        debug_assert!(walked.is_continue(), "the first probe never ends a walk");
        tape.end();
        let mut candidates = Candidates::new();
        let mut visit_all = |candidates: &mut Candidates| {
            candidates.drain().try_for_each(|(lane, variant, hash)| match batch[lane] {
                Some(head) if bits.later_probes(hash) => visit(head, variant),
                _ => ControlFlow::Continue(()),
            })
        };
        for (lane, &beginning) in beginnings[..used].iter().enumerate() {
            let mut number = 0;
            for track in tape.variants.chunk_by(|a, b| a.track == b.track) {
                let start = track.first().map_or(0, |variant| variant.track);
                let mut prefixes = Murmur3Prefixes::new(beginning, &mut tape.text, start);
                for variants in track.chunks(Candidates::FREE) {
                    if !candidates.have_room() {
                        visit_all(&mut candidates)?;
                    }
                    for variant in variants {
                        let murmur3 = prefixes.hash_to(variant.end);
                        let hash = KeyHash { fnv1a: variant.fnv1a[lane], murmur3 };
                        candidates.add_if(variant.passed[lane], lane, number, hash);
                        number += 1;
                    }
                }
            }
        }
        visit_all(&mut candidates)?;
    }
}

/// The text of one sub-URL, by its head and the number of its path variant.
pub(super) fn spell(product: &Product<'_>, head: Head<'_>, variant: usize) -> String {
    struct Nth<'a> {
        text: &'a mut String,
        left: usize,
    }
    impl Sink for Nth<'_> {
        type Break = ();
        type Mark = usize;
        fn extend(&mut self, text: &str) {
            self.text.push_str(text);
        }
        fn emit(&mut self) -> ControlFlow<()> {
            if self.left == 0 {
                return ControlFlow::Break(());
            }
            self.left -= 1;
            ControlFlow::Continue(())
        }
        fn mark(&self) -> usize {
            self.text.len()
        }
        fn reset(&mut self, mark: usize) {
            self.text.truncate(mark);
        }
    }
    let mut text = String::new();
    head.write(&mut text);
    let found = product.walk(&mut Nth { text: &mut text, left: variant });
    debug_assert!(found.is_break(), "the product has this variant");
    text
}

/// Updates a hash with a whole head.
fn feed<H>(head: Head<'_>, state: H, update: impl Fn(H, &[u8]) -> H) -> H {
    let state = if head.scheme.is_empty() { state } else { update(state, head.scheme.as_bytes()) };
    let state = update(state, head.host.as_bytes());
    match head.port {
        Some(port) => update(state, port_text(port, &mut [0; 6])),
        None => state,
    }
}

/// The path variants of one walk as text, without a head, and what probe 0 said of each.
///
/// Where a walk returns to a mark, a new *track* begins with a copy of the text up to there, so that
/// every variant is one piece of text.
pub(super) struct Tape {
    text: Vec<u8>,
    /// Where the current track starts.
    track: usize,
    variants: Vec<PathVariant>,
}

/// One path variant: where it lies on the tape, and for each lane its FNV hash and whether probe 0 found a set
/// bit.
struct PathVariant {
    track: usize,
    end: usize,
    fnv1a: [u32; LANES],
    passed: [bool; LANES],
}

/// Sub-URLs that passed probe 0.
struct Candidates {
    /// Number of the path variant in the order of the walk times the number of lanes, plus the lane; and both hashes.
    all: [(u32, KeyHash); Self::ROOM],
    count: usize,
}

impl Candidates {
    const ROOM: usize = 64;
    /// Variants that are looked at between two checks for room.
    const FREE: usize = 16;

    fn new() -> Self {
        Self { all: [(0, KeyHash::default()); Self::ROOM], count: 0 }
    }

    fn have_room(&self) -> bool {
        self.count + Self::FREE <= Self::ROOM
    }

    /// Whether a variant passed is a coin toss, which a branch would lose half of the time: each is stored, and stays
    /// if it passed. There is room for it, so that the remainder, which spares a check, changes nothing.
    #[inline]
    fn add_if(&mut self, passed: bool, lane: usize, variant: u32, hash: KeyHash) {
        self.all[self.count % Self::ROOM] = (variant * LANES as u32 + lane as u32, hash);
        self.count += usize::from(passed);
    }

    /// Removes all: lane, number of the path variant, and hashes.
    fn drain(&mut self) -> impl Iterator<Item = (usize, usize, KeyHash)> {
        let count = std::mem::take(&mut self.count);
        self.all[..count].iter().map(|&(number, hash)| {
            let number = number as usize;
            (number % LANES, number / LANES, hash)
        })
    }
}

impl Tape {
    /// Bytes that the path variants of a typical URL take.
    const TEXT: usize = 192;
    /// Path variants of a typical URL.
    const VARIANTS: usize = 16;

    pub(super) fn new() -> Self {
        let (text, variants) = (Vec::with_capacity(Self::TEXT), Vec::with_capacity(Self::VARIANTS));
        Self { text, variants, track: 0 }
    }

    fn rewind(&mut self) {
        self.text.clear();
        self.variants.clear();
        self.text.extend_from_slice(&[0; Murmur3Prefixes::PADDING]);
        self.track = self.text.len();
    }

    fn end(&mut self) {
        self.text.extend_from_slice(&[0; Murmur3Prefixes::PADDING]);
    }
}

struct FirstProbe<'a> {
    states: [Fnv1a; LANES],
    bits: Bits<'a>,
    tape: &'a mut Tape,
}

impl Sink for FirstProbe<'_> {
    type Break = ();
    /// The states, the track and the place in it.
    type Mark = ([Fnv1a; LANES], usize, usize);

    fn extend(&mut self, text: &str) {
        Fnv1a::update_all(&mut self.states, text.as_bytes());
        self.tape.text.extend_from_slice(text.as_bytes());
    }

    fn emit(&mut self) -> ControlFlow<()> {
        let fnv1a = self.states.map(Fnv1a::finish);
        let passed = fnv1a.map(|hash| self.bits.at(hash));
        let Tape { track, ref text, .. } = *self.tape;
        self.tape.variants.push(PathVariant { track, end: text.len(), fnv1a, passed });
        ControlFlow::Continue(())
    }

    fn mark(&self) -> Self::Mark {
        (self.states, self.tape.track, self.tape.text.len())
    }

    fn reset(&mut self, (states, track, end): Self::Mark) {
        self.states = states;
        self.tape.text.extend_from_slice(&[0; Murmur3Prefixes::PADDING]);
        self.tape.track = self.tape.text.len();
        self.tape.text.extend_from_within(track..end);
    }
}
