//! Where the time of one lookup goes at the server, by stage, and how many transforms it takes.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use benches::shard::Lookup;
use bfv::Backend;
use bfv::ntt::Transforms;
use keyword_pir::{Execution, StageTimes};
use std::error::Error;
use std::time::Duration;

const RUNS: usize = 101;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("rows backend | expansion first second reply | sum ms | forward inverse transforms");
    for rows in [10_000, 50_000] {
        for backend in Backend::available() {
            let lookup = Lookup::new(rows, backend)?;
            let mut all = Vec::new();
            let before = Transforms::of_this_thread();
            for _ in 0..RUNS {
                let execution = Execution::default();
                all.push(lookup.server.answer(&lookup.parsed, &lookup.key, execution)?.1);
            }
            let after = Transforms::of_this_thread();
            let of = |stage: fn(&StageTimes) -> Duration| median(all.iter().map(stage).collect());
            let stages = [
                of(|t| t.expansion),
                of(|t| t.first_dimension),
                of(|t| t.second_dimension),
                of(|t| t.reply),
            ];
            println!(
                "{rows} {} | {:.2} {:.2} {:.2} {:.2} | {:.2} | {} {}",
                backend.name(),
                stages[0],
                stages[1],
                stages[2],
                stages[3],
                stages.iter().sum::<f64>(),
                (after.forward - before.forward) / RUNS as u64,
                (after.inverse - before.inverse) / RUNS as u64,
            );
        }
    }
    Ok(())
}
