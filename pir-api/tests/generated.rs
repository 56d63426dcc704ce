//! The files in `src/generated` are what the `.proto` files say. They are kept so that whoever builds this crate needs no
//! compiler of messages.
//!
//! `PIR_API_GENERATE=1 cargo test -p pir-api --test generated` writes them after a change of the `.proto` files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use prost::Message;
use prost_build::Module;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
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
    let mut generated = BTreeMap::from([
        ("descriptors.bin".to_owned(), descriptors.encode_to_vec()),
        ("schema.rs".to_owned(), schema(&descriptors).into_bytes()),
    ]);
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

/// The fields of all messages as a Rust array, sorted by the names of the messages: what decoding needs to
/// count elements.
fn schema(descriptors: &FileDescriptorSet) -> String {
    let mut all = Vec::new();
    for file in &descriptors.file {
        collect(file.package(), &file.message_type, &mut all);
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let index = |name: &str| {
        let name = name.strip_prefix('.').unwrap_or(name);
        all.binary_search_by(|(known, _)| known.as_str().cmp(name)).unwrap()
    };
    let mut out = String::from("&[\n");
    for (name, message) in &all {
        writeln!(out, "    ({name:?}, &[").unwrap();
        for field in &message.field {
            let kind = match field.r#type() {
                Type::Message => format!("Message({})", index(field.type_name())),
                Type::Bytes | Type::String => "Opaque".to_owned(),
                Type::Group => panic!("{name}: groups are not supported"),
                _ => "Scalar".to_owned(),
            };
            writeln!(out, "        ({}, FieldKind::{kind}),", field.number()).unwrap();
        }
        writeln!(out, "    ]),").unwrap();
    }
    out.push(']');
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
