//! Filter files that a reader must refuse, and some valid ones that it must accept.

use crate::filters::{BETA_KEYS, prefilter};
use crate::{VectorFile, json_file};
use filter_core::Prefilter;
use filter_core::bloom::Sizing;
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::PathBuf;

/// Changes that make a valid property list invalid: name, reason, text to replace, replacement.
const WRONG: &[(&str, &str, &str, &str)] = &[
    (
        "byte-count",
        "byteCount contradicts bitCount",
        "<integer>18</integer>",
        "<integer>19</integer>",
    ),
    (
        "data-short",
        "the data is shorter than bitCount asks for",
        "<integer>144</integer>",
        "<integer>145</integer>",
    ),
    (
        "data-long",
        "the data is longer than bitCount asks for",
        "<integer>144</integer>",
        "<integer>136</integer>",
    ),
    ("bit-count-zero", "bitCount is zero", "<integer>144</integer>", "<integer>0</integer>"),
    (
        "bit-count-large",
        "bitCount does not fit in 32 bits",
        "<integer>144</integer>",
        "<integer>4294967440</integer>",
    ),
    (
        "bit-count-negative",
        "bitCount is negative",
        "<integer>144</integer>",
        "<integer>-144</integer>",
    ),
    (
        "hash-count-zero",
        "hashCount is zero",
        "<integer>10</integer>\n\t<key>itemCount",
        "<integer>0</integer>\n\t<key>itemCount",
    ),
    (
        "hash-count-large",
        "hashCount would make every query slow",
        "<integer>10</integer>\n\t<key>itemCount",
        "<integer>4294967295</integer>\n\t<key>itemCount",
    ),
    (
        "seed-large",
        "murmurSeed does not fit in 32 bits",
        "<integer>3919904948</integer>",
        "<integer>4294967296</integer>",
    ),
    (
        "tolerance-one",
        "falsePositiveTolerance is not below 1",
        "<real>0.001</real>",
        "<real>1</real>",
    ),
    (
        "missing-field",
        "murmurSeed is missing",
        "\t<key>murmurSeed</key>\n\t<integer>3919904948</integer>\n",
        "",
    ),
    (
        "unknown-field",
        "a field that the format does not have",
        "<key>murmurSeed</key>",
        "<key>murmurSeed2</key>",
    ),
    ("data-type", "the data is a number", "<data>", "<integer>7</integer><key>x</key><data>"),
    ("not-a-dictionary", "the root is an array", "<dict>", "<array><dict>"),
];

pub(super) fn files() -> Vec<VectorFile> {
    let keys = BETA_KEYS.map(str::to_owned);
    let valid = prefilter(&keys, 0.001, Sizing::Round, 3_919_904_948);
    let xml = plist_text(&valid);
    let mut binary = Vec::new();
    plist::Value::from_reader(Cursor::new(xml.as_bytes()))
        .and_then(|value| value.to_writer_binary(&mut binary))
        .expect("memory is written to");
    let bits = valid.filter().bytes();
    let metadata = valid.metadata().to_json();

    let mut set = Set::default();
    set.accept("released-xml.plist", "the released form as XML", xml.as_bytes());
    set.accept("released-binary.plist", "the released form as a binary property list", &binary);
    set.accept(
        "beta.plist",
        "the beta form: readable, though its bits are hashed in another way",
        beta_form().as_bytes(),
    );
    set.add("raw.bin", bits);
    set.accept("raw.json", "metadata of raw bits", &metadata);

    for (name, why, from, to) in WRONG {
        let changed = xml.replacen(from, to, 1);
        assert!(changed != xml, "{name} must change something");
        set.refuse(&format!("{name}.plist"), why, changed.as_bytes());
    }
    // One key, ten bits: six bits of the last byte are unused.
    let small = prefilter(&["only.example".to_owned()], 0.01, Sizing::Round, 1);
    let spare = plist_text(&small).replacen("PwI=", "PwY=", 1);
    set.refuse("spare-bits.plist", "an unused bit of the last byte is set", spare.as_bytes());
    set.refuse(
        "truncated-xml.plist",
        "the end of the file is missing",
        &xml.as_bytes()[..xml.len() - 9],
    );
    set.refuse(
        "truncated-binary.plist",
        "the end of the file is missing",
        &binary[..binary.len() - 1],
    );
    set.refuse("empty.plist", "the file is empty", b"");
    set.refuse("not-a-plist.plist", "another kind of file", b"bloom");

    let mut flipped = bits.to_vec();
    flipped[0] ^= 1;
    set.add("tag.bin", &flipped);
    set.refuse("tag.json", "one bit differs from the tag", &metadata);
    set.add("length.bin", &bits[1..]);
    set.refuse("length.json", "the bits are shorter than bitCount asks for", &metadata);
    set.refuse("no-bits.json", "there are no bits beside the metadata", &metadata);
    set.add("syntax.bin", bits);
    set.refuse("syntax.json", "the metadata is no JSON", &metadata[1..]);
    set.finish()
}

fn plist_text(prefilter: &Prefilter<Vec<u8>>) -> String {
    let mut text = Vec::new();
    prefilter.write_plist(&mut text).expect("memory is written to");
    String::from_utf8(text).expect("XML is UTF-8")
}

/// The keys of the first beta sample in the property list of that beta.
fn beta_form() -> String {
    let field = |name: &str, value: &str| format!("\t<key>{name}</key>\n\t{value}\n");
    [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n".to_owned(),
        field("numberOfItems", "<integer>10</integer>"),
        field("falsePositiveTolerance", "<real>0.001</real>"),
        field("murmurSeed", "<integer>3919904948</integer>"),
        field("numberOfBits", "<integer>144</integer>"),
        field("numberOfBytes", "<integer>18</integer>"),
        field("numberOfHashes", "<integer>10</integer>"),
        field("bitVectorData", "<string>KnFnz7/dUDyK51HqlhTlswav</string>"),
        "</dict>\n</plist>\n".to_owned(),
    ]
    .concat()
}

#[derive(Default)]
struct Set {
    files: Vec<VectorFile>,
    /// Content of `files.json`.
    list: Vec<Value>,
}

impl Set {
    fn accept(&mut self, name: &str, why: &str, content: &[u8]) {
        self.add(name, content);
        self.list.push(json!({"file": format!("files/{name}"), "accepted": true, "why": why}));
    }

    fn refuse(&mut self, name: &str, why: &str, content: &[u8]) {
        self.add(name, content);
        self.list.push(json!({"file": format!("files/{name}"), "accepted": false, "why": why}));
    }

    fn add(&mut self, name: &str, content: &[u8]) {
        let path = PathBuf::from("prefilter/files").join(name);
        self.files.push(VectorFile { path, content: content.to_vec() });
    }

    fn finish(mut self) -> Vec<VectorFile> {
        self.files.push(json_file("files.json", &self.list.into()));
        self.files
    }
}
