//! What a lookup, or the preparation of an evaluation key, costs a server: the numbers of `docs/speed.md`.
//!
//! `cargo run --release --package keyword-pir --example lookup_cost -- lookup 50000 200`
//!
//! The first argument is `lookup`, `prepare` (an evaluation key), `cold` (both) or `noise` (the noise budget that is
//! left, without times); then the number of rows and the number of runs; without arguments, three lookups in 1,000 rows. A fourth argument is the
//! layout: the end of a parameter set's name, and `reference`, `cheap`, or the dimensions of tables with one hash
//! function, such as `logt_5/reference` (the default), `logt_6/cheap` and `logt_5/29x13`. All random numbers are
//! fixed, so that each run does the same work and a count of instructions can be compared. `BFV_BACKEND`
//! forces a back end. Times are those of a core, where the system tells them.

#![allow(clippy::print_stdout, reason = "the numbers are what this is for")]

use bfv::{Error, Parameters, RandomSource};
use keyword_pir::cost::LookupCounts;
use keyword_pir::cuckoo::{BucketCount, CuckooTables, Row};
use keyword_pir::database::Database;
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::shape::DimensionRule;
use keyword_pir::{Client, Execution, KeywordHash, Scheme, Server};
use std::env;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Seeds that are not random. Nobody's key is made of them.
struct Fixed(u8);

impl RandomSource for Fixed {
    fn seed(&mut self) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.0 += 1;
        Ok(Zeroizing::new([self.0; 32]))
    }
}

/// The plan of a layout such as `logt_5/cheap`.
fn plan_of(layout: &str) -> Result<Plan, Box<dyn std::error::Error>> {
    let (set, shape) = layout.split_once('/').ok_or("a layout is SET/SHAPE")?;
    let mut names =
        Parameters::predefined_names().filter(|name| name.starts_with("n_") && name.ends_with(set));
    let name = names.next().ok_or("no parameter set ends so")?;
    let plan = Plan::new(Parameters::predefined(name).ok_or("the set is predefined")?);
    if let Some((rows, columns)) = shape.split_once('x') {
        let mut plan = plan.cheap(1).ok_or("values are short")?;
        plan.dimensions = DimensionRule::Fixed([rows.parse()?, columns.parse()?]);
        plan.buckets = BucketCount::Expandable { expansion_factor: 1.05, target_load_factor: 0.79 };
        return Ok(plan);
    }
    match shape {
        "reference" => Ok(plan),
        "cheap" => Ok(plan.cheap(1).ok_or("values are short")?),
        _ => Err("a shape is reference, cheap or ROWSxCOLUMNS".into()),
    }
}

/// Time that this thread has had of a core.
#[cfg(unix)]
fn processor_time(_: Instant) -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The clock on the wall, where the system does not tell.
#[cfg(not(unix))]
fn processor_time(begin: Instant) -> Duration {
    begin.elapsed()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (what, rows, runs, layout) = match &arguments[..] {
        [] => ("lookup", "1000", "3", "logt_5/reference"),
        [what, rows, runs] => (&what[..], &rows[..], &runs[..], "logt_5/reference"),
        [what, rows, runs, layout] => (&what[..], &rows[..], &runs[..], &layout[..]),
        _ => return Err("usage: lookup_cost [lookup|prepare|cold|noise ROWS RUNS [LAYOUT]]".into()),
    };
    let (prepares, looks_up) = match what {
        "lookup" => (false, true),
        "prepare" => (true, false),
        "cold" => (true, true),
        "noise" => (false, false),
        _ => return Err("the first argument is lookup, prepare, cold or noise".into()),
    };
    let (count, runs): (usize, usize) = (rows.parse()?, runs.parse()?);

    let plan = plan_of(layout)?;
    let scheme = Scheme::new(plan.encryption.clone())?;
    let keywords: Vec<String> = (0..count).map(|i| format!("host{i}.example/path{i}")).collect();
    let rows: Vec<Row<'_>> = keywords
        .iter()
        .map(|keyword| Row { hash: KeywordHash::of(keyword.as_bytes()), value: b"1" })
        .collect();
    let tables = CuckooTables::build(&plan.cuckoo(1), &rows)?;
    let payloads = Payloads::of_tables(plan.keyword_shard(&tables)?, &tables)?;
    let parameters = payloads.parameters().clone();
    let server = Server::new(scheme.clone(), Database::of_payloads(&scheme, &payloads)?)?;
    let client = Client::new(scheme.clone(), parameters.clone())?;
    let random = &mut Fixed(0);
    let secret = scheme.generate_secret_key(random)?;
    let config = parameters.evaluation_key_config();
    let uploaded = scheme.generate_evaluation_key(&config, &secret, random)?;
    let mut key = scheme.prepare_evaluation_key(&config, &uploaded)?;
    let keyword = keywords.last().ok_or("at least one row")?.as_bytes();
    let query = client.query_keyword(keyword, &secret, random)?;
    let query = server.read_query(&query)?;
    let counts = LookupCounts::of(&parameters)?;
    if what == "noise" {
        let (full, _) = server.answer(&query, &key, Execution::new().keep_low_bits())?;
        println!("{:.1} bits of noise budget left", client.noise_budget(&full, &secret)?);
    }

    let begin = Instant::now();
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = processor_time(begin);
        if prepares {
            key = scheme.prepare_evaluation_key(&config, &uploaded)?;
        }
        if looks_up {
            let (reply, _) = server.answer(&query, &key, Execution::default())?;
            times.push(processor_time(begin) - start);
            assert!(client.decode_keyword(&reply, keyword, &secret)?.is_some());
        } else {
            times.push(processor_time(begin) - start);
        }
    }
    times.sort();
    let at = |part: usize| {
        times.get(times.len() * part / 10).copied().unwrap_or(Duration::ZERO).as_secs_f64() * 1e3
    };
    println!(
        "{what}, {count} rows, {layout} {:?}, {}: min {:.3} ms, first tenth {:.3}, median {:.3}; key {} bytes",
        [parameters.rows(), parameters.columns()],
        scheme.backend().name(),
        at(0),
        at(1),
        at(5),
        key.memory(),
    );
    println!("work {:.0}: {counts:?}", counts.work(scheme.parameters()));
    Ok(())
}
