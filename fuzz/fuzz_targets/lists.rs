//! Every list reader: the first byte chooses the format and the options. Each line must be accounted for.
#![no_main]

use blocklist::list::{self, Format, ReadOptions};
use libfuzzer_sys::fuzz_target;

/// New formats stand at the end, so that seeds keep their meaning.
const FORMATS: [&str; 9] =
    ["urls", "hosts", "adblock", "dnsmasq", "rpz", "csv=url", "txtpb", "unbound", "tpl"];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let format: Option<Format> =
        FORMATS.get(usize::from(choice & 15)).and_then(|name| name.parse().ok());
    let mut entries = 0;
    let options = ReadOptions::default()
        .with_format(format)
        .with_widened_rules(choice & 16 != 0)
        .with_defanged(choice & 32 != 0)
        .with_origin((choice & 64 != 0).then(|| "rpz.example".to_owned()))
        .with_sinks(if choice & 128 != 0 { vec!["sink.example".to_owned()] } else { Vec::new() });
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
