//! Both readers of filter files. What is accepted must survive being written and read again.
#![no_main]

use filter_core::file::raw::Metadata;
use filter_core::file::{Prefilter, plist};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((prefilter, _)) = plist::parse(data) {
        let _ = prefilter.filter.contains(b"example.com");
        let mut written = Vec::new();
        plist::write(&prefilter, &mut written).unwrap();
        let (again, _) = plist::parse(&written).unwrap();
        assert_eq!(again.filter.bytes(), prefilter.filter.bytes());
        let Prefilter { filter, description } = prefilter;
        let bits = filter.bytes().to_vec();
        let metadata = Metadata::of(&Prefilter { filter, description });
        assert!(metadata.with_bits(bits).is_ok());
    }
    // Metadata first, then the bits behind a zero byte.
    let split = data.iter().position(|&b| b == 0).unwrap_or(data.len());
    if let Ok(metadata) = Metadata::parse(&data[..split]) {
        let json = metadata.to_json().unwrap();
        assert_eq!(Metadata::parse(&json).unwrap(), metadata);
        let _ = metadata.with_bits(data.get(split + 1..).unwrap_or_default());
    }
});
