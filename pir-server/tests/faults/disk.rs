//! A full disk, and space again.

use crate::process::{PROGRAM, Process};
use crate::support::{Case, Settings};
use crate::{CASE, Promises, answers_are_right, budget, client, device};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Limits the length of files that the process writes: to the process, the disk is full.
fn limit(id: u32, bytes: &str) {
    let status = Command::new("prlimit")
        .args([format!("--pid={id}"), format!("--fsize={bytes}:unlimited")])
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes; URLFILTER_FAULTS sets how many"]
async fn the_disk_is_full_and_has_space_again() {
    let rounds = budget().div_ceil(20);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![Case::new(CASE).install(folder.path(), "data")]);
    let promises = Arc::new(Promises::default());
    let mut refused = 0;
    // Ignores the signal for files that are too large, so that writes return an error.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", PROGRAM]);
    let process = Process::start_by(command, folder.path(), &settings, &[]);
    for round in 0..rounds {
        let over = Arc::new(AtomicBool::new(false));
        let devices: Vec<_> = (0..3)
            .map(|number| {
                let device = device(&process.url, &format!("user-{round}-{number}"));
                let (promises, over) = (Arc::clone(&promises), Arc::clone(&over));
                tokio::spawn(async move { promises.keep_asking(&device, &[400, 503], &over).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        limit(process.id(), "4096");
        // Until the limit is reached.
        let probe = device(&process.url, "probe");
        let mut refused_now = 0;
        while refused_now < 3 {
            let token = probe.token().await.unwrap();
            let response = probe.post("/config", &token, crate::all_configs()).await.unwrap();
            match response.status().as_u16() {
                200 => promises.spent.lock().unwrap().push(token),
                503 => refused_now += 1,
                other => panic!("{other}"),
            }
        }
        refused += refused_now;
        limit(process.id(), "unlimited");
        over.store(true, Ordering::Relaxed);
        for device in devices {
            device.await.unwrap();
        }
        // It recovers by itself.
        let client = client(&process.url, 1);
        let mut tries = 0;
        while let Err(error) = answers_are_right(&client).await {
            tries += 1;
            assert!(tries < 300, "round {round}: does not recover: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        promises.check(&process.url).await;
    }
    process.kill();
    // The promises hold after a crash, too.
    let process = Process::start(folder.path(), &settings, &[]);
    let (keys, tokens) = promises.check(&process.url).await;
    println!(
        "disk full: {rounds} times, {refused} probes refused with 503; {keys} keys and {tokens} tokens held"
    );
}
