//! A service in this process, for the data sets that the command makes.

use pir_server::{Configuration, Listener, Service, endpoints};
use serde_json::Value;
use std::sync::Arc;

/// Serves what a configuration says, and returns the address.
pub(crate) async fn serve(configuration: &Value) -> String {
    let configuration = Configuration::parse(configuration.to_string().as_bytes()).unwrap();
    let service = Service::open(&configuration, Arc::new(unix_clock::SystemClock)).await;
    let service = Arc::new(service.unwrap());
    let any = ["127.0.0.1:0".parse().unwrap()];
    let listener = Listener::bind(&any, endpoints::router(&service)).await.unwrap();
    let url = format!("http://{}", listener.addresses().unwrap()[0]);
    tokio::spawn(async move { listener.serve(&service, std::future::pending()).await });
    url
}
