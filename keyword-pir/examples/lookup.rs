//! Builds a database of keywords, writes it to a file, and looks keywords up without telling the
//! server which.
//!
//! `cargo run --package keyword-pir --example lookup`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use bfv::{OsRandom, Parameters};
use keyword_pir::cuckoo::{CuckooTables, Row};
use keyword_pir::database::{self, Database};
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{Client, Execution, KeywordHash, Scheme, Server};
use std::fs::File;
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = "n_4096_logq_27_28_28_logt_5";
    let scheme = Scheme::new(Parameters::predefined(set).ok_or("the set is predefined")?)?;

    // The operator puts rows into tables, and the tables into a file.
    let keywords: Vec<String> = (0..1000).map(|i| format!("host{i}.example/path")).collect();
    let rows: Vec<Row<'_>> = keywords
        .iter()
        .map(|keyword| Row { hash: KeywordHash::of(keyword.as_bytes()), value: b"1" })
        .collect();
    let plan = Plan::new(scheme.parameters().clone());
    let tables = CuckooTables::build(&plan.cuckoo(1), &rows)?;
    let shard = plan.keyword_shard(&tables)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("shard.bin");
    let mut file = File::create(&path)?;
    let payloads = Payloads::of_tables(shard.clone(), &tables)?;
    database::write(&scheme, &payloads, &mut file)?;
    file.flush()?;
    println!("{} rows, {} bytes", tables.rows(), path.metadata()?.len());

    // The server opens the file: it knows the rows, and never a keyword that is asked for.
    let server = Server::new(scheme.clone(), Database::open(&path)?)?;

    // The client makes its keys once, uploads the evaluation key, and asks.
    let client = Client::new(scheme.clone(), shard.clone())?;
    let secret = scheme.generate_secret_key(&mut OsRandom)?;
    let config = shard.evaluation_key_config();
    let uploaded = scheme.generate_evaluation_key(&config, &secret, &mut OsRandom)?;
    let key = scheme.prepare_evaluation_key(&config, &uploaded)?;
    for keyword in ["host7.example/path", "harmless.example/"] {
        let query = client.query_keyword(keyword.as_bytes(), &secret, &mut OsRandom)?;
        let (reply, times) = server.answer(&server.read_query(&query)?, &key, Execution::new())?;
        let value = client.decode_keyword(&reply, keyword.as_bytes(), &secret)?;
        println!(
            "{keyword}: {} ({times:?})",
            if value.is_some() { "listed" } else { "not listed" }
        );
        assert_eq!(value.is_some(), keywords.iter().any(|listed| listed == keyword));
    }
    Ok(())
}
