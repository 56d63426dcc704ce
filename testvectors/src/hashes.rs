//! Hashes of inputs, and the bits that they set.

use filter_core::bloom::Parameters;
use filter_core::hash::{Fnv1a, Murmur3};
use serde_json::{Value, json};

const SEEDS: [u32; 5] = [0, 1, 2_538_058_380, 3_919_904_948, u32::MAX];

/// Every length modulo four, bytes above 127, and the lengths of real keys.
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

pub(super) fn hashes() -> Value {
    let hash = |input: &str| {
        let murmur: serde_json::Map<String, Value> = SEEDS
            .iter()
            .map(|&seed| (seed.to_string(), json!(Murmur3::hash(input.as_bytes(), seed))))
            .collect();
        let utf8_hex = hex::encode(input);
        json!({"input": input, "utf8Hex": utf8_hex, "fnv1a32": Fnv1a::hash(input.as_bytes()), "murmur3_32": murmur})
    };
    INPUTS.iter().copied().map(hash).collect()
}

pub(super) fn indices() -> Value {
    let sizes = [
        (144, 10, 3_919_904_948),
        (1, 3, 0),
        (14_377_588, 10, 2_538_058_380),
        (4_294_967_291, 20, 7),
    ];
    let mut all = Vec::new();
    for (bits, hashes, seed) in sizes {
        let parameters = Parameters::new(bits, hashes, seed).expect("sizes within the limits");
        for input in ["abcd", "foobar", "example.com", "example.com:443/a/b/c?id=123#fragment"] {
            let indices: Vec<u32> = parameters.indices(input.as_bytes()).collect();
            all.push(json!({
                "input": input, "bitCount": bits, "hashCount": hashes, "murmurSeed": seed, "indices": indices,
            }));
        }
    }
    all.into()
}
