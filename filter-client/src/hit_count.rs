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
    /// How many different URLs hit it; those with a listed part in common count once.
    pub hits: usize,
    /// How many different URLs were counted, at most 1,024.
    pub counted: usize,
}

/// The latest different URLs, each by a hash with a key of the process.
#[derive(Default)]
pub(crate) struct HitCount {
    keys: RandomState,
    latest: VecDeque<(u64, bool)>,
    known: HashSet<u64>,
    hits: usize,
}

impl HitCount {
    /// Counts a URL and what of it hits the prefilter. URLs that hit by the same least part count once: a page asks for many
    /// addresses below one name.
    pub(crate) fn add(&mut self, url: &str, hits: &[String]) {
        let least = hits.iter().min_by_key(|hit| hit.len());
        let hash = self.keys.hash_one((least.is_some(), least.map_or(url, String::as_str)));
        if !self.known.insert(hash) {
            return;
        }
        self.hits += usize::from(least.is_some());
        self.latest.push_back((hash, least.is_some()));
        if self.latest.len() > WINDOW
            && let Some((hash, is_hit)) = self.latest.pop_front()
        {
            self.known.remove(&hash);
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
            count.add(
                &format!("https://ads.example/{number}"),
                &["ads.example".to_owned(), format!("ads.example/{number}")],
            );
            count.add("https://0.example/", &[]);
        }
        assert_eq!((count.hits, count.latest.len()), (1, 41));
    }

    #[test]
    fn the_latest_urls_are_remembered() {
        for (more, hits) in [(WINDOW - 101, 100), (WINDOW - 100, 100), (WINDOW - 99, 99)] {
            let mut count = counted(100, 0);
            (0..more).for_each(|number| count.add(&format!("https://{number}.example/"), &[]));
            assert_eq!(count.hits, hits, "{more}");
            assert!(count.latest.len() <= WINDOW && count.known.len() == count.latest.len());
        }
    }
}
