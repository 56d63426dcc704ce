//! `urlfilter caller-id`: from a list of phone numbers to lookups of both data sets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;
mod serving;

use caller_id::{Category, Identity};
use command::{stderr, succeeds, urlfilter};
use filter_client::{ClientOptions, EmptyWallet, PirClient};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const BUNDLE: &str = "com.example.app.lookup";

/// Serves both data sets of a folder; returns the address.
async fn serve(folder: &Path) -> String {
    let use_case = |name: &str| json!({ "name": format!("{BUNDLE}.{name}"), "fileStem": folder.join("dist").join(name) });
    let configuration = json!({
        "users": [{ "tokens": ["AAAA"] }],
        "usecases": [use_case("block"), use_case("identity")],
        "store": { "directory": folder.join("state") },
        "limits": { "waitMilliseconds": 60_000 },
    });
    serving::serve(&configuration).await
}

async fn look_up(url: &str, use_case: &str, numbers: &[&str]) -> Vec<Option<Vec<u8>>> {
    let mut options = ClientOptions::default();
    options.wallet.when_empty = EmptyWallet::Fetch;
    let client = PirClient::builder(url, format!("{BUNDLE}.{use_case}"))
        .user_token("AAAA")
        .options(options)
        .build()
        .unwrap();
    let keywords: Vec<&[u8]> = numbers.iter().map(|number| number.as_bytes()).collect();
    client.lookup(&keywords).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_built_processed_served_and_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let icon = [&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], &[7; 2000]].concat();
    fs::create_dir(path.join("icons")).unwrap();
    fs::write(path.join("icons/+14085550123.heic"), &icon).unwrap();
    let list = "number,name,block,category,cacheMinutes\n\
        +1 408-555-0123,Example Pizza,false,business,60\n\
        +442079460123,,true,,\n\
        +493023125012,Spam & Co,true,,\n";
    fs::write(path.join("callers.csv"), list).unwrap();
    let arguments = [
        "caller-id",
        "callers.csv",
        "--icons",
        "icons",
        "--out",
        "dist",
        "--onboarding-entry",
        "--json",
    ];
    let output = urlfilter(path, &arguments);
    succeeds(&output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts =
        ["numbers", "blocked", "identities", "icons"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(counts, [4, 2, 3, 1]);
    for name in ["block", "identity"] {
        let process = json!({
            "rlweParameters": "n_4096_logq_27_28_28_logt_5",
            "inputDatabase": format!("dist/{name}.binpb"),
            "outputDatabase": format!("dist/{name}-SHARD_ID.bin"),
            "outputPirParameters": format!("dist/{name}-SHARD_ID.params.txtpb"),
            "sharding": { "shardCount": 1 },
        });
        fs::write(path.join("process.json"), process.to_string()).unwrap();
        succeeds(&urlfilter(path, &["process", "process.json"]));
    }
    let url = serve(path).await;
    let numbers =
        ["+14085550123", "+442079460123", "+493023125012", "+14085551212", "+14085550000"];
    let blocked = look_up(&url, "block", &numbers).await;
    let byte = |value: u8| Some(vec![value]);
    assert_eq!(blocked, [byte(0), byte(1), byte(1), byte(0), None]);
    let identities = look_up(&url, "identity", &numbers).await;
    let read =
        |value: &Option<Vec<u8>>| value.as_ref().map(|value| Identity::from_bytes(value).unwrap());
    let identities: Vec<_> = identities.iter().map(read).collect();
    let pizza = identities[0].as_ref().unwrap();
    assert_eq!(
        (pizza.name(), pizza.category(), pizza.cache_minutes()),
        ("Example Pizza", Category::Business, 60)
    );
    assert_eq!(pizza.icon(), Some(icon.as_slice()));
    assert_eq!(identities[1], None);
    assert_eq!(identities[2].as_ref().unwrap().name(), "Spam & Co");
    assert_eq!(identities[3].as_ref().unwrap().name(), "Johnny Appleseed");
    assert_eq!(identities[4], None);
}

#[test]
fn mistakes_are_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("good.csv"), "number,name\n+14085550123,A\n").unwrap();
    succeeds(&urlfilter(path, &["caller-id", "good.csv", "--out", "dist"]));
    let before = fs::read(path.join("dist/block.binpb")).unwrap();
    for (name, text, more, expected) in [
        (
            "bad.csv",
            "number,name\n+14085550123,A\n5550123,B\n",
            &[][..],
            "bad.csv: line 3: number \"5550123\"",
        ),
        ("bad.json", r#"[{"number": "+1", "name": "A"}]"#, &[], "bad.json: entry 1: number \"+1\""),
        ("bad.txt", "", &[], "--format csv"),
        ("blocked.csv", "number,block\n+14085550123,true\n", &[], "nobody has a name"),
        (
            "icons.csv",
            "number,name\n+14085550123,A\n",
            &["--icons", "nowhere"],
            "nowhere: expected a folder",
        ),
        ("icon.csv", "number,name,icon\n+14085550123,A,x.heic\n", &[], "x.heic"),
    ] {
        fs::write(path.join(name), text).unwrap();
        let output = urlfilter(path, &[&["caller-id", name, "--out", "dist"], more].concat());
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert_eq!(fs::read(path.join("dist/block.binpb")).unwrap(), before);
        assert_eq!(fs::read_dir(path.join("dist")).unwrap().count(), 2);
    }
    let output = urlfilter(path, &["caller-id", "nowhere.csv", "--out", "dist"]);
    assert!(stderr(&output).contains("nowhere.csv"), "{}", stderr(&output));
    // Without an ending that tells, the format is given.
    fs::write(path.join("list"), "number,name\n+14085550123,A\n").unwrap();
    succeeds(&urlfilter(path, &["caller-id", "list", "--format", "csv", "--out", "dist"]));
}
