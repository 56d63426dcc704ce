//! The texts whose SHA-256 decide whether a shard of an earlier run is reused.
//!
//! The digests are kept in manifests (`inputSha256`, `layoutSha256`). A text that changes makes every shard
//! anew, so they are written out here, and the tests compare them with known answers.

use super::format::DatabaseFormat;
use crate::configuration::DatabaseType;
use keyword_pir::ShardingFunction;
use keyword_pir::cuckoo::BucketCount;
use keyword_pir::plan::Plan;
use keyword_pir::shape::{DimensionRule, KeyCompression};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// All settings that the files of a shard depend on, besides its rows.
pub(super) fn settings(
    plan: &Plan,
    format: DatabaseFormat,
    database_type: DatabaseType,
    encoding_entry_size: bool,
) -> String {
    let format = match format {
        DatabaseFormat::Native => "Native",
        DatabaseFormat::Apple => "Apple",
    };
    let database_type = match database_type {
        DatabaseType::Keyword => "Keyword",
        DatabaseType::Index => "Index",
    };
    format!(
        "{} {format} {} {database_type} {encoding_entry_size}",
        env!("CARGO_PKG_VERSION"),
        plan_text(plan)
    )
}

/// The settings that the layout of a shard depends on. `longest_value` is in bytes.
fn layout(plan: &Plan, longest_value: usize) -> String {
    // Only buckets whose size is not configured depend on it.
    let longest_value = plan.max_bucket_size.map_or(longest_value, |_| 0);
    format!("{} {longest_value}", plan_text(plan))
}

/// SHA-256 of [`layout`], hexadecimal.
pub(super) fn layout_digest(plan: &Plan, longest_value: usize) -> String {
    hex::encode(Sha256::digest(layout(plan, longest_value)))
}

fn plan_text(plan: &Plan) -> String {
    let encryption = &plan.encryption;
    let security = match encryption.security() {
        bfv::Security::Quantum128 => "Quantum128",
        bfv::Security::Unchecked => "Unchecked",
    };
    let sharding = match plan.sharding {
        ShardingFunction::Sha256 => "Sha256".to_owned(),
        ShardingFunction::DoubleMod { other_shard_count } => {
            format!("DoubleMod {{ other_shard_count: {other_shard_count} }}")
        }
    };
    let buckets = match plan.buckets {
        BucketCount::Expandable { expansion_factor, target_load_factor } => format!(
            "Expandable {{ expansion_factor: {}, target_load_factor: {} }}",
            number(expansion_factor),
            number(target_load_factor)
        ),
        BucketCount::Fixed(count) => format!("Fixed({count})"),
    };
    let compression = match plan.compression {
        KeyCompression::None => "None",
        KeyCompression::Maximum => "Maximum",
        KeyCompression::Hybrid => "Hybrid",
    };
    // Settings of earlier versions had no such rule.
    let dimensions = match plan.dimensions {
        DimensionRule::Reference => String::new(),
        DimensionRule::Cheapest => "dimensions: Cheapest, ".to_owned(),
        DimensionRule::Fixed(dimensions) => {
            format!("dimensions: Fixed({}), ", list(dimensions.into_iter()))
        }
    };
    let symmetric = optional(plan.symmetric.as_ref().map(|symmetric| {
        format!(
            "SymmetricParameters {{ server_public_key: {} }}",
            list(symmetric.server_public_key.iter().copied())
        )
    }));
    format!(
        "Plan {{ encryption: Parameters {{ degree: {}, plaintext_modulus: {}, coefficient_moduli: {}, \
         security: {security} }}, sharding: {sharding}, hash_functions: {}, max_evictions: {}, \
         max_slots: {}, buckets: {buckets}, max_bucket_size: {}, use_max_bucket_size: {}, \
         compression: {compression}, uneven_dimensions: {}, {dimensions}symmetric: {symmetric} }}",
        encryption.degree(),
        encryption.plaintext_modulus(),
        list(encryption.coefficient_moduli().iter().copied()),
        plan.hash_functions,
        plan.max_evictions,
        plan.max_slots,
        optional(plan.max_bucket_size.map(|size| size.to_string())),
        plan.use_max_bucket_size,
        plan.uneven_dimensions,
    )
}

fn optional(text: Option<String>) -> String {
    text.map_or("None".to_owned(), |text| format!("Some({text})"))
}

fn list(numbers: impl Iterator<Item = impl Into<u64>>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.into().to_string()).collect();
    format!("[{}]", numbers.join(", "))
}

/// The shortest decimal that reads as the same number, with a digit after the point; with an exponent below
/// 0.0001 and from 10^16 on.
fn number(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e16).contains(&value.abs()) {
        return format!("{value:e}");
    }
    let mut text = value.to_string();
    if !text.contains('.') {
        write!(text, ".0").expect("writing to a string cannot fail");
    }
    text
}
