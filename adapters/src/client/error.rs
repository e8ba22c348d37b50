//! Why a device's call failed, and why a connection ended.

use std::sync::Arc;

use halloo_core::chat::client::{Cause, JoinError, PostError};
use halloo_core::name::NameError;
use halloo_core::wire::{ByeReason, Code};

use crate::socket::SocketError;
use crate::url::UrlError;

/// Why a call of a [`Device`](super::Device) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Caller: the text is no URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Caller: the URL leads to something else than chat.
    #[error(
        "a device speaks chat, and `{0}` is not chat: a good URL is `chat+tcp://127.0.0.1:7007`"
    )]
    NotChat(String),
    /// Caller: the name is not one that a member can have.
    #[error("the name {name:?} cannot be a member's: {source}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// Caller: the room was not joined, and cannot be.
    #[error("the room {room:?} cannot be joined: {}", because(source))]
    Join {
        /// The room.
        room: String,
        /// Why.
        source: JoinError,
    },
    /// Caller: the post was not taken.
    #[error("{source}")]
    Post {
        /// Why.
        #[from]
        source: PostError,
    },
    /// Peer: the hub refused the join.
    #[error("the hub refused to let this device join {room}: {code}")]
    Refused {
        /// The room.
        room: String,
        /// Why.
        code: Code,
    },
    /// Caller: what came while the call waited fills the queue: take it with `next`, then call
    /// again.
    #[error("too much came in while waiting: take it with `next`, then wait again")]
    Unread,
    /// The time that the caller allowed is over. What was begun goes on.
    #[error("the hub did not answer in the time allowed: wait again, or allow more time")]
    TimedOut,
    /// The device has no connection and will not try again.
    #[error("{0}")]
    Ended(#[source] Ended),
    /// Resource: the system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// The cause of a refused name says more than that it was refused.
fn because(error: &JoinError) -> String {
    match error {
        JoinError::Name(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

/// Why a connection ended, or was never there.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// Transport: the socket failed.
    #[error("{0}")]
    Socket(#[source] Arc<SocketError>),
    /// Peer: the hub closed the connection without a word.
    #[error("the hub closed the connection: connect again")]
    Closed,
    /// Peer: what answered did not say `Welcome` in time.
    #[error(
        "the hub did not answer the greeting in time: check that the address is a halloo hub's, and that it is not full"
    )]
    NoWelcome,
    /// Peer: the hub did not answer a post or a join, or was silent for 1.5 keepalive intervals.
    #[error("the hub fell silent: check that it runs and can be reached")]
    Silent,
    /// Peer: the hub turned this device away.
    #[error("the hub closed the session: {code}{}{text}", if text.is_empty() { "" } else { ": " })]
    Refused {
        /// Why.
        code: Code,
        /// For a person to read; may be empty.
        text: String,
    },
    /// Peer: the hub said bye.
    #[error("the hub said bye: {0}")]
    Bye(ByeReason),
    /// Peer: what came is not what a hub says.
    #[error("the hub sent what it must not ({0}): check that the address is a halloo hub's")]
    Violation(Code),
    /// This device said bye.
    #[error("this device has said bye")]
    Done,
}

impl Ended {
    /// The end that the machine told of; `last` is what is known beside it.
    pub(super) fn new(cause: Cause, last: Last) -> Self {
        match (cause, last) {
            (Cause::Done, _) => Self::Done,
            (Cause::Bye(reason), _) => Self::Bye(reason),
            (Cause::Refused(code), Last::Text(text)) => Self::Refused { code, text },
            (Cause::Refused(code), _) => Self::Refused {
                code,
                text: String::new(),
            },
            (Cause::Violation(code), _) => Self::Violation(code),
            (Cause::Timeout, _) => Self::Silent,
            (_, Last::Link(ended)) => ended,
            (_, Last::Nothing | Last::Text(_)) => Self::Closed,
        }
    }

    /// Whether another attempt would end the same way.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Done => Cause::Done.is_final(),
            Self::Bye(reason) => Cause::Bye(*reason).is_final(),
            Self::Violation(code) => Cause::Violation(*code).is_final(),
            Self::Refused { code, .. } => Cause::Refused(*code).is_final(),
            Self::Socket(_) | Self::Closed | Self::NoWelcome | Self::Silent => false,
        }
    }
}

/// What else is known when a session ends.
#[derive(Debug, Default)]
pub(super) enum Last {
    #[default]
    Nothing,
    /// The text of the hub's `Error`.
    Text(String),
    /// How the link failed.
    Link(Ended),
}
