//! Lookups of many users, each of whom comes back only after the service has dropped the evaluation key from its memory: what a
//! node that serves all devices sees.

use crate::{Server, USE_CASE, percentile, processor_seconds, usage};
use filter_client::{AnswerPolicy, ClientOptions, EmptyWallet, HttpTransport, PirClient};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections at once.
const CONNECTIONS: usize = 8;

/// Prepares `users` users, and looks up one keyword for each in turn, until there were `lookups` lookups.
pub(crate) async fn look_up(server: &Server, users: usize, lookups: usize) -> anyhow::Result<()> {
    let mut options = ClientOptions::default();
    options.answers = AnswerPolicy::disabled();
    options.wallet.when_empty = EmptyWallet::Fetch;
    options.wallet.refill_count = 0;
    options.request_timeout = Duration::from_secs(300);
    options.lookup_timeout = Duration::from_secs(300);
    let transport = Arc::new(HttpTransport::new(options.request_timeout)?);
    let issuer = Arc::new(HttpTransport::new(options.request_timeout)?);
    let build = || {
        let builder = PirClient::builder(&server.url, USE_CASE).user_token("LOAD");
        let builder = builder.options(options.clone()).transport(Arc::clone(&transport) as _);
        builder.issuer_transport(Arc::clone(&issuer) as _).build()
    };
    let clients: Vec<PirClient> = (0..users).map(|_| build()).collect::<Result<_, _>>()?;
    let rounds = lookups.div_ceil(users);

    let ((before, _), own, begun) = (usage(server)?, processor_seconds("self")?, Instant::now());
    let parts: Vec<&[PirClient]> = clients.chunks(users.div_ceil(CONNECTIONS)).collect();
    try_join_all(parts.iter().map(async |part| {
        for client in *part {
            // For its configuration, its key, and its lookups.
            client.fetch_tokens(rounds + 2).await?;
            client.prepare().await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    let ((after, _), seconds) = (usage(server)?, begun.elapsed().as_secs_f64());
    println!(
        "{users} users prepared in {seconds:.1} s: {:.2} ms of the service's cores each ({} tokens and an upload), {:.2} ms of the clients'",
        (after - before) * 1e3 / users as f64,
        rounds + 2,
        (processor_seconds("self")? - own) * 1e3 / users as f64,
    );

    let ((before, _), own, begun) = (usage(server)?, processor_seconds("self")?, Instant::now());
    let times = try_join_all(parts.iter().map(async |part| {
        let mut times = Vec::new();
        for round in 0..rounds {
            for (number, client) in part.iter().enumerate() {
                let index = round + number;
                let keyword = match index % 2 {
                    0 => format!("host{index}.example/path{index}"),
                    _ => format!("absent{number}.example/{index}"),
                };
                let begun = Instant::now();
                let found = client.lookup(&[keyword.as_bytes()]).await?;
                times.push(begun.elapsed());
                anyhow::ensure!(found[0].is_some() == (index % 2 == 0), "a wrong answer");
            }
        }
        anyhow::Ok(times)
    }))
    .await?;
    let (seconds, mut times) = (begun.elapsed().as_secs_f64(), times.concat());
    let (after, memory) = usage(server)?;
    times.sort();
    println!(
        "cold keys: {:.1} keywords/s with {CONNECTIONS} connections; p50 {:.1} ms, p99 {:.1} ms; {:.2} ms of the service's cores each, \
         {:.2} ms of the clients'; {:.0} MB",
        times.len() as f64 / seconds,
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        (after - before) * 1e3 / times.len() as f64,
        (processor_seconds("self")? - own) * 1e3 / times.len() as f64,
        memory as f64 / 1e6,
    );
    Ok(())
}
