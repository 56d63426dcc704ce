//! Compiles the messages, without `protoc`.

use prost::Message;
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
    // Sorted maps, so that equal messages are equal bytes.
    prost_build::Config::new().btree_map(["."]).enable_type_names().compile_fds(descriptors)?;
    Ok(())
}
