//! Frames of HTTP/2 as no library sends them, and connections over which they are sent.

use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface and settings, with the window that answers get at first.
pub(crate) fn opening(window: Option<u32>) -> Vec<u8> {
    let setting = |window: u32| [&[0, 4][..], &window.to_be_bytes()].concat();
    let settings = window.map_or_else(Vec::new, setting);
    [PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat()
}

/// A head in HPACK (RFC 7541): method, scheme, path, host.
pub(crate) fn head(method: &str, path: &str) -> Vec<u8> {
    let method = if method == "GET" { 0x82 } else { 0x83 };
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![method, 0x86, 0x04], text(path), vec![0x01], text("a.example")].concat()
}

/// A field, as a new entry of the dynamic table.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0x40], text(name), text(value)].concat()
}

/// The newest entry of the dynamic table, in one byte each time.
pub(crate) fn repeated(count: usize) -> Vec<u8> {
    vec![0x80 | 62; count]
}

pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads a frame: kind, flags, stream and payload. `None` if the connection has ended.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], id, payload))
}

/// Answers settings and pings, and nothing else, for as long as the connection lasts.
pub(crate) async fn stay_alive(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    while let Some((kind, flags, _, payload)) = read(stream).await {
        let answer = match (kind, flags & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            _ => continue,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}
