//! The operations of the scheme, all of them methods of [`Context`](crate::Context).

pub(crate) mod encryption;
pub(crate) mod expansion;
pub(crate) mod key_switch;
pub(crate) mod linear;
pub(crate) mod matrix;
pub(crate) mod mod_switch;
pub(crate) mod multiply;
mod noise;
