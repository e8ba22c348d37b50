//! Chat with rooms.
