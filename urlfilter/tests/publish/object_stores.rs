//! Releases in S3 and in Azure: `moto` and Azurite stand for them.

use super::{Node, Vendor, succeeds};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use pir_dataset::publication::{Current, ReleaseStore};
use sha2::Sha256;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tokio::runtime::Runtime;

/// An object store that is stopped with the test.
struct ObjectServer {
    process: Child,
    endpoint: String,
}

impl ObjectServer {
    /// Starts a program that prints its address after `word`.
    fn start(command: &mut Command, word: &str) -> Self {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let process = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        // The command holds the writing ends; the pipe must end with the program.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut lines = BufReader::new(&mut reader).lines();
        let endpoint = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, address)) = line.split_once(word) {
                break address.trim().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Self { process, endpoint }
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        // The process may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Publishes, publishes again and rolls back, with a node, in an object store.
fn publish_and_roll_back(vendor: &Vendor) {
    vendor.build("a.example\n", 1);
    succeeds(&vendor.publish_data(&[]));
    let node = Node::start(vendor);
    assert!(node.finds("a.example"));
    vendor.build("a.example\nb.example\n", 1);
    let second = succeeds(&vendor.publish_data(&["--node", &node.admin, "--lead", "1"]));
    assert_eq!(node.active(), second["release"].as_str().unwrap());
    assert!(node.finds("b.example"));
    succeeds(&vendor.publish(&["--rollback", "--node", &node.admin, "--lead", "0"]));
    assert!(!node.finds("b.example"));
    Runtime::new().unwrap().block_on(async {
        let options =
            vendor.environment.iter().map(|(key, value)| (key.to_string(), value.clone()));
        let store = ReleaseStore::open(&vendor.address, &options.collect()).unwrap();
        let (current, revision) = store.current(None).await.unwrap().unwrap();
        let release = store.release(&current.release).await.unwrap();
        assert_ne!(release.id, second["release"].as_str().unwrap());
        assert!(store.has_filter_by_content(&release).await.unwrap());
        assert!(store.current(Some(&revision)).await.unwrap().is_none());
        // Of two publishers that read the same revision, the second is refused.
        let other = Current::new(
            current.release.clone(),
            Some(unix_clock::Timestamp::from_unix_seconds(7)),
            None,
        );
        store.set_current(&other, Some(&revision)).await.unwrap();
        for seen in [Some(&revision), None] {
            let error = store.set_current(&current, seen).await.unwrap_err();
            assert!(error.to_string().contains("another publisher"), "{error}");
        }
        assert!(store.retain(&[release.id], unix_clock::Timestamp::MAX).await.unwrap() > 0);
        assert_eq!(store.releases().await.unwrap().len(), 1);
    });
}

#[test]
#[ignore = "needs the feature cloud, and the program moto_server as URLFILTER_S3"]
fn releases_in_s3() {
    let program = std::env::var_os("URLFILTER_S3").expect("URLFILTER_S3 is moto_server");
    let mut command = Command::new(program);
    let server = ObjectServer::start(command.args(["-H", "127.0.0.1", "-p", "0"]), "Running on ");
    let mut vendor = Vendor::new();
    vendor.address = "s3://lists/of/urls".to_owned();
    vendor.environment = vec![
        ("AWS_ENDPOINT", server.endpoint.clone()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ];
    let status = Runtime::new().unwrap().block_on(async {
        // moto creates a bucket without authentication.
        let http = reqwest::Client::new();
        http.put(format!("{}/lists", server.endpoint)).send().await.unwrap().status()
    });
    assert!(status.is_success(), "{status}");
    publish_and_roll_back(&vendor);
}

/// The account of Azurite and its key, both from its documentation.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Creates a container, which `object_store` cannot. The request is signed with the shared key.
async fn make_container(endpoint: &str, name: &str) {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let version = "2021-08-06";
    let signed = format!(
        "PUT{}x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container",
        "\n".repeat(12)
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64.decode(ACCOUNT_KEY).unwrap()).unwrap();
    mac.update(signed.as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    let response = reqwest::Client::new()
        .put(format!("{endpoint}/{ACCOUNT}/{name}?restype=container"))
        .header("x-ms-date", date)
        .header("x-ms-version", version)
        .header("authorization", format!("SharedKey {ACCOUNT}:{signature}"))
        .header("content-length", "0")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
}

#[test]
#[ignore = "needs the feature cloud, and the program azurite-blob as URLFILTER_AZURE"]
fn releases_in_azure() {
    let program = std::env::var_os("URLFILTER_AZURE").expect("URLFILTER_AZURE is azurite-blob");
    let mut command = Command::new(program);
    command.args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]);
    command.args(["--silent", "--disableTelemetry"]);
    let server = ObjectServer::start(&mut command, "successfully listens on ");
    let mut vendor = Vendor::new();
    vendor.address = "az://lists/of/urls".to_owned();
    vendor.environment = vec![
        ("AZURE_STORAGE_ENDPOINT", format!("{}/{ACCOUNT}", server.endpoint)),
        ("AZURE_ALLOW_HTTP", "true".to_owned()),
        ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
        ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY.to_owned()),
    ];
    Runtime::new().unwrap().block_on(make_container(&server.endpoint, "lists"));
    publish_and_roll_back(&vendor);
}
