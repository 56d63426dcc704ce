//! The service over real HTTP on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod connections;
mod crash;
mod deploy;
mod durability;
mod flow;
mod gateway;
mod limits;
mod malformed;
mod newer_systems;
mod nodes;
mod overload;
mod process;
mod publications;
mod redis_server;
mod reload;
mod replay;
mod secrecy;
mod support;
mod tokens;
