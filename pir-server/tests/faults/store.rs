//! The shared store is killed and restarted under load.

use crate::process::Process;
use crate::redis_server::{Kind, RedisServer};
use crate::support::{Case, Settings};
use crate::{CASE, Promises, answers_are_right, budget, chance, client, device};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; runs for minutes, URLFILTER_FAULTS sets how many"]
async fn the_store_is_killed_at_random() {
    let rounds = budget().div_ceil(10);
    let mut chance = chance("store");
    let mut server = RedisServer::start(Kind::Plain);
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(CASE);
    let settings = server.configure(Settings::new(vec![case.install(folder.path(), "data")]));
    let start = |node: usize| {
        let own = folder.path().join(node.to_string());
        std::fs::create_dir_all(&own).unwrap();
        Process::start(&own, &settings, &[])
    };
    let mut nodes = vec![start(0), start(1)];
    let promises = Arc::new(Promises::default());
    let (mut node_crashes, mut refused_by_all) = (0, 0);
    for round in 0..rounds {
        let over = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..4)
            .map(|number| {
                let url = &nodes[number % nodes.len()].url;
                let device = device(url, &format!("user-{number}"));
                let (promises, over) = (Arc::clone(&promises), Arc::clone(&over));
                tokio::spawn(async move { promises.keep_asking(&device, &[400, 503], &over).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20 + chance.u64(..150))).await;
        server.kill();
        let probe = device(&nodes[0].url, "probe");
        if let Some(token) = probe.token().await
            && let Some(response) = probe.post("/config", &token, crate::all_configs()).await
        {
            assert_eq!(response.status(), 503, "accepted without a store");
            refused_by_all += 1;
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(..200))).await;
        server.restart();
        // Sometimes a node is killed, too, and restarted on another port.
        if chance.u64(..3) == 0 {
            nodes.pop().unwrap().kill();
            nodes.push(start(1));
            node_crashes += 1;
        }
        over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        for node in &nodes {
            let client = client(&node.url, 1);
            let mut tries = 0;
            while let Err(error) = answers_are_right(&client).await {
                tries += 1;
                assert!(tries < 300, "round {round}: does not recover: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        if round % 5 == 4 || round + 1 == rounds {
            for node in &nodes {
                promises.check(&node.url).await;
            }
        }
    }
    let (keys, tokens) =
        (promises.keys.lock().unwrap().len(), promises.spent.lock().unwrap().len());
    println!(
        "store: away {rounds} times ({node_crashes} nodes killed meanwhile, {refused_by_all} probes refused); {keys} \
         keys and {tokens} tokens held on each node"
    );
}
