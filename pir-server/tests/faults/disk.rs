//! A disk without room, and room again.

use crate::process::{PROGRAM, Process};
use crate::support::{Case, Settings};
use crate::{CASE, Promises, answers_are_right, budget, client, device};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Files may not grow beyond so many bytes: to the process, a disk that is full.
fn limit(id: u32, bytes: &str) {
    let status = Command::new("prlimit")
        .args([format!("--pid={id}"), format!("--fsize={bytes}:unlimited")])
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn full_and_not_full() {
    let rounds = budget().div_ceil(20);
    if budget() == 0 {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![Case::new(CASE).install(folder.path(), "data")]);
    let promises = Arc::new(Promises::default());
    let mut refused = 0;
    // It is told by an error, not by a signal.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", PROGRAM]);
    let process = Process::start_by(command, folder.path(), &settings, &[]);
    for round in 0..rounds {
        let over = Arc::new(AtomicBool::new(false));
        let devices: Vec<_> = (0..3)
            .map(|number| {
                let device = device(&process.url, &format!("user-{round}-{number}"));
                let (promises, over) = (Arc::clone(&promises), Arc::clone(&over));
                tokio::spawn(async move { promises.ask_on(&device, &[400, 503], &over).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        limit(process.id(), "4096");
        // Until it is felt.
        let probe = device(&process.url, "probe");
        let mut felt = 0;
        while felt < 3 {
            let token = probe.token().await.unwrap();
            let response = probe.post("/config", &token, crate::all_configs()).await.unwrap();
            match response.status().as_u16() {
                200 => promises.spent.lock().unwrap().push(token),
                503 => felt += 1,
                other => panic!("{other}"),
            }
        }
        refused += felt;
        limit(process.id(), "unlimited");
        over.store(true, Ordering::Relaxed);
        for device in devices {
            device.await.unwrap();
        }
        // By itself, after a moment at most.
        let client = client(&process.url, 1);
        let mut tries = 0;
        while let Err(error) = answers_are_right(&client).await {
            tries += 1;
            assert!(tries < 300, "round {round}: does not recover: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        promises.hold_at(&process.url).await;
    }
    process.kill();
    // And what was promised is on the disk.
    let process = Process::start(folder.path(), &settings, &[]);
    let (keys, tokens) = promises.hold_at(&process.url).await;
    println!(
        "disk full: {rounds} times, {refused} probes refused with 503; {keys} keys and {tokens} tokens held"
    );
}
