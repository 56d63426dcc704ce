//! What stands in for TLS in a program without it: types of which there is no value.

use super::{ServerTls, TlsError};
use crate::configuration::{Feature, TlsSettings};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;

#[derive(Clone)]
pub(crate) enum Acceptor {}

impl Acceptor {
    pub(crate) async fn accept(&self, _: TcpStream) -> io::Result<(TcpStream, bool)> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Certificates {}

impl Certificates {
    pub(crate) fn open(_: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        Err(TlsError::Feature(Feature::Tls))
    }

    pub(crate) fn reload(&self, _: &TlsSettings) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn refresh(&self) -> Result<bool, TlsError> {
        match *self {}
    }

    pub(crate) fn end(&self) -> Option<unix_clock::Timestamp> {
        match *self {}
    }

    pub(crate) fn begin(&self) -> Option<unix_clock::Timestamp> {
        match *self {}
    }

    pub(crate) fn chain_problem(&self) -> Option<&'static str> {
        match *self {}
    }

    pub(crate) fn server_tls(self: &Arc<Self>) -> Result<ServerTls, TlsError> {
        match **self {}
    }
}
