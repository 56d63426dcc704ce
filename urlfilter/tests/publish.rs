//! `urlfilter publish`: nodes switch to a release together, and its prefilter never precedes it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "publish/object_stores.rs"]
mod object_stores;

use pir_server::{Configuration, Listener, Service, admin, endpoints};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const USE_CASE: &str = "com.example.app.url.filtering";

/// A folder with lists, and the address where they are published.
struct Vendor {
    folder: TempDir,
    address: String,
    environment: Vec<(&'static str, String)>,
}

impl Vendor {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = folder.path().join("published").to_str().unwrap().to_owned();
        Self { folder, address, environment: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_urlfilter"));
        command.current_dir(self.path()).stdin(Stdio::null()).args(arguments);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.output().unwrap()
    }

    fn build(&self, lines: &str, shards: u32) {
        fs::write(self.path().join("list.txt"), lines).unwrap();
        succeeds(&self.run(&["build", "list.txt", "--out", "dist", "--fpr", "1e-9"]));
        let process = json!({
            "rlweParameters": "n_4096_logq_27_28_28_logt_5",
            "inputDatabase": "dist/input.txtpb",
            "outputDatabase": "dist/urls-SHARD_ID.bin",
            "outputPirParameters": "dist/urls-SHARD_ID.params.txtpb",
            "sharding": { "shardCount": shards },
        });
        fs::write(self.path().join("process.json"), process.to_string()).unwrap();
        succeeds(&self.run(&["process", "process.json"]));
    }

    fn publish(&self, more: &[&str]) -> Output {
        let first = ["publish", "--to", &self.address, "--usecase", USE_CASE, "--json"];
        self.run(&[&first, more].concat())
    }

    fn publish_data(&self, more: &[&str]) -> Output {
        self.publish(&[&["--data", "dist/urls", "--filter", "dist"], more].concat())
    }

    /// The prefilter that apps download.
    fn served_prefilter(&self) -> Vec<u8> {
        fs::read(self.path().join("published/filter/bloom.bin")).unwrap_or_default()
    }

    fn built(&self) -> Vec<u8> {
        fs::read(self.path().join("dist/bloom.bin")).unwrap()
    }
}

#[track_caller]
fn succeeds(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[track_caller]
fn fails(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    assert!(stderr(output).contains(why), "{}", stderr(output));
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A node that serves what a vendor publishes.
struct Node {
    admin: String,
    service: Arc<Service>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Node {
    fn start(vendor: &Vendor) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = json!({
            "users": [{ "tier": "tier1", "tokens": ["AAAA"] }],
            "usecases": [{ "name": USE_CASE, "published": vendor.address }],
            "publications": {
                "directory": folder.path().join("releases"),
                "pollSeconds": 1,
                "options": vendor.environment.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            },
            "store": { "directory": folder.path().join("state") },
        });
        let configuration = Configuration::parse(text.to_string().as_bytes()).unwrap();
        let runtime = Runtime::new().unwrap();
        let (service, admin) = runtime.block_on(async {
            let service =
                Service::open(&configuration, Arc::new(unix_clock::SystemClock)).await.unwrap();
            let service = Arc::new(service);
            let any = ["127.0.0.1:0".parse().unwrap()];
            let operators = Listener::bind(&any, admin::router(&service)).await.unwrap();
            let admin = format!("http://{}", operators.addresses().unwrap()[0]);
            let serving = Arc::clone(&service);
            tokio::spawn(async move { operators.serve(&serving, std::future::pending()).await });
            tokio::spawn(Arc::clone(&service).maintain_always());
            (service, admin)
        });
        Self { admin, service, runtime, _folder: folder }
    }

    fn active(&self) -> String {
        let statuses = self.service.release_statuses();
        statuses[0].replica.active.clone().unwrap()
    }

    /// Whether a client finds a keyword at this node.
    fn finds(&self, keyword: &str) -> bool {
        self.runtime.block_on(async {
            let any = ["127.0.0.1:0".parse().unwrap()];
            let devices = Listener::bind(&any, endpoints::router(&self.service)).await.unwrap();
            let url = format!("http://{}", devices.addresses().unwrap()[0]);
            let serving = Arc::clone(&self.service);
            let task =
                tokio::spawn(async move { devices.serve(&serving, std::future::pending()).await });
            let client = filter_client::PirClient::builder(&url, USE_CASE);
            let client = client.user_token("AAAA").build().unwrap();
            let found = client.lookup(&[keyword.as_bytes()]).await.unwrap();
            task.abort();
            found[0].is_some()
        })
    }
}

impl Node {
    /// The prefilter that the node gives out, as soon as it is another one than before.
    fn next_prefilter(&self, before: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let any = ["127.0.0.1:0".parse().unwrap()];
            let devices = Listener::bind(&any, endpoints::router(&self.service)).await.unwrap();
            let url = format!("http://{}/filter/{USE_CASE}", devices.addresses().unwrap()[0]);
            let serving = Arc::clone(&self.service);
            let task =
                tokio::spawn(async move { devices.serve(&serving, std::future::pending()).await });
            loop {
                // The node looks each second.
                self.service.poll_publications().await.unwrap();
                let response = reqwest::get(&url).await.unwrap();
                let status = response.status().as_u16();
                let content = response.bytes().await.unwrap().to_vec();
                if status == 200 && content != before {
                    task.abort();
                    return content;
                }
            }
        })
    }
}

#[test]
fn nodes_give_out_the_prefilter_that_the_publisher_gives_out() {
    let vendor = Vendor::new();
    vendor.build("old.example\n", 1);
    succeeds(&vendor.publish_data(&[]));
    let node = Node::start(&vendor);
    let given_out = || fs::read(vendor.path().join("published/filter/bloom_filter.plist")).unwrap();
    let first = node.next_prefilter(b"");
    assert_eq!(first, given_out());
    vendor.build("old.example\nnew.example\n", 1);
    let address = node.admin.clone();
    let nodes = ["--node", &address, "--lead", "0", "--filter-delay", "0"];
    succeeds(&vendor.publish_data(&nodes));
    assert_eq!(node.next_prefilter(&first), given_out());
}

#[test]
fn nodes_make_changed_shards_from_those_that_they_have() {
    let vendor = Vendor::new();
    let many: String = (0..4000).map(|i| format!("{i}.example\n")).collect();
    vendor.build(&many, 1);
    assert_eq!(succeeds(&vendor.publish_data(&[]))["deltas"], 0);
    let node = Node::start(&vendor);
    vendor.build(&(many + "new.example\n"), 1);
    let second = succeeds(&vendor.publish_data(&["--detach"]));
    assert_eq!(second["deltas"], 1);
    let sha256 = pir_dataset::file_sha256(&vendor.path().join("dist/urls-0.bin")).unwrap();
    fs::remove_file(vendor.path().join("published/objects").join(sha256)).unwrap();
    node.runtime.block_on(node.service.poll_publications()).unwrap();
    assert_eq!(
        node.service.release_statuses()[0].replica.ready.as_deref(),
        second["release"].as_str()
    );
}

#[test]
fn the_prefilter_follows_when_all_nodes_have_switched() {
    let vendor = Vendor::new();
    fails(&vendor.publish(&["--filter-only"]), "nothing was published yet");
    fails(&vendor.publish(&["--rollback"]), "nothing was published yet");
    vendor.build("a.example\nb.example\n", 2);
    let first = succeeds(&vendor.publish_data(&[]));
    assert_eq!((&first["filterGivenOut"], &first["unchanged"]), (&true.into(), &false.into()));
    assert_eq!(vendor.served_prefilter(), vendor.built());
    let nodes = [Node::start(&vendor), Node::start(&vendor)];
    let admins: Vec<&str> = nodes.iter().flat_map(|node| ["--node", &node.admin]).collect();
    assert!(nodes[0].finds("a.example") && !nodes[0].finds("c.example"));

    // Publishing the same again changes nothing.
    let again = succeeds(&vendor.publish_data(&admins));
    assert_eq!((&again["unchanged"], &again["uploadedObjects"]), (&true.into(), &0.into()));
    assert_eq!(again["release"], first["release"]);
    // What was removed, because it was damaged, is put back.
    let objects = Path::new(&vendor.address).join("objects");
    let removed = fs::read_dir(&objects).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&removed).unwrap();
    let again = succeeds(&vendor.publish_data(&admins));
    assert_eq!((&again["unchanged"], &again["uploadedObjects"]), (&true.into(), &1.into()));
    assert!(removed.exists());

    // Rows are removed and added. The layout is kept, so only the nodes are waited for.
    vendor.build("b.example\nc.example\n", 2);
    let second = succeeds(
        &vendor.publish_data(&[&["--lead", "1", "--node-timeout", "60"], &admins[..]].concat()),
    );
    for node in &nodes {
        assert_eq!(node.active(), second["release"].as_str().unwrap());
        assert!(node.finds("c.example") && !node.finds("a.example"));
    }
    assert_eq!(vendor.served_prefilter(), vendor.built());

    // A rollback takes the prefilter along.
    let newer = vendor.served_prefilter();
    let back = succeeds(&vendor.publish(&[&["--rollback", "--lead", "1"], &admins[..]].concat()));
    assert_eq!(back["release"], first["release"]);
    assert!(nodes.iter().all(|node| node.finds("a.example") && !node.finds("c.example")));
    assert_ne!(vendor.served_prefilter(), newer);
    // Once more would go forward again.
    fails(&vendor.publish(&["--rollback"]), "is newer; name the release to go back to");
    assert!(nodes.iter().all(|node| node.finds("a.example") && !node.finds("c.example")));
    let id = second["release"].as_str().unwrap();
    let again = ["--rollback", id, "--lead", "0"];
    succeeds(&vendor.publish(&[&again, &admins[..]].concat()));
    assert_eq!(vendor.served_prefilter(), newer);
    fails(&vendor.publish(&["--rollback", id]), "counts already");
    fails(&vendor.publish(&["--rollback", "nothing"]), first["release"].as_str().unwrap());
}

#[test]
fn an_unreachable_node_stops_the_release() {
    let vendor = Vendor::new();
    vendor.build("a.example\n", 1);
    succeeds(&vendor.publish_data(&[]));
    let node = Node::start(&vendor);
    let before = (vendor.served_prefilter(), node.active());
    vendor.build("a.example\nb.example\n", 1);
    let unreachable = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", socket.local_addr().unwrap())
    };
    let nodes = ["--node", &node.admin, "--node", &unreachable, "--node-timeout", "3"];
    fails(&vendor.publish_data(&nodes), "nodes go on with the one before it");
    assert_eq!((vendor.served_prefilter(), node.active()), before);
    fails(&vendor.publish(&["--filter-only"]), "not to its end");
    // Without that node.
    let done = succeeds(&vendor.publish_data(&["--node", &node.admin, "--lead", "0"]));
    assert_eq!(node.active(), done["release"].as_str().unwrap());
    assert_eq!(vendor.served_prefilter(), vendor.built());
}

/// Devices that have not fetched the new configuration yet are still served the previous data set.
#[test]
fn a_new_configuration_delays_the_prefilter() {
    let vendor = Vendor::new();
    vendor.build("a.example\n", 1);
    succeeds(&vendor.publish_data(&[]));
    let node = Node::start(&vendor);
    let before = vendor.served_prefilter();
    vendor.build("a.example\nb.example\n", 2);
    let detached =
        succeeds(&vendor.publish_data(&["--node", &node.admin, "--lead", "0", "--detach"]));
    assert_eq!(
        (&detached["newConfiguration"], &detached["filterGivenOut"]),
        (&true.into(), &false.into())
    );
    assert_eq!(vendor.served_prefilter(), before);
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_urlfilter"))
        .current_dir(vendor.path())
        .args(["publish", "--to", &vendor.address, "--usecase", USE_CASE, "--filter-only"])
        .args(["--node", &node.admin])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(prints(&mut waiting, "devices have its configuration if that is new"));
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    assert_eq!(vendor.served_prefilter(), before);
    succeeds(&vendor.publish(&["--filter-only", "--node", &node.admin, "--filter-delay", "0"]));
    assert_eq!(vendor.served_prefilter(), vendor.built());
}

fn prints(child: &mut Child, what: &str) -> bool {
    let lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    lines.map_while(Result::ok).any(|line| line.contains(what))
}

#[test]
fn files_of_different_builds_are_not_published() {
    let vendor = Vendor::new();
    vendor.build("a.example\nb.example\n", 1);
    let missing = ["--data", "dist/other", "--filter", "dist"];
    fails(&vendor.publish(&missing), "dist/other-manifest.json: there is no such file");
    // The list was built again, but not processed.
    fs::write(vendor.path().join("list.txt"), "c.example\n").unwrap();
    succeeds(&vendor.run(&["build", "list.txt", "--out", "newer"]));
    let newer = ["--data", "dist/urls", "--filter", "newer"];
    fails(&vendor.publish(&newer), "not of one build");
    // A prefilter that lacks keys of its own folder.
    for name in ["bloom.bin", "bloom.json", "bloom_filter.plist"] {
        fs::copy(vendor.path().join("newer").join(name), vendor.path().join("dist").join(name))
            .unwrap();
    }
    fails(&vendor.publish_data(&[]), "not found in the prefilter");
    vendor.build("a.example\nb.example\n", 1);
    // A file that was changed after processing.
    let shard: PathBuf = vendor.path().join("dist/urls-0.bin");
    let mut content = fs::read(&shard).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&shard, content).unwrap();
    fails(&vendor.publish_data(&[]), "not what the manifest of the data set says");
    fs::remove_file(&shard).unwrap();
    fails(&vendor.publish_data(&[]), "urls-0.bin");
    assert!(!vendor.path().join("published").exists());
    // Two use cases in one store.
    vendor.build("a.example\nb.example\n", 1);
    succeeds(&vendor.publish_data(&[]));
    let other = ["publish", "--to", &vendor.address, "--usecase", "other", "--rollback"];
    fails(&vendor.run(&other), "another use case");
    fails(
        &vendor.run(&["publish", "--to", "nonsense://x", "--usecase", "o", "--rollback"]),
        "nonsense",
    );
    // A file where a folder is expected: the cause is printed once.
    let into_a_file =
        vendor.run(&["publish", "--to", "list.txt", "--usecase", "other", "--rollback"]);
    fails(&into_a_file, "Not a directory");
    assert_eq!(stderr(&into_a_file).matches("Not a directory").count(), 1);
}

/// A name for a key, and the public key.
fn signing_key(vendor: &Vendor, name: &str) -> String {
    let output = vendor.run(&["signing-key", name]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    fails(&vendor.run(&["signing-key", name]), "exists already");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn what_is_signed_can_be_checked_and_goes_on_from_nothing_that_is_not() {
    use release_signature::{Signature, TrustedKeys};
    let vendor = Vendor::new();
    let (own, _) = (signing_key(&vendor, "own.key"), signing_key(&vendor, "other.key"));
    let keys = TrustedKeys::parse(&[&own]).unwrap();
    vendor.build("a.example\n", 1);
    let signed = ["--sign", "own.key", "--lead", "0"];
    // What was not signed before is not gone on from without a word.
    succeeds(&vendor.publish_data(&[]));
    fails(&vendor.publish_data(&signed), "not signed with this key");
    let first = succeeds(&vendor.publish_data(&[&signed[..], &["--trust-current"]].concat()));
    assert_eq!(succeeds(&vendor.publish_data(&signed))["unchanged"], true);
    fails(&vendor.publish_data(&[]), "the publication is signed");
    fails(&vendor.publish_data(&["--sign", "other.key"]), "not signed with this key");
    fails(&vendor.publish_data(&["--sign", "own.key.pub"]), "own.key.pub");
    // As a container has the key.
    let mut vendor = vendor;
    for (key, outcome) in [("other.key", Some("not signed with this key")), ("own.key", None)] {
        let key = fs::read_to_string(vendor.path().join(key)).unwrap();
        vendor.environment = vec![("URLFILTER_SIGNING_KEY", key)];
        let output = vendor.publish_data(&["--lead", "0"]);
        match outcome {
            Some(refusal) => fails(&output, refusal),
            None => assert_eq!(succeeds(&output)["unchanged"], true),
        }
    }
    vendor.environment = vec![("URLFILTER_SIGNING_KEY", "CHANGE".to_owned())];
    fails(&vendor.publish_data(&[]), "URLFILTER_SIGNING_KEY");
    vendor.environment.clear();

    // The release, for `minisign -V`, and the prefilter, whose earlier fields stay.
    let published = vendor.path().join("published");
    let release = published.join("releases").join(first["release"].as_str().unwrap());
    let text = fs::read(release.join("release.json")).unwrap();
    let signature = fs::read_to_string(release.join("release.json.minisig")).unwrap();
    Signature::parse(&signature).unwrap().verify(&text, &keys).unwrap();
    let json =
        |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let mut metadata = json(published.join("filter/bloom.json"));
    let fields = metadata.as_object_mut().unwrap();
    let (text, signature) = (fields.remove("signed").unwrap(), fields.remove("signature").unwrap());
    assert_eq!(metadata, json(vendor.path().join("dist/bloom.json")));
    let text = text.as_str().unwrap();
    let signature = Signature::parse(signature.as_str().unwrap()).unwrap();
    signature.verify(text.as_bytes(), &keys).unwrap();
    let text: Value = serde_json::from_str(text).unwrap();
    assert_eq!(text, json!({ "useCase": USE_CASE, "metadata": metadata }));

    // A client with the key uses this prefilter and no other. Nobody is asked about a URL without a hit.
    let public = |name: &str| fs::read_to_string(vendor.path().join(name)).unwrap();
    let public = |name: &str| public(name).lines().nth(1).unwrap().to_owned();
    let query = |filter: &str, key: &str| {
        let server = ["query", "--server", "http://127.0.0.1:9", "--usecase", USE_CASE];
        let filter = ["--filter", filter, "--public-key", key, "https://harmless.example/"];
        vendor.run(&[&server[..], &filter].concat())
    };
    let accepted = query("published/filter", &public("own.key.pub"));
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    for (filter, key, expected) in [
        ("published/filter", "other.key.pub", "signature of the prefilter is not accepted"),
        ("dist", "own.key.pub", "not signed"),
    ] {
        let refused = query(filter, &public(key));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(expected), "{said}");
    }

    // Back to a signed release, and not to one that is not, or that somebody changed.
    vendor.build("a.example\nb.example\n", 1);
    let signed = [&signed[..], &["--detach"]].concat();
    let second = succeeds(&vendor.publish_data(&signed));
    let back = succeeds(&vendor.publish(&[&signed[..], &["--rollback"]].concat()));
    assert_eq!(back["release"], first["release"]);
    let id = second["release"].as_str().unwrap();
    let path = published.join("releases").join(id).join("release.json");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("\"useCase\"", " \"useCase\"")).unwrap();
    let again = [&signed[..], &["--rollback", id]].concat();
    fails(&vendor.publish(&again), "is not valid");
    fs::write(&path, good).unwrap();
    fs::rename(path.with_extension("json.minisig"), vendor.path().join("aside")).unwrap();
    fails(&vendor.publish(&again), "has no signature: it was published without one");
    fs::rename(vendor.path().join("aside"), path.with_extension("json.minisig")).unwrap();
    succeeds(&vendor.publish(&again));
}
