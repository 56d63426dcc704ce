//! What a property list holds, and how it is written.

use super::description::Description;
use super::error::{ContentError, RequiredField, WriteError};
use super::filter_bytes::FilterBytes;
use super::unverified::{FileFormat, Unverified};
use crate::bloom::Parameters;
use crate::parser_message::ParserMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plist::{Data, Value};
use serde::{Deserialize, Serialize};
use std::io::{self, Cursor, Write};

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
                STANDARD.decode(text).map_err(|_| malformed("the data is not base64"))
            }
        }
    }
}

fn malformed(what: &str) -> ContentError {
    ContentError::Plist(ParserMessage::from_text(what))
}

/// Reads a property list of either form, XML or binary.
pub(crate) fn parse(content: &[u8]) -> Result<Unverified, ContentError> {
    let syntax = |error: plist::Error| ContentError::Plist(ParserMessage::of(&error));
    // The parser stops at the end of the dictionary; a file that is cut off after it is damaged all the same.
    if !content.starts_with(b"bplist00") && !content.trim_ascii_end().ends_with(b"</plist>") {
        return Err(malformed("it does not end with </plist>; it may be cut off"));
    }
    let value = Value::from_reader(Cursor::new(content)).map_err(syntax)?;
    let dictionary = value.as_dictionary().ok_or_else(|| malformed("it is not a dictionary"))?;
    let (released, format) = if dictionary.contains_key("numberOfBits") {
        (plist::from_value::<Beta>(&value).map_err(syntax)?.into(), FileFormat::BetaPlist)
    } else {
        (plist::from_value::<Released>(&value).map_err(syntax)?, FileFormat::Plist)
    };
    Ok(Unverified {
        format,
        parameters: Parameters::new(released.bit_count, released.hash_count, released.murmur_seed)?,
        bytes: FilterBytes::from(released.data.decode()?),
        description: Description {
            item_count: Some(released.item_count),
            false_positive_tolerance: Some(released.false_positive_tolerance),
            ..Description::default()
        },
        byte_count: Some(released.byte_count),
        tag: None,
    })
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

/// Writes the released form as XML. Every field must be known: readers, Apple's sample among them, need all.
pub(crate) fn write(
    parameters: Parameters,
    bits: &[u8],
    description: &Description,
    out: impl Write,
) -> Result<(), WriteError> {
    let absent = |field| move || WriteError::Absent(field);
    let released = Released {
        bit_count: parameters.bit_count(),
        byte_count: parameters.byte_count() as u64,
        data: Bits::Data(Data::new(bits.to_vec())),
        false_positive_tolerance: description
            .false_positive_tolerance
            .ok_or_else(absent(RequiredField::FalsePositiveTolerance))?,
        hash_count: parameters.hash_count(),
        item_count: description.item_count.ok_or_else(absent(RequiredField::ItemCount))?,
        murmur_seed: parameters.murmur_seed(),
    };
    plist::to_writer_xml(out, &released)
        .map_err(|error| WriteError::Io(error.into_io().unwrap_or_else(io::Error::other)))
}

#[cfg(test)]
mod tests {
    use crate::Prefilter;
    use crate::bloom::{BloomFilter, Parameters};
    use crate::file::{ContentError, Description, FileFormat, RequiredField, WriteError};
    use crate::prefilter::tests::prefilters;
    use plist::Value;
    use proptest::prelude::*;
    use std::io::{self, Cursor};

    fn to_xml(prefilter: &Prefilter<Vec<u8>>) -> Vec<u8> {
        let mut xml = Vec::new();
        prefilter.write_plist(&mut xml).unwrap();
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
                let unverified = super::parse(&content).unwrap();
                prop_assert_eq!(unverified.format, FileFormat::Plist);
                let back = Prefilter::try_from(unverified).unwrap();
                prop_assert_eq!(back.filter().parameters(), prefilter.filter().parameters());
                prop_assert_eq!(back.filter().bytes(), prefilter.filter().bytes());
                let (read, written) = (back.description(), prefilter.description());
                prop_assert_eq!(read.item_count, written.item_count);
                prop_assert_eq!(
                    read.false_positive_tolerance,
                    written.false_positive_tolerance
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
                    prop_assert!(Prefilter::from_plist(&content).is_err() || content.ends_with(b"</plist>"));
                } else {
                    content[at] ^= 1 << bit;
                    let _ = Prefilter::from_plist(&content);
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
            let unverified = super::parse(BETA.replace("DATA", data).as_bytes()).unwrap();
            assert_eq!(unverified.format, FileFormat::BetaPlist);
            let prefilter = Prefilter::try_from(unverified).unwrap();
            assert_eq!(prefilter.filter().bytes(), [0x3f, 0x02]);
        }
    }

    #[test]
    fn contradictions_are_named() {
        let message =
            |text: String| Prefilter::from_plist(text.as_bytes()).unwrap_err().to_string();
        let good = BETA.replace("DATA", "<data>PwI=</data>");
        assert!(message(good.replace(">2<", ">3<")).contains("byteCount is 3"));
        assert!(message(good.replace(">7<", ">0<")).contains("hashCount"));
        assert!(message(good.replace(">0.01<", ">1.5<")).contains("Tolerance"));
        assert!(message(good.replace("PwI=", "PwY=")).contains("unused bits"));
        assert!(message(good.replace("PwI=", "Pw==")).contains("take 2 bytes, but there are 1"));
        assert!(message(good.replace("murmurSeed", "seed")).contains("seed"));
        assert!(message(good.replace(">10<", ">-10<")).contains("not the property list"));
        assert!(message(BETA.replace("DATA", "<string>?</string>")).contains("base64"));
        assert!(message("<plist><array/></plist>".into()).contains("not a dictionary"));
    }

    #[test]
    fn what_every_reader_needs_is_not_left_out_in_silence() {
        let known = |item_count, tolerance| Description {
            item_count,
            false_positive_tolerance: tolerance,
            ..Description::default()
        };
        let written = |description| {
            let filter = BloomFilter::empty(Parameters::new(10, 7, 1).unwrap());
            let mut xml = Vec::new();
            Prefilter::new(filter, description).unwrap().write_plist(&mut xml).map(|()| xml)
        };
        assert!(Prefilter::from_plist(&written(known(Some(0), Some(0.01))).unwrap()).is_ok());
        for (description, field) in [
            (known(None, Some(0.01)), RequiredField::ItemCount),
            (known(Some(1), None), RequiredField::FalsePositiveTolerance),
        ] {
            let error = written(description).unwrap_err();
            assert!(matches!(error, WriteError::Absent(absent) if absent == field), "{error}");
            assert!(error.to_string().contains(&field.to_string()));
            assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
        }
        // A tolerance that readers refuse never gets as far as a file.
        for tolerance in [0.0, 1.0, f64::NAN] {
            let filter = BloomFilter::empty(Parameters::new(10, 7, 1).unwrap());
            let refused = Prefilter::new(filter, known(Some(1), Some(tolerance))).err();
            assert_eq!(refused, Some(ContentError::Tolerance));
        }
    }
}
