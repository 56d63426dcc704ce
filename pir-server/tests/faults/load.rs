//! Reloads without pause, and four times the work that fits into the queue.

use crate::process::Process;
use crate::support::{Case, Settings};
use crate::{CASE, answers_are_right, budget, client, device, resident};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MEGABYTE: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes; URLFILTER_FAULTS sets how many"]
async fn reloads_under_lookups() {
    let reloads = 20 * budget();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(vec![Case::new(CASE).install(folder.path(), "data")]);
    let process = Process::start(folder.path(), &settings, &[]);
    let asking = client(&process.url, 1);
    answers_are_right(&asking).await.unwrap();
    let http = reqwest::Client::new();
    let reload = || async {
        let response = http.post(format!("{}/reload", process.admin)).send().await.unwrap();
        assert_eq!(response.status(), 200);
    };
    // The allocator keeps an arena for each thread, so memory grows until all of them have been used. A leak would go on.
    let mut lookups = 0;
    let mut memory = [0; 2];
    for after in &mut memory {
        let left = AtomicUsize::new(reloads / 2);
        let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let storm = join_all((0..8).map(|_| async {
            while take().is_ok() {
                reload().await;
            }
        }));
        let asked = async {
            while left.load(Ordering::Relaxed) > 0 {
                answers_are_right(&asking).await.unwrap();
                lookups += 1;
            }
        };
        futures_util::future::join(storm, asked).await;
        *after = resident(process.id());
    }
    let [before, after] = memory;
    assert!(after < before + 64 * MEGABYTE, "memory grew from {before} to {after} bytes");
    println!(
        "reloads: {reloads}, {lookups} lookups meanwhile, all right; memory {} MB after half of them, {} MB after all",
        before / MEGABYTE,
        after / MEGABYTE
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes; URLFILTER_FAULTS sets how many"]
async fn four_times_the_work_that_fits() {
    const QUEUE: usize = 16;
    let each = budget().div_ceil(4).max(10);
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(CASE);
    let settings = Settings::new(vec![case.install(folder.path(), "data")])
        .with("limits", json!({ "queue": QUEUE, "batch": QUEUE }))
        .with("workers", json!(1));
    let process = Process::start(folder.path(), &settings, &[]);
    let uploader = device(&process.url, "someone");
    let token = uploader.token().await.unwrap();
    let upload = case.first("/key").request;
    assert_eq!(uploader.post("/key", &token, upload).await.unwrap().status(), 200);
    let before = resident(process.id());
    let queries = Arc::new(case.first("/queries").request);
    let (done, busy) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..4 * QUEUE)
        .map(|_| {
            let device = device(&process.url, "someone");
            let (queries, done, busy) =
                (Arc::clone(&queries), Arc::clone(&done), Arc::clone(&busy));
            tokio::spawn(async move {
                let mut token = None;
                for _ in 0..each {
                    let this = match token.take() {
                        Some(token) => token,
                        // The queue of token requests may be full, too.
                        None => match device.token().await {
                            Some(token) => token,
                            None => continue,
                        },
                    };
                    let response = device.post("/queries", &this, queries.to_vec()).await.unwrap();
                    match response.status().as_u16() {
                        200 => {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        // Not spent: it is used again.
                        503 => {
                            busy.fetch_add(1, Ordering::Relaxed);
                            token = Some(this);
                        }
                        other => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let after = resident(process.id());
    assert!(after < before + 256 * MEGABYTE, "{before} {after}");
    let (done, busy) = (done.load(Ordering::Relaxed), busy.load(Ordering::Relaxed));
    assert!(done > 0 && busy > 0, "{done} {busy}");
    answers_are_right(&client(&process.url, 1)).await.unwrap();
    println!(
        "overload: {} at once where {QUEUE} have room: {done} answered, {busy} told to come again; memory {} to {} MB",
        4 * QUEUE,
        before / MEGABYTE,
        after / MEGABYTE
    );
}
