//! Verdicts for URLs, as far as they need no network: which sub-URLs hit the prefilter, and what follows from
//! the answers.

use crate::error::Error;
use crate::hit_count::TooManyHits;
use crate::measured::{ImplausiblePrefilter, MeasuredPrefilter};
use crate::sans_io::{Answer, Keywords, Source};
use filter_core::sub_url::{SubUrlRule, UrlError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether a URL is on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Verdict {
    /// Neither the URL nor any of its sub-URLs is on the list.
    Allow,
    /// A sub-URL is on the list.
    Deny {
        /// The sub-URL.
        matched: String,
    },
    /// A sub-URL hits the prefilter, and whether it is on the list could not be found out; or the text is
    /// not a URL.
    Unknown,
}

/// What happens to URLs whose verdict is [`Verdict::Unknown`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// They are allowed (fail open).
    #[default]
    Open,
    /// They are blocked (fail closed).
    Closed,
}

/// What a decision is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// No sub-URL hits the prefilter; the service was not asked.
    Prefilter,
    /// An answer of the service.
    Service,
    /// Cached answers.
    Cache,
    /// Cached answers, a stale one among them: the service could not answer.
    StaleCache,
    /// There is no answer, and [`OnFailure::Open`] allows the URL.
    FailedOpen,
    /// There is no answer, and [`OnFailure::Closed`] blocks the URL, or [`Failure::ManyUrlsHit`] does.
    FailedClosed,
}

/// A verdict, what follows from it, and what it is based on.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct Decision {
    /// Whether the URL is listed, and how that is known.
    pub verdict: Verdict,
    /// Whether to block the URL.
    pub blocked: bool,
    /// What the decision is based on.
    pub basis: Basis,
    /// The number of sub-URLs that hit the prefilter; 0 if they were not looked up.
    pub hits: usize,
    /// The number of hits whose replies could not be read, see [`Answer::is_readable`]. If no other hit is on the list, the
    /// verdict is [`Verdict::Unknown`] because of them: do not send anything because of that.
    pub unreadable: usize,
    /// Why the verdict is [`Verdict::Unknown`].
    pub failure: Option<Failure>,
}

/// Why a verdict is [`Verdict::Unknown`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The text is not a URL that a device would check.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// More sub-URLs hit the prefilter than [`FilterOptions::max_hits`].
    #[error("{found} sub-URLs hit the prefilter; at most {max} are looked up")]
    TooManyHits {
        /// The number of hits.
        found: usize,
        /// The largest number of hits that are looked up.
        max: usize,
    },
    /// The prefilter says yes to more URLs than [`FilterOptions::max_false_positive_rate`] allows. Nothing was asked.
    #[error(transparent)]
    Prefilter(#[from] ImplausiblePrefilter),
    /// So many of the latest URLs hit the prefilter that it may have been made for them, see
    /// [`FilterOptions::max_hit_share`]. Nothing was asked for this one. It is blocked, whatever [`OnFailure`] says.
    #[error(transparent)]
    ManyUrlsHit(#[from] TooManyHits),
    /// Replies decrypt to nonsense: the service has another evaluation key than that of this client, or answers wrongly. Do
    /// not send anything because of this: no report, no repetition, no new key.
    #[error("{count} of the replies cannot be decrypted")]
    Unreadable {
        /// The number of replies.
        count: usize,
    },
    /// The lookup failed.
    #[error(transparent)]
    Lookup(#[from] Arc<Error>),
}

/// How a filter decides. Make one from [`FilterOptions::default`] and change its fields.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FilterOptions {
    /// What happens to URLs whose verdict is unknown. Default: they are allowed.
    pub on_failure: OnFailure,
    /// The rule that makes sub-URLs. Default: the rule in the prefilter's metadata, or else the latest
    /// system's.
    pub rule: Option<SubUrlRule>,
    /// How often a `UrlFilter` checks for a newer prefilter, at least every 45 minutes as devices do;
    /// `None` for only on its `refresh`. Default: one day.
    pub refresh_every: Option<Duration>,
    /// Largest number of prefilter hits that are looked up for one URL. With more, the verdict is
    /// unknown. Default: 64.
    pub max_hits: usize,
    /// Largest false-positive rate of a prefilter, 0 to 1, as [`MeasuredPrefilter`] measures it. With a prefilter that has
    /// more, every verdict is unknown and nothing is asked: what a prefilter says yes to is what the service
    /// learns something about, and the prefilter comes from its side. Default: 0.02. Raise it for a list that was built
    /// for a rate of 0.02 or more, or of very few entries for one above 0.0005.
    pub max_false_positive_rate: f64,
    /// Largest share of the latest 1,024 different URLs that may hit the prefilter, 0 to 1, beyond chance and once there are
    /// 64 of them; URLs with a listed part in common count once. Above it, nothing is asked for URLs that hit, and their
    /// verdict is unknown: a prefilter with bits for most of what is visited would have most of it asked for. They are
    /// blocked, also with [`OnFailure::Open`]: otherwise whoever visits listed sites, one after another, would turn the filter
    /// off. Default: 0.5. 1 is no limit, for those who check little but what is listed.
    pub max_hit_share: f64,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Open,
            rule: None,
            refresh_every: Some(Duration::from_secs(86_400)),
            max_hits: 64,
            max_false_positive_rate: 0.02,
            max_hit_share: 0.5,
        }
    }
}

/// The check of some URLs: what to look up for them, and the decisions when the answers are there.
///
/// A `UrlFilter` does this and the lookup. A caller of [`sans_io::Client`](crate::sans_io::Client) does it
/// itself:
///
/// ```
/// use filter_client::{Check, FilterOptions, MeasuredPrefilter};
/// use filter_core::Prefilter;
/// use filter_core::bloom::{BloomFilter, Sizing};
/// use filter_core::file::Description;
///
/// let parameters = Sizing::Round.parameters(1, 0.0001, 1)?;
/// let mut filter = BloomFilter::empty(parameters);
/// filter.insert(b"phish.example");
/// let prefilter = MeasuredPrefilter::new(Prefilter::new(filter, Description::default())?)?;
/// let check = Check::new(&prefilter, &FilterOptions::default(), &["https://www.phish.example/a"]);
/// assert_eq!(check.keywords().as_slice(), [b"phish.example"]);
/// // Look the keywords up with `Client::start_lookup`, then: check.decide(&answers)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Check {
    on_failure: OnFailure,
    hits: Vec<Result<Vec<String>, Failure>>,
    keywords: Keywords,
}

impl Check {
    /// Tests URLs and their sub-URLs against a prefilter.
    pub fn new<B: AsRef<[u8]>>(
        measured: &MeasuredPrefilter<B>,
        options: &FilterOptions,
        urls: &[&str],
    ) -> Self {
        let prefilter = measured.prefilter();
        let plausible = measured.check(options.max_false_positive_rate);
        let rule = options.rule.as_ref().unwrap_or_else(|| prefilter.rule());
        let max = options.max_hits;
        let mut hits: Vec<Result<Vec<String>, Failure>> = urls
            .iter()
            .map(|url| {
                let parsed = rule.parse_lenient(url)?;
                plausible?;
                let hits = parsed.sub_urls().hits_within(prefilter.filter(), max);
                // The search ends with the first one that is too many.
                hits.map_err(|_| Failure::TooManyHits { found: max.saturating_add(1), max })
            })
            .collect();
        {
            let mut count = measured.hits();
            let found =
                urls.iter().zip(&hits).filter_map(|(url, hits)| Some((url, hits.as_ref().ok()?)));
            found.for_each(|(url, hits)| count.add(url, hits));
            if let Err(refused) = count.check(options.max_hit_share) {
                let with_hits = |hits: &&mut Result<Vec<String>, _>| {
                    hits.as_ref().is_ok_and(|hits| !hits.is_empty())
                };
                hits.iter_mut().filter(with_hits).for_each(|hits| *hits = Err(refused.into()));
            }
        }
        let mut keywords = Keywords::default();
        for hits in hits.iter().flatten() {
            keywords.add_url(hits.iter().map(String::as_str));
        }
        Self { on_failure: options.on_failure, hits, keywords }
    }

    /// The keywords to look up, and which belong together: the sub-URLs that hit the prefilter.
    #[must_use]
    pub fn keywords(&self) -> &Keywords {
        &self.keywords
    }

    /// The decision about each URL, in their order. A single hit on the list denies a URL; to allow it,
    /// every hit needs an answer that could be read.
    ///
    /// # Panics
    /// If there are not as many answers as [keywords](Check::keywords).
    #[must_use]
    pub fn decide(&self, answers: &[Result<Answer, Arc<Error>>]) -> Vec<Decision> {
        assert_eq!(answers.len(), self.keywords.len(), "each keyword has an answer");
        let keywords = self.keywords.as_slice().iter().map(Vec::as_slice);
        let answers: HashMap<&[u8], _> = keywords.zip(answers).collect();
        let decide = |hits: &Result<Vec<String>, Failure>| match hits {
            Err(failure) => self.unknown(0, 0, failure.clone()),
            Ok(hits) => self.decide_one(hits, &answers),
        };
        self.hits.iter().map(decide).collect()
    }

    fn decide_one(
        &self,
        hits: &[String],
        answers: &HashMap<&[u8], &Result<Answer, Arc<Error>>>,
    ) -> Decision {
        let (mut basis, mut failure, mut unreadable) = (Basis::Prefilter, None, 0);
        for hit in hits {
            let answer = answers.get(hit.as_bytes()).expect("every hit was looked up");
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    failure.get_or_insert_with(|| Failure::Lookup(Arc::clone(error)));
                    continue;
                }
            };
            unreadable += usize::from(!answer.is_readable);
            let from = match answer.source {
                Source::Service => Basis::Service,
                Source::Cache => Basis::Cache,
                Source::StaleCache => Basis::StaleCache,
            };
            if answer.value.is_some() {
                let verdict = Verdict::Deny { matched: hit.clone() };
                let hits = hits.len();
                return Decision {
                    verdict,
                    blocked: true,
                    basis: from,
                    hits,
                    unreadable,
                    failure: None,
                };
            }
            // The weakest basis counts: a stale answer, then one of the service.
            basis = match (basis, from) {
                (Basis::StaleCache, _) | (_, Basis::StaleCache) => Basis::StaleCache,
                (Basis::Service, _) | (_, Basis::Service) => Basis::Service,
                _ => from,
            };
        }
        let hits = hits.len();
        if unreadable > 0 {
            failure.get_or_insert(Failure::Unreadable { count: unreadable });
        }
        match failure {
            Some(failure) => self.unknown(hits, unreadable, failure),
            None => Decision {
                verdict: Verdict::Allow,
                blocked: false,
                basis,
                hits,
                unreadable,
                failure: None,
            },
        }
    }

    fn unknown(&self, hits: usize, unreadable: usize, failure: Failure) -> Decision {
        let (blocked, basis) = match (self.on_failure, &failure) {
            // Who is filtered can bring this about by what they visit.
            (_, Failure::ManyUrlsHit(_)) | (OnFailure::Closed, _) => (true, Basis::FailedClosed),
            (OnFailure::Open, _) => (false, Basis::FailedOpen),
        };
        let failure = Some(failure);
        Decision { verdict: Verdict::Unknown, blocked, basis, hits, unreadable, failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter_core::Prefilter;
    use filter_core::bloom::{BloomFilter, Sizing};
    use filter_core::file::Description;

    fn of_sites(sites: usize) -> MeasuredPrefilter<Vec<u8>> {
        let mut filter =
            BloomFilter::empty(Sizing::Round.parameters(sites as u64, 1e-9, 1).unwrap());
        (0..sites).for_each(|site| filter.insert(format!("{site}.example").as_bytes()));
        let prefilter = Prefilter::new(filter, Description::default()).unwrap();
        MeasuredPrefilter::with_seed(prefilter, 1)
    }

    fn answer(value: Option<&str>, is_readable: bool) -> Result<Answer, Arc<Error>> {
        Ok(Answer { value: value.map(Into::into), source: Source::Service, is_readable })
    }

    #[test]
    fn a_reply_that_cannot_be_read_makes_a_verdict_unknown() {
        let prefilter = of_sites(2);
        for on_failure in [OnFailure::Open, OnFailure::Closed] {
            let options = FilterOptions { on_failure, ..FilterOptions::default() };
            let check = Check::new(&prefilter, &options, &["https://0.example/", "1.example"]);
            let decisions = check.decide(&[answer(None, false), answer(None, true)]);
            let [unknown, allowed] = &decisions[..] else { panic!("{decisions:?}") };
            assert_eq!((&unknown.verdict, unknown.unreadable), (&Verdict::Unknown, 1));
            assert_eq!(unknown.blocked, on_failure == OnFailure::Closed);
            assert!(matches!(unknown.failure, Some(Failure::Unreadable { count: 1 })));
            assert_eq!((&allowed.verdict, allowed.blocked), (&Verdict::Allow, false));
        }
    }

    #[test]
    fn a_listed_hit_denies_whatever_cannot_be_read() {
        let mut filter = BloomFilter::empty(Sizing::Round.parameters(2, 1e-9, 1).unwrap());
        ["a.example", "a.example/b"].iter().for_each(|key| filter.insert(key.as_bytes()));
        let prefilter = Prefilter::new(filter, Description::default()).unwrap();
        let prefilter = MeasuredPrefilter::with_seed(prefilter, 1);
        for answers in [
            [answer(None, false), answer(Some(""), true)],
            [answer(Some(""), true), answer(None, false)],
        ] {
            let check = Check::new(&prefilter, &FilterOptions::default(), &["a.example/b"]);
            let decision = check.decide(&answers).remove(0);
            assert!(matches!(decision.verdict, Verdict::Deny { .. }) && decision.blocked);
        }
    }

    /// Bits for whatever is visited do not show in a rate.
    #[test]
    fn a_prefilter_of_all_that_is_visited_has_nothing_more_asked() {
        let prefilter = of_sites(200);
        let asked = |max_hit_share: f64, prefilter: &MeasuredPrefilter<Vec<u8>>| {
            let options = FilterOptions { max_hit_share, ..FilterOptions::default() };
            let asks = |site: &usize| {
                let url = format!("https://www.{site}.example/{site}");
                let check = Check::new(prefilter, &options, &[&url]);
                let decision = (
                    !check.keywords().is_empty(),
                    check.decide(&vec![answer(None, true); check.keywords().len()]).remove(0),
                );
                assert_eq!(decision.0, decision.1.verdict == Verdict::Allow);
                assert!(decision.0 || matches!(decision.1.failure, Some(Failure::ManyUrlsHit(_))));
                // Whoever visits listed sites on purpose does not turn the filter off.
                assert_eq!(decision.0, !decision.1.blocked);
                decision.0
            };
            (0..200).filter(asks).count()
        };
        assert_eq!(asked(0.5, &prefilter), 63);
        // A newer prefilter goes on with the count.
        assert_eq!(asked(0.5, &of_sites(200).replacing(&prefilter)), 0);
        assert_eq!(asked(1.0, &of_sites(200)), 200);
        // URLs that do not hit are allowed as before.
        let check = Check::new(&prefilter, &FilterOptions::default(), &["https://good.test/"]);
        assert_eq!(check.decide(&[]).remove(0).verdict, Verdict::Allow);
    }

    /// A list of advertisers is hit by most pages, many times each, and most of what they load is not.
    #[test]
    fn pages_with_many_listed_addresses_are_filtered() {
        let prefilter = of_sites(50);
        let options = FilterOptions::default();
        for page in 0..100 {
            let own = (0..40).map(|part| format!("https://page{page}.test/{part}"));
            let listed =
                (0..30).map(|part| format!("https://{}.example/{page}/{part}", (page + part) % 50));
            let urls: Vec<String> = own.chain(listed).collect();
            let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
            assert!(!Check::new(&prefilter, &options, &urls).keywords().is_empty(), "{page}");
        }
    }
}
