//! The secret key, the evaluation keys that its holder gives to a server, and what the server makes of
//! them.

pub(crate) mod evaluation_key;
pub(crate) mod prepared_key;
pub(crate) mod secret_key;
