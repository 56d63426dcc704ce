//! All sub-URLs of one URL under its rule: listed, or tested against a Bloom filter.

use super::device_url::DeviceUrl;
use super::expansion::{Product, Sink, Tail};
use super::lookup::{self, Tape};
use super::rule::{Profile, SubUrlRule};
use super::system::{Certainty, System};
use super::system_products::{
    certainty, product_of_27, product_of_27_unconfigured, products_of_26,
};
use crate::bloom::BloomFilter;
use std::ops::ControlFlow;
use std::slice;

/// Bytes of sub-URLs that [`SubUrls::sorted`] and [`SubUrls::hits_within`] hold at most.
const MAX_TEXT: usize = 1 << 26;

/// Sub-URLs of one URL that hit a filter, at most, where the caller names no limit: [`Prefilter::hits`](crate::Prefilter::hits).
/// A URL of a list has a handful.
pub const MAX_HITS: usize = 10_000;

/// The sub-URLs of one URL under its rule, not yet spelled out. Made by [`DeviceUrl::sub_urls`].
#[derive(Clone, Debug)]
pub struct SubUrls<'u> {
    url: &'u DeviceUrl<'u>,
    expansion: Expansion<'u>,
}

#[derive(Clone, Debug)]
enum Expansion<'u> {
    /// Hosts combined with path variants.
    Product(Product<'u>),
    /// Several products, and strings that belong to none.
    Products(Vec<Product<'u>>, Vec<String>),
    /// A regular expression: the one string that it makes of the URL, or `None` if it does not match.
    Expression(Option<String>),
}

/// A URL has more sub-URLs than the caller wants to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL has more than {limit} sub-URLs, or more than {MAX_TEXT} bytes of them")]
#[non_exhaustive]
pub struct TooManySubUrls {
    /// The caller's limit.
    pub limit: usize,
}

/// More sub-URLs of a URL hit a filter than the caller wants to hold: the URL is made to have many, or the filter is too full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {limit} sub-URLs of the URL hit the filter, or more than {MAX_TEXT} bytes of them"
)]
#[non_exhaustive]
pub struct TooManyHits {
    /// The caller's limit.
    pub limit: usize,
}

impl DeviceUrl<'_> {
    /// The sub-URLs of this URL under its rule.
    #[must_use]
    pub fn sub_urls(&self) -> SubUrls<'_> {
        let expansion = match self.rule() {
            SubUrlRule::Profile(Profile::Current) => {
                Expansion::Product(Product::walked(self, Tail::Current))
            }
            SubUrlRule::Profile(Profile::Ios26_0) => {
                Expansion::Product(Product::walked(self, Tail::Ios26_0))
            }
            SubUrlRule::System(System::V26) => {
                let (products, others) = products_of_26(self);
                Expansion::Products(products, others)
            }
            SubUrlRule::System(System::V27) => Expansion::Product(product_of_27(self)),
            SubUrlRule::System(System::V27Unconfigured) => {
                Expansion::Product(product_of_27_unconfigured(self))
            }
            SubUrlRule::Parsing(configuration) => {
                Expansion::Product(Product::configured(self, configuration))
            }
            SubUrlRule::RegularExpression(pattern) => {
                Expansion::Expression(pattern.key(&self.serialised()))
            }
        };
        SubUrls { url: self, expansion }
    }
}

impl SubUrls<'_> {
    /// The products, and the strings that belong to none.
    fn pieces(&self) -> (&[Product<'_>], &[String]) {
        match &self.expansion {
            Expansion::Product(product) => (slice::from_ref(product), &[]),
            Expansion::Products(products, others) => (products, others),
            Expansion::Expression(key) => (&[], key.as_slice()),
        }
    }

    /// Calls `visit` with each sub-URL, in no particular order, until it breaks. No two are equal.
    pub fn for_each<T>(&self, mut visit: impl FnMut(&str) -> ControlFlow<T>) -> ControlFlow<T> {
        self.each_of_product(|text, _| visit(text))
    }

    /// As [`for_each`](Self::for_each), with what is known of the sub-URL. Under the rule of a
    /// [`System`](super::System), a sub-URL can be uncertain; under every other rule all are certain.
    pub fn for_each_graded<T>(
        &self,
        mut visit: impl FnMut(&str, Certainty) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        self.each_of_product(|text, is_lowered| visit(text, certainty(self.url, text, is_lowered)))
    }

    fn each_of_product<T>(
        &self,
        mut visit: impl FnMut(&str, bool) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        let (products, others) = self.pieces();
        let mut text = String::new();
        for product in products {
            let mut visit = |text: &str| visit(text, product.lowered);
            for head in product.heads() {
                text.clear();
                head.write(&mut text);
                product.walk(&mut Spelled { text: &mut text, visit: &mut visit })?;
            }
        }
        // The second one is the first in lower case.
        others.iter().enumerate().try_for_each(|(at, text)| visit(text, at > 0))
    }

    /// All sub-URLs in byte order.
    ///
    /// # Errors
    /// [`TooManySubUrls`] if there are more than `limit`, or more than 64 MiB of text: the number grows with the
    /// labels of the host times the segments of the path.
    pub fn sorted(&self, limit: usize) -> Result<Vec<String>, TooManySubUrls> {
        self.sorted_within(limit, MAX_TEXT)
    }

    fn sorted_within(&self, limit: usize, max_text: usize) -> Result<Vec<String>, TooManySubUrls> {
        let mut all = Vec::new();
        let mut bytes = 0;
        let outcome = self.for_each(|sub_url| {
            bytes += sub_url.len();
            if all.len() == limit || bytes > max_text {
                return ControlFlow::Break(TooManySubUrls { limit });
            }
            all.push(sub_url.to_owned());
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(error) = outcome {
            return Err(error);
        }
        all.sort_unstable();
        Ok(all)
    }

    /// The one sub-URL under a [regular expression](SubUrlRule::RegularExpression); `None` if the expression does
    /// not match the URL, and under every other rule.
    #[must_use]
    pub fn expression_key(&self) -> Option<&str> {
        match &self.expansion {
            Expansion::Expression(key) => key.as_deref(),
            Expansion::Product(_) | Expansion::Products(..) => None,
        }
    }

    /// The sub-URLs that may be in `filter`, in byte order: those that a device would ask the private service
    /// about. A sub-URL that was inserted is always among them.
    ///
    /// A URL of 64 KiB can have millions of sub-URLs of that length, and a small or full filter lets many of them pass: URLs of
    /// unknown origin are for [`hits_within`](Self::hits_within).
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "no panic is possible")]
    pub fn hits_in<B: AsRef<[u8]>>(&self, filter: &BloomFilter<B>) -> Vec<String> {
        let hits = self.collect_hits(filter, usize::MAX, usize::MAX, |text, _| text);
        hits.expect("there are fewer sub-URLs than bytes of memory")
    }

    /// As [`hits_in`](Self::hits_in), with a bound.
    ///
    /// # Errors
    /// [`TooManyHits`] if there are more than `limit`, or more than 64 MiB of text. The search ends there.
    pub fn hits_within<B: AsRef<[u8]>>(
        &self,
        filter: &BloomFilter<B>,
        limit: usize,
    ) -> Result<Vec<String>, TooManyHits> {
        self.collect_hits(filter, limit, MAX_TEXT, |text, _| text)
    }

    /// As [`hits_within`](Self::hits_within), with what is known of each sub-URL; see
    /// [`for_each_graded`](Self::for_each_graded).
    ///
    /// # Errors
    /// [`TooManyHits`].
    pub fn graded_hits_within<B: AsRef<[u8]>>(
        &self,
        filter: &BloomFilter<B>,
        limit: usize,
    ) -> Result<Vec<(String, Certainty)>, TooManyHits> {
        self.collect_hits(filter, limit, MAX_TEXT, |text, is_lowered| {
            let certainty = certainty(self.url, &text, is_lowered);
            (text, certainty)
        })
    }

    /// What `make` makes of each hit, sorted.
    fn collect_hits<B: AsRef<[u8]>, H: Ord>(
        &self,
        filter: &BloomFilter<B>,
        limit: usize,
        max_text: usize,
        make: impl Fn(String, bool) -> H,
    ) -> Result<Vec<H>, TooManyHits> {
        let mut hits = Vec::new();
        let mut bytes = 0_usize;
        let outcome = self.each_hit(filter, |text, is_lowered| {
            bytes = bytes.saturating_add(text.len());
            if hits.len() == limit || bytes > max_text {
                return ControlFlow::Break(TooManyHits { limit });
            }
            hits.push(make(text, is_lowered));
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(error) = outcome {
            return Err(error);
        }
        hits.sort_unstable();
        Ok(hits)
    }

    fn each_hit<B: AsRef<[u8]>, T>(
        &self,
        filter: &BloomFilter<B>,
        mut visit: impl FnMut(String, bool) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        let (products, others) = self.pieces();
        let mut tape = Tape::new();
        for product in products {
            lookup::visit_hits(product, filter, &mut tape, |head, variant| {
                visit(lookup::spell(product, head, variant), product.lowered)
            })?;
        }
        for (at, text) in others.iter().enumerate() {
            if filter.contains(text.as_bytes()) {
                visit(text.clone(), at > 0)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether any sub-URL may be in `filter`, that is, whether a device would ask the private service about this
    /// URL. `false` is certain. Allocates less than [`hits_in`](Self::hits_in).
    #[must_use]
    pub fn may_hit<B: AsRef<[u8]>>(&self, filter: &BloomFilter<B>) -> bool {
        let (products, others) = self.pieces();
        let mut tape = Tape::new();
        others.iter().any(|text| filter.contains(text.as_bytes()))
            || products.iter().any(|product| {
                let visit = |_, _| ControlFlow::Break(());
                lookup::visit_hits(product, filter, &mut tape, visit).is_break()
            })
    }
}

/// Calls `visit` with each text of the walk.
struct Spelled<'a, V> {
    text: &'a mut String,
    visit: &'a mut V,
}

impl<T, V: FnMut(&str) -> ControlFlow<T>> Sink for Spelled<'_, V> {
    type Break = T;
    type Mark = usize;

    fn extend(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn emit(&mut self) -> ControlFlow<T> {
        (self.visit)(self.text)
    }

    fn mark(&self) -> usize {
        self.text.len()
    }

    fn reset(&mut self, mark: usize) {
        self.text.truncate(mark);
    }
}

#[cfg(test)]
mod tests;
