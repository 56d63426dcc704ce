//! A service whose certificate is of an authority that the system does not know.

use super::{lines, serve_in, stderr};
use serde_json::json;
use std::fs;

#[test]
fn an_authority_is_trusted_for_lookups_tokens_and_prefilters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(path.join("authority.pem"), made.cert.pem()).unwrap();
    fs::write(path.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = json!({
        "certificate": path.join("authority.pem"), "privateKey": path.join("key.pem"),
    });
    let use_case = json!({ "filter": path.join("dist") });
    let served = serve_in(folder, "bad.example\n", json!({}), use_case, json!({ "tls": tls }));
    let filter = format!("{}/filter/{}", served.url, super::USE_CASE);
    let keyword = ["--token", "AAAA", "--keywords", "--json", "bad.example"];
    let url = ["--token", "AAAA", "--filter", &filter, "--json", "bad.example"];
    for arguments in [&keyword[..], &url] {
        let output = served.query(&[&["--authority", "authority.pem"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    }
    let output = served.query(&keyword);
    assert_eq!(output.status.code(), Some(2));
    let error = lines(&output)[0]["error"].as_str().unwrap().to_owned();
    let expected = format!("the certificate of {} is not accepted", served.url);
    assert!(error.contains(&expected) && error.contains("--authority"), "{error}");
    // Files that are no authority are named before anything is sent.
    fs::write(path.join("empty.pem"), "").unwrap();
    fs::write(
        path.join("damaged.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for name in ["nowhere.pem", "empty.pem", "damaged.pem"] {
        let output = served.query(&[&["--authority", name], &keyword[..]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
    }
}
