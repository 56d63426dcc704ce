//! Compiles the messages, without `protoc`.

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    const FILES: [&str; 5] =
        ["v1/he", "pir/v1/pir", "api/shared/v1/api_shared", "api/pir/v1/api_pir", "api/v1/api"];
    println!("cargo:rerun-if-changed=proto");
    let files = FILES.map(|file| format!("apple/swift_homomorphic_encryption/{file}.proto"));
    let files = files.into_iter().chain(["url_filter_report.proto".to_owned()]);
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    fs::write(out.join("schema.rs"), schema(&descriptors)?)?;
    // Sorted maps, so that equal messages are equal bytes.
    prost_build::Config::new().btree_map(["."]).enable_type_names().compile_fds(descriptors)?;
    Ok(())
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
fn schema(descriptors: &FileDescriptorSet) -> Result<String, Box<dyn error::Error>> {
    let mut all = Vec::new();
    for file in &descriptors.file {
        collect(file.package(), &file.message_type, &mut all);
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let index = |name: &str| {
        let name = name.strip_prefix('.').unwrap_or(name);
        all.binary_search_by(|(known, _)| known.as_str().cmp(name))
            .map_err(|_| format!("no message {name}"))
    };
    let mut out = String::from("&[\n");
    for (name, message) in &all {
        writeln!(out, "    ({name:?}, &[")?;
        for field in &message.field {
            let kind = match field.r#type() {
                Type::Message => format!("Message({})", index(field.type_name())?),
                Type::Bytes | Type::String => "Opaque".to_owned(),
                Type::Group => return Err(format!("{name}: groups are not supported").into()),
                _ => "Scalar".to_owned(),
            };
            writeln!(out, "        ({}, FieldKind::{kind}),", field.number())?;
        }
        writeln!(out, "    ]),")?;
    }
    out.push(']');
    Ok(out)
}
