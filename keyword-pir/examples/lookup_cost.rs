//! What a lookup, or the preparation of an evaluation key, costs a server: the numbers of `docs/speed.md`.
//!
//! `cargo run --release --package keyword-pir --example lookup_cost -- lookup 50000 200`
//!
//! The first argument is `lookup`, `prepare` (an evaluation key) or `cold` (both); then the number of
//! rows and the number of runs; without arguments, three lookups in 1,000 rows. All random numbers are
//! fixed, so that each run does the same work and a count of instructions can be compared. `BFV_BACKEND`
//! forces a back end.

#![allow(clippy::print_stdout, reason = "the numbers are what this is for")]

use bfv::{Error, Parameters, RandomSource};
use keyword_pir::cuckoo::{CuckooTables, Row};
use keyword_pir::database::Database;
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (what, rows, runs) = match &arguments[..] {
        [] => ("lookup", "1000", "3"),
        [what, rows, runs] => (&what[..], &rows[..], &runs[..]),
        _ => return Err("usage: lookup_cost [lookup|prepare|cold ROWS RUNS]".into()),
    };
    let (prepares, looks_up) = match what {
        "lookup" => (false, true),
        "prepare" => (true, false),
        "cold" => (true, true),
        _ => return Err("the first argument is lookup, prepare or cold".into()),
    };
    let (count, runs): (usize, usize) = (rows.parse()?, runs.parse()?);

    let set = "n_4096_logq_27_28_28_logt_5";
    let scheme = Scheme::new(Parameters::predefined(set).ok_or("the set is predefined")?)?;
    let keywords: Vec<String> = (0..count).map(|i| format!("host{i}.example/path{i}")).collect();
    let rows: Vec<Row<'_>> = keywords
        .iter()
        .map(|keyword| Row { hash: KeywordHash::of(keyword.as_bytes()), value: b"1" })
        .collect();
    let plan = Plan::new(scheme.parameters().clone());
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

    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        if prepares {
            key = scheme.prepare_evaluation_key(&config, &uploaded)?;
        }
        if looks_up {
            let (reply, _) = server.answer(&query, &key, Execution::default())?;
            times.push(start.elapsed());
            assert!(client.decode_keyword(&reply, keyword, &secret)?.is_some());
        } else {
            times.push(start.elapsed());
        }
    }
    times.sort();
    let at = |part: usize| {
        times.get(times.len() * part / 10).copied().unwrap_or(Duration::ZERO).as_secs_f64() * 1e3
    };
    println!(
        "{what}, {count} rows {:?}, {}: min {:.3} ms, first tenth {:.3}, median {:.3}; key {} bytes",
        [parameters.rows(), parameters.columns()],
        scheme.backend().name(),
        at(0),
        at(1),
        at(5),
        key.memory(),
    );
    Ok(())
}
