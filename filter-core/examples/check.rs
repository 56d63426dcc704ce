//! Tests URLs against a prefilter, as a device does:
//!
//! ```sh
//! urlfilter build samples/blocklist.txt --out dist
//! cargo run -p filter-core --example check -- dist https://www.phish.example/login https://harmless.example
//! ```
//!
//! Without arguments it does so with a filter of its own.
#![expect(clippy::print_stdout, reason = "an example prints")]

use filter_core::Prefilter;
use filter_core::bloom::{BloomFilter, Sizing};
use filter_core::file::{Description, FilterBytes};
use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (prefilter, mut urls) = match arguments.next() {
        Some(path) => (Prefilter::open(path)?, arguments.collect::<Vec<_>>()),
        None => (small_filter()?, Vec::new()),
    };
    if urls.is_empty() {
        urls = ["https://www.phish.example/login?session=1", "https://harmless.example/"]
            .map(str::to_owned)
            .into();
    }
    println!("tag {}, rule {:?}", prefilter.tag(), prefilter.rule());
    for url in urls {
        match prefilter.hits(&url) {
            Ok(hits) if hits.is_empty() => println!("{url}: not on the list"),
            // Now the device asks the private service about these. Some may have hit by chance.
            Ok(hits) => println!("{url}: may be on the list, by {}", hits.join(", ")),
            Err(error) => println!("{url}: {error}"),
        }
    }
    Ok(())
}

fn small_filter() -> Result<Prefilter, Box<dyn Error>> {
    let mut filter = BloomFilter::empty(Sizing::Round.parameters(1, 1e-9, 1)?);
    filter.insert(b"phish.example/login");
    let parameters = filter.parameters();
    let bytes = FilterBytes::from(filter.into_inner());
    let filter = BloomFilter::from_bytes(parameters, bytes)?;
    Ok(Prefilter::new(filter, Description::default())?)
}
