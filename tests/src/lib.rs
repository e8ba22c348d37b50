//! What several of the integration tests share.

pub mod cable;
pub mod hub;

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
