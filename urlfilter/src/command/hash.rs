//! `urlfilter hash`: the hashes and bits of a key, for comparison with other tools.

use super::urls::with_standard_input;
use crate::output::{Exit, Results};
use blocklist::builder::DEFAULT_SEED;
use filter_core::bloom::Parameters;
use filter_core::hash::KeyHash;
use serde::Serialize;

/// Print both hashes of keys, and the bits that they set in a filter of a given size
///
/// Keys are hashed as given, without normalisation.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter hash example.com
  urlfilter hash --seed 3919904948 --bits 144 --hashes 10 --json example.com

Exit codes:
  0  all keys are hashed
  2  failure")]
pub(crate) struct Arguments {
    /// Keys to hash; `-` reads them from standard input, one a line
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Seed of MurmurHash3
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u32,
    /// Size of the filter, in bits
    #[arg(long, requires = "hashes", value_name = "M")]
    bits: Option<u32>,
    /// Number of bits that each key sets
    #[arg(long, requires = "bits", value_name = "K")]
    hashes: Option<u32>,
    /// Print one JSON object for each key
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Hashes<'k> {
    input: &'k str,
    fnv1a32: u32,
    murmur3_32: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    indices: Option<Vec<u32>>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let parameters = match (arguments.bits, arguments.hashes) {
        (Some(bits), Some(hashes)) => Some(Parameters::new(bits, hashes, arguments.seed)?),
        _ => None,
    };
    let mut results = Results::new();
    for key in with_standard_input(&arguments.keys)? {
        let hash = KeyHash::new(key.as_bytes(), arguments.seed);
        let indices =
            parameters.map(|parameters| parameters.indices(key.as_bytes()).collect::<Vec<_>>());
        let hashes = Hashes { input: &key, fnv1a32: hash.fnv1a, murmur3_32: hash.murmur3, indices };
        if arguments.json {
            results.json(&hashes)?;
        } else {
            results.line(format_args!("{key}"))?;
            results.line(format_args!("  FNV-1a 32        {0} (0x{0:08x})", hashes.fnv1a32))?;
            results.line(format_args!(
                "  MurmurHash3 32   {0} (0x{0:08x}), seed {1}",
                hashes.murmur3_32, arguments.seed
            ))?;
            if let Some(indices) = &hashes.indices {
                let text: Vec<String> = indices.iter().map(u32::to_string).collect();
                results.line(format_args!("  bits             {}", text.join(" ")))?;
            }
        }
    }
    results.finish()?;
    Ok(Exit::Success)
}
