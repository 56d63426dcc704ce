//! Makes a prefilter of keys and writes it in both formats, into the folder that is given (or a temporary one):
//!
//! ```sh
//! cargo run -p filter-core --example fill_filter -- dist
//! ```
//!
//! The keys here are written as devices look them up. The crate `blocklist` turns block lists into such keys.
#![expect(clippy::print_stdout, reason = "an example prints")]

use filter_core::Prefilter;
use filter_core::bloom::{BloomFilter, Sizing};
use filter_core::file::Description;
use filter_core::file::raw::{BITS_FILE, METADATA_FILE};
use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = env::args().nth(1).map_or(temporary.path().to_owned(), PathBuf::from);
    let keys = ["phish.example/login", "malware.example", "ads.example:8443"];
    let tolerance = 0.001;

    let parameters = Sizing::Round.parameters(keys.len() as u64, tolerance, 2_538_058_380)?;
    let mut filter = BloomFilter::empty(parameters);
    filter.insert_all(keys.map(str::as_bytes));
    let mut description = Description::default();
    description.item_count = Some(keys.len() as u64);
    description.false_positive_tolerance = Some(tolerance);
    description.sizing = Some(Sizing::Round);
    let prefilter = Prefilter::new(filter, description)?;

    fs::create_dir_all(&folder)?;
    fs::write(folder.join(BITS_FILE), prefilter.filter().bytes())?;
    fs::write(folder.join(METADATA_FILE), prefilter.metadata().to_json())?;
    #[cfg(feature = "plist")]
    prefilter.write_plist(fs::File::create(folder.join("bloom_filter.plist"))?)?;

    let reopened = Prefilter::open(&folder)?;
    assert_eq!(reopened.tag(), prefilter.tag());
    println!("{} keys in {} bits: {}", keys.len(), parameters.bit_count(), folder.display());
    Ok(())
}
