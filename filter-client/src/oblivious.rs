//! Requests through a relay (Oblivious HTTP, RFC 9458): the service does not see the client's address.

use crate::transport::{Exchange, Transport, TransportError};
use bhttp::{Message, Mode};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use ohttp::hpke::{Aead, Kdf};
use ohttp::{ClientRequest, KeyConfig, SymmetricSuite};
use pir_api::binary_http::{self, MessageKind};
use std::io::Cursor;
use std::sync::Arc;

/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// Sends requests through a relay, encrypted for a gateway: the relay cannot read them, and the gateway
/// does not learn the client's address.
///
/// Take the key configuration from a place that gives every client the same one: from the application, or
/// through the relay. A gateway that could give each client a key of its own would recognise clients by
/// it.
pub struct ObliviousTransport {
    inner: Arc<dyn Transport>,
    relay: Uri,
    keys: Vec<u8>,
}

fn cannot(reason: &str) -> TransportError {
    TransportError::Request(reason.to_owned())
}

/// The first configuration with a supported suite. (`ohttp` by itself takes the first configuration, which
/// may have none.)
fn first_supported(keys: &[u8]) -> Result<KeyConfig, TransportError> {
    let none = || cannot("no key configuration with a supported suite");
    let configs = KeyConfig::decode_list(keys).map_err(|_| none())?;
    let has_suite = |config: &KeyConfig| {
        [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305].iter().any(|&aead| {
            let suites = [Kdf::HkdfSha256, Kdf::HkdfSha384, Kdf::HkdfSha512];
            suites.iter().any(|&kdf| config.select(SymmetricSuite::new(kdf, aead)).is_ok())
        })
    };
    configs.into_iter().find(has_suite).ok_or_else(none)
}

impl ObliviousTransport {
    /// A transport that posts to the address of a relay over `inner`. `keys` are the key configurations of
    /// the gateway, as it publishes them (`application/ohttp-keys`, RFC 9458, section 3).
    ///
    /// # Errors
    /// [`TransportError::Request`] if no configuration has a supported suite.
    pub fn new(
        inner: Arc<dyn Transport>,
        relay: Uri,
        keys: Vec<u8>,
    ) -> Result<Self, TransportError> {
        first_supported(&keys)?;
        Ok(Self { inner, relay, keys })
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        max_body: usize,
    ) -> Result<Response<Bytes>, TransportError> {
        let message = write(&request)?;
        let encrypted = ClientRequest::from_config(&mut first_supported(&self.keys)?)
            .and_then(|client| client.encapsulate(&message));
        let (capsule, opener) =
            encrypted.map_err(|_| cannot("it cannot be encrypted for the gateway"))?;
        let mut outer = Request::new(Bytes::from(capsule));
        *outer.method_mut() = Method::POST;
        *outer.uri_mut() = self.relay.clone();
        outer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("message/ohttp-req"));
        // The head of the response and the encryption take some bytes, too.
        let answer = self.inner.send(outer, max_body.saturating_add(2 * MAX_HEAD_BYTES)).await?;
        // What the relay or the gateway says is nothing that the service said.
        if answer.status() != StatusCode::OK {
            return Err(TransportError::Relay(answer.status().as_u16()));
        }
        let opened = opener.decapsulate(answer.body()).map_err(|_| TransportError::Broken)?;
        let response = read(&opened)?;
        if response.body().len() > max_body {
            return Err(TransportError::TooLong(max_body));
        }
        Ok(response)
    }
}

impl Transport for ObliviousTransport {
    fn send(&self, request: Request<Bytes>, max_body: usize) -> Exchange<'_> {
        Box::pin(self.exchange(request, max_body))
    }
}

fn write(request: &Request<Bytes>) -> Result<Vec<u8>, TransportError> {
    let part = |text: &str| text.as_bytes().to_vec();
    let uri = request.uri();
    let authority = uri.authority().ok_or_else(|| cannot("its address names no host"))?;
    let mut message = Message::request(
        part(request.method().as_str()),
        part(uri.scheme_str().unwrap_or("https")),
        part(authority.as_str()),
        part(uri.path_and_query().map_or("/", |path| path.as_str())),
    );
    for (name, value) in request.headers() {
        message.put_header(name.as_str(), value.as_bytes());
    }
    message.write_content(request.body());
    let mut bytes = Vec::with_capacity(request.body().len() + 1024);
    message
        .write_bhttp(Mode::KnownLength, &mut bytes)
        .map_err(|_| cannot("it cannot be written as Binary HTTP"))?;
    Ok(bytes)
}

fn read(bytes: &[u8]) -> Result<Response<Bytes>, TransportError> {
    let broken = || TransportError::Broken;
    binary_http::check(bytes, MessageKind::Response, MAX_HEAD_BYTES).map_err(|_| broken())?;
    let message = Message::read_bhttp(&mut Cursor::new(bytes)).map_err(|_| broken())?;
    let status = message.control().status().ok_or_else(broken)?.code();
    let mut response = Response::new(Bytes::copy_from_slice(message.content()));
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| broken())?;
    for field in message.header().iter() {
        let name = HeaderName::from_bytes(field.name()).map_err(|_| broken())?;
        let value = HeaderValue::from_bytes(field.value()).map_err(|_| broken())?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Offline;

    impl Transport for Offline {
        fn send(&self, _: Request<Bytes>, _: usize) -> Exchange<'_> {
            Box::pin(std::future::ready(Err(TransportError::Unreachable)))
        }
    }

    #[test]
    fn heads_of_answers_are_bounded() {
        let answer = |fields: usize| {
            let mut message = Message::response(bhttp::StatusCode::try_from(200_u16).unwrap());
            for _ in 0..fields {
                message.put_header("x", "");
            }
            message.write_content(b"content");
            let mut bytes = Vec::new();
            message.write_bhttp(Mode::KnownLength, &mut bytes).unwrap();
            read(&bytes).map(|response| response.body().clone())
        };
        // Three bytes each.
        assert_eq!(answer(MAX_HEAD_BYTES / 3).unwrap(), &b"content"[..]);
        assert!(matches!(answer(MAX_HEAD_BYTES / 3 + 1), Err(TransportError::Broken)));
    }

    #[test]
    fn configurations_without_a_supported_suite_are_skipped() {
        let config = |kdf: u8, aead: u8| {
            let mut config = vec![1, 0, 0x20];
            config.extend([9; 32]);
            config.extend([0, 4, 0, kdf, 0, aead]);
            [vec![0, config.len() as u8], config].concat()
        };
        let open = |keys: Vec<u8>| {
            ObliviousTransport::new(
                Arc::new(Offline),
                Uri::from_static("http://relay.example"),
                keys,
            )
        };
        assert!(open(config(1, 1)).is_ok());
        assert!(open([config(7, 1), config(1, 3)].concat()).is_ok());
        for unusable in [Vec::new(), config(7, 1), config(1, 9), b"\0\x2dx".to_vec()] {
            assert!(open(unusable).is_err());
        }
    }
}
