//! Testing all sub-URLs of a URL against a prefilter in one pass.
//!
//! First every head is hashed with FNV, four heads side by side, and probe 0 of each sub-URL is
//! tested on the way. A well-filled filter has every other bit set, so that half of the sub-URLs of
//! a harmless URL end there, and only for the others is MurmurHash carried along.

use super::SubUrls;
use super::expansion::{Head, Sink, port_text};
use crate::bloom::{Bits, BloomFilter};
use crate::hash::{Fnv1a, KeyHash, Murmur3, Murmur3Prefixes};
use std::ops::ControlFlow;

/// Heads hashed side by side: enough to hide the latency of a 32-bit multiplication.
const LANES: usize = 4;

impl<B: AsRef<[u8]>> BloomFilter<B> {
    /// Whether any sub-URL may be in the filter, that is, whether a device would ask the PIR
    /// service about this URL. `false` is certain.
    #[must_use]
    pub fn may_match(&self, sub_urls: &SubUrls<'_>) -> bool {
        self.visit_hits(sub_urls, |_, _| ControlFlow::Break(())).is_break()
    }

    /// The sub-URLs that may be in the filter, in byte order: those a device would ask about.
    #[must_use]
    pub fn hits(&self, sub_urls: &SubUrls<'_>) -> Vec<String> {
        let mut hits = Vec::new();
        let _ = self.visit_hits(sub_urls, |head, form| {
            hits.push(match head {
                Some(head) => spell(sub_urls, head, form),
                None => sub_urls.only().flatten().unwrap_or_default().to_owned(),
            });
            ControlFlow::<()>::Continue(())
        });
        hits.sort_unstable();
        hits
    }

    /// Calls `visit` with the head and the number of the form of each hit; without a head for the
    /// single string of the regular-expression mode.
    fn visit_hits<T>(
        &self,
        sub_urls: &SubUrls<'_>,
        mut visit: impl FnMut(Option<Head<'_>>, usize) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        if let Some(only) = sub_urls.only() {
            return match only {
                Some(key) if self.contains(key.as_bytes()) => visit(None, 0),
                _ => ControlFlow::Continue(()),
            };
        }
        let seed = self.parameters().murmur_seed();
        let bits = self.bits();
        let mut tape = Tape::default();
        let mut heads = sub_urls.heads();
        loop {
            let mut batch = [None; LANES];
            let mut states = [Fnv1a::new(); LANES];
            let mut used = 0;
            for head in heads.by_ref().take(LANES) {
                batch[used] = Some(head);
                states[used] = match (head.port, used.checked_sub(1)) {
                    // The port form follows its host's plain form.
                    (Some(port), Some(plain)) => states[plain].update(port_text(port, &mut [0; 6])),
                    _ => feed(head, states[used], Fnv1a::update),
                };
                used += 1;
            }
            if used == 0 {
                return ControlFlow::Continue(());
            }
            tape.rewind();
            let _ = sub_urls.walk(&mut FirstProbe { states, bits, tape: &mut tape });
            tape.end();
            for (lane, head) in batch[..used].iter().flatten().enumerate() {
                tape.find_candidates(lane, feed(*head, Murmur3::new(seed), Murmur3::update));
            }
            for candidate in tape.candidates.drain(..) {
                if bits.later_probes(candidate.hash) {
                    visit(batch[usize::from(candidate.lane)], candidate.form as usize)?;
                }
            }
        }
    }
}

/// Feeds a whole head to a hash.
fn feed<H>(head: Head<'_>, state: H, update: impl Fn(H, &[u8]) -> H) -> H {
    let state = if head.scheme.is_empty() { state } else { update(state, head.scheme.as_bytes()) };
    let state = update(state, head.host.as_bytes());
    match head.port {
        Some(port) => update(state, port_text(port, &mut [0; 6])),
        None => state,
    }
}

/// The forms of a walk, spelled out behind no head, and what probe 0 said of each.
///
/// Where a walk returns to a mark, a new *track* begins with a copy of the text up to there, so that
/// every form is one piece of bytes.
#[derive(Default)]
struct Tape {
    text: Vec<u8>,
    /// Where the current track starts.
    track: usize,
    forms: Vec<Form>,
    candidates: Vec<Candidate>,
}

/// One form: where it lies, and for each lane its FNV hash and whether probe 0 found a set bit.
struct Form {
    track: usize,
    end: usize,
    fnv1a: [u32; LANES],
    passed: [bool; LANES],
}

/// A sub-URL that passed probe 0.
struct Candidate {
    hash: KeyHash,
    form: u32,
    lane: u8,
}

impl Tape {
    /// Bytes that the forms of a typical URL take.
    const TEXT: usize = 192;
    /// Forms of a typical URL.
    const FORMS: usize = 16;

    fn rewind(&mut self) {
        self.text.clear();
        self.text.reserve(Self::TEXT);
        self.forms.clear();
        self.forms.reserve(Self::FORMS);
        self.candidates.reserve(LANES * Self::FORMS);
        self.text.extend_from_slice(&[0; Murmur3Prefixes::ROOM]);
        self.track = self.text.len();
    }

    fn end(&mut self) {
        self.text.extend_from_slice(&[0; Murmur3Prefixes::ROOM]);
    }

    /// Adds the forms of one lane that passed probe 0, with both hashes.
    fn find_candidates(&mut self, lane: usize, head: Murmur3) {
        let mut number = 0;
        for track in self.forms.chunk_by(|a, b| a.track == b.track) {
            let start = track.first().map_or(0, |form| form.track);
            let mut prefixes = Murmur3Prefixes::new(head, &mut self.text, start);
            for form in track {
                let hash = KeyHash { fnv1a: form.fnv1a[lane], murmur3: prefixes.hash_to(form.end) };
                // Whether a form passed is a coin toss, which a branch would lose half of the time:
                // each is stored, and stays if it passed.
                let count = self.candidates.len() + usize::from(form.passed[lane]);
                self.candidates.push(Candidate { hash, form: number, lane: lane as u8 });
                self.candidates.truncate(count);
                number += 1;
            }
        }
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

    fn extend(&mut self, bytes: &[u8]) {
        Fnv1a::update_all(&mut self.states, bytes);
        self.tape.text.extend_from_slice(bytes);
    }

    fn emit(&mut self) -> ControlFlow<()> {
        let fnv1a = self.states.map(Fnv1a::finish);
        let passed = fnv1a.map(|hash| self.bits.at(hash));
        let Tape { track, ref text, .. } = *self.tape;
        self.tape.forms.push(Form { track, end: text.len(), fnv1a, passed });
        ControlFlow::Continue(())
    }

    fn mark(&self) -> Self::Mark {
        (self.states, self.tape.track, self.tape.text.len())
    }

    fn reset(&mut self, (states, track, end): Self::Mark) {
        self.states = states;
        self.tape.text.extend_from_slice(&[0; Murmur3Prefixes::ROOM]);
        self.tape.track = self.tape.text.len();
        self.tape.text.extend_from_within(track..end);
    }
}

/// The text of one form of one head.
fn spell(sub_urls: &SubUrls<'_>, head: Head<'_>, form: usize) -> String {
    struct Nth<'a> {
        text: &'a mut Vec<u8>,
        left: usize,
    }
    impl Sink for Nth<'_> {
        type Break = ();
        type Mark = usize;
        fn extend(&mut self, bytes: &[u8]) {
            self.text.extend_from_slice(bytes);
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
    let mut start = String::new();
    head.write(&mut start);
    let mut text = start.into_bytes();
    let _ = sub_urls.walk(&mut Nth { text: &mut text, left: form });
    // Whole pieces of `str`s.
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bloom::{Parameters, Sizing};
    use crate::sub_url::{DeviceUrl, SubUrlRule};
    use proptest::prelude::*;

    fn rules() -> impl Strategy<Value = SubUrlRule> {
        prop::sample::select(vec![
            r#"{"profile":"current"}"#,
            r#"{"profile":"ios26.0"}"#,
            r#"{"excludeScheme":false,"path":{"segments":1}}"#,
            r#"{"path":{"excluded":true},"domain":{"levels":2}}"#,
            r#"{"path":{"enumerateHierarchy":false},"query":{"parameters":["a","b"]},"caseSensitive":true}"#,
            r#"{"excludeIntermediates":true,"excludeFragment":true}"#,
            r#"{"urlParsingRegularExpression":"//(?<host>[^/]+)/(?<first>[a-z]+)"}"#,
        ])
        .prop_map(|json| SubUrlRule::from_json(json).unwrap())
    }

    const URL: &str = "https?://(www\\.)?([a-c]{1,2}\\.){0,5}[a-z]{2}(:80|:8443)?(/[a-cA-C]{0,2}){0,6}(\\?[a-d=&]{0,6})?(#[a-c]{0,2})?";

    proptest! {
        #[test]
        fn one_pass_finds_what_one_by_one_finds(url in URL, rule in rules(), bits in 8u32..400, fill in any::<u64>(), seed in any::<u32>()) {
            let parameters = Parameters::new(bits, 4, seed).unwrap();
            let mut filter = BloomFilter::empty(parameters);
            for i in 0..bits / 5 {
                filter.insert(&(fill ^ u64::from(i)).to_le_bytes());
            }
            let url = DeviceUrl::parse(&url, rule.case()).unwrap();
            let sub_urls = SubUrls::new(&url, &rule);
            let mut expected = sub_urls.sorted(100_000).unwrap();
            let before = expected.len();
            expected.dedup();
            prop_assert_eq!(before, expected.len(), "sub-URLs must be distinct");
            expected.retain(|sub_url| filter.contains(sub_url.as_bytes()));
            prop_assert_eq!(filter.may_match(&sub_urls), !expected.is_empty());
            prop_assert_eq!(filter.hits(&sub_urls), expected);
        }

        #[test]
        fn every_sub_url_that_was_inserted_is_found(url in URL, rule in rules()) {
            let url = DeviceUrl::parse(&url, rule.case()).unwrap();
            let sub_urls = SubUrls::new(&url, &rule);
            let all = sub_urls.sorted(100_000).unwrap();
            let mut filter = BloomFilter::empty(Sizing::Round.parameters(all.len().max(1) as u64, 0.01, 5).unwrap());
            filter.insert_all(all.iter().map(String::as_bytes));
            prop_assert_eq!(filter.hits(&sub_urls), all);
        }
    }
}
