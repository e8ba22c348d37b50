//! What several of the integration tests share.

pub mod hub;
pub mod net;
