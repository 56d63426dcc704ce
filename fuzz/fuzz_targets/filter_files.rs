//! Both readers of filter files. What is accepted must survive being written and read again.
#![no_main]

use filter_core::Prefilter;
use filter_core::file::raw::Metadata;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(prefilter) = Prefilter::from_plist(data) {
        let _ = prefilter.filter().contains(b"example.com");
        let mut written = Vec::new();
        prefilter.write_plist(&mut written).unwrap();
        let again = Prefilter::from_plist(&written).unwrap();
        assert_eq!(again.filter().bytes(), prefilter.filter().bytes());
        let bits = prefilter.filter().bytes();
        assert!(Prefilter::from_raw(prefilter.metadata(), bits).is_ok());
    }
    // Metadata first, then the bits behind a zero byte.
    let split = data.iter().position(|&b| b == 0).unwrap_or(data.len());
    if let Ok(metadata) = Metadata::parse(&data[..split]) {
        let json = metadata.to_json();
        assert_eq!(Metadata::parse(&json).unwrap(), metadata);
        let bits = data.get(split + 1..).unwrap_or_default();
        let _ = Prefilter::from_raw(metadata, bits);
    }
});
