//! What moves on a connection, as its bytes tell: those of HTTP/1.1, or the frames of HTTP/2.
//!
//! A library of HTTP/2 answers pings and settings by itself, and keeps an answer for as long as the peer gives it no
//! window. Neither is visible above it, so frames are followed here, by their heads alone.

use super::MAX_STREAMS;
use std::collections::HashMap;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// The first bytes of every connection of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
/// Requests that are neither answered nor refused: those in progress, and as many that were sent before the peer knew the limit.
/// Heads that follow the announced end of a connection are ignored, and stay among them.
const MAX_OPEN_STREAMS: usize = 2 * MAX_STREAMS as usize;
/// Flags of DATA, HEADERS and CONTINUATION.
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Length of the head of a frame.
const FRAME_HEAD: usize = 9;
/// Largest frame that the service accepts, which is the default of HTTP/2.
pub(super) const MAX_FRAME_BYTES: usize = 16_384;

/// The period in which frames are counted that neither bring a request nor carry an answer.
const CONTROL_PERIOD: Duration = Duration::from_secs(10);
/// Such frames that a peer may send in a period: pings, settings, windows, resets.
const MAX_CONTROL_FRAMES: u32 = 1000;
/// Such frames that a peer may send in addition for each frame of a request or an answer.
const CONTROL_FRAMES_PER_FRAME: u32 = 8;

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Finds the heads of frames in bytes that arrive in pieces.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; FRAME_HEAD],
    /// Bytes of the next head that are there.
    have: usize,
    /// Bytes of the present frame that are missing.
    missing: usize,
    kind: u8,
}

impl Frames {
    /// Whether the bytes that come next belong to a frame other than one of a body.
    fn is_within_other(&self) -> bool {
        self.missing > 0 && self.kind != DATA
    }

    fn feed(&mut self, mut bytes: &[u8], mut begun: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let wanted = if self.missing > 0 { self.missing } else { FRAME_HEAD - self.have };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.missing > 0 {
                self.missing -= part.len();
                continue;
            }
            self.head[self.have..self.have + part.len()].copy_from_slice(part);
            self.have += part.len();
            if self.have == FRAME_HEAD {
                self.have = 0;
                let [a, b, c, kind, flags, s0, s1, s2, s3] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                (self.missing, self.kind) = (length, kind);
                let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
                begun(Frame { length, kind, flags, stream });
            }
        }
    }

    /// Whether a frame has begun that is not complete, other than one of a body, which has a time limit of its own.
    fn is_cut(&self) -> bool {
        self.have > 0 || self.is_within_other()
    }
}

/// A request that is not answered completely.
#[derive(Clone, Copy, Debug)]
struct Stream {
    opened: Instant,
    /// When the first byte of its answer was sent.
    answered: Option<Instant>,
    /// Bytes of the answer's body that were sent.
    sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// So many bytes of the preface of HTTP/2 were seen.
    Unknown(usize),
    Http1,
    Http2,
}

/// The time limits of requests and answers on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// For a request to be answered, from its head to the head of the answer.
    pub(super) request: Duration,
    /// For an answer to be taken, without the time that its length adds.
    pub(super) answer: Duration,
    /// The slowest rate at which a connection takes its answers, in bytes a second.
    pub(super) bytes_per_second: usize,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Wire {
    protocol: Protocol,
    /// Whether a head must fit into one frame.
    one_frame_heads: bool,
    inbound: Frames,
    outbound: Frames,
    streams: HashMap<u32, Stream>,
    last_stream: u32,
    /// Whether further frames of a head must follow.
    within_head: bool,
    /// Since when a head, or a frame that is not of a body, is incomplete.
    head_since: Option<Instant>,
    /// Whether the bytes that came last were those of bodies alone, or of HTTP/1.1.
    brought_body: bool,
    period_begin: Instant,
    control_frames: u32,
    useful_frames: u32,
}

fn refused(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl Wire {
    pub(super) fn new(max_head_bytes: usize, now: Instant) -> Self {
        Self {
            protocol: Protocol::Unknown(0),
            one_frame_heads: max_head_bytes <= MAX_FRAME_BYTES,
            inbound: Frames::default(),
            outbound: Frames::default(),
            streams: HashMap::new(),
            last_stream: 0,
            within_head: false,
            head_since: None,
            brought_body: false,
            period_begin: now,
            control_frames: 0,
            useful_frames: 0,
        }
    }

    /// Bytes that the peer sent. Returns whether they brought a part of a request.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if the peer sends what no client of the service needs to send.
    pub(super) fn received(
        &mut self,
        mut bytes: &[u8],
        busy: bool,
        now: Instant,
    ) -> io::Result<bool> {
        if let Protocol::Unknown(seen) = self.protocol {
            let next = &PREFACE[seen..];
            let count = next.len().min(bytes.len());
            self.head_since.get_or_insert(now);
            if bytes[..count] != next[..count] {
                (self.protocol, self.brought_body) = (Protocol::Http1, true);
                return Ok(true);
            }
            if count < next.len() {
                self.protocol = Protocol::Unknown(seen + count);
                return Ok(false);
            }
            (self.protocol, self.head_since) = (Protocol::Http2, None);
            bytes = &bytes[count..];
        }
        match self.protocol {
            Protocol::Http2 => self.received_frames(bytes, now),
            // Between requests, the first byte begins the next head.
            _ => {
                if !busy && !bytes.is_empty() {
                    self.head_since.get_or_insert(now);
                }
                Ok(true)
            }
        }
    }

    /// Whether the bytes that came last were those of bodies alone, or of HTTP/1.1. Others may cost much more than it takes to
    /// send them: a byte of a head can stand for a field.
    pub(super) fn brought_body(&self) -> bool {
        self.brought_body
    }

    fn received_frames(&mut self, bytes: &[u8], now: Instant) -> io::Result<bool> {
        let mut inbound = std::mem::take(&mut self.inbound);
        let (mut useful, mut begun, mut refusal) = (false, false, None);
        let mut brought_body = !inbound.is_within_other();
        inbound.feed(bytes, |frame| {
            begun = true;
            brought_body &= frame.kind == DATA;
            let outcome = self.received_frame(frame, now);
            useful |= *outcome.as_ref().unwrap_or(&false);
            refusal = refusal.take().or(outcome.err());
        });
        (self.inbound, self.brought_body) = (inbound, brought_body);
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let is_cut = self.within_head || self.inbound.is_cut();
        if !is_cut || begun && !self.within_head {
            self.head_since = None;
        }
        if is_cut {
            self.head_since.get_or_insert(now);
        }
        Ok(useful)
    }

    fn received_frame(&mut self, frame: Frame, now: Instant) -> io::Result<bool> {
        let useful = match frame.kind {
            HEADERS => {
                if frame.stream > self.last_stream {
                    self.last_stream = frame.stream;
                    let stream = Stream { opened: now, answered: None, sent: 0 };
                    self.streams.insert(frame.stream, stream);
                    if self.streams.len() > MAX_OPEN_STREAMS {
                        return Err(refused(
                            "more requests than allowed that are neither answered nor refused",
                        ));
                    }
                }
                self.within_head = frame.flags & END_HEADERS == 0;
                if self.within_head && self.one_frame_heads {
                    return Err(refused("a head within the limit fits into one frame"));
                }
                true
            }
            CONTINUATION => {
                self.within_head &= frame.flags & END_HEADERS == 0;
                true
            }
            DATA => frame.length > 0 || frame.flags & END_STREAM != 0,
            RST_STREAM => {
                self.streams.remove(&frame.stream);
                false
            }
            _ => false,
        };
        if now - self.period_begin >= CONTROL_PERIOD {
            (self.period_begin, self.control_frames, self.useful_frames) = (now, 0, 0);
        }
        match useful {
            true => self.useful_frames += 1,
            false => self.control_frames += 1,
        }
        let more = self.useful_frames.saturating_mul(CONTROL_FRAMES_PER_FRAME);
        if self.control_frames > MAX_CONTROL_FRAMES.saturating_add(more) {
            return Err(refused("too many frames without a request"));
        }
        Ok(useful)
    }

    /// Bytes that the peer was sent. Returns whether they carried a part of an answer.
    pub(super) fn sent(&mut self, bytes: &[u8], now: Instant) -> bool {
        if self.protocol != Protocol::Http2 {
            return true;
        }
        let mut outbound = std::mem::take(&mut self.outbound);
        let mut useful = false;
        outbound.feed(bytes, |frame| {
            let is_answer = matches!(frame.kind, DATA | HEADERS);
            if is_answer {
                useful = true;
                self.useful_frames += 1;
            }
            if frame.kind == RST_STREAM || is_answer && frame.flags & END_STREAM != 0 {
                self.streams.remove(&frame.stream);
            } else if is_answer && let Some(stream) = self.streams.get_mut(&frame.stream) {
                stream.answered.get_or_insert(now);
                stream.sent += if frame.kind == DATA { frame.length } else { 0 };
            }
        });
        self.outbound = outbound;
        useful
    }

    /// The head of a request has arrived.
    pub(super) fn request_begun(&mut self) {
        if self.protocol == Protocol::Http1 {
            self.head_since = None;
        }
    }

    /// Whether no byte has arrived yet.
    pub(super) fn is_silent(&self) -> bool {
        self.protocol == Protocol::Unknown(0)
    }

    /// Since when a head is incomplete.
    pub(super) fn head_since(&self) -> Option<Instant> {
        self.head_since
    }

    /// Whether an HTTP/2 request is not answered completely.
    #[cfg(test)]
    fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// When the first and the last of the requests in progress must be over.
    pub(super) fn streams_due(&self, times: Times) -> Option<(Instant, Instant)> {
        let answers = self.streams.values().filter(|stream| stream.answered.is_some()).count();
        // The connection has one rate, which its answers share.
        let seconds_per_byte = answers as f64 / times.bytes_per_second as f64;
        let due = |stream: &Stream| match stream.answered {
            Some(answered) => {
                let more = Duration::from_secs_f64(stream.sent as f64 * seconds_per_byte);
                answered + times.answer + more
            }
            None => stream.opened + times.request + times.answer,
        };
        let first = self.streams.values().map(due).min()?;
        let last = self.streams.values().map(due).max()?;
        Some((first, last))
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
