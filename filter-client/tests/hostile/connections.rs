//! What travels over which connection, seen on accepted sockets.

use crate::service::case;
use filter_client::{ClientOptions, PirClient};
use privacy_pass::{DirectoryKey, IssuerDirectory, IssuerKey, TokenRequest};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a request carries that ties others to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    UserToken,
    Pseudonym,
    Nothing,
}

use Carries::{Nothing, Pseudonym, UserToken};

/// For each accepted connection, what its requests carried.
type Seen = Arc<Mutex<Vec<Vec<Carries>>>>;

/// A request as a server reads it.
struct Request {
    path: String,
    /// In lower case.
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        let path = line.split(' ').nth(1).unwrap_or("").to_owned();
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            match header.trim() {
                "" => break,
                header => headers.push(header.to_ascii_lowercase()),
            }
        }
        let length = headers.iter().find_map(|header| header.strip_prefix("content-length:"));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        Some(Self { path, headers, body })
    }

    fn carries(&self) -> Carries {
        let has = |start: &str| self.headers.iter().any(|header| header.starts_with(start));
        match (has("authorization: bearer"), has("user-identifier")) {
            (true, false) => UserToken,
            (false, true) => Pseudonym,
            (false, false) => Nothing,
            (true, true) => panic!("a request with both"),
        }
    }
}

/// An issuer and a service in one, which answers no query.
struct Server {
    key: IssuerKey,
    config: Vec<u8>,
}

impl Server {
    fn new() -> Arc<Self> {
        let key = IssuerKey::generate().unwrap();
        Arc::new(Self { key, config: case().config_with_key() })
    }

    fn answer(&self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        match path {
            "/issue" => {
                let request = TokenRequest::from_bytes(body).unwrap();
                (200, self.key.issue(&request).unwrap().to_vec())
            }
            "/config" => (200, self.config.clone()),
            "/key" => (200, Vec::new()),
            "/queries" => (503, Vec::new()),
            _ => {
                let keys = vec![DirectoryKey::new(self.key.public(), None)];
                let directory = IssuerDirectory::new("/issue", keys);
                (200, serde_json::to_vec(&directory).unwrap())
            }
        }
    }
}

/// Writes a response; whether it could.
fn respond(stream: &mut impl Write, status: u16, body: &[u8], headers: &str) -> bool {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    written.and_then(|()| stream.flush()).is_ok()
}

/// Serves each accepted connection on a thread of its own, with its number.
fn listen(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream, number));
        }
    });
    address
}

fn note(seen: &Seen, number: usize, carries: Carries) {
    let mut seen = seen.lock().unwrap();
    if seen.len() <= number {
        seen.resize(number + 1, Vec::new());
    }
    seen[number].push(carries);
}

fn options() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.retry = filter_client::RetryPolicy::never();
    options.outage_backoff = std::time::Duration::ZERO;
    options.wallet.spare = 1;
    options.wallet.refill_count = 0;
    options.wallet.when_empty = filter_client::EmptyWallet::Fetch;
    options
}

async fn look_up(client: &PirClient) {
    for keyword in [&b"a.example"[..], b"b.example", b"c.example"] {
        assert!(client.lookup(&[keyword]).await.is_err(), "the service answers no query");
    }
}

fn count(seen: &[Vec<Carries>], wanted: Carries) -> usize {
    seen.iter().flatten().filter(|found| **found == wanted).count()
}

/// Whether a connection carried requests that name the user and requests that name the pseudonym.
fn ties(seen: &[Vec<Carries>]) -> bool {
    seen.iter().any(|connection| connection.contains(&UserToken) && connection.contains(&Pseudonym))
}

/// The issuer and the service are one server, which sees the connections of both.
#[tokio::test]
async fn the_user_token_and_queries_share_no_connection() {
    let (seen, server) = (Seen::default(), Server::new());
    let all = Arc::clone(&seen);
    let address = listen(move |stream, number| {
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            note(&all, number, request.carries());
            let (status, body) = server.answer(&request.path, &request.body);
            if !respond(reader.get_mut(), status, &body, "") {
                return;
            }
        }
    });
    let client = PirClient::builder(format!("http://{address}"), case().use_case());
    look_up(&client.user_token("AAAA").options(options()).build().unwrap()).await;
    let seen = seen.lock().unwrap();
    assert!(count(&seen, UserToken) >= 4 && count(&seen, Pseudonym) >= 5, "{seen:?}");
    assert!(!ties(&seen), "{seen:?}");
    // Connections are reused all the same.
    assert!(seen.iter().any(|connection| connection.len() > 2), "{seen:?}");
}

/// Sessions of TLS tie connections, too: a client that resumes one says which connection it was on before.
#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use filter_client::{HttpTransport, Transport};
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::StoresServerSessions;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::cell::Cell;
    use std::collections::HashMap;

    thread_local! {
        /// The number of the connection that the thread serves.
        static CONNECTION: Cell<usize> = const { Cell::new(0) };
    }

    /// A session, and the connection that it was made on.
    type Kept = (Vec<u8>, usize);

    /// The sessions that a server keeps.
    #[derive(Debug, Default)]
    struct Sessions {
        kept: Mutex<HashMap<Vec<u8>, Kept>>,
        /// The connection of a session, and the one that it was resumed on.
        resumed: Mutex<Vec<(usize, usize)>>,
    }

    impl Sessions {
        fn note(&self, found: Option<Kept>) -> Option<Vec<u8>> {
            let (session, made_on) = found?;
            self.resumed.lock().unwrap().push((made_on, CONNECTION.get()));
            Some(session)
        }
    }

    impl StoresServerSessions for Sessions {
        fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
            self.kept.lock().unwrap().insert(key, (value, CONNECTION.get()));
            true
        }

        fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
            let found = self.kept.lock().unwrap().get(key).cloned();
            self.note(found)
        }

        fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
            let found = self.kept.lock().unwrap().remove(key);
            self.note(found)
        }

        fn can_cache(&self) -> bool {
            true
        }
    }

    /// What the connections carried, and which of them resumed which, where a client has these transports for the service
    /// and for the issuer.
    async fn connections(
        transports: impl FnOnce(&dyn Fn() -> Arc<dyn Transport>) -> [Arc<dyn Transport>; 2],
    ) -> (Vec<Vec<Carries>>, Vec<(usize, usize)>) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let sessions = Arc::new(Sessions::default());
        config.session_storage = Arc::clone(&sessions) as Arc<dyn StoresServerSessions>;
        let config = Arc::new(config);

        let (seen, server) = (Seen::default(), Server::new());
        let all = Arc::clone(&seen);
        let address = listen(move |stream, number| {
            CONNECTION.set(number);
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut reader = BufReader::new(StreamOwned::new(connection, stream));
            let Some(request) = Request::read(&mut reader) else { return };
            note(&all, number, request.carries());
            let (status, body) = server.answer(&request.path, &request.body);
            // One request for each connection, so that the next one has to resume a session.
            respond(reader.get_mut(), status, &body, "connection: close\r\n");
            let stream = reader.get_mut();
            stream.conn.send_close_notify();
            drop(stream.flush());
        });
        let authority = made.cert.pem();
        let transport = || -> Arc<dyn Transport> {
            let trusting = HttpTransport::builder().trust_pem(authority.as_bytes()).unwrap();
            Arc::new(trusting.build().unwrap())
        };
        let [service, issuer] = transports(&transport);
        let client =
            PirClient::builder(format!("https://localhost:{}", address.port()), case().use_case());
        let client = client.user_token("AAAA").options(options());
        look_up(&client.transport(service).issuer_transport(issuer).build().unwrap()).await;
        let resumed = sessions.resumed.lock().unwrap().clone();
        let seen = seen.lock().unwrap().clone();
        (seen, resumed)
    }

    /// Whether a session was made on a connection with the user token and resumed on one with the pseudonym, or the
    /// other way.
    fn sessions_tie(seen: &[Vec<Carries>], resumed: &[(usize, usize)]) -> bool {
        resumed.iter().any(|&(made_on, resumed_on)| {
            let both = [&seen[made_on][..], &seen[resumed_on][..]].concat();
            ties(&[both])
        })
    }

    #[tokio::test]
    async fn the_user_token_and_queries_share_no_tls_session() {
        let (seen, resumed) = connections(|transport| [transport(), transport()]).await;
        assert!(count(&seen, UserToken) >= 4 && count(&seen, Pseudonym) >= 5, "{seen:?}");
        assert!(!resumed.is_empty(), "sessions are resumed within each transport");
        assert!(!sessions_tie(&seen, &resumed), "{seen:?} {resumed:?}");
    }

    /// The test above would see it.
    #[tokio::test]
    async fn a_transport_that_is_given_twice_shares_sessions() {
        let (seen, resumed) = connections(|transport| {
            let shared = transport();
            [Arc::clone(&shared), shared]
        })
        .await;
        assert!(sessions_tie(&seen, &resumed), "{seen:?} {resumed:?}");
    }
}

/// Through a relay, with the transport that applications have for it.
#[cfg(feature = "oblivious")]
mod relay {
    use super::*;
    use bhttp::{Message, Mode, StatusCode};
    use filter_client::{HttpTransport, ObliviousTransport, Transport};
    use ohttp::hpke::{Aead, Kdf, Kem};
    use ohttp::{KeyConfig, SymmetricSuite};
    use std::io::Cursor;

    /// Whether bytes hold a text.
    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
    }

    #[tokio::test]
    async fn both_ways_go_through_the_relay_on_connections_of_their_own() {
        let suites = vec![SymmetricSuite::new(Kdf::HkdfSha256, Aead::Aes128Gcm)];
        let keys = KeyConfig::derive(7, Kem::X25519Sha256, suites, &[3; 32]).unwrap();
        let published = KeyConfig::encode_list(&[&keys]).unwrap();
        let gateway = Mutex::new(ohttp::Server::new(keys).unwrap());

        // Nobody may reach the service but through the gateway.
        let direct = Arc::new(Mutex::new(0));
        let reached = Arc::clone(&direct);
        let service = listen(move |_, _| *reached.lock().unwrap() += 1);

        // A relay and the gateway behind it: what the relay sees is noted before the capsule is opened.
        let (seen, server) = (Seen::default(), Server::new());
        let (all, capsules) = (Arc::clone(&seen), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&capsules);
        let address = listen(move |stream, number| {
            let mut reader = BufReader::new(stream);
            while let Some(outer) = Request::read(&mut reader) {
                assert_eq!(outer.carries(), Nothing);
                let seen = [outer.headers.join("\n").into_bytes(), outer.body.clone()].concat();
                noted.lock().unwrap().push(seen);
                let opened = gateway.lock().unwrap().decapsulate(&outer.body);
                let (inner, sealer) = opened.unwrap();
                let message = Message::read_bhttp(&mut Cursor::new(&inner[..])).unwrap();
                let field = |name: &str| message.header().get(name.as_bytes()).is_some();
                let bearer = message.header().get(b"authorization");
                let bearer = bearer.is_some_and(|value| value.starts_with(b"Bearer"));
                note(
                    &all,
                    number,
                    match (bearer, field("user-identifier")) {
                        (true, false) => UserToken,
                        (false, true) => Pseudonym,
                        (false, false) => Nothing,
                        (true, true) => panic!("a request with both"),
                    },
                );
                let path = String::from_utf8(message.control().path().unwrap().to_vec()).unwrap();
                let (status, body) = server.answer(&path, message.content());
                let mut answer = Message::response(StatusCode::try_from(status).unwrap());
                answer.write_content(&body);
                let mut bytes = Vec::new();
                answer.write_bhttp(Mode::KnownLength, &mut bytes).unwrap();
                let sealed = sealer.encapsulate(&bytes).unwrap();
                if !respond(reader.get_mut(), 200, &sealed, "") {
                    return;
                }
            }
        });
        let transport = || -> Arc<dyn Transport> {
            let inner = Arc::new(HttpTransport::builder().build().unwrap());
            let relay = format!("http://{address}/relay").parse().unwrap();
            Arc::new(ObliviousTransport::new(inner, relay, published.clone()).unwrap())
        };
        let client = PirClient::builder(format!("http://{service}"), case().use_case())
            .user_token("AAAA-user-token")
            .options(options())
            .transport(transport())
            .issuer_transport(transport())
            .build()
            .unwrap();
        look_up(&client).await;

        let seen = seen.lock().unwrap();
        assert!(count(&seen, UserToken) >= 4 && count(&seen, Pseudonym) >= 5, "{seen:?}");
        assert!(!ties(&seen), "{seen:?}");
        assert_eq!(*direct.lock().unwrap(), 0, "nothing went around the relay");
        let pseudonym = client.state().user_identifier().to_owned();
        for capsule in capsules.lock().unwrap().iter() {
            for secret in ["AAAA-user-token", &pseudonym, "PrivateToken", "/queries"] {
                assert!(!holds(capsule, secret), "{secret}");
            }
        }
    }
}
