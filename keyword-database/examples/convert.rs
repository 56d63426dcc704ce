//! Turns a keyword database from text into the serialised form:
//! `cargo run -p keyword-database --example convert < input.txtpb > input.binpb`.

use keyword_database::{Reader, Writer};
use std::io::{self, BufWriter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = Reader::text(io::stdin().lock());
    let mut writer = Writer::binary(BufWriter::new(io::stdout().lock()));
    while let Some(row) = reader.next_row()? {
        writer.write(row.keyword, row.value)?;
    }
    writer.finish()?;
    Ok(())
}
