//! What stands in for the gateway in a program without it: types of which there is no value.

use super::{GatewayAnswer, GatewayError, GatewayRefusal, SealError};
use crate::blocking::TaskFailed;
use crate::configuration::{Feature, GatewaySettings};
use crate::store::Store;
use axum::Router;
use std::sync::Arc;
use std::time::Duration;
use unix_clock::Timestamp;

pub(crate) enum Gateway {}

pub(crate) enum OpenedRequest {}

#[expect(clippy::unused_async, reason = "as with the feature")]
impl Gateway {
    pub(crate) async fn open(
        _: Arc<dyn Store>,
        _: &GatewaySettings,
        _: usize,
        _: Duration,
        _: Timestamp,
    ) -> Result<Self, GatewayError> {
        Err(GatewayError::Feature(Feature::Gateway))
    }

    pub(crate) async fn maintain(&self, _: Timestamp) -> Result<(), GatewayError> {
        match *self {}
    }

    pub(crate) fn published(&self, _: Timestamp) -> Option<Vec<u8>> {
        match *self {}
    }

    pub(crate) async fn computing<T: Send + 'static, H: Send + 'static>(
        &self,
        _: H,
        _: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, H), TaskFailed> {
        match *self {}
    }

    pub(crate) fn open_request(&self, _: &[u8]) -> Result<OpenedRequest, GatewayRefusal> {
        match *self {}
    }

    pub(crate) async fn answer(&self, _: &[u8], _: &Router) -> GatewayAnswer {
        match *self {}
    }
}

impl OpenedRequest {
    pub(crate) fn request(&self) -> &[u8] {
        match *self {}
    }

    pub(crate) fn seal(self, _: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {}
    }
}
