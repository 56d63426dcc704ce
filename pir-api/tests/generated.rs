//! The files in `src/generated` are what the `.proto` files say. They are kept so that whoever builds this crate needs no
//! compiler of messages.
//!
//! `PIR_API_GENERATE=1 cargo test -p pir-api --test generated` writes them after a change of the `.proto` files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use prost_build::Module;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const PACKAGE: &str = "apple.swift_homomorphic_encryption";
const PROTO: [&str; 5] =
    ["v1/he", "pir/v1/pir", "api/shared/v1/api_shared", "api/pir/v1/api_pir", "api/v1/api"];

/// The generated files, by their names.
fn generate() -> BTreeMap<String, Vec<u8>> {
    let files = PROTO.map(|file| format!("{}/{file}.proto", PACKAGE.replace('.', "/")));
    let files = files.into_iter().chain(["url_filter_report.proto".to_owned()]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let descriptors = protox::compile(files, [folder]).unwrap();
    let mut generated =
        BTreeMap::from([("schema.rs".to_owned(), schema(&descriptors).into_bytes())]);
    let files = descriptors.file.into_iter();
    let modules = files.map(|file| (Module::from_protobuf_package_name(file.package()), file));
    // Sorted maps, so that equal messages are equal bytes.
    let code = prost_build::Config::new()
        .btree_map(["."])
        .enable_type_names()
        .generate(modules.collect())
        .unwrap();
    for (module, code) in code {
        let name = module.to_file_name_or("report");
        let name = name.strip_prefix(PACKAGE).map_or(&*name, |rest| rest.trim_start_matches('.'));
        generated.insert(name.to_owned(), code.into_bytes());
    }
    generated
}

/// Messages by their full names, with those inside of them and those of maps.
fn collect<'d>(
    scope: &str,
    messages: &'d [DescriptorProto],
    all: &mut Vec<(String, &'d DescriptorProto)>,
) {
    for message in messages {
        let name = match scope {
            "" => message.name().to_owned(),
            scope => format!("{scope}.{}", message.name()),
        };
        collect(&name, &message.nested_type, all);
        all.push((name, message));
    }
}

/// Enumerations by their full names, with those inside of messages.
fn collect_enumerations<'d>(
    scope: &str,
    enumerations: &'d [EnumDescriptorProto],
    messages: &'d [DescriptorProto],
    all: &mut Vec<(String, &'d EnumDescriptorProto)>,
) {
    all.extend(enumerations.iter().map(|found| (format!("{scope}.{}", found.name()), found)));
    for message in messages {
        let name = format!("{scope}.{}", message.name());
        collect_enumerations(&name, &message.enum_type, &message.nested_type, all);
    }
}

/// The fields of all messages as a Rust array, sorted by the names of the messages, and the values of all enumerations:
/// what counting elements and the text form need.
fn schema(descriptors: &FileDescriptorSet) -> String {
    let (mut all, mut enumerations) = (Vec::new(), Vec::new());
    for file in &descriptors.file {
        collect(file.package(), &file.message_type, &mut all);
        collect_enumerations(
            file.package(),
            &file.enum_type,
            &file.message_type,
            &mut enumerations,
        );
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    enumerations.sort_by(|a, b| a.0.cmp(&b.0));
    let short = |name: &str| name.trim_start_matches('.').to_owned();
    let index = |name: &str| all.binary_search_by(|(known, _)| known.cmp(&short(name))).unwrap();
    let enumeration =
        |name: &str| enumerations.binary_search_by(|(known, _)| known.cmp(&short(name))).unwrap();
    let mut out = String::from("pub(crate) static MESSAGES: &[(&str, Fields)] = &[\n");
    for (name, message) in &all {
        writeln!(out, "    ({name:?}, &[").unwrap();
        let mut fields: Vec<_> = message.field.iter().collect();
        fields.sort_by_key(|field| field.number());
        for field in fields {
            let kind = match field.r#type() {
                Type::Message => format!("Message({})", index(field.type_name())),
                Type::Enum => format!("Enumeration({})", enumeration(field.type_name())),
                Type::Bytes => "Bytes".to_owned(),
                Type::String => "Text".to_owned(),
                Type::Bool => "Bool".to_owned(),
                Type::Uint32 => "Uint32".to_owned(),
                Type::Uint64 => "Uint64".to_owned(),
                other => panic!("{name}: {other:?} is not supported"),
            };
            // `optional` is a group of one in descriptors.
            let one_of = field.oneof_index.filter(|_| !field.proto3_optional());
            writeln!(
                out,
                "        Field {{ number: {}, name: {:?}, kind: Kind::{kind}, repeated: {}, one_of: {one_of:?} }},",
                field.number(),
                field.name(),
                field.label() == Label::Repeated,
            )
            .unwrap();
        }
        out.push_str("    ]),\n");
    }
    out.push_str("];\n\npub(crate) static ENUMERATIONS: &[&[(i32, &str)]] = &[\n");
    for (name, enumeration) in &enumerations {
        let values: Vec<String> = enumeration
            .value
            .iter()
            .map(|value| format!("({}, {:?})", value.number(), value.name()))
            .collect();
        writeln!(out, "    // {name}\n    &[{}],", values.join(", ")).unwrap();
    }
    out.push_str("];\n");
    out
}

#[test]
fn the_generated_files_are_those_of_the_proto_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let generated = generate();
    if env::var_os("PIR_API_GENERATE").is_some() {
        for (name, content) in &generated {
            fs::write(folder.join(name), content).unwrap();
        }
    }
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, generated.keys().cloned().collect::<Vec<_>>());
    for (name, content) in &generated {
        let same = fs::read(folder.join(name)).unwrap() == *content;
        assert!(same, "{name} differs; PIR_API_GENERATE=1 writes it");
    }
}
