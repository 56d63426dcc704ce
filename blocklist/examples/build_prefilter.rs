//! Builds a prefilter and its data set from block lists:
//! `cargo run -p blocklist --example build_prefilter -- OUT LIST…`, or without arguments from a list of its own into a
//! temporary folder.

use blocklist::{Builder, Options};
use std::error::Error;
use std::fs::File;
use std::path::Path;

const LIST: &str = "# one host, one URL, and one entry that cannot be blocked\n\
    ads.example\nhttps://www.phish.example/Login/\ncom\n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let builder = Builder::new(Options::default().with_onboarding_entry(true));
    let Some(folder) = arguments.next() else {
        let folder = tempfile::tempdir()?;
        return write(builder.add_list("example", LIST.as_bytes(), None)?, folder.path());
    };
    let builder = arguments.try_fold(builder, |builder, path| -> Result<_, Box<dyn Error>> {
        Ok(builder.add_list(&path, File::open(&path)?, None)?)
    })?;
    write(builder, Path::new(&folder))
}

fn write(builder: Builder, folder: &Path) -> Result<(), Box<dyn Error>> {
    let built = builder.finish()?;
    built.write(folder)?;
    let mut out = std::io::stdout().lock();
    let mut say = |text: String| std::io::Write::write_all(&mut out, (text + "\n").as_bytes());
    let entries = built.report.entries;
    say(format!("{} keys of {} entries in {}", built.keys.len(), entries.read, folder.display()))?;
    for (remark, seen) in &built.report.remarks {
        say(format!("{:>8}  {remark}: {}", seen.count(), remark.explanation()))?;
    }
    for (refusal, seen) in &built.report.refused {
        say(format!("{:>8}  {refusal}: {}", seen.count(), refusal.explanation()))?;
    }
    Ok(())
}
