//! The client half: from a keyword to an encrypted query, and from the reply to the value.
//!
//! Queries are built without branches or indices that depend on the keyword once its hash is known.
//! Decoding does the same work for every coefficient, whatever its value, and takes time that depends on the number of slots
//! of a bucket. Neither its errors nor its timing may reach the server.

use crate::bucket;
use crate::error::Error;
use crate::keyword::KeywordHash;
use crate::parameters::{DatabaseKind, ShardParameters};
use crate::query::{Reply, SerializedQuery};
use crate::scheme::{Scheme, SecretKey, both_words};
use bfv::RandomSource;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// Makes queries to one shard and reads its replies.
pub struct Client {
    scheme: Scheme,
    parameters: ShardParameters,
}

/// What a reply decrypts to.
struct Payloads {
    payloads: Vec<Zeroizing<Vec<u8>>>,
    /// Whether every coefficient is one of a payload. Otherwise the bytes mean nothing.
    are_all_payloads: bool,
}

impl Client {
    /// A client of one shard.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the shard has another parameter set than the scheme.
    pub fn new(scheme: Scheme, parameters: ShardParameters) -> Result<Self, Error> {
        if parameters.encryption() != scheme.parameters() {
            return Err(Error::Mismatch("the shard"));
        }
        Ok(Self { scheme, parameters })
    }

    /// The shard's parameters.
    #[must_use]
    pub fn parameters(&self) -> &ShardParameters {
        &self.parameters
    }

    fn candidates(&self, hash: KeywordHash) -> Result<Vec<u64>, Error> {
        let description = self.parameters.description();
        match description.kind {
            DatabaseKind::Keyword { hash_functions, .. } => {
                Ok(hash.candidates(description.entries, hash_functions))
            }
            DatabaseKind::Index { .. } => Err(Error::Kind),
        }
    }

    /// A query for a keyword of any length.
    ///
    /// # Errors
    /// [`Error::Kind`] if the shard is a database of numbered entries, [`Error::Mismatch`] if the key
    /// is of another parameter set, [`Error::Scheme`] if the random source fails.
    pub fn query_keyword(
        &self,
        keyword: &[u8],
        key: &SecretKey,
        random: &mut impl RandomSource,
    ) -> Result<SerializedQuery, Error> {
        self.query(&self.candidates(KeywordHash::of(keyword))?, key, random)
    }

    /// A query for entries by number: at least one, at most the shard's batch size.
    ///
    /// # Errors
    /// [`Error::Kind`] if the shard is a keyword database, [`Error::Count`] for too few or too many
    /// entries, [`Error::Index`] for one that the shard does not have, and as
    /// [`Self::query_keyword`].
    pub fn query_entries(
        &self,
        entries: &[u64],
        key: &SecretKey,
        random: &mut impl RandomSource,
    ) -> Result<SerializedQuery, Error> {
        let description = self.parameters.description();
        if !matches!(description.kind, DatabaseKind::Index { .. }) {
            return Err(Error::Kind);
        }
        let (expected, found) = (self.parameters.calls(), entries.len());
        if !(1..=expected).contains(&found) {
            return Err(Error::Count { what: "entries of a query", expected, found });
        }
        if let Some(&index) = entries.iter().find(|&&index| index >= description.entries) {
            return Err(Error::Index { index, entries: description.entries });
        }
        self.query(entries, key, random)
    }

    fn query(
        &self,
        indices: &[u64],
        key: &SecretKey,
        random: &mut impl RandomSource,
    ) -> Result<SerializedQuery, Error> {
        let parameters = &self.parameters;
        let dimensions = &parameters.description().dimensions;
        // For each lookup and dimension: zeros, and a one at the wanted place.
        let mut ones = Zeroizing::new(Vec::<u64>::new());
        let mut offset = 0;
        for &index in indices {
            let plaintext = index / parameters.entries_per_plaintext() as u64;
            let columns = parameters.columns() as u64;
            let coordinates = [plaintext / columns, plaintext % columns];
            for (&length, coordinate) in dimensions.iter().zip(coordinates) {
                ones.push(offset + coordinate);
                offset += length;
            }
        }
        let (total, degree) = (offset, parameters.encryption().degree() as u64);
        let t = parameters.encryption().plaintext_modulus();
        both_words!(&self.scheme.0, &key.0, "the secret key", (tables, key) => {
            let mut ciphertexts = Vec::new();
            for start in (0..total).step_by(degree as usize) {
                let count = degree.min(total - start);
                let one = inverse_of_power_of_two(count.next_power_of_two().ilog2(), t);
                let values = Zeroizing::new((start..start + count).map(|place| {
                    let is_one = ones.iter().fold(Choice::from(0), |is_one, one| {
                        is_one | one.ct_eq(&place)
                    });
                    u64::conditional_select(&0, &one, is_one)
                }).collect::<Vec<_>>());
                let plaintext = tables.context.encode_coefficients(&values)?;
                let ciphertext = tables.context.encrypt(&plaintext, key, random)?;
                ciphertexts.push(tables.context.write_ciphertext(&ciphertext));
            }
            Ok(SerializedQuery { ciphertexts, calls: indices.len() as u64 })
        })
    }

    /// The payload of each lookup: its chunks decrypted and joined.
    ///
    /// Errors that need no key to see come first. Then every chunk is decrypted and unpacked, whatever it and the others
    /// hold: the time that this takes must not tell which of them cannot be read.
    fn decrypt(&self, reply: &Reply, calls: usize, key: &SecretKey) -> Result<Payloads, Error> {
        let check = |what, expected, found| match expected == found {
            true => Ok(()),
            false => Err(Error::Count { what, expected, found }),
        };
        check("replies", calls, reply.len())?;
        both_words!(&self.scheme.0, &key.0, "the secret key", (tables, key) => {
            let read = |chunks: &Vec<_>| {
                check("ciphertexts of a reply", self.parameters.chunks(), chunks.len())?;
                let read = chunks.iter().map(|chunk| tables.context.read_ciphertext(chunk, 1));
                Ok(read.collect::<Result<Vec<_>, _>>()?)
            };
            let ciphertexts = reply.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
            let (mut payloads, mut are_all_payloads) = (Vec::new(), true);
            for chunks in &ciphertexts {
                let mut payload = Zeroizing::new(Vec::new());
                for ciphertext in chunks {
                    let plaintext = tables.context.decrypt(ciphertext, key)?;
                    let (bytes, is_payload) = tables.context.decode_any_bytes(&plaintext);
                    payload.extend(bytes);
                    are_all_payloads &= is_payload;
                }
                payloads.push(payload);
            }
            Ok(Payloads { payloads, are_all_payloads })
        })
    }

    /// The payloads of a reply.
    fn payloads(
        &self,
        reply: &Reply,
        calls: usize,
        key: &SecretKey,
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, Error> {
        let decrypted = self.decrypt(reply, calls, key)?;
        self.check_payloads(&decrypted)?;
        Ok(decrypted.payloads)
    }

    fn check_payloads(&self, decrypted: &Payloads) -> Result<(), Error> {
        let modulus = self.parameters.encryption().plaintext_modulus();
        match decrypted.are_all_payloads {
            true => Ok(()),
            false => Err(bfv::Error::PlaintextValue { modulus }.into()),
        }
    }

    fn entry<'p>(&self, payload: &'p [u8], index: u64) -> Result<&'p [u8], Error> {
        let size = self.parameters.stored_entry_size();
        let place = (index % self.parameters.entries_per_plaintext() as u64) as usize;
        payload.get(place * size..(place + 1) * size).ok_or(Error::EntryLength)
    }

    /// The value of a keyword from the reply to its query; `None` if the shard does not have it.
    ///
    /// If one bucket of a reply cannot be read and another has the keyword, the value is returned.
    ///
    /// # Errors
    /// [`Error::Count`], [`Error::Scheme`], [`Error::Bucket`] or [`Error::EntryLength`] if the reply
    /// does not fit the shard's parameters, [`Error::Kind`] and [`Error::Mismatch`] as
    /// [`Self::query_keyword`].
    pub fn decode_keyword(
        &self,
        reply: &Reply,
        keyword: &[u8],
        key: &SecretKey,
    ) -> Result<Option<Vec<u8>>, Error> {
        let hash = KeywordHash::of(keyword);
        let candidates = self.candidates(hash)?;
        let decrypted = self.decrypt(reply, candidates.len(), key)?;
        let mut found = Ok(None);
        for (payload, index) in decrypted.payloads.iter().zip(candidates) {
            let value = self
                .entry(payload, index)
                .and_then(|entry| Ok(bucket::find(entry, hash)?.map(<[u8]>::to_vec)));
            found = match (found, value) {
                (Ok(Some(first)), _) => Ok(Some(first)),
                (_, Ok(Some(value))) => Ok(Some(value)),
                (Err(error), _) | (_, Err(error)) => Err(error),
                (Ok(None), Ok(None)) => Ok(None),
            };
        }
        // Buckets of bytes that mean nothing are searched as others are.
        self.check_payloads(&decrypted)?;
        found
    }

    /// The number of values that a reply shows its reader: the wanted one, and those that share its
    /// plaintexts.
    ///
    /// # Errors
    /// As [`Self::decode_keyword`].
    pub fn entries_in(&self, reply: &Reply, key: &SecretKey) -> Result<usize, Error> {
        let size = self.parameters.stored_entry_size();
        let mut count = 0;
        for payload in self.payloads(reply, reply.len(), key)? {
            for entry in payload.chunks_exact(size) {
                count += bucket::Slots::new(entry)?.count();
            }
        }
        Ok(count)
    }

    /// Entries by number from the reply to their query, in the order of `entries`.
    ///
    /// # Errors
    /// [`Error::Count`], [`Error::Scheme`] or [`Error::EntryLength`] if the reply does not fit the
    /// shard's parameters, [`Error::Kind`] if the shard is a keyword database.
    pub fn decode_entries(
        &self,
        reply: &Reply,
        entries: &[u64],
        key: &SecretKey,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let description = self.parameters.description();
        let DatabaseKind::Index { encodes_entry_size } = description.kind else {
            return Err(Error::Kind);
        };
        let prefix = self.parameters.stored_entry_size() - description.entry_size as usize;
        let payloads = self.payloads(reply, entries.len(), key)?;
        payloads
            .iter()
            .zip(entries)
            .map(|(payload, &index)| {
                let entry = self.entry(payload, index)?;
                if !encodes_entry_size {
                    return Ok(entry.to_vec());
                }
                let (length, entry) = entry.split_at(prefix);
                let mut bytes = [0; 8];
                bytes[..prefix].copy_from_slice(length);
                let length = usize::try_from(u64::from_le_bytes(bytes)).ok();
                let entry = length.and_then(|length| entry.get(..length));
                Ok(entry.ok_or(Error::EntryLength)?.to_vec())
            })
            .collect()
    }

    /// The smallest noise budget in bits of the ciphertexts of a reply. The reply must have been made
    /// with [`Execution::keep_low_bits`](crate::Execution::keep_low_bits): low bits that are left out
    /// count as noise. For the operator's own tests; it must never be told to a server, see
    /// [`bfv::Context::noise_budget`].
    ///
    /// # Errors
    /// [`Error::Scheme`] or [`Error::Mismatch`] if the reply or the key does not fit the parameters.
    pub fn noise_budget(&self, reply: &Reply, key: &SecretKey) -> Result<f64, Error> {
        both_words!(&self.scheme.0, &key.0, "the secret key", (tables, key) => {
            let mut min = f64::INFINITY;
            for ciphertext in reply.iter().flatten() {
                let ciphertext = tables.context.read_ciphertext(ciphertext, 1)?;
                min = min.min(tables.context.noise_budget(&ciphertext, key)?);
            }
            Ok(min)
        })
    }
}

/// 2^-power modulo an odd t.
fn inverse_of_power_of_two(power: u32, t: u64) -> u64 {
    // Halving an odd number means halving its sum with t.
    (0..power).fold(1 % t, |x, _| if x % 2 == 0 { x / 2 } else { x / 2 + t / 2 + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_of_powers_of_two() {
        for t in [3, 11, 17, 40_961, 2_199_023_288_321] {
            for power in 0..20 {
                let inverse = u128::from(inverse_of_power_of_two(power, t));
                assert_eq!((inverse << power) % u128::from(t), 1, "{power} {t}");
            }
        }
    }
}
