//! Every list reader: the first byte chooses the format. Each line must be accounted for.
#![no_main]

use blocklist::list::{self, Format, ReadOptions};
use libfuzzer_sys::fuzz_target;

const FORMATS: [&str; 7] = ["urls", "hosts", "adblock", "dnsmasq", "rpz", "csv=url", "txtpb"];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let format: Option<Format> =
        FORMATS.get(usize::from(choice)).and_then(|name| name.parse().ok());
    let mut entries = 0;
    let options = ReadOptions::default().with_format(format);
    if let Ok(summary) = list::read(text, &options, |_| entries += 1) {
        let gzip = text.starts_with(&[0x1f, 0x8b]);
        let ends = text.iter().filter(|&&b| b == b'\n').count();
        let lines = ends + usize::from(text.last().is_some_and(|&b| b != b'\n'));
        let mark = text == b"\xef\xbb\xbf";
        assert!(
            gzip || mark || summary.lines.total() == lines as u64,
            "{summary:?} for {lines} lines"
        );
        assert!(entries >= summary.lines.entry || summary.lines.entry <= lines as u64);
    }
});
