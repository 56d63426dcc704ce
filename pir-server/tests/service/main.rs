//! The service over real HTTP on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod balanced;
#[cfg(feature = "tls")]
mod balancer;
mod connections;
mod crash;
mod deploy;
mod durability;
mod flow;
#[allow(dead_code, reason = "attacks need more of it")]
#[cfg(feature = "tls")]
#[path = "../attacks/frames.rs"]
mod frames;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "gateway")]
mod gateway_origins;
#[cfg(feature = "tls")]
mod idle;
mod limits;
#[cfg(feature = "lists")]
mod lists;
mod malformed;
mod newer_systems;
#[cfg(feature = "redis")]
mod nodes;
mod overload;
mod peers;
mod process;
mod publications;
#[cfg(feature = "redis")]
mod redis_server;
mod reload;
mod replay;
mod reports;
mod secrecy;
mod status;
mod support;
mod tokens;
#[cfg(feature = "otel")]
mod traces;
