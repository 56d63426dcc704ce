//! How many of the URLs that were checked hit the prefilter.
//!
//! A measured rate says nothing about bits for chosen URLs. A prefilter that has them for most of what is visited shows
//! in what is visited.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Number of different URLs that are remembered, by their hashes.
const WINDOW: usize = 1024;
/// Smallest number of different URLs by which a prefilter is judged.
const MIN_COUNTED: usize = 64;
/// How many standard deviations above the limit are taken for chance.
const MARGIN: f64 = 4.0;

/// More of the URLs that were checked hit the prefilter than are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "{hits} of the last {counted} different URLs hit the prefilter: it may have been made to have most of what is visited \
     asked for, so nothing more is; if so many of them are listed, set `FilterOptions::max_hit_share`"
)]
pub struct TooManyHits {
    /// How many different URLs hit it; those of which only the same parts hit count once.
    pub hits: usize,
    /// How many different URLs were counted, at most 1,024.
    pub counted: usize,
}

/// The latest different URLs, each by hashes with a key of the process.
#[derive(Default)]
pub(crate) struct HitCount {
    keys: RandomState,
    latest: VecDeque<Counted>,
    known: HashSet<u64>,
    hits: usize,
}

/// A URL that hit nothing, or the hits of a URL that none before it had.
struct Counted {
    hashes: Vec<u64>,
    is_hit: bool,
}

impl HitCount {
    /// Counts a URL and what of it hits the prefilter. URLs of which nothing else hits than of those before them count once: a
    /// page asks for many addresses below one name. One of which something else hits counts, whatever they have in common: a
    /// prefilter with a bit for `co.uk` would otherwise have all names below asked for.
    pub(crate) fn add(&mut self, url: &str, hits: &[String]) {
        let is_hit = !hits.is_empty();
        let hash = |text: &str| self.keys.hash_one((is_hit, text));
        let hashes: HashSet<u64> = match is_hit {
            true => hits.iter().map(|hit| hash(hit)).collect(),
            false => [hash(url)].into(),
        };
        let hashes: Vec<u64> = hashes.difference(&self.known).copied().collect();
        if hashes.is_empty() {
            return;
        }
        self.known.extend(&hashes);
        self.hits += usize::from(is_hit);
        self.latest.push_back(Counted { hashes, is_hit });
        if self.latest.len() > WINDOW
            && let Some(Counted { hashes, is_hit }) = self.latest.pop_front()
        {
            hashes.iter().for_each(|hash| {
                self.known.remove(hash);
            });
            self.hits -= usize::from(is_hit);
        }
    }

    /// Compares the share of URLs that hit with the largest that is accepted, 0 to 1.
    pub(crate) fn check(&self, max: f64) -> Result<(), TooManyHits> {
        let (hits, counted) = (self.hits, self.latest.len());
        let number = counted as f64;
        let chance = MARGIN * (number * max * (1.0 - max)).max(0.0).sqrt();
        // Not a number is no limit that anything keeps.
        match counted < MIN_COUNTED || hits as f64 <= number * max + chance {
            true => Ok(()),
            false => Err(TooManyHits { hits, counted }),
        }
    }
}

/// Shows nothing of what was visited.
impl fmt::Debug for HitCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HitCount").field("hits", &self.hits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(hits: usize, clean: usize) -> HitCount {
        let mut count = HitCount::default();
        (0..clean).for_each(|number| count.add(&format!("https://{number}.example/"), &[]));
        (0..hits).for_each(|number| count.add("", &[format!("{number}.test")]));
        count
    }

    #[test]
    fn few_urls_say_nothing() {
        for (hits, is_refused) in
            [(MIN_COUNTED - 1, false), (MIN_COUNTED, true), (MIN_COUNTED + 1, true)]
        {
            assert_eq!(counted(hits, 0).check(0.5).is_err(), is_refused, "{hits}");
        }
    }

    #[test]
    fn the_share_of_hits_is_limited_beyond_chance() {
        // 50 and four times 5 of 100.
        for (hits, is_refused) in [(69, false), (70, false), (71, true)] {
            let refused = counted(hits, 100 - hits).check(0.5).err();
            assert_eq!(refused, is_refused.then_some(TooManyHits { hits, counted: 100 }));
            assert!(counted(hits, 100 - hits).check(1.0).is_ok());
        }
        assert!(counted(100, 100).check(f64::NAN).is_err());
        assert!(counted(1, 99).check(0.0).is_err() && counted(0, 100).check(0.0).is_ok());
    }

    #[test]
    fn the_same_url_or_listed_part_counts_once() {
        let mut count = counted(0, 40);
        for number in 0..500 {
            count.add(&format!("https://ads.example/{number}"), &["ads.example".to_owned()]);
            count.add("https://0.example/", &[]);
        }
        assert_eq!((count.hits, count.latest.len()), (1, 41));
    }

    /// A bit for a name that many sites are below must not make all of them one.
    #[test]
    fn urls_count_for_each_part_that_none_before_them_hit_by() {
        let mut count = counted(0, 40);
        for number in 0..100 {
            let site = format!("shop{number}.co.uk");
            for _ in 0..2 {
                count.add(&format!("https://{site}/"), &["co.uk".to_owned(), site.clone()]);
            }
        }
        assert_eq!((count.hits, count.latest.len()), (100, 140));
        assert!(count.check(0.5).is_err());
    }

    #[test]
    fn the_latest_urls_are_remembered() {
        for (more, hits) in [(WINDOW - 101, 100), (WINDOW - 100, 100), (WINDOW - 99, 99)] {
            let mut count = counted(100, 0);
            (0..more).for_each(|number| count.add(&format!("https://{number}.example/"), &[]));
            assert_eq!(count.hits, hits, "{more}");
            assert!(count.latest.len() <= WINDOW);
            let known: usize = count.latest.iter().map(|one| one.hashes.len()).sum();
            assert_eq!(count.known.len(), known);
        }
    }
}
