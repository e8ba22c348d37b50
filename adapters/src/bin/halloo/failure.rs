//! Why a command ends badly, sorted by its exit code.

use std::io;
use std::process::ExitCode;

use halloo_std::client::{ClientError, Ended};
use halloo_std::hub::HubError;
use halloo_std::socket::SocketError;
use halloo_std::url::UrlError;

/// A bad end; the text says what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The job failed.
    Job(String),
    /// It could not start.
    Start(String),
    /// The other end is not there, or does not want this one.
    Refused(String),
    /// The other end did not answer.
    TimedOut(String),
    /// The connection is gone, or what answered is not what was meant.
    Lost(String),
    /// The name has no address.
    Unresolved(String),
    /// No way leads to the other end.
    Unreachable(String),
    /// The system keeps this kind of socket from this user.
    Forbidden(String),
    /// Nobody reads what is printed: a quiet, good end.
    NoReader,
}

impl Failure {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Job(text)
            | Self::Start(text)
            | Self::Refused(text)
            | Self::TimedOut(text)
            | Self::Lost(text)
            | Self::Unresolved(text)
            | Self::Unreachable(text)
            | Self::Forbidden(text) => Some(text),
            Self::NoReader => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NoReader => 0,
            Self::Job(_) => 1,
            Self::Start(_) => 2,
            Self::Refused(_) => 3,
            Self::TimedOut(_) => 4,
            Self::Lost(_) => 5,
            Self::Unresolved(_) => 6,
            Self::Unreachable(_) => 7,
            Self::Forbidden(_) => 8,
        })
    }

    /// The same kind of end, with more to say.
    pub(crate) fn and(self, more: &str) -> Self {
        let with = |text: String| format!("{text} ({more})");
        match self {
            Self::Job(text) => Self::Job(with(text)),
            Self::Start(text) => Self::Start(with(text)),
            Self::Refused(text) => Self::Refused(with(text)),
            Self::TimedOut(text) => Self::TimedOut(with(text)),
            Self::Lost(text) => Self::Lost(with(text)),
            Self::Unresolved(text) => Self::Unresolved(with(text)),
            Self::Unreachable(text) => Self::Unreachable(with(text)),
            Self::Forbidden(text) => Self::Forbidden(with(text)),
            Self::NoReader => Self::NoReader,
        }
    }

    /// The standard input or output failed.
    pub(crate) fn from_stdio(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::NoReader
        } else {
            Self::Job(format!("the terminal or pipe failed: {error}"))
        }
    }

    /// A connection was not made, or failed.
    fn from_socket(error: &SocketError) -> Self {
        let text = error.to_string();
        match error {
            // A hub that does not run has taken its socket file along.
            SocketError::Refused { .. } | SocketError::NotFound { .. } => Self::Refused(text),
            SocketError::TimedOut { .. } => Self::TimedOut(text),
            SocketError::Unreachable { .. } => Self::Unreachable(text),
            SocketError::Unresolved { .. } => Self::Unresolved(text),
            SocketError::Other { source, .. } if source.kind() == io::ErrorKind::InvalidInput => {
                Self::Start(text)
            }
            SocketError::Reset { .. } | SocketError::Closed { .. } | SocketError::Other { .. } => {
                Self::Lost(text)
            }
            _ => Self::Start(text),
        }
    }

    pub(crate) fn from_ended(ended: &Ended) -> Self {
        let text = ended.to_string();
        match ended {
            Ended::Socket(cause) => Self::from_socket(cause),
            Ended::Refused { .. } => Self::Refused(text),
            Ended::NoWelcome => Self::TimedOut(text),
            _ => Self::Lost(text),
        }
    }
}

/// The option that sets a field of the hub's configuration.
fn option(field: &'static str) -> &'static str {
    match field {
        "max_connections" => "--max-connections",
        "rooms" => "--max-rooms",
        "members" => "--max-members",
        "log_bytes" => "--room-bytes",
        "log_entries" => "--room-posts",
        "shards" => "--shards",
        other => other,
    }
}

impl From<UrlError> for Failure {
    fn from(error: UrlError) -> Self {
        Self::Start(error.to_string())
    }
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        Self::from_socket(&error)
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        match error {
            HubError::System { .. } => Self::Job(error.to_string()),
            HubError::Config {
                what,
                value,
                wanted,
            } => {
                let wanted = wanted.replace("max_body", "--max-body");
                Self::Start(format!("{} is {value}: {wanted}", option(what)))
            }
            // A listener's errors are all about its address.
            _ => Self::Start(error.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Ended(ended) => Self::from_ended(&ended),
            ClientError::TimedOut => Self::TimedOut(text),
            ClientError::Refused { .. } => Self::Refused(text),
            ClientError::Url(_)
            | ClientError::NotChat(_)
            | ClientError::Name { .. }
            | ClientError::Join { .. } => Self::Start(text),
            _ => Self::Job(text),
        }
    }
}
