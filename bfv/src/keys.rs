//! The secret key, and the evaluation keys that its holder gives to a server.

pub(crate) mod evaluation_key;
pub(crate) mod secret_key;
