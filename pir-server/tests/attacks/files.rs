//! Files of data sets that shrink or go bad while they are served.

use crate::process::Process;
use crate::support::{Settings, UseCaseText};
use filter_client::{AnswerPolicy, ClientOptions, EmptyWallet, PirClient, RetryPolicy};
use pir_dataset::configuration::Configuration;
use pir_dataset::processing::Run;
use serde_json::json;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

const USE_CASE: &str = "com.example.app.url.filtering";

/// A data set in the native format, in one shard.
fn process_rows(folder: &Path) -> UseCaseText {
    let path = |name: &str| folder.join(name).display().to_string();
    let rows: String = (0..200)
        .map(|number| format!("rows {{ keyword: \"host{number}.example\" value: \"1\" }}\n"))
        .collect();
    fs::write(path("rows.txtpb"), rows).unwrap();
    let configuration = json!({
        "rlweParameters": "n_4096_logq_27_28_28_logt_5",
        "inputDatabase": path("rows.txtpb"),
        "outputDatabase": path("urls-SHARD_ID.bin"),
        "outputPirParameters": path("urls-SHARD_ID.params.txtpb"),
        "sharding": { "shardCount": 1 },
    });
    let configuration = Configuration::parse(configuration.to_string().as_bytes()).unwrap();
    Run::new(&configuration).finish().unwrap();
    let (name, stem) = (USE_CASE.to_owned(), path("urls"));
    UseCaseText { name, stem, shards: 1, versions: 2, superseded: 10 }
}

fn client(process: &Process) -> PirClient {
    let mut options = ClientOptions::default();
    options.retry = RetryPolicy::never();
    options.answers = AnswerPolicy::disabled();
    options.outage_backoff = Duration::ZERO;
    // It looks more up within a minute than wallets are made for.
    options.wallet.when_empty = EmptyWallet::Fetch;
    PirClient::builder(&process.url, USE_CASE).user_token("AAAA").options(options).build().unwrap()
}

/// Whether a keyword is there and another is not; an error if the service gives no answer.
async fn answers(client: &PirClient) -> Result<(), String> {
    let found = client.lookup(&[b"host7.example", b"absent.example"]).await;
    let found = found.map_err(|error| error.to_string())?;
    assert!(found[0].is_some() && found[1].is_none(), "a wrong answer");
    Ok(())
}

/// Writes into a file that is served.
fn overwrite(path: &Path, at: u64, byte: u8) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_set_in_memory_needs_its_files_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![process_rows(folder.path())]);
    let process = Process::start(folder.path(), &settings, &[]);
    let client = client(&process);
    answers(&client).await.unwrap();
    fs::write(folder.path().join("urls-0.bin"), "").unwrap();
    answers(&client).await.unwrap();
    assert!(process.terminate().0.success());
}

/// Nothing ends the process, no answer is wrong, and the log names the file.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_go_bad_fail_queries_and_are_named_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![process_rows(folder.path())])
        .with("limits", json!({ "dataSetBytes": 0 }));
    let process = Process::start(folder.path(), &settings, &[]);
    let client = client(&process);
    answers(&client).await.unwrap();
    let path = folder.path().join("urls-0.bin");
    let good = fs::read(&path).unwrap();
    for at in [4096, good.len() as u64 / 2] {
        let byte = good[usize::try_from(at).unwrap()];
        overwrite(&path, at, byte ^ 1);
        assert!(answers(&client).await.unwrap_err().contains("500"));
        overwrite(&path, at, byte);
        answers(&client).await.unwrap();
    }
    for length in [0, 4096, good.len() as u64 / 2] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        assert!(answers(&client).await.unwrap_err().contains("500"));
    }
    // The service runs on: a file in its place is served after a reload.
    fs::write(folder.path().join("new"), good).unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    let reload = reqwest::Client::new().post(format!("{}/reload", process.admin));
    assert_eq!(reload.send().await.unwrap().status(), 200);
    answers(&client).await.unwrap();
    let (status, log) = process.terminate();
    assert!(status.success());
    let lines = log.lines().filter(|line| line.contains("cannot be read any more"));
    assert_eq!(lines.filter(|line| line.contains("urls-0.bin")).count(), 1, "{log}");
}
