//! Echo: a side that answers with what it was sent, and a side that measures.
//!
//! [`Responder`] knows what to answer to one read. [`Probe`] knows what it sent, when, and what must
//! come back. Neither knows a socket, a clock or a frame: bytes and the time are arguments, and what
//! does not come back right is counted, never an error.

mod config;
mod payload;
mod probe;
mod report;
mod responder;

pub use config::{ProbeConfig, ProbeError, Transport};
pub use payload::MIN_PAYLOAD;
pub use probe::Probe;
pub use report::{ProbeEvent, Report};
pub use responder::{Mode, Reply, Responder};
