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
    /// The connection was not made, or is gone.
    Connection(String),
    /// Nobody reads what is printed: a quiet, good end.
    NoReader,
}

impl Failure {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Job(text) | Self::Start(text) | Self::Connection(text) => Some(text),
            Self::NoReader => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NoReader => 0,
            Self::Job(_) => 1,
            Self::Start(_) => 2,
            Self::Connection(_) => 3,
        })
    }

    /// The standard input or output failed.
    pub(crate) fn from_stdio(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::NoReader
        } else {
            Self::Job(format!("the terminal or pipe failed: {error}"))
        }
    }

    fn from_socket(error: &SocketError) -> Self {
        let text = error.to_string();
        match error {
            SocketError::Refused { .. }
            | SocketError::TimedOut { .. }
            | SocketError::Reset { .. }
            | SocketError::Closed { .. }
            | SocketError::Unreachable { .. }
            | SocketError::Other { .. } => Self::Connection(text),
            _ => Self::Start(text),
        }
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
            // A listener's errors are all about its address.
            _ => Self::Start(error.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Ended(Ended::Socket(cause)) => Self::from_socket(&cause),
            ClientError::Ended(_) | ClientError::TimedOut => Self::Connection(text),
            ClientError::Url(_)
            | ClientError::NotChat(_)
            | ClientError::Name { .. }
            | ClientError::Join { .. } => Self::Start(text),
            _ => Self::Job(text),
        }
    }
}
