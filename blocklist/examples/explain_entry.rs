//! Shows the key of an entry, and what a report would say about it:
//! `cargo run -p blocklist --example explain_entry -- 'https://WWW.Example.com:443/Login/'`

use blocklist::key::{EntryKind, KeyRules, canonicalise};
use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut entries: Vec<String> = std::env::args().skip(1).collect();
    if entries.is_empty() {
        entries = ["https://WWW.Example.com:443/Login/", "co.uk", "com"].map(String::from).into();
    }
    let rules = KeyRules::default();
    let mut out = io::stdout().lock();
    for entry in &entries {
        match canonicalise(entry, EntryKind::Url, &rules) {
            Ok(key) => {
                writeln!(out, "{entry}: the key is {}", key.text)?;
                for other in &key.others {
                    writeln!(out, "  and {other}")?;
                }
                for remark in key.remarks.iter() {
                    writeln!(out, "  {remark}: {}", remark.explanation())?;
                }
            }
            Err(refusal) => writeln!(out, "{entry}: no key, {}", refusal.explanation())?,
        }
    }
    Ok(())
}
