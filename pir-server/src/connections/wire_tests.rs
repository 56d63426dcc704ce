use super::*;

const TIMES: Times = Times {
    request: Duration::from_secs(60),
    answer: Duration::from_secs(30),
    bytes_per_second: 1000,
};
const PING: u8 = 6;

fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
    let length = u32::try_from(payload).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head, vec![0; payload]].concat()
}

fn http2(max_head_bytes: usize, now: Instant) -> Wire {
    let mut wire = Wire::new(max_head_bytes, now);
    assert!(!wire.received(PREFACE, false, now).unwrap());
    wire
}

#[tokio::test]
async fn the_first_bytes_tell_the_protocol() {
    let now = Instant::now();
    for cut in 0..PREFACE.len() {
        let mut wire = Wire::new(8192, now);
        assert!(wire.is_silent());
        wire.received(&PREFACE[..cut], false, now).unwrap();
        assert_eq!(wire.is_silent(), cut == 0);
        assert_eq!(wire.protocol, Protocol::Unknown(cut));
        wire.received(&PREFACE[cut..], false, now).unwrap();
        assert_eq!(wire.protocol, Protocol::Http2);
        assert_eq!(wire.head_since(), None);
    }
    for text in ["GET / HTTP/1.1\r\n", "PRI * HTTP/1.1", "P", "PUT"] {
        let mut wire = Wire::new(8192, now);
        wire.received(text.as_bytes(), false, now).unwrap();
        let expected = if text == "P" { Protocol::Unknown(1) } else { Protocol::Http1 };
        assert_eq!(wire.protocol, expected, "{text}");
        assert_eq!(wire.head_since(), Some(now));
    }
}

#[tokio::test]
async fn between_requests_of_http_1_the_first_byte_begins_a_head() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut wire = Wire::new(8192, now);
    wire.received(b"GET ", false, now).unwrap();
    wire.received(b"/", false, later).unwrap();
    assert_eq!(wire.head_since(), Some(now));
    wire.request_begun();
    wire.received(b"body", true, later).unwrap();
    assert_eq!(wire.head_since(), None);
    wire.received(b"G", false, later).unwrap();
    assert_eq!(wire.head_since(), Some(later));
}

#[tokio::test]
async fn requests_and_answers_move_and_pings_do_not() {
    let now = Instant::now();
    let mut wire = http2(8192, now);
    assert!(!wire.received(&frame(PING, 0, 0, 8), false, now).unwrap());
    assert!(!wire.received(&frame(4, 0, 0, 0), false, now).unwrap());
    assert!(!wire.received(&frame(8, 0, 0, 4), false, now).unwrap());
    assert!(!wire.received(&frame(DATA, 0, 1, 0), false, now).unwrap());
    assert!(!wire.sent(&frame(PING, 1, 0, 8), now));
    assert!(!wire.has_streams());
    // In pieces of one byte.
    let head = frame(HEADERS, END_HEADERS, 1, 20);
    let moved = head.iter().filter(|byte| wire.received(&[**byte], false, now).unwrap()).count();
    assert_eq!(moved, 1);
    assert!(wire.has_streams());
    assert!(wire.received(&frame(DATA, END_STREAM, 1, 5), false, now).unwrap());
    assert!(wire.sent(&frame(HEADERS, END_HEADERS, 1, 5), now));
    assert!(wire.has_streams());
    assert!(wire.sent(&frame(DATA, END_STREAM, 1, 5), now));
    assert!(!wire.has_streams());
    for reset in [true, false] {
        let stream = if reset { 3 } else { 5 };
        wire.received(&frame(HEADERS, END_HEADERS, stream, 1), false, now).unwrap();
        match reset {
            true => drop(wire.received(&frame(RST_STREAM, 0, stream, 4), false, now).unwrap()),
            false => drop(wire.sent(&frame(RST_STREAM, 0, stream, 4), now)),
        }
        assert!(!wire.has_streams());
    }
}

#[tokio::test]
async fn an_answer_has_time_for_its_length() {
    let now = Instant::now();
    let between =
        |first, last| Some((now + Duration::from_secs(first), now + Duration::from_secs(last)));
    let after = |seconds| between(seconds, seconds);
    let mut wire = http2(8192, now);
    assert_eq!(wire.streams_due(TIMES), None);
    wire.received(&frame(HEADERS, END_HEADERS, 1, 1), false, now).unwrap();
    assert_eq!(wire.streams_due(TIMES), after(90));
    wire.sent(&frame(HEADERS, END_HEADERS, 1, 1), now);
    assert_eq!(wire.streams_due(TIMES), after(30));
    wire.sent(&frame(DATA, 0, 1, 5000), now);
    assert_eq!(wire.streams_due(TIMES), after(35));
    // Two answers share the rate.
    wire.received(&frame(HEADERS, END_HEADERS, 3, 1), false, now).unwrap();
    wire.sent(&frame(HEADERS, END_HEADERS, 3, 1), now);
    wire.sent(&frame(DATA, 0, 3, 10_000), now);
    assert_eq!(wire.streams_due(TIMES), between(40, 50));
    wire.sent(&frame(DATA, END_STREAM, 1, 0), now);
    assert_eq!(wire.streams_due(TIMES), after(40));
}

#[tokio::test]
async fn a_cut_frame_has_a_time_limit_unless_it_is_of_a_body() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut wire = http2(8192, now);
    let head = frame(HEADERS, END_HEADERS, 1, 20);
    for cut in 1..head.len() {
        wire.received(&head[..cut], false, now).unwrap();
        assert_eq!(wire.head_since(), Some(now), "{cut}");
        wire.received(&head[cut..], false, later).unwrap();
        assert_eq!(wire.head_since(), None, "{cut}");
    }
    let body = frame(DATA, 0, 1, 20);
    wire.received(&body[..15], false, now).unwrap();
    assert_eq!(wire.head_since(), None);
    wire.received(&body[15..], false, now).unwrap();
    // The next frame begins a time limit of its own.
    wire.received(&head[..3], false, now).unwrap();
    wire.received(&[&head[3..], &head[..3]].concat(), false, later).unwrap();
    assert_eq!(wire.head_since(), Some(later));
}

#[tokio::test]
async fn a_head_of_several_frames_needs_a_limit_above_one_frame() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    for (max, refused) in
        [(MAX_FRAME_BYTES - 1, true), (MAX_FRAME_BYTES, true), (MAX_FRAME_BYTES + 1, false)]
    {
        let mut wire = http2(max, now);
        let begin = wire.received(&frame(HEADERS, 0, 1, 5), false, now);
        assert_eq!(begin.is_err(), refused, "{max}");
        if refused {
            continue;
        }
        assert_eq!(wire.head_since(), Some(now));
        wire.received(&frame(CONTINUATION, 0, 1, 5), false, later).unwrap();
        assert_eq!(wire.head_since(), Some(now));
        wire.received(&frame(CONTINUATION, END_HEADERS, 1, 5), false, later).unwrap();
        assert_eq!(wire.head_since(), None);
    }
}

#[tokio::test]
async fn frames_without_a_request_are_counted() {
    let now = Instant::now();
    let ping = frame(PING, 0, 0, 8);
    let mut wire = http2(8192, now);
    for _ in 0..MAX_CONTROL_FRAMES {
        wire.received(&ping, false, now).unwrap();
    }
    // A request allows for more.
    wire.received(&frame(HEADERS, END_HEADERS, 1, 1), false, now).unwrap();
    for _ in 0..CONTROL_FRAMES_PER_FRAME {
        wire.received(&ping, false, now).unwrap();
    }
    // The next period begins anew.
    let later = now + CONTROL_PERIOD;
    for _ in 0..MAX_CONTROL_FRAMES {
        wire.received(&ping, false, later).unwrap();
    }
    assert!(wire.received(&ping, false, later).is_err());
}

#[tokio::test]
async fn requests_that_are_not_answered_are_limited() {
    let now = Instant::now();
    let mut wire = http2(8192, now);
    let stream = |request: usize| u32::try_from(2 * request + 1).unwrap();
    let head = |request| frame(HEADERS, END_HEADERS | END_STREAM, stream(request), 0);
    for request in 0..MAX_OPEN_STREAMS - 1 {
        wire.received(&head(request), false, now).unwrap();
    }
    wire.received(&head(MAX_OPEN_STREAMS - 1), false, now).unwrap();
    // One that was refused, one that the peer has taken back, and one that was answered make room.
    wire.sent(&frame(RST_STREAM, 0, stream(0), 4), now);
    wire.received(&frame(RST_STREAM, 0, stream(1), 4), false, now).unwrap();
    wire.sent(&frame(HEADERS, END_HEADERS | END_STREAM, stream(2), 1), now);
    for more in 0..3 {
        wire.received(&head(MAX_OPEN_STREAMS + more), false, now).unwrap();
    }
    assert!(wire.received(&head(MAX_OPEN_STREAMS + 3), false, now).is_err());
}
