//! With the program minisign itself.

#![cfg(feature = "sign")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use release_signature::{SecretKey, Signature, TrustedKeys};
use std::fs;
use std::process::Command;

#[test]
#[ignore = "needs the program minisign"]
fn minisign_checks_what_is_signed_here_and_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    write("key", key.to_file().as_bytes());
    write("key.pub", key.public().to_file().as_bytes());
    let message = b"what is signed";
    write("ours", message);
    write("ours.minisig", key.sign(message, "a comment").to_string().as_bytes());
    let minisign = |arguments: &[&str]| {
        let output = Command::new("minisign").current_dir(folder.path()).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    minisign(&["-V", "-p", "key.pub", "-m", "ours"]);
    write("theirs", message);
    minisign(&["-S", "-s", "key", "-m", "theirs"]);
    let theirs = fs::read_to_string(folder.path().join("theirs.minisig")).unwrap();
    let keys = TrustedKeys::new(vec![key.public()]).unwrap();
    Signature::parse(&theirs).unwrap().verify(message, &keys).unwrap();
}
