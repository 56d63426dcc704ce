//! kill -9 at random moments, in the middle of whatever goes on.

use crate::process::{PROGRAM, Process};
use crate::support::{Case, Settings};
use crate::{CASE, Promises, answers_are_right, budget, chance, client, device};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random() {
    let rounds = budget();
    if rounds == 0 {
        return;
    }
    let mut chance = chance("kill -9");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![Case::new(CASE).install(folder.path(), "data")]);
    // The same client all the time: its key must be found after each crash.
    let (mut keys, mut tokens, mut early) = (0, 0, 0);
    let all = Promises::default();
    for round in 0..rounds {
        let promises = Arc::new(Promises::default());
        // Some at once, while it starts; most while it works.
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
                    tokio::spawn(async move { promises.ask_on(&device, &[400], &over).await })
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
        let (some_keys, some_tokens) = promises.hold_at(&process.url).await;
        keys += some_keys;
        tokens += some_tokens;
        all.keys.lock().unwrap().extend(promises.keys.lock().unwrap().clone());
        all.spent.lock().unwrap().extend(promises.spent.lock().unwrap().drain(..));
        if round % 10 == 9 || round + 1 == rounds {
            // Whatever was promised in any round, and answers to a client that comes anew.
            all.hold_at(&process.url).await;
            answers_are_right(&client(&process.url, 1)).await.unwrap();
        }
        process.kill();
    }
    println!(
        "kill -9: {} crashes ({early} while starting), {keys} keys and {tokens} tokens held; 0 lost, 0 twice",
        2 * rounds
    );
}
