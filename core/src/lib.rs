//! Framing, echo and chat with rooms for small devices: nothing acknowledged is lost or doubled.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

pub mod chat;
pub mod echo;
pub mod frame;
pub mod link;
pub mod name;
pub mod time;
pub mod wire;
