//! `bloom_filter.plist`: the released form, and the beta form for reading.

use super::{ContentError, Description, FileError, FilterBytes, Form, Prefilter, Unverified};
use crate::bloom::Parameters;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plist::{Data, Value};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

/// The largest property list that is read, in bytes: the largest filter in base64, with line ends.
const MAX_FILE: u64 = 800_000_000;

/// What a property list starts with: binary, XML with and without declaration.
const STARTS: [&[u8]; 3] = [b"bplist00", b"<?xml", b"<plist"];

/// The dictionary of the released sample, in the order in which it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Released {
    bit_count: u32,
    byte_count: u64,
    data: Bits,
    false_positive_tolerance: f64,
    hash_count: u32,
    item_count: u64,
    murmur_seed: u32,
}

/// The dictionary of the first beta sample.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Beta {
    number_of_items: u64,
    false_positive_tolerance: f64,
    murmur_seed: u32,
    number_of_bits: u32,
    number_of_bytes: u64,
    number_of_hashes: u32,
    bit_vector_data: Bits,
}

/// Data, or the base64 text that some tools store in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bits {
    Data(Data),
    Text(String),
}

impl Serialize for Bits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Data(data) => data.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Bits {
    fn decode(self) -> Result<Vec<u8>, ContentError> {
        match self {
            Self::Data(data) => Ok(data.into()),
            Self::Text(text) => {
                let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                STANDARD
                    .decode(text)
                    .map_err(|_| ContentError::Plist("the data is not base64".into()))
            }
        }
    }
}

/// Opens a property list of either form, XML or binary.
///
/// # Errors
/// [`FileError`].
pub(super) fn open_unverified(path: &Path) -> Result<(Unverified, Form), FileError> {
    let file = File::open(path).map_err(FileError::io(path))?;
    let mut content = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(FileError::io(path))?;
    if read as u64 > MAX_FILE {
        return Err(FileError::content(path)(ContentError::TooLarge(read as u64)));
    }
    let text = content.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if !STARTS.iter().any(|start| text.starts_with(start)) {
        return Err(FileError::UnknownForm(path.to_owned()));
    }
    parse_unverified(&content).map_err(FileError::content(path))
}

/// Parses a property list of either form, XML or binary, and verifies it.
///
/// # Errors
/// [`ContentError`].
pub fn parse(content: &[u8]) -> Result<(Prefilter, Form), ContentError> {
    let (unverified, form) = parse_unverified(content)?;
    Ok((unverified.verify()?, form))
}

fn parse_unverified(content: &[u8]) -> Result<(Unverified, Form), ContentError> {
    let syntax = |error: plist::Error| ContentError::Plist(error.to_string());
    // The parser stops at the end of the dictionary; a file cut off behind it is damaged all the same.
    if !content.starts_with(b"bplist00") && !content.trim_ascii_end().ends_with(b"</plist>") {
        return Err(ContentError::Plist("it does not end with </plist>; it may be cut off".into()));
    }
    let value = Value::from_reader(Cursor::new(content)).map_err(syntax)?;
    let dictionary =
        value.as_dictionary().ok_or_else(|| ContentError::Plist("it is no dictionary".into()))?;
    let (released, form) = if dictionary.contains_key("numberOfBits") {
        (plist::from_value::<Beta>(&value).map_err(syntax)?.into(), Form::BetaPlist)
    } else {
        (plist::from_value::<Released>(&value).map_err(syntax)?, Form::Plist)
    };
    let unverified = Unverified {
        parameters: Parameters::new(released.bit_count, released.hash_count, released.murmur_seed)?,
        bytes: FilterBytes::Owned(released.data.decode()?),
        description: Description {
            item_count: Some(released.item_count),
            false_positive_tolerance: Some(released.false_positive_tolerance),
            ..Description::default()
        },
        byte_count: Some(released.byte_count),
        tag: None,
    };
    Ok((unverified, form))
}

impl From<Beta> for Released {
    fn from(beta: Beta) -> Self {
        Self {
            bit_count: beta.number_of_bits,
            byte_count: beta.number_of_bytes,
            data: beta.bit_vector_data,
            false_positive_tolerance: beta.false_positive_tolerance,
            hash_count: beta.number_of_hashes,
            item_count: beta.number_of_items,
            murmur_seed: beta.murmur_seed,
        }
    }
}

/// Writes the released form as XML.
///
/// # Errors
/// Whatever the writer reports.
pub fn write<B: AsRef<[u8]>>(prefilter: &Prefilter<B>, out: impl Write) -> std::io::Result<()> {
    let parameters = prefilter.filter.parameters();
    let released = Released {
        bit_count: parameters.bit_count(),
        byte_count: parameters.byte_count() as u64,
        data: Bits::Data(Data::new(prefilter.filter.bytes().to_vec())),
        false_positive_tolerance: prefilter
            .description
            .false_positive_tolerance
            .unwrap_or_default(),
        hash_count: parameters.hash_count(),
        item_count: prefilter.description.item_count.unwrap_or_default(),
        murmur_seed: parameters.murmur_seed(),
    };
    plist::to_writer_xml(out, &released).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::prefilters;
    use proptest::prelude::*;

    fn to_xml(prefilter: &Prefilter<Vec<u8>>) -> Vec<u8> {
        let mut xml = Vec::new();
        write(prefilter, &mut xml).unwrap();
        xml
    }

    fn to_binary(xml: &[u8]) -> Vec<u8> {
        let mut binary = Vec::new();
        Value::from_reader(Cursor::new(xml)).unwrap().to_writer_binary(&mut binary).unwrap();
        binary
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(prefilter in prefilters()) {
            let xml = to_xml(&prefilter);
            for content in [to_binary(&xml), xml] {
                let (back, form) = parse(&content).unwrap();
                prop_assert_eq!(form, Form::Plist);
                prop_assert_eq!(back.filter.parameters(), prefilter.filter.parameters());
                prop_assert_eq!(back.filter.bytes(), prefilter.filter.bytes());
                prop_assert_eq!(back.description.item_count, prefilter.description.item_count);
                prop_assert_eq!(
                    back.description.false_positive_tolerance,
                    prefilter.description.false_positive_tolerance
                );
            }
        }

        #[test]
        fn damage_never_panics(prefilter in prefilters(), at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
            let xml = to_xml(&prefilter);
            for mut content in [to_binary(&xml), xml] {
                let at = at.index(content.len());
                if cut {
                    content.truncate(at);
                    prop_assert!(parse(&content).is_err() || content.ends_with(b"</plist>"));
                } else {
                    content[at] ^= 1 << bit;
                    let _ = parse(&content);
                }
            }
        }
    }

    const BETA: &str = "<plist version=\"1.0\"><dict><key>numberOfItems</key><integer>1</integer>\
        <key>falsePositiveTolerance</key><real>0.01</real><key>murmurSeed</key><integer>1</integer>\
        <key>numberOfBits</key><integer>10</integer><key>numberOfBytes</key><integer>2</integer>\
        <key>numberOfHashes</key><integer>7</integer><key>bitVectorData</key>DATA</dict></plist>";

    #[test]
    fn the_beta_form_is_read_with_data_or_text() {
        for data in ["<data>PwI=</data>", "<string>PwI=</string>", "<string>\n  PwI=\n</string>"] {
            let (prefilter, form) = parse(BETA.replace("DATA", data).as_bytes()).unwrap();
            assert_eq!((form, prefilter.filter.bytes()), (Form::BetaPlist, &[0x3f, 0x02][..]));
        }
    }

    #[test]
    fn contradictions_are_named() {
        let message = |text: String| parse(text.as_bytes()).unwrap_err().to_string();
        let good = BETA.replace("DATA", "<data>PwI=</data>");
        assert!(message(good.replace(">2<", ">3<")).contains("byteCount is 3"));
        assert!(message(good.replace(">7<", ">0<")).contains("hashCount"));
        assert!(message(good.replace(">0.01<", ">1.5<")).contains("Tolerance"));
        assert!(message(good.replace("PwI=", "PwY=")).contains("unused bits"));
        assert!(message(good.replace("PwI=", "Pw==")).contains("take 2 bytes, but there are 1"));
        assert!(message(good.replace("murmurSeed", "seed")).contains("seed"));
        assert!(message(good.replace(">10<", ">-10<")).contains("not the property list"));
        assert!(message(BETA.replace("DATA", "<string>?</string>")).contains("base64"));
        assert!(message("<plist><array/></plist>".into()).contains("no dictionary"));
    }
}
