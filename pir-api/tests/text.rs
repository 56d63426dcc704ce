//! The text form beside another implementation of it, over the messages of parameter files and others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use pir_api::text::{self, TextError};
use pir_api::{Message, Name, api, he, pir};
use proptest::prelude::*;
use prost_reflect::{DescriptorPool, DynamicMessage};
use std::path::Path;
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let file = "apple/swift_homomorphic_encryption/api/v1/api.proto";
    DescriptorPool::from_file_descriptor_set(protox::compile([file], [folder]).unwrap()).unwrap()
});

/// What the other implementation reads; `None` if it refuses the text.
fn peer<M: Message + Name + Default>(text: &str) -> Option<M> {
    let descriptor = POOL.get_message_by_name(&M::full_name()).unwrap();
    DynamicMessage::parse_text_format(descriptor, text).ok()?.transcode_to().ok()
}

fn same<M: Message + Name + Default + PartialEq + std::fmt::Debug>(text: &str) -> Option<M> {
    let ours = text::from_text::<M>(text.as_bytes()).ok();
    assert_eq!(ours, peer(text), "{text:?}");
    ours
}

#[test]
fn texts_mean_what_they_mean_elsewhere() {
    for text in [
        "",
        "  # nothing\n",
        "galois_elements: [3, 5]",
        "galois_elements: 3 galois_elements: 5",
        "galois_elements: 3, galois_elements: 5;",
        "galois_elements: 3,, galois_elements: 5",
        "galois_elements: []",
        "galois_elements: [3,]",
        "galois_elements [3]",
        "galois_elements: [[3]]",
        "galois_elements: 0x1F galois_elements: 017 galois_elements: 0",
        "galois_elements: 4294967295",
        "galois_elements: 4294967296",
        "galois_elements: -1",
        "galois_elements: 1.0",
        "galois_elements: 08",
        "galois_elements: 0x",
        "galois_elements: +3",
        "galois_elements: three",
        "has_relin_key: true",
        "has_relin_key: True",
        "has_relin_key: f",
        "has_relin_key: 1",
        "has_relin_key: 0",
        "has_relin_key: 2",
        "has_relin_key: TRUE",
        "has_relin_key: \"true\"",
        "has_relin_key: true has_relin_key: true",
        "encryption_parameters { }",
        "encryption_parameters: { }",
        "encryption_parameters < >",
        "encryption_parameters { >",
        "encryption_parameters {",
        "encryption_parameters }",
        "encryption_parameters { polynomial_degree: 4096 polynomial_degree: 4096 }",
        "encryption_parameters { } encryption_parameters { }",
        "encryption_parameters: [{ }]",
        "encryption_parameters { he_scheme: HE_SCHEME_BFV }",
        "encryption_parameters { he_scheme: 1 }",
        "encryption_parameters { he_scheme: 77 }",
        "encryption_parameters { he_scheme: -1 }",
        "encryption_parameters { he_scheme: - 1 }",
        "encryption_parameters { he_scheme: 2147483648 }",
        "encryption_parameters { he_scheme: HE_SCHEME_NO }",
        "encryption_parameters { he_scheme: \"HE_SCHEME_BFV\" }",
        "encryption_parameters { plaintext_modulus: 18446744073709551615 }",
        "encryption_parameters { plaintext_modulus: 18446744073709551616 }",
        "no_such_field: 1",
        "2: 1",
        "GALOIS_ELEMENTS: 1",
        "[a.b]: 1",
        "\u{feff}has_relin_key: true",
    ] {
        same::<he::EvaluationKeyConfig>(text);
    }
}

#[test]
fn strings_mean_what_they_mean_elsewhere() {
    for text in [
        r#"usecase: "a""#,
        r#"usecase: 'a"b'"#,
        r#"usecase: "a" 'b' "c""#,
        r#"usecase: "\a\b\f\n\r\t\v\?\\\'\"" "#,
        r#"usecase: "\101\7\377""#,
        r#"usecase: "\303\244""#,
        r#"usecase: "\400""#,
        r#"usecase: "\x41\xc3\xA4""#,
        r#"usecase: "\x4""#,
        r#"usecase: "\x""#,
        r#"usecase: "\u00e4\U0001F600""#,
        r#"usecase: "\ud83d""#,
        r#"usecase: "\u00e""#,
        r#"usecase: "\q""#,
        r#"usecase: "open"#,
        "usecase: \"two\nlines\"",
        "usecase: \"\u{e4}\u{1f600}\"",
        "usecase: # nothing\n \"a\"",
        "usecase: a",
        "usecase \"a\"",
        "usecase: \"a\" # end",
        "usecase: \"a\\",
        "usecase: \"\\xe4\"",
    ] {
        same::<api::Request>(text);
    }
    // One of several.
    let both = "pir_request { } oprf_request { }";
    assert_eq!(same::<api::Request>(both), None);
    assert!(same::<api::Request>("usecase: 'x' oprf_request { query_element: '\\377' }").is_some());
    // An optional field that has its default value.
    assert!(same::<api::pir::PirRequest>("shard_id: ''").unwrap().shard_id.is_some());
}

/// Characters and words of such files, in any order.
fn any_text() -> impl Strategy<Value = String> {
    let words = "encryption_parameters galois_elements has_relin_key polynomial_degree he_scheme coefficient_moduli \
        HE_SCHEME_BFV : : { } < > [ ] , ; 1 0 0x10 017 - true f \" ' \\ x .";
    let pieces: Vec<&str> =
        words.split(' ').filter(|word| !word.is_empty()).chain([" ", "\n", "# c\n"]).collect();
    prop::collection::vec(prop::sample::select(pieces), 0..24).prop_map(|chosen| chosen.join(" "))
}

fn parameters() -> impl Strategy<Value = pir::PirParameters> {
    let numbers = || prop::collection::vec(any::<u64>(), 0..4);
    (
        any::<(u64, u64, u64, i32)>(),
        numbers(),
        prop::collection::vec(any::<u32>(), 0..4),
        any::<Option<bool>>(),
    )
        .prop_map(|((one, two, three, scheme), moduli, elements, key)| {
            let encryption = he::EncryptionParameters {
                polynomial_degree: one,
                coefficient_moduli: moduli.clone(),
                plaintext_modulus: two,
                he_scheme: scheme % 3,
                ..Default::default()
            };
            pir::PirParameters {
                encryption_parameters: Some(encryption),
                dimensions: moduli,
                num_entries: three,
                evaluation_key_config: key.map(|has_relin_key| he::EvaluationKeyConfig {
                    galois_elements: elements,
                    has_relin_key,
                    ..Default::default()
                }),
                ..Default::default()
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_means_what_it_means_elsewhere(text in any_text()) {
        same::<he::EvaluationKeyConfig>(&text);
    }

    #[test]
    fn what_is_written_is_read_the_same(message in parameters()) {
        let text = text::to_text(&message);
        prop_assert_eq!(same::<pir::PirParameters>(&text), Some(message));
    }
}

#[test]
fn mistakes_are_told_by_line_and_column() {
    let problem = |text: &str| {
        text::from_text::<he::EvaluationKeyConfig>(text.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(
        problem("has_relin_key: true\n  galois: 1\n"),
        "line 2, column 3: the message has no field \"galois\""
    );
    assert_eq!(
        problem("# \u{e4}\ngalois_elements: [1, x]"),
        "line 2, column 22: a whole number from 0 to 4294967295 is expected"
    );
    assert_eq!(
        problem("encryption_parameters { he_scheme: NO }"),
        "line 1, column 36: one of HE_SCHEME_UNSPECIFIED, HE_SCHEME_BFV, HE_SCHEME_BGV is expected"
    );
    assert_eq!(problem("[x]: 1"), "line 1, column 1: extensions and Any are not supported");
}

#[test]
fn sizes_and_depths_are_bounded() {
    for length in [text::MAX_TEXT - 1, text::MAX_TEXT, text::MAX_TEXT + 1] {
        let result = text::from_text::<he::EvaluationKeyConfig>(&vec![b' '; length]);
        match length > text::MAX_TEXT {
            true => assert!(matches!(result, Err(TextError::TooLong(long)) if long == length)),
            false => assert_eq!(result.unwrap(), Default::default()),
        }
    }
    assert!(matches!(text::from_text::<he::EvaluationKeyConfig>(b"\xff"), Err(TextError::NotText)));
}
