//! The published test vectors, made by the library that they describe.
//!
//! The library itself is held against recordings of other implementations and independent oracles in
//! its tests; here its answers are written down for people who implement the same rules elsewhere.

mod refused;
mod sub_urls;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blocklist::key::{EntryKind, canonicalise};
use filter_core::Prefilter;
use filter_core::bloom::{BloomFilter, Parameters, Sizing};
use filter_core::file::{Description, tag};
use filter_core::hash::{Fnv1a, Murmur3};
use filter_core::sub_url::SubUrlRule;
use serde_json::{Value, json};
use std::path::PathBuf;

/// One file of the vectors.
pub(crate) struct VectorFile {
    /// Relative to the folder of all vectors.
    pub(crate) path: PathBuf,
    /// Its bytes.
    pub(crate) content: Vec<u8>,
}

/// Every file, in a fixed order.
pub(crate) fn all() -> anyhow::Result<Vec<VectorFile>> {
    let mut files = vec![
        json_file("hashes.json", &hashes())?,
        json_file("indices.json", &indices()?)?,
        json_file("sizing.json", &sizing()?)?,
        json_file("filters.json", &filters()?)?,
        json_file("beta_2025.json", &beta())?,
        json_file("sub_urls.json", &sub_urls::all()?)?,
        json_file("keys.json", &keys()?)?,
    ];
    files.extend(refused::all()?);
    Ok(files)
}

fn json_file(name: &str, value: &Value) -> anyhow::Result<VectorFile> {
    let mut content = serde_json::to_vec_pretty(value)?;
    content.push(b'\n');
    Ok(VectorFile { path: PathBuf::from("prefilter").join(name), content })
}

const SEEDS: [u32; 5] = [0, 1, 2_538_058_380, 3_919_904_948, u32::MAX];

/// Inputs of every length modulo four, with bytes beyond ASCII, and of the length of real keys.
const INPUTS: [&str; 14] = [
    "",
    "a",
    "ab",
    "abc",
    "abcd",
    "abcde",
    "foobar",
    "example.com",
    "example.com/",
    "example.com:443/a/b/c?id=123#fragment",
    "xn--bcher-kva.example/%c3%bc",
    "bücher.example",
    "日本語.example/パス",
    "a-rather-long-host-name-with-many-labels.and.more.of.them.example.org/with/a/path/of/several/segments?and=a&query=string#and-a-fragment",
];

fn hashes() -> Value {
    let hash = |input: &str| {
        let murmur: serde_json::Map<String, Value> = SEEDS
            .iter()
            .map(|&seed| (seed.to_string(), json!(Murmur3::hash(input.as_bytes(), seed))))
            .collect();
        let hex: String = input.bytes().map(|byte| format!("{byte:02x}")).collect();
        json!({"input": input, "utf8Hex": hex, "fnv1a32": Fnv1a::hash(input.as_bytes()), "murmur3_32": murmur})
    };
    INPUTS.iter().copied().map(hash).collect()
}

fn indices() -> anyhow::Result<Value> {
    let sizes = [
        (144, 10, 3_919_904_948),
        (1, 3, 0),
        (14_377_588, 10, 2_538_058_380),
        (4_294_967_291, 20, 7),
    ];
    let mut all = Vec::new();
    for (bits, hashes, seed) in sizes {
        let parameters = Parameters::new(bits, hashes, seed)?;
        for input in ["abcd", "foobar", "example.com", "example.com:443/a/b/c?id=123#fragment"] {
            let indices: Vec<u32> = parameters.indices(input.as_bytes()).collect();
            all.push(json!({
                "input": input, "bitCount": bits, "hashCount": hashes, "murmurSeed": seed, "indices": indices,
            }));
        }
    }
    Ok(all.into())
}

fn sizing() -> anyhow::Result<Value> {
    let mut all = Vec::new();
    for n in [1u64, 2, 3, 10, 45, 100, 1_000, 13_161, 1_000_000, 10_000_000, 100_000_000] {
        for p in [0.5, 0.1, 0.01, 0.003, 0.001, 0.0001, 1e-6] {
            for rule in [Sizing::Round, Sizing::Ceil] {
                match rule.parameters(n, p, 0) {
                    Ok(size) => all.push(json!({
                        "n": n, "p": p, "rule": rule, "bitCount": size.bit_count(), "hashCount": size.hash_count(),
                    })),
                    // Too large: left to the implementation's own limit.
                    Err(filter_core::bloom::BloomError::TooLarge { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(all.into())
}

fn filters() -> anyhow::Result<Value> {
    let ten: Vec<String> = BETA_KEYS.iter().map(|&key| key.to_owned()).collect();
    let hundred: Vec<String> = (0..100).map(|i| format!("host{i}.example/path{i}")).collect();
    let mixed: Vec<String> = [
        "xn--bcher-kva.example",
        "192.0.2.7/login",
        "[2001:db8::1]:8443/a",
        "example.com/%c3%bc?q=1#f",
        "www.apple.com/url-filter-test",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut all = Vec::new();
    for (keys, p, seed) in [
        (vec!["only.example".to_owned()], 0.01, 1),
        (ten, 0.001, 3_919_904_948),
        (mixed, 0.0001, 0),
        (hundred.clone(), 0.001, 2_538_058_380),
        (hundred, 0.5, u32::MAX),
    ] {
        for rule in [Sizing::Round, Sizing::Ceil] {
            let prefilter = prefilter(&keys, p, rule, seed)?;
            let parameters = prefilter.filter().parameters();
            all.push(json!({
                "keys": keys,
                "falsePositiveTolerance": p,
                "rule": rule,
                "murmurSeed": seed,
                "bitCount": parameters.bit_count(),
                "hashCount": parameters.hash_count(),
                "data": STANDARD.encode(prefilter.filter().bytes()),
                "tag": tag(prefilter.filter().bytes()),
            }));
        }
    }
    Ok(all.into())
}

fn prefilter(
    keys: &[String],
    p: f64,
    sizing: Sizing,
    seed: u32,
) -> anyhow::Result<Prefilter<Vec<u8>>> {
    let mut filter = BloomFilter::empty(sizing.parameters(keys.len() as u64, p, seed)?);
    filter.insert_all(keys.iter().map(String::as_bytes));
    let mut description = Description::default();
    description.item_count = Some(keys.len() as u64);
    description.false_positive_tolerance = Some(p);
    Ok(Prefilter::new(filter, description)?)
}

/// The keys of the first beta sample.
const BETA_KEYS: [&str; 10] = [
    "example.com",
    "example2.com",
    "example3.com",
    "example4.com",
    "example5.com",
    "example6.com",
    "example7.com",
    "example8.com",
    "example9.com",
    "example10.com/resource?query=bugs",
];

/// The bits of the first beta sample, as recorded: nothing here can build them.
fn beta() -> Value {
    json!({
        "note": "the file of the first beta sample: FNV multiplies before it xors; recognise, never build",
        "keys": BETA_KEYS,
        "bitCount": 144,
        "hashCount": 10,
        "murmurSeed": 3_919_904_948_u32,
        "data": "KnFnz7/dUDyK51HqlhTlswav",
    })
}

fn keys() -> anyhow::Result<Value> {
    const CURRENT: &str = r#"{"profile":"current"}"#;
    const OLDER: &str = r#"{"profile":"ios26.0"}"#;
    const SHORT: &str = r#"{"urlParsingConfiguration":{"domain":{"levels":2},"path":{"segments":1},"query":{"excluded":true}}}"#;
    const PATTERN: &str =
        r#"{"urlParsingRegularExpression":"//(?<host>[^/:?#]+).*[?&]id=(?<id>[0-9]+)"}"#;
    let entries = [
        (CURRENT, "example.com"),
        (CURRENT, "https://example.com/"),
        (CURRENT, "HTTPS://Example.COM/Login/"),
        (CURRENT, "http://www.example.com/a?b=c"),
        (CURRENT, "www.www.example.com"),
        (CURRENT, "https://user:password@example.com/x"),
        (CURRENT, "https://bücher.example/straße?q=ü"),
        (CURRENT, "xn--bcher-kva.example"),
        (CURRENT, "https://example.com:443/x"),
        (CURRENT, "http://example.com:443/x"),
        (CURRENT, "example.com:8443/x"),
        (CURRENT, "https://example.com/a/./b/../c//"),
        (CURRENT, "https://example.com/a//b"),
        (CURRENT, "https://example.com\\a b"),
        (CURRENT, "https://example.com/?q=1"),
        (CURRENT, "https://example.com?q=1"),
        (CURRENT, "https://example.com/a?"),
        (CURRENT, "https://example.com/a#top"),
        (CURRENT, "example.com."),
        (CURRENT, "*.example.com"),
        (CURRENT, "http://0x7f.1/"),
        (CURRENT, "http://[2001:DB8::1]/"),
        (CURRENT, "ftp://example.com/file"),
        (CURRENT, "co.uk"),
        (CURRENT, "com"),
        (CURRENT, "www.com"),
        (CURRENT, "localhost"),
        (CURRENT, "ads*.example.com"),
        (CURRENT, "not a host"),
        (CURRENT, "a..example"),
        (CURRENT, "999.1.1.1"),
        (CURRENT, "mailto:someone@example.com"),
        (CURRENT, "hxxp://example.com/"),
        (OLDER, "https://www.example.com/a"),
        (OLDER, "https://www.example.com:8443/a"),
        (SHORT, "https://www.a.example.com/x/y?b=c"),
        (PATTERN, "https://Example.com/item?id=42"),
        (PATTERN, "https://example.com/item"),
    ];
    let mut all = Vec::new();
    for (rule, entry) in entries {
        let parsed = SubUrlRule::from_json(rule)?;
        let mut vector = json!({"entry": entry, "rule": serde_json::from_str::<Value>(rule)?});
        match canonicalise(entry, EntryKind::Url, &parsed) {
            Ok(key) => {
                vector["key"] = json!(key.text);
                if let Some(also) = key.second {
                    vector["alsoKey"] = json!(also);
                }
                vector["remarks"] = key.remarks.iter().map(|remark| json!(remark)).collect();
            }
            Err(refusal) => vector["refused"] = json!(refusal),
        }
        all.push(vector);
    }
    Ok(all.into())
}
