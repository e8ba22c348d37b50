//! One message as a machine gave it, to be compared and read in a test.

use halloo_core::wire::{Message, binary};
use std::fmt;

/// The bytes of one message, without framing.
#[derive(Clone)]
pub struct Said(Vec<u8>);

impl Said {
    /// A message as it was encoded.
    ///
    /// # Panics
    /// If the bytes are no message, or not its one layout.
    pub fn new(bytes: &[u8]) -> Self {
        let decoded = binary::decode(bytes).expect("what is said is a message");
        let mut again = vec![0; bytes.len()];
        let len = binary::encode(&decoded.message, &mut again).expect("it fits again");
        assert_eq!(again[..len], *bytes, "the one layout of a message");
        Self(bytes.to_vec())
    }

    /// The message.
    ///
    /// # Panics
    /// Never: [`new`](Self::new) has decoded it.
    pub fn message(&self) -> Message<'_> {
        binary::decode(&self.0)
            .expect("it was decoded before")
            .message
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none, which no message has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq<Message<'_>> for Said {
    fn eq(&self, other: &Message<'_>) -> bool {
        self.message() == *other
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}
