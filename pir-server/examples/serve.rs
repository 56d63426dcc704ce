//! Serves a small data set on a free port, asks the service two questions, and stops it.
//!
//! ```sh
//! cargo run -p pir-server --example serve
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use interop_cases::pir::Case;
use pir_server::configuration::{StoreSettings, Tier, UseCase, UserGroup};
use pir_server::{Configuration, Listener, Service, endpoints};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use unix_clock::SystemClock;

/// Copies the processed database of a recorded case to the names under which a service finds it. Your own data
/// set comes from `urlfilter process`. Returns the number of shards.
fn install(case: &Case, stem: &Path) -> Result<u32, Box<dyn Error>> {
    let parameters = case.parameter_files();
    for (shard, text) in parameters.iter().enumerate() {
        fs::copy(case.database_path(shard), format!("{}-{shard}.bin", stem.display()))?;
        fs::write(format!("{}-{shard}.params.txtpb", stem.display()), text)?;
    }
    Ok(u32::try_from(parameters.len())?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let stem = folder.path().join("urls");
    let shards = install(&Case::named("synthetic_small_logt5"), &stem)?;

    let users = UserGroup::new(Tier::Tier1, vec!["AAAA".to_owned()]);
    let use_case = UseCase::from_files("com.example.app.url.filtering", &stem, shards)?;
    let mut configuration = Configuration::new(vec![users], vec![use_case]);
    configuration.store = StoreSettings::in_folder(folder.path().join("state"));

    // The first start generates the issuer keys, which takes some seconds.
    let service = Arc::new(Service::open(&configuration, Arc::new(SystemClock)).await?);
    let listener = Listener::bind(&["127.0.0.1:0".parse()?], endpoints::router(&service)).await?;
    let address = format!("http://{}", listener.addresses()?[0]);
    println!("{address} serves {:?}", service.loaded().use_cases);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = {
        let service = Arc::clone(&service);
        // Dropping the sender stops the service as well.
        tokio::spawn(async move { listener.serve(&service, async { drop(stopped.await) }).await })
    };
    let ready = reqwest::get(format!("{address}/readyz")).await?.error_for_status()?;
    println!("readiness: {}", ready.text().await?.trim());
    let public = reqwest::get(format!("{address}/config")).await?.error_for_status()?;
    println!("public configuration: {} bytes", public.bytes().await?.len());

    drop(stop);
    server.await?;
    Ok(())
}
