//! The service over real HTTP on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod balancer;
mod connections;
mod crash;
mod deploy;
mod durability;
mod flow;
#[allow(dead_code, reason = "attacks need more of it")]
#[path = "../attacks/frames.rs"]
mod frames;
mod gateway;
mod gateway_origins;
mod idle;
mod limits;
mod malformed;
mod newer_systems;
mod nodes;
mod overload;
mod peers;
mod process;
mod publications;
mod redis_server;
mod reload;
mod replay;
mod secrecy;
mod support;
mod tokens;
