//! What a property list holds, and how it is written.

use super::description::Description;
use super::error::{ContentError, RequiredField, WriteError};
use super::unverified::Unverified;
use super::{plist_binary, plist_xml};
use crate::bloom::Parameters;
use plist::Data;
use serde::Serialize;
use std::io::{self, Write};

/// The dictionary of the released sample, in the order in which it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Released {
    bit_count: u32,
    byte_count: u64,
    data: Data,
    false_positive_tolerance: f64,
    hash_count: u32,
    item_count: u64,
    murmur_seed: u32,
}

/// Reads a property list of either form, XML or binary, in time and memory of its length: whatever is none of the fields,
/// nested values among it, is refused at once.
pub(crate) fn parse(content: &[u8]) -> Result<Unverified, ContentError> {
    match content.starts_with(plist_binary::MAGIC) {
        true => plist_binary::read(content)?.finish(),
        false => plist_xml::read(content)?.finish(),
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
        data: Data::new(bits.to_vec()),
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

    /// Objects of a binary property list, the first of which is its root.
    fn binary(objects: &[Vec<u8>]) -> Vec<u8> {
        let mut content = b"bplist00".to_vec();
        let mut offsets = Vec::new();
        for object in objects {
            offsets.extend((content.len() as u32).to_be_bytes());
            content.extend(object);
        }
        let table = content.len() as u64;
        content.extend(offsets);
        content.extend([0, 0, 0, 0, 0, 0, 4, 2]);
        for number in [objects.len() as u64, 0, table] {
            content.extend(number.to_be_bytes());
        }
        content
    }

    /// An array of references to one object.
    fn array(length: u8, object: u16) -> Vec<u8> {
        [vec![0xaf, 0x10, length], object.to_be_bytes().repeat(length.into())].concat()
    }

    fn message(content: &[u8]) -> String {
        Prefilter::from_plist(content).unwrap_err().to_string()
    }

    /// Seven hundred bytes that stand for a tree of 60^5 values, and one that refers to itself.
    #[test]
    fn references_between_objects_are_not_followed() {
        let name = b"\x54data".to_vec();
        let mut bomb = vec![vec![0xd1, 0, 1, 0, 2], name.clone()];
        bomb.extend((3..8).map(|object| array(60, object)));
        bomb.push(vec![0x10, 1]);
        let bomb = binary(&bomb);
        assert!(bomb.len() < 750);
        let nested = "neither number, data nor text";
        assert!(message(&bomb).contains(nested), "{}", message(&bomb));
        let of_itself = binary(&[vec![0xd1, 0, 1, 0, 0], name.clone()]);
        assert!(message(&of_itself).contains(nested));
        assert!(message(&binary(&[array(60, 0)])).contains("not a dictionary"));
        // A dictionary of more pairs than there are bytes, and of as many as there are.
        for pairs in [0xff, 0xfe] {
            let head = [vec![0xdf, 0x13], vec![pairs; 8]].concat();
            assert!(message(&binary(&[head, name.clone()])).contains("outside"));
        }
        let many = [vec![0xdf, 0x11, 0xff, 0xff], vec![0; 4 * 0xffff]].concat();
        assert!(message(&binary(&[many])).contains(nested));
    }

    #[test]
    fn nested_values_are_refused_where_they_begin() {
        let deep = 200_000;
        for (open, close) in [("<array>", "</array>"), ("<dict><key>data</key>", "</dict>")] {
            let nested = format!("{}{}", open.repeat(deep), close.repeat(deep));
            for content in [
                format!("<plist>{nested}</plist>"),
                format!("<plist><dict><key>data</key>{nested}</dict></plist>"),
            ] {
                assert!(Prefilter::from_plist(content.as_bytes()).is_err());
            }
        }
        let many = format!(
            "<plist><dict><key>data</key><array>{}</array></dict></plist>",
            "<true/>".repeat(1000)
        );
        assert!(message(many.as_bytes()).contains("neither number, data nor text"));
    }

    #[test]
    fn a_field_is_there_once_and_nothing_else_is() {
        let good = BETA.replace("DATA", "<data>PwI=</data>");
        let with =
            |more: &str| message(good.replace("</dict>", &format!("{more}</dict>")).as_bytes());
        assert!(
            with("<key>murmurSeed</key><integer>1</integer>")
                .contains("`murmurSeed` is there twice")
        );
        assert!(with("<key>bitVectorData</key><data>PwI=</data>").contains("twice"));
        // The names of both forms, and one that is a mebibyte long.
        let mixed = good.replace("numberOfHashes", "hashCount");
        assert!(message(mixed.as_bytes()).contains("`hashCount` is no field"));
        let long = with(&format!("<key>{}</key><true/>", "k".repeat(1 << 20)));
        assert!(long.len() < 200, "{}", long.len());
        assert!(with("<string>murmurSeed</string>").contains("twice"));
        let lacking = good.replace("<key>numberOfHashes</key><integer>7</integer>", "");
        assert!(message(lacking.as_bytes()).contains("no `numberOfHashes`"));
        for (value, other) in
            [("<integer>7</integer>", "<true/>"), ("<data>PwI=</data>", "<integer>7</integer>")]
        {
            assert!(
                message(good.replacen(value, other, 1).as_bytes()).contains("kind")
                    || message(good.replacen(value, other, 1).as_bytes()).contains("neither")
            );
        }
        // The same field by two references to one object.
        let twice = [vec![0xd2], [0, 1, 0, 1, 0, 2, 0, 2].to_vec()].concat();
        let twice = binary(&[twice, b"\x5amurmurSeed".to_vec(), vec![0x10, 1]]);
        assert!(message(&twice).contains("twice"));
    }

    #[test]
    fn data_of_another_length_than_the_bits_take_is_refused() {
        for (data, accepted) in [("Pw==", false), ("PwI=", true), ("PwIA", false)] {
            let content = BETA.replace("DATA", &format!("<data>{data}</data>"));
            for content in [to_binary(content.as_bytes()), content.into_bytes()] {
                assert_eq!(Prefilter::from_plist(&content).is_ok(), accepted, "{data}");
            }
        }
        let long = BETA.replace("DATA", &format!("<data>{}</data>", "AAAA".repeat(1 << 18)));
        assert!(message(long.as_bytes()).contains("there are 786432"));
    }

    #[test]
    fn numbers_have_up_to_64_bits_and_no_sign() {
        for (number, accepted) in [
            ("-1", false),
            ("0", true),
            ("18446744073709551615", true),
            ("18446744073709551616", false),
        ] {
            let content = BETA.replace("DATA", "<data>PwI=</data>");
            let content = content.replacen("<integer>1<", &format!("<integer>{number}<"), 1);
            assert_eq!(Prefilter::from_plist(content.as_bytes()).is_ok(), accepted, "{number}");
            if accepted {
                let binary = to_binary(content.as_bytes());
                let found = Prefilter::from_plist(&binary).unwrap().description().item_count;
                assert_eq!(found, number.parse().ok());
            }
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
