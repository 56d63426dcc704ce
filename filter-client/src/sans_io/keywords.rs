//! What a lookup asks for, and which of it belongs to the same URL.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;

/// The keywords of a lookup, and which of them belong to the same URL.
///
/// The index of a keyword's shard travels in the clear. The indices of one URL's keywords together could name the URL, so
/// a client asks for no more of them than [`ShardingPolicy::max_bits_per_url`](super::ShardingPolicy::max_bits_per_url)
/// allows: for those that are least specific first, because what a list names is there wherever it was found below.
///
/// ```
/// use filter_client::sans_io::Keywords;
///
/// let mut keywords = Keywords::default();
/// keywords.add_url(["a.example", "a.example/b"].map(String::from));
/// keywords.add_url(["c.example"].map(String::from));
/// assert_eq!(keywords.as_slice(), [&b"a.example"[..], b"a.example/b", b"c.example"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords {
    keywords: Vec<Vec<u8>>,
    /// The places of each URL's keywords.
    urls: Vec<Range<usize>>,
}

impl Keywords {
    /// Keywords that all belong to one URL.
    #[must_use]
    pub fn of_one_url(keywords: Vec<Vec<u8>>) -> Self {
        let mut all = Self::default();
        all.add_url(keywords);
        all
    }

    /// Keywords of which no two tell anything about the same URL, number or other thing: what each of them tells is not
    /// added up.
    #[must_use]
    pub fn unrelated(keywords: Vec<Vec<u8>>) -> Self {
        let urls = (0..keywords.len()).map(|place| place..place + 1).collect();
        Self { keywords, urls }
    }

    /// Adds the keywords of one more URL. They may be among the earlier ones.
    pub fn add_url<K: Into<Vec<u8>>>(&mut self, keywords: impl IntoIterator<Item = K>) {
        let start = self.keywords.len();
        self.keywords.extend(keywords.into_iter().map(Into::into));
        self.urls.push(start..self.keywords.len());
    }

    /// The keywords, in the order in which they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[Vec<u8>] {
        &self.keywords
    }

    /// The number of keywords.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keywords.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keywords.is_empty()
    }

    /// The keywords that may be asked for if each tells `bits`, and all of one URL together at most `max_bits`. It depends
    /// on nothing but the keywords, so that the same ones are asked for at every visit.
    pub(super) fn within_bits(&self, bits: u32, max_bits: u32) -> HashSet<&[u8]> {
        let max = max_bits.checked_div(bits).map_or(usize::MAX, |max| max as usize);
        let mut allowed = HashSet::new();
        for url in &self.urls {
            let mut keywords: Vec<&[u8]> =
                self.keywords[url.clone()].iter().map(Vec::as_slice).collect();
            keywords.sort_unstable_by_key(|keyword| specificity(keyword));
            keywords.dedup();
            allowed.extend(keywords.into_iter().take(max));
        }
        allowed
    }
}

/// The keywords of one URL.
impl From<Vec<Vec<u8>>> for Keywords {
    fn from(keywords: Vec<Vec<u8>>) -> Self {
        Self::of_one_url(keywords)
    }
}

/// Orders the sub-URLs of one URL: fewer parts first, and of those with as many, the one with the longer name of a host.
/// Whoever makes a URL can add parts to it that hit the prefilter by chance; so they come behind what the list names.
fn specificity(keyword: &[u8]) -> (usize, Reverse<usize>, usize, &[u8]) {
    let is_separator = |byte: &&u8| b".:/?#&".contains(byte);
    let host = keyword.iter().take_while(|byte| !b":/?#".contains(byte));
    let labels = host.filter(|&&byte| byte == b'.').count();
    let parts = keyword.iter().filter(is_separator).count();
    (parts, Reverse(labels), keyword.len(), keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(keywords: &Keywords, bits: u32, max_bits: u32) -> Vec<String> {
        let allowed = keywords.within_bits(bits, max_bits);
        let mut allowed: Vec<_> =
            allowed.into_iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        allowed.sort();
        allowed
    }

    #[test]
    fn the_bits_of_one_url_are_limited() {
        let mut keywords = Keywords::default();
        keywords.add_url(["a.example/b", "a.example", "a.example/b/c"]);
        keywords.add_url(["a.example/b/c", "d.example"]);
        for (max_bits, expected) in [
            (17, &["a.example", "d.example"][..]),
            (18, &["a.example", "a.example/b", "a.example/b/c", "d.example"]),
            (19, &["a.example", "a.example/b", "a.example/b/c", "d.example"]),
        ] {
            assert_eq!(allowed(&keywords, 9, max_bits), expected, "{max_bits}");
        }
        assert!(allowed(&keywords, 9, 8).is_empty());
        // One shard tells nothing.
        assert_eq!(allowed(&keywords, 0, 0).len(), 4);
    }

    #[test]
    fn keywords_count_once_for_their_url() {
        let twice = ["a.example", "a.example", "b.example"].map(Vec::from).to_vec();
        assert_eq!(allowed(&Keywords::of_one_url(twice.clone()), 9, 18).len(), 2);
        let unrelated = Keywords::unrelated(twice);
        assert_eq!(allowed(&unrelated, 9, 9), ["a.example", "b.example"]);
        assert!(allowed(&unrelated, 9, 8).is_empty());
    }

    /// What the list names comes before what whoever made the URL has added.
    #[test]
    fn what_is_least_specific_comes_first() {
        for order in [
            &["evil.example", "evil.example/", "evil.example/login", "evil.example/login/x"][..],
            &["b.evil.example", "evil.example/x", "evil.example/x/y"],
            &["b.evil.example/login", "evil.example/login/x"],
            &["evil.example", "x.evil.example"],
            &["evil.example/login", "evil.example:8443/login"],
            &["evil.example/login", "evil.example/login?a", "evil.example/login?a&b"],
        ] {
            let mut sorted = order.to_vec();
            sorted.reverse();
            sorted.sort_by_key(|keyword| specificity(keyword.as_bytes()));
            assert_eq!(sorted, order);
        }
    }
}
