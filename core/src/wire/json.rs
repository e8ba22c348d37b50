//! The flat JSON encoding.
