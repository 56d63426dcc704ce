//! What is stored before a request is sent.

use crate::support::{Function, status, without_waits};
use filter_client::{ClientState, Error, PirClient, StateError, TransportError};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn the_state_is_stored_before_a_request_is_sent() {
    let stored: Arc<Mutex<Option<String>>> = Arc::default();
    let seen = Arc::clone(&stored);
    let service = Function::new(move |request| {
        let pseudonym = request.headers()["user-identifier"].to_str().unwrap();
        assert_eq!(seen.lock().unwrap().as_deref(), Some(pseudonym));
        status(404)
    });
    let client = PirClient::builder("https://pir.example", "a.url.filtering")
        .transport(Arc::clone(&service) as Arc<dyn filter_client::Transport>)
        .options(without_waits())
        .store_state(move |state: &ClientState| {
            *stored.lock().unwrap() = Some(state.user_identifier().to_owned());
            Ok(())
        })
        .build()
        .unwrap();
    let error = client.lookup(&[b"a.example"]).await.unwrap_err();
    assert!(matches!(&*error, Error::UseCase), "{error}");
    assert_eq!(service.paths(), ["/config"]);
}

#[tokio::test]
async fn nothing_is_sent_while_the_state_cannot_be_stored() {
    let service = Function::new(|_| status(404));
    let is_full = Arc::new(AtomicBool::new(true));
    let full = Arc::clone(&is_full);
    let client = PirClient::builder("https://pir.example", "a.url.filtering")
        .transport(Arc::clone(&service) as Arc<dyn filter_client::Transport>)
        .options(without_waits())
        .store_state(move |_: &ClientState| match full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        })
        .build()
        .unwrap();
    for _ in 0..3 {
        let error = client.lookup(&[b"a.example"]).await.unwrap_err();
        let Error::Transport { source: TransportError::NotStored(reason), .. } = &*error else {
            panic!("{error}");
        };
        assert!(reason.contains("storage"), "{reason}");
        assert!(service.paths().is_empty());
    }
    // As soon as it can be stored, lookups go on.
    is_full.store(false, Ordering::Relaxed);
    assert!(matches!(&*client.lookup(&[b"a.example"]).await.unwrap_err(), Error::UseCase));
    assert_eq!(service.paths(), ["/config"]);
}

/// Its pseudonym would tie requests to both, and the other could spend its tokens.
#[test]
fn a_state_belongs_to_one_service() {
    let build = |service: &str, state: ClientState| {
        let transport = Function::new(|_| status(404));
        PirClient::builder(service, "use").transport(transport).state(state).build()
    };
    let state = build("https://pir.example", ClientState::new()).unwrap().state();
    let state = || ClientState::from_bytes(&state.to_bytes()).unwrap();
    for same in ["https://pir.example", "https://pir.example/", "https://pir.example:443"] {
        assert!(build(same, state()).is_ok(), "{same}");
    }
    for other in ["https://pir.example:444", "http://pir.example", "https://evil.example"] {
        let error = build(other, state()).err();
        assert!(matches!(error, Some(Error::State(StateError::OtherService))), "{other}");
    }
}
