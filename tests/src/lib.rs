//! halloo-tests
