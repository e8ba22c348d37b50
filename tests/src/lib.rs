//! halloo-tests

pub mod net;
