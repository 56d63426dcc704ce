//! What can be different about a filter.

use std::borrow::Cow;

/// One way in which a filter was built differently from what devices expect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deviation {
    /// The keys are hashed with FNV-1 (multiply, then xor), as in the sample of the first 2025 beta.
    BetaFnv,
    /// Bits are counted from the most significant one of each byte.
    BitOrder,
    /// The sum of the double hashing is not reduced to 32 bits before the remainder.
    UnwrappedArithmetic,
    /// The Murmur seed is this one, not the one in the file.
    Seed(u32),
    /// The number of bits is this one, not the one in the file.
    BitCount(u32),
    /// The keys set this number of bits each, fewer than the file states.
    HashCount(u32),
    /// The keys were inserted in this form, which devices do not generate.
    KeyVariant(KeyVariant),
}

impl Deviation {
    /// The name in JSON: lower case, with hyphens.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BetaFnv => "beta-fnv",
            Self::BitOrder => "bit-order",
            Self::UnwrappedArithmetic => "unwrapped-arithmetic",
            Self::Seed(_) => "seed",
            Self::BitCount(_) => "bit-count",
            Self::HashCount(_) => "hash-count",
            Self::KeyVariant(_) => "key-form",
        }
    }

    /// What was done differently and how to fix it, for people.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Self::BetaFnv => "the keys are hashed with FNV-1 (multiply, then xor), as the sample of the first 2025 beta \
                did; released devices use FNV-1a (xor, then multiply). Rebuild the filter"
                .into(),
            Self::BitOrder => "the bits are counted from the most significant one of each byte; devices count from the \
                least significant one. Set bit i with `bytes[i / 8] |= 1 << (i % 8)`"
                .into(),
            Self::UnwrappedArithmetic => "the sum h1 + i * h2 is computed in more than 32 bits; devices wrap it at 2^32 \
                before they take the remainder. Use wrapping 32-bit arithmetic"
                .into(),
            Self::Seed(seed) => format!("the keys are hashed with the Murmur seed {seed}, which is not the one in the file"),
            Self::BitCount(bits) => format!(
                "the remainder was taken by {bits}, which is not the bitCount in the file; the two roundings of the size \
                 formula differ like this"
            ),
            Self::HashCount(hashes) => format!(
                "only {hashes} bits were set per key, fewer than the hashCount in the file; the two roundings of the \
                 size formula differ like this"
            ),
            Self::KeyVariant(variant) => variant.explanation().into(),
        }
    }
}

/// A form of a key that devices do not look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyVariant {
    /// As it stands in the list of keys.
    AsGiven,
    /// With `https://` in front.
    Https,
    /// With `http://` in front.
    Http,
    /// With `www.` in front.
    Www,
    /// With `https://www.` in front.
    HttpsWww,
    /// With a slash at the end.
    TrailingSlash,
    /// With `https://` in front and a slash at the end.
    HttpsTrailingSlash,
    /// With its host in Unicode instead of punycode.
    Unicode,
    /// With a line feed at the end.
    LineFeed,
    /// With a carriage return and a line feed at the end.
    CarriageReturnLineFeed,
    /// With a carriage return at the end.
    CarriageReturn,
    /// With a zero byte at the end.
    Terminated,
}

impl KeyVariant {
    pub(super) const ALL: [Self; 12] = [
        Self::AsGiven,
        Self::Https,
        Self::Http,
        Self::Www,
        Self::HttpsWww,
        Self::TrailingSlash,
        Self::HttpsTrailingSlash,
        Self::Unicode,
        Self::LineFeed,
        Self::CarriageReturn,
        Self::CarriageReturnLineFeed,
        Self::Terminated,
    ];

    const fn explanation(self) -> &'static str {
        match self {
            Self::AsGiven => {
                "the keys were inserted as they stand in the list, not as devices write them (lower case, punycode, no \
                 scheme, no www.). Build with `urlfilter build`, or normalise them as `urlfilter explain` shows"
            }
            Self::Https => {
                "the keys were inserted with https://; devices look them up without a scheme"
            }
            Self::Http => {
                "the keys were inserted with http://; devices look them up without a scheme"
            }
            Self::Www => "the keys were inserted with www.; devices remove it before they look",
            Self::HttpsWww => {
                "the keys were inserted with https://www.; devices look them up without either"
            }
            Self::TrailingSlash => {
                "the keys were inserted with a slash behind; devices ask for this form too, but PIR must hold the same keys"
            }
            Self::HttpsTrailingSlash => {
                "the keys were inserted with https:// in front and a slash behind; devices look them up without a scheme"
            }
            Self::Unicode => "the hosts were inserted in Unicode; devices write them in punycode",
            Self::LineFeed => {
                "the keys were inserted with their line feed; strip the ends of lines"
            }
            Self::CarriageReturn => {
                "the keys were inserted with a carriage return; strip the ends of lines"
            }
            Self::CarriageReturnLineFeed => {
                "the keys were inserted with their line ends; strip the ends of lines"
            }
            Self::Terminated => {
                "the keys were inserted with a terminating zero byte; hash the bytes of the key alone"
            }
        }
    }

    /// The key in this form; `given` is how it stands in the list, `key` how devices write it.
    pub(super) fn apply<'k>(self, given: &'k str, key: &'k str) -> Cow<'k, str> {
        let with = |text: String| Cow::Owned(text);
        match self {
            Self::AsGiven => Cow::Borrowed(given),
            Self::Https => with(format!("https://{key}")),
            Self::Http => with(format!("http://{key}")),
            Self::Www => with(format!("www.{key}")),
            Self::HttpsWww => with(format!("https://www.{key}")),
            Self::TrailingSlash => with(format!("{key}/")),
            Self::HttpsTrailingSlash => with(format!("https://{key}/")),
            Self::Unicode => {
                let (host, rest) =
                    key.split_at(key.find(['/', ':', '?', '#']).unwrap_or(key.len()));
                with(format!("{}{rest}", idna::domain_to_unicode(host).0))
            }
            Self::LineFeed => with(format!("{key}\n")),
            Self::CarriageReturn => with(format!("{key}\r")),
            Self::CarriageReturnLineFeed => with(format!("{key}\r\n")),
            Self::Terminated => with(format!("{key}\0")),
        }
    }
}
