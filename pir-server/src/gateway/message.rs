//! Binary HTTP (RFC 9292) to requests, and responses to Binary HTTP.

use crate::fields::{ANSWER_FIELDS, REQUEST_FIELDS};
use crate::host::is_host;
use bhttp::{Message, Mode};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use pir_api::binary_http::{self, HeadError, MessageKind};
use std::io::Cursor;

/// Largest total of the fields of a request and of its method, host and path, in bytes.
pub const MAX_FIELDS: usize = 32 << 10;

/// A request cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It is not Binary HTTP (RFC 9292), or cut short.
    #[error("not a request in Binary HTTP")]
    Format,
    /// Its head is too long.
    #[error("a head of more than {MAX_FIELDS} bytes")]
    TooLong,
    /// Its scheme is not `https`, or its host or path is not valid.
    #[error("not a request for an https address")]
    Target,
    /// A field has a name or a value that is not valid.
    #[error("not a valid header field")]
    Field,
}

/// Reads a request in Binary HTTP (RFC 9292). Its URI has scheme, host and path; of its fields it has those that
/// requests of devices have.
///
/// # Errors
/// [`MessageError::Format`] if it is not a request, [`MessageError::TooLong`] if its head is longer than
/// [`MAX_FIELDS`], [`MessageError::Target`] and [`MessageError::Field`] if a part of its head is not valid.
pub fn parse_request(bytes: &[u8]) -> Result<Request<Bytes>, MessageError> {
    binary_http::check(bytes, MessageKind::Request, MAX_FIELDS).map_err(|error| match error {
        HeadError::TooLong(_) => MessageError::TooLong,
        _ => MessageError::Format,
    })?;
    let message = Message::read_bhttp(&mut Cursor::new(bytes)).map_err(|_| MessageError::Format)?;
    let control = message.control();
    let method = control.method().ok_or(MessageError::Format)?;
    let method = Method::from_bytes(method).map_err(|_| MessageError::Format)?;
    if control.scheme() != Some(b"https") {
        return Err(MessageError::Target);
    }
    let named = control.authority().unwrap_or_default();
    // Without an authority, the Host field has it (RFC 9292, section 3.4).
    let authority = match named.is_empty() {
        true => message.header().get(b"host").unwrap_or_default(),
        false => named,
    };
    let path = control.path().filter(|path| path.starts_with(b"/")).ok_or(MessageError::Target)?;
    let uri = Uri::builder().scheme("https").authority(authority).path_and_query(path).build();
    let uri = uri.map_err(|_| MessageError::Target)?;
    if !uri.authority().is_some_and(is_host) {
        return Err(MessageError::Target);
    }
    let mut headers = HeaderMap::new();
    for field in message.header().iter() {
        let name = HeaderName::from_bytes(field.name()).map_err(|_| MessageError::Field)?;
        let value = HeaderValue::from_bytes(field.value()).map_err(|_| MessageError::Field)?;
        if REQUEST_FIELDS.contains(&name) {
            headers.append(name, value);
        }
    }
    let mut request = Request::new(Bytes::copy_from_slice(message.content()));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// A response in Binary HTTP, with the fields that devices read. `None` if its status is not one of a final response there (200 to 599, RFC 9292,
/// section 3.5.1): HTTP libraries accept others.
pub(super) fn write_response(response: &Response<Bytes>) -> Option<Vec<u8>> {
    let status = bhttp::StatusCode::try_from(response.status().as_u16()).ok()?;
    if status.informational() {
        return None;
    }
    let mut message = Message::response(status);
    for (name, value) in response.headers() {
        if ANSWER_FIELDS.contains(name) {
            message.put_header(name.as_str(), value.as_bytes());
        }
    }
    message.write_content(response.body());
    let mut bytes = Vec::with_capacity(response.body().len() + 1024);
    message.write_bhttp(Mode::KnownLength, &mut bytes).expect("memory takes every byte");
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(fields: &[(&str, &str)], content: &[u8], mode: Mode) -> Vec<u8> {
        let part = |text: &str| text.as_bytes().to_vec();
        let mut message = Message::request(
            part("POST"),
            part("https"),
            part("pir.example"),
            part("/queries?x=1"),
        );
        for (name, value) in fields {
            message.put_header(*name, *value);
        }
        message.write_content(content);
        let mut bytes = Vec::new();
        message.write_bhttp(mode, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn requests_are_read_completely() {
        for mode in [Mode::KnownLength, Mode::IndeterminateLength] {
            let fields = [
                ("user-agent", "a"),
                ("connection", "close"),
                ("content-length", "9"),
                ("cookie", "b=c"),
                ("x-forwarded-for", "127.0.0.1"),
            ];
            let parsed = parse_request(&request(&fields, b"content", mode)).unwrap();
            assert_eq!(parsed.uri().to_string(), "https://pir.example/queries?x=1");
            assert_eq!((parsed.method(), &parsed.body()[..]), (&Method::POST, &b"content"[..]));
            assert_eq!(parsed.headers().len(), 1);
        }
    }

    #[test]
    fn heads_are_bounded() {
        let long = "a".repeat(MAX_FIELDS);
        for mode in [Mode::KnownLength, Mode::IndeterminateLength] {
            let bytes = request(&[("x", &long)], b"", mode);
            assert_eq!(parse_request(&bytes).err(), Some(MessageError::TooLong));
            let many = vec![("x", ""); MAX_FIELDS / 2];
            let bytes = request(&many, b"", mode);
            assert_eq!(parse_request(&bytes).err(), Some(MessageError::TooLong));
            let enough = vec![("x", "y"); 1000];
            assert!(parse_request(&request(&enough, &[7; 100_000], mode)).is_ok());
        }
    }

    #[test]
    fn the_limit_of_heads_counts_everything_in_them() {
        // Method, scheme, host and path; the name with its length; the length of the value.
        let other = "POSThttpspir.example/queries?x=1".len() + 2 + 4;
        for (total, expected) in [
            (MAX_FIELDS - 1, None),
            (MAX_FIELDS, None),
            (MAX_FIELDS + 1, Some(MessageError::TooLong)),
        ] {
            let value = "a".repeat(total - other);
            let bytes = request(&[("x", &value)], b"", Mode::KnownLength);
            assert_eq!(parse_request(&bytes).err(), expected, "{total}");
        }
    }

    #[test]
    fn other_targets_are_refused() {
        let with = |scheme: &str, authority: &str, path: &str, host: &str| {
            let part = |text: &str| text.as_bytes().to_vec();
            let mut message =
                Message::request(part("GET"), part(scheme), part(authority), part(path));
            message.put_header("host", host);
            let mut bytes = Vec::new();
            message.write_bhttp(Mode::KnownLength, &mut bytes).unwrap();
            parse_request(&bytes).map(|request| request.uri().to_string())
        };
        assert_eq!(with("https", "", "/", "a.example").unwrap(), "https://a.example/");
        assert_eq!(with("https", "b.example", "/", "a.example").unwrap(), "https://b.example/");
        for (scheme, authority, path, host) in [
            ("http", "a.example", "/", ""),
            ("https", "", "/", ""),
            ("https", "a.example", "x", ""),
            ("https", "a.example", "", ""),
            ("https", "a b", "/", ""),
            ("https", ":a.example", "/", ""),
            ("https", "a.example:", "/", ""),
            ("https", "a.example:x", "/", ""),
            ("https", "a@a.example", "/", ""),
        ] {
            assert_eq!(with(scheme, authority, path, host), Err(MessageError::Target));
        }
    }

    #[test]
    fn only_final_statuses_are_written() {
        for status in [100, 101, 199, 600, 999] {
            let response = Response::builder().status(status).body(Bytes::new()).unwrap();
            assert_eq!(write_response(&response), None, "{status}");
        }
        for status in [200, 204, 404, 599] {
            let response = Response::builder().status(status).body(Bytes::new()).unwrap();
            let bytes = write_response(&response).unwrap();
            let read = Message::read_bhttp(&mut Cursor::new(bytes)).unwrap();
            assert_eq!(read.control().status().unwrap().code(), status);
        }
    }

    proptest! {
        #[test]
        fn random_bytes_do_not_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_request(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = 2 * (*first & 1);
            }
            let _ = parse_request(&bytes);
        }

        #[test]
        fn cut_requests_do_not_panic(cut in 0..80_usize, known in any::<bool>()) {
            let mode = if known { Mode::KnownLength } else { Mode::IndeterminateLength };
            let bytes = request(&[("user-agent", "a")], b"content", mode);
            let _ = parse_request(&bytes[..cut.min(bytes.len())]);
        }
    }
}
