//! The host's side of halloo: real sockets under the machines of `halloo-core`.
//!
//! Runs on Unix-like systems and is tested on Linux.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod client;
pub mod hub;
pub mod journal;
pub mod socket;
pub mod testkit;
pub mod url;
