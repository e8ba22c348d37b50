//! What the fuzz targets do: each function takes any bytes, and panics where a promise is broken.
//!
//! The bytes are read as a sequence of steps; where they end, the run ends. The names S1 to S16 in
//! panics are those of the invariants in the design: S1 to S11 are rules of delivery, S12 is of the
//! encodings, S13 of framing, S16 of recovery.
#![forbid(unsafe_code)]

#[path = "../../../adapters/src/hub/cookie.rs"]
mod cookie;

pub mod chat;
pub mod client;
pub mod datagram;
pub mod framing;
pub mod hub;
pub mod journal;
mod message;
mod store;
pub mod wire;
