//! The header fields of the device API: what requests of devices bring, and what answers carry.

use http::HeaderName;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE,
    DATE, ETAG, EXPIRES, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER, USER_AGENT, VARY,
    WWW_AUTHENTICATE,
};

/// The header with a device's pseudonym.
pub(crate) const USER_IDENTIFIER: &str = "user-identifier";

/// The fields of requests of devices that endpoints read.
pub(crate) const REQUEST_FIELDS: [HeaderName; 7] = [
    ACCEPT,
    ACCEPT_ENCODING,
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_NONE_MATCH,
    USER_AGENT,
    HeaderName::from_static(USER_IDENTIFIER),
];

/// The fields of answers that devices read, and caches between.
#[cfg_attr(not(feature = "gateway"), expect(dead_code, reason = "the gateway passes them on"))]
pub(crate) const ANSWER_FIELDS: [HeaderName; 11] = [
    AGE,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    DATE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    RETRY_AFTER,
    VARY,
    WWW_AUTHENTICATE,
];
