//! A shard of synthetic rows and a client of it.

use bfv::serialize::SerializedEvaluationKey;
use bfv::{Backend, OsRandom, Parameters};
use keyword_pir::cuckoo::{CuckooTables, Row};
use keyword_pir::database::Database;
use keyword_pir::payload::Payloads;
use keyword_pir::plan::Plan;
use keyword_pir::{
    Client, EvaluationKey, KeywordHash, Query, Scheme, SecretKey, SerializedQuery, Server,
};
use std::error::Error;

/// The parameter set of all measurements.
pub const PARAMETERS: &str = "n_4096_logq_27_28_28_logt_5";

/// Both ends of a lookup, ready to be timed.
pub struct Lookup {
    /// The service, with one shard of the plan.
    pub server: Server,
    /// The client for the parameters of the shard.
    pub client: Client,
    /// The client's key.
    pub secret: SecretKey,
    /// What the client uploaded.
    pub uploaded: SerializedEvaluationKey,
    /// The same, ready for use.
    pub key: EvaluationKey,
    /// A query for a row.
    pub query: SerializedQuery,
    /// The same, parsed.
    pub parsed: Query,
    /// The row's keyword.
    pub keyword: String,
}

/// The payloads of a shard of `rows` rows `host<i>.example/path<i>` with the value `1`, default
/// settings.
///
/// # Errors
/// Whatever the library reports.
pub fn payloads(rows: usize, backend: Backend) -> Result<(Scheme, Payloads), Box<dyn Error>> {
    let parameters = Parameters::predefined(PARAMETERS).ok_or("no such parameter set")?;
    let scheme = Scheme::with_backend(parameters.clone(), backend)?;
    let keys = super::synthetic_keys(rows);
    let rows: Vec<Row<'_>> =
        keys.iter().map(|key| Row { hash: KeywordHash::of(key.as_bytes()), value: b"1" }).collect();
    let plan = Plan::new(parameters);
    let tables = CuckooTables::build(&plan.cuckoo(1), &rows)?;
    let payloads = Payloads::of_tables(plan.keyword_shard(&tables)?, &tables)?;
    Ok((scheme, payloads))
}

impl Lookup {
    /// A shard as [`payloads`] makes it.
    ///
    /// # Errors
    /// Whatever the library reports.
    pub fn new(rows: usize, backend: Backend) -> Result<Self, Box<dyn Error>> {
        let (scheme, payloads) = payloads(rows, backend)?;
        let keys = super::synthetic_keys(rows);
        let parameters = payloads.parameters().clone();
        let server = Server::new(scheme.clone(), Database::of_payloads(&scheme, &payloads)?)?;
        let client = Client::new(scheme.clone(), parameters.clone())?;
        let secret = scheme.generate_secret_key(&mut OsRandom)?;
        let config = parameters.evaluation_key_config();
        let uploaded = scheme.generate_evaluation_key(&config, &secret, &mut OsRandom)?;
        let key = scheme.prepare_evaluation_key(&config, &uploaded)?;
        let keyword = keys[keys.len() / 2].clone();
        let query = client.query_keyword(keyword.as_bytes(), &secret, &mut OsRandom)?;
        let parsed = server.read_query(&query)?;
        Ok(Self { server, client, secret, uploaded, key, query, parsed, keyword })
    }
}
