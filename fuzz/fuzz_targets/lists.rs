//! Every list reader: the first byte chooses the format and the options. Each line must be accounted for.
#![no_main]

use blocklist::list::{self, Format, ReadOptions, RowFilter};
use libfuzzer_sys::fuzz_target;

/// New formats stand at the end, so that seeds keep their meaning.
const FORMATS: [&str; 15] = [
    "urls", "hosts", "adblock", "dnsmasq", "rpz", "csv=url", "txtpb", "unbound", "tpl", "csv=2",
    "tsv=1", "json=url", "json", "bind", "pdnsd",
];

/// The most bytes that are made of an input.
const MAX_UNPACKED: u64 = 1 << 22;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let format: Option<Format> =
        FORMATS.get(usize::from(choice & 15)).and_then(|name| name.parse().ok());
    let has_rows =
        matches!(format, Some(Format::Csv { .. } | Format::Tsv { .. } | Format::Json { .. }));
    let filters = ["1=a", "url!=b"].iter().filter(|_| has_rows && choice & 64 != 0);
    let filters: Vec<RowFilter> = filters.flat_map(|text| text.parse()).collect();
    let options = ReadOptions::default()
        .with_format(format)
        .with_widened_rules(choice & 16 != 0)
        .with_defanged(choice & 32 != 0)
        .with_origin((choice & 64 != 0).then(|| "rpz.example".to_owned()))
        .with_sinks(if choice & 128 != 0 { vec!["sink.example".to_owned()] } else { Vec::new() })
        .with_rows(filters)
        .with_member((choice & 128 != 0).then(|| "a".to_owned()))
        .with_max_unpacked(MAX_UNPACKED);
    let mut entries = 0;
    if let Ok(summary) = list::read(text, &options, |_| entries += 1) {
        // Of other inputs the text is not at hand.
        let is_text = !text.contains(&0)
            && !text.contains(&b'\r')
            && !text.starts_with(&[0xff])
            && !text.starts_with(&[0xfe]);
        let is_packed = [&[0x1f, 0x8b][..], b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK"]
            .iter()
            .any(|start| text.starts_with(start))
            || text.get(1..4) == Some(&[0x2a, 0x4d, 0x18][..])
            || text.get(257..262) == Some(&b"ustar"[..]);
        let ends = text.iter().filter(|&&b| b == b'\n').count();
        let lines = ends + usize::from(text.last().is_some_and(|&b| b != b'\n'));
        let mark = text == b"\xef\xbb\xbf";
        assert!(
            !is_text || is_packed || mark || summary.lines.total() == lines as u64,
            "{summary:?} for {lines} lines"
        );
        assert!(
            !is_text
                || is_packed
                || entries >= summary.lines.entry
                || summary.lines.entry <= lines as u64
        );
    }
});
