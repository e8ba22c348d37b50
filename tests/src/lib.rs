//! halloo-tests: what several of the integration tests share.

pub mod hub;
