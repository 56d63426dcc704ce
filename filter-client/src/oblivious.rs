//! Requests through a relay (Oblivious HTTP, RFC 9458): the service does not see who asks.

use crate::transport::{Exchange, Transport, TransportError};
use bhttp::{Message, Mode};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use ohttp::ClientRequest;
use std::io::Cursor;
use std::sync::Arc;

/// Carries requests through a relay, encrypted for a gateway.
///
/// The key configuration must come from somewhere that does not tell one client from another, or the
/// gateway could give each a key of its own and know it again: from the application, or through the
/// relay.
pub struct ObliviousTransport {
    inner: Arc<dyn Transport>,
    relay: Uri,
    keys: Vec<u8>,
}

fn cannot(reason: &str) -> TransportError {
    TransportError::Request(reason.to_owned())
}

impl ObliviousTransport {
    /// Sends to a relay's address, for the gateway of these key configurations
    /// (`application/ohttp-keys`).
    ///
    /// # Errors
    /// If none of the configurations can be used.
    pub fn new(
        inner: Arc<dyn Transport>,
        relay: Uri,
        keys: Vec<u8>,
    ) -> Result<Self, TransportError> {
        let unusable = |_| cannot("no key configuration that can be used");
        ClientRequest::from_encoded_config_list(&keys).map_err(unusable)?;
        Ok(Self { inner, relay, keys })
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        most: usize,
    ) -> Result<Response<Bytes>, TransportError> {
        let message = write(&request)?;
        let client = ClientRequest::from_encoded_config_list(&self.keys);
        let client = client.map_err(|_| cannot("no key configuration that can be used"))?;
        let (capsule, opener) =
            client.encapsulate(&message).map_err(|_| cannot("it cannot be encrypted"))?;
        let mut outer = Request::new(Bytes::from(capsule));
        *outer.method_mut() = Method::POST;
        *outer.uri_mut() = self.relay.clone();
        outer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("message/ohttp-req"));
        // Some more for the head of the answer and the encryption.
        let answer = self.inner.send(outer, most.saturating_add(64 << 10)).await?;
        if answer.status() != StatusCode::OK {
            return Ok(answer);
        }
        let opened = opener.decapsulate(answer.body()).map_err(|_| TransportError::Broken)?;
        let response = read(&opened)?;
        if response.body().len() > most {
            return Err(TransportError::TooLong(most));
        }
        Ok(response)
    }
}

impl Transport for ObliviousTransport {
    fn send(&self, request: Request<Bytes>, most: usize) -> Exchange<'_> {
        Box::pin(self.exchange(request, most))
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
