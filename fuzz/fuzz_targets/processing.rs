//! The processing tool's inputs: configuration, parameter files, rows in both encodings.
#![no_main]

use keyword_database::{Encoding, ReadError, Reader, RowKind, Writer};
use libfuzzer_sys::fuzz_target;
use pir_api::{he, pir, text};
use pir_dataset::configuration::Configuration;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn read(encoding: Encoding, kind: RowKind, bytes: &[u8]) -> Result<Rows, ReadError> {
    let mut reader = Reader::new(encoding, bytes).with_kind(kind);
    let mut rows = Rows::new();
    while let Some(row) = reader.next_row()? {
        rows.push((row.keyword.to_vec(), row.value.to_vec()));
    }
    Ok(rows)
}

fuzz_target!(|data: &[u8]| {
    let _ = Configuration::parse(data);
    if let Ok(message) = text::from_text::<pir::PirParameters>(data) {
        let again = text::to_text(&message);
        assert_eq!(text::from_text::<pir::PirParameters>(again.as_bytes()).unwrap(), message);
    }
    let _ = text::from_text::<he::EvaluationKeyConfig>(data);
    for kind in [RowKind::Keyword, RowKind::Index] {
        for encoding in [Encoding::Text, Encoding::Binary] {
            let Ok(rows) = read(encoding, kind, data) else { continue };
            let mut writer = Writer::new(encoding, Vec::new()).with_kind(kind);
            for (keyword, value) in &rows {
                writer.write(keyword, value).unwrap();
            }
            let written = writer.finish().unwrap();
            assert_eq!(read(encoding, kind, &written).unwrap(), rows);
        }
    }
});
