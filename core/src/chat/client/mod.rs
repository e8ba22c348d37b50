//! stub
/// stub
#[derive(Debug)]
pub struct Client;
