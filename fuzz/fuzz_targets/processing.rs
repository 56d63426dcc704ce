//! The processing tool's inputs: configuration, parameter files, rows in both encodings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pir_api::rows::{self, Encoding, RowBytes, RowKind, RowsError};
use pir_api::{he, pir, text};
use pir_dataset::configuration::Configuration;

fuzz_target!(|data: &[u8]| {
    let _ = Configuration::parse(data);
    if let Ok(message) = text::from_text::<pir::PirParameters>(data) {
        let again = text::to_text(&message);
        assert_eq!(text::from_text::<pir::PirParameters>(again.as_bytes()).unwrap(), message);
    }
    let _ = text::from_text::<he::EvaluationKeyConfig>(data);
    for kind in [RowKind::Keyword, RowKind::Index] {
        for encoding in [Encoding::Text, Encoding::Binary] {
            let mut all = Vec::new();
            let outcome = rows::read(data, encoding, kind, |row| {
                all.push((row.keyword.to_vec(), row.value.to_vec()));
                Ok::<(), RowsError>(())
            });
            if outcome.is_err() {
                continue;
            }
            let mut written = Vec::new();
            for (keyword, value) in &all {
                rows::write(&mut written, encoding, kind, RowBytes { keyword, value }).unwrap();
            }
            let mut again = Vec::new();
            rows::read(&written[..], encoding, kind, |row| {
                again.push((row.keyword.to_vec(), row.value.to_vec()));
                Ok::<(), RowsError>(())
            })
            .unwrap();
            assert_eq!(again, all);
        }
    }
});
