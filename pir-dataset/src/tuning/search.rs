//! The layouts that are compared, and their costs by counting.

use super::settings::Settings;
use bfv::{Parameters, Security};
use keyword_pir::ShardParameters;
use keyword_pir::cost::LookupCounts;
use keyword_pir::cuckoo::BucketCount;
use keyword_pir::plan::Plan;
use keyword_pir::shape::DimensionRule;

/// A layout that has not been tried.
#[derive(Clone, Debug)]
pub(super) struct Possible {
    pub(super) settings: Settings,
    pub(super) shard_count: u32,
    pub(super) work: f64,
    reply_bytes: usize,
}

/// Plans for one parameter set, and whether tables have room for a tenth more rows.
fn plans(encryption: &Parameters, longest_value: usize) -> Vec<(Plan, bool)> {
    let reference = Plan::new(encryption.clone());
    let mut plans = vec![(reference.clone(), true)];
    let payload = encryption.payload_bytes();
    let min = Plan::min_bucket_size(longest_value);
    // Two hash functions, which fill small buckets evenly, too.
    for together in [1, 2, 4, 8] {
        let size = payload / together;
        if size >= min {
            let mut plan = reference.clone();
            plan.max_bucket_size = Some(size);
            plan.dimensions = DimensionRule::Cheapest;
            plans.push((plan, true));
        }
    }
    // Values that are longer than a plaintext, in buckets of whole plaintexts.
    if min > payload {
        let mut plan = reference.clone();
        plan.max_bucket_size = Some(min.next_multiple_of(payload));
        plan.dimensions = DimensionRule::Cheapest;
        plans.push((plan, true));
    }
    // One hash function, with room for more rows and without.
    if let Some(plan) = reference.cheap(longest_value) {
        if let BucketCount::Expandable { expansion_factor, target_load_factor } = plan.buckets {
            let mut full = plan.clone();
            let target_load_factor = ((target_load_factor * 1.1) * 1000.0).floor() / 1000.0;
            full.buckets = BucketCount::Expandable { expansion_factor, target_load_factor };
            plans.push((full, false));
        }
        plans.push((plan, true));
    }
    plans
}

/// Every layout for a shard of so many rows, whose values have `value_bytes` bytes together.
pub(super) fn possible(rows: u64, value_bytes: u64, longest_value: usize) -> Vec<Possible> {
    let sets = Parameters::predefined_names().filter_map(Parameters::predefined);
    let secure =
        sets.filter(|set| set.security() == Security::Quantum128 && set.has_key_switching());
    let mut all = Vec::new();
    for set in secure {
        for (plan, has_room) in plans(&set, longest_value) {
            let Ok(parameters) = plan.expected_shard(rows, value_bytes, longest_value) else {
                continue;
            };
            let Ok(counts) = LookupCounts::of(&parameters) else { continue };
            let work = counts.work(&set);
            let Some(settings) = Settings::new(plan, has_room) else { continue };
            all.push(Possible {
                settings,
                shard_count: 1,
                work,
                reply_bytes: reply_bytes(&parameters),
            });
        }
    }
    all
}

/// About the size of a reply: what decryption needs of each polynomial modulo the first modulus.
fn reply_bytes(parameters: &ShardParameters) -> usize {
    let encryption = parameters.encryption();
    let first = encryption.coefficient_moduli().first().map_or(0, |modulus| modulus.ilog2() + 1);
    let bits: u32 = encryption
        .decryption_skip_bits()
        .iter()
        .map(|&skipped| first.saturating_sub(skipped))
        .sum();
    let ciphertext = encryption.degree() * bits as usize / 8;
    ciphertext * parameters.calls() * parameters.chunks()
}

/// The layouts whose replies are small enough, by their work.
pub(super) fn ranked(
    mut possible: Vec<Possible>,
    shard_count: u32,
    max_reply_bytes: Option<usize>,
) -> Vec<Possible> {
    possible.iter_mut().for_each(|layout| layout.shard_count = shard_count);
    // The sizes are a little less than those of whole messages. The reference's are there to compare with.
    possible.retain(|layout| {
        layout.settings.is_reference()
            || max_reply_bytes.is_none_or(|max| layout.reply_bytes <= max)
    });
    possible.sort_by(|a, b| a.work.total_cmp(&b.work));
    possible
}
