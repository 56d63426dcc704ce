//! A small HTTP server whose answers a test decides.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is answered to a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// 200 with a content; with validators if there are any, and 304 to requests that have them.
    List { content: String, etag: Option<&'static str>, last_modified: Option<&'static str> },
    /// A status without a content.
    Status(u16),
    /// Fewer bytes than the head says.
    Truncated(String),
    /// Bytes without an end, and without a length in the head.
    Endless,
    /// A head and nothing behind it.
    Stalled,
    /// 304 to requests with a condition; to others a head and nothing behind it.
    NotModifiedThenStalled,
    /// Another address.
    Redirect(String),
}

impl Answer {
    pub(crate) fn list(content: impl Into<String>) -> Self {
        Self::List { content: content.into(), etag: None, last_modified: None }
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct Shared {
    answers: BTreeMap<String, Answer>,
    requests: Vec<Request>,
    answered: Vec<u16>,
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let inner = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&inner);
                // The client may go away before its answer is complete.
                thread::spawn(move || drop(answer(stream, &shared)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn set(&self, path: &str, answer: Answer) {
        self.shared.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.lock().unwrap().requests)
    }

    /// The statuses of the answers since the last call.
    pub(crate) fn answered(&self) -> Vec<u16> {
        std::mem::take(&mut self.shared.lock().unwrap().answered)
    }
}

fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let answer = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(Request { headers: headers.clone() });
        shared.answers.get(&path).cloned().unwrap_or(Answer::Status(404))
    };
    let mut status = 200;
    let reply = match answer {
        Answer::List { ref content, etag, last_modified } => {
            let is = |name: &str, value: Option<&str>| {
                value.is_some() && headers.get(name).map(String::as_str) == value
            };
            // Long after any content.
            let mut head = "Date: Fri, 01 Jan 2038 00:00:00 GMT\r\n".to_owned();
            for (name, value) in [("ETag", etag), ("Last-Modified", last_modified)] {
                if let Some(value) = value {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
            }
            if is("if-none-match", etag) || is("if-modified-since", last_modified) {
                status = 304;
                format!("HTTP/1.1 304 Not Modified\r\n{head}Connection: close\r\n\r\n")
            } else {
                let length = content.len();
                format!(
                    "HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{content}"
                )
            }
        }
        Answer::Status(code) => {
            status = code;
            format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Answer::Truncated(ref content) => {
            let length = content.len() + 100;
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}"
            )
        }
        Answer::NotModifiedThenStalled if headers.contains_key("if-none-match") => {
            status = 304;
            "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_owned()
        }
        Answer::Endless | Answer::Stalled | Answer::NotModifiedThenStalled => {
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned()
        }
        Answer::Redirect(ref to) => {
            status = 302;
            format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
    };
    shared.lock().unwrap().answered.push(status);
    stream.write_all(reply.as_bytes())?;
    match answer {
        Answer::Endless => loop {
            stream.write_all(&b"x.example\n".repeat(1000))?;
        },
        Answer::Stalled | Answer::NotModifiedThenStalled if status == 200 => {
            // Until the client hangs up.
            let mut rest = String::new();
            BufReader::new(stream).read_line(&mut rest).map(drop)
        }
        _ => Ok(()),
    }
}
