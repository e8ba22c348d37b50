//! Why a run did not take place.

use std::io;

use halloo_std::hub::HubError;
use halloo_std::socket::SocketError;
use halloo_std::url::UrlError;

/// Why a run did not take place. What went wrong in a run is in its report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A setting that cannot be.
    #[error("{what} is {value}: {wanted}")]
    Config {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A URL that is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A URL for something else.
    #[error("{url} is no URL of {wanted}; a good one is `{example}`")]
    WrongUrl {
        /// The URL.
        url: String,
        /// What it should lead to.
        wanted: &'static str,
        /// A good URL.
        example: &'static str,
    },
    /// More sockets than the system allows this process.
    #[error(
        "{devices} devices need {needed} open files, and the limit is {limit}: take at most {most} devices, or raise the limit (ulimit -Hn)"
    )]
    TooManyFiles {
        /// Devices asked for.
        devices: u32,
        /// Files that they need.
        needed: u64,
        /// The hard limit.
        limit: u64,
        /// How many devices fit.
        most: u64,
    },
    /// The hub in the process did not start, or failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Nobody answers at the hub's address.
    #[error("the hub cannot be reached: {0}")]
    Unreachable(#[source] SocketError),
    /// Somebody answers, but no device was let into its rooms.
    #[error(
        "no device could join its rooms at {url}: check that a halloo hub listens there and has room (--log debug tells more)"
    )]
    NoHub {
        /// The URL.
        url: String,
    },
    /// The system refused something that the run needs.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A bug.
    #[error("{what} panicked: this is a bug, please report it")]
    Panicked {
        /// What.
        what: &'static str,
    },
}

impl SimError {
    /// The exit code of the program: 3 when the hub is not reachable, else 2.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable(_) | Self::NoHub { .. } => 3,
            _ => 2,
        }
    }

    pub(crate) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}
