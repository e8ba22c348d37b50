//! Fleets of devices against a hub.
pub mod ledger;
