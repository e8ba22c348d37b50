//! halloo-std
