//! Peers that send nothing, or a byte at a time, or disconnect in the middle.

use crate::process::Process;
use crate::support::{Case, Settings};
use crate::{CASE, answers_are_right, budget, chance, client, resident};
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for minutes; URLFILTER_FAULTS sets how many"]
async fn peers_are_silent_slow_and_gone() {
    let peers = 2 * budget();
    let mut chance = chance("peers");
    let folder = tempfile::tempdir().unwrap();
    let limits =
        json!({ "headerSeconds": 2, "bodySeconds": 2, "idleSeconds": 3, "requestSeconds": 5 });
    let settings =
        Settings::new(vec![Case::new(CASE).install(folder.path(), "data")]).with("limits", limits);
    let process = Process::start(folder.path(), &settings, &[]);
    let asking = client(&process.url, 1);
    answers_are_right(&asking).await.unwrap();
    let before = resident(process.id());
    let address = process.url.strip_prefix("http://").unwrap().to_owned();
    let head =
        b"POST /queries HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\nuser-agent: x\r\n\r\n";
    let mut held = Vec::new();
    let mut counts = [0; 5];
    for _ in 0..peers {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let kind = chance.usize(..5);
        counts[kind] += 1;
        let cut = chance.usize(..head.len());
        match kind {
            // Sends nothing.
            0 => held.push(stream),
            // Sends half a head.
            1 => {
                stream.write_all(&head[..cut]).await.unwrap();
                held.push(stream);
            }
            // Sends a head and half a body.
            2 => {
                stream.write_all(head).await.unwrap();
                stream.write_all(&vec![7; cut]).await.unwrap();
                held.push(stream);
            }
            // Disconnects within the body.
            3 => {
                stream.write_all(head).await.unwrap();
                stream.write_all(&vec![7; cut]).await.unwrap();
            }
            // Sends a byte now and then.
            _ => {
                tokio::spawn(async move {
                    for byte in head {
                        if stream.write_all(&[*byte]).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                });
            }
        }
        if held.len() % 50 == 0 {
            answers_are_right(&asking).await.unwrap();
        }
    }
    answers_are_right(&asking).await.unwrap();
    let peak = resident(process.id());
    // The service closes their connections when their time is over.
    let mut open = u64::MAX;
    for _ in 0..600 {
        let metrics = reqwest::get(format!("{}/metrics", process.admin)).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let line = metrics.lines().find(|line| line.starts_with("pir_connections ")).unwrap();
        open = line.rsplit(' ').next().unwrap().parse().unwrap();
        if open <= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(open <= 4, "{open} connections of {peers} are still open");
    assert!(peak < before + (64 << 20) + peers as u64 * (128 << 10), "{before} {peak}");
    answers_are_right(&asking).await.unwrap();
    println!(
        "peers: {peers} (silent {}, half a head {}, half a body {}, gone {}, a byte at a time {}); all cut off, memory \
         {} to {} MB",
        counts[0],
        counts[1],
        counts[2],
        counts[3],
        counts[4],
        before >> 20,
        peak >> 20
    );
}
