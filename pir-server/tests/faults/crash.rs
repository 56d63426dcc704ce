//! `kill -9` at random moments, under load or while starting.

use crate::process::{PROGRAM, Process};
use crate::support::{Case, Settings};
use crate::{CASE, Promises, answers_are_right, budget, chance, client, device};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes; URLFILTER_FAULTS sets how many"]
async fn killed_at_random() {
    let rounds = budget();
    let mut chance = chance("kill -9");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![Case::new(CASE).install(folder.path(), "data")]);
    let (mut keys, mut tokens, mut early) = (0, 0, 0);
    let all = Promises::default();
    for round in 0..rounds {
        let promises = Arc::new(Promises::default());
        // Some crashes while it starts, most under load.
        if chance.u64(..5) == 0 {
            let mut starting = Process::spawn(Command::new(PROGRAM), folder.path(), &settings, &[]);
            tokio::time::sleep(Duration::from_micros(chance.u64(..60_000))).await;
            starting.kill().unwrap();
            starting.wait().unwrap();
            early += 1;
        } else {
            let process = Process::start(folder.path(), &settings, &[]);
            let over = Arc::new(AtomicBool::new(false));
            let devices: Vec<_> = (0..3)
                .map(|number| {
                    let device = device(&process.url, &format!("user-{}", number + round % 7));
                    let (promises, over) = (Arc::clone(&promises), Arc::clone(&over));
                    tokio::spawn(async move { promises.keep_asking(&device, &[400], &over).await })
                })
                .collect();
            tokio::time::sleep(Duration::from_micros(chance.u64(..150_000))).await;
            process.kill();
            over.store(true, Ordering::Relaxed);
            for device in devices {
                device.await.unwrap();
            }
        }
        let process = Process::start(folder.path(), &settings, &[]);
        let (some_keys, some_tokens) = promises.check(&process.url).await;
        keys += some_keys;
        tokens += some_tokens;
        all.keys.lock().unwrap().extend(promises.keys.lock().unwrap().clone());
        all.spent.lock().unwrap().extend(promises.spent.lock().unwrap().drain(..));
        if round % 10 == 9 || round + 1 == rounds {
            // The promises of all rounds, and answers to a new client.
            all.check(&process.url).await;
            answers_are_right(&client(&process.url, 1)).await.unwrap();
        }
        process.kill();
    }
    println!(
        "kill -9: {} crashes ({early} while starting), {keys} keys and {tokens} tokens held; 0 lost, 0 twice",
        2 * rounds
    );
}
