//! What a device is told once.

use std::time::Duration;

use halloo_core::wire::DeviceId;

use crate::socket::Options;

/// What a [`Device`](super::Device) is and how patient it is.
///
/// ```
/// use halloo_std::client::{Reconnect, Settings};
/// let settings = Settings {
///     device: Some(*b"gateway no 00042"),
///     reconnect: Reconnect::AtMost(10),
///     ..Settings::new("gateway-42")
/// };
/// assert_eq!(settings.name, "gateway-42");
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the others call this device: 1 to 32 bytes.
    pub name: String,
    /// Who this is. `None` takes a random identity, which never comes back after the process ends:
    /// such a device leaves its rooms when it says bye, so the hub need not remember it.
    pub device: Option<DeviceId>,
    /// The hub may forget this device 15 s after its connection is lost. Default: off, since a post
    /// that waits longer than that can then be kept twice.
    pub is_ephemeral: bool,
    /// The keepalive interval that it asks for, in whole seconds; zero is none. Default: 60 s; over
    /// UDP and serial lines it is 25 s at the most, which keeps the way open through address translators. A dead hub is noticed within 1.5 intervals.
    pub keepalive: Duration,
    /// How many entries beyond the last that was taken the hub may send in each room. Default: 64.
    pub credit: u16,
    /// How long one attempt to connect may take, over all addresses of a name. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long the hub may take to answer the greeting; 10 s at most, which is the default.
    pub handshake_timeout: Duration,
    /// What to do when the connection is lost. Default: [`Reconnect::Always`].
    pub reconnect: Reconnect,
    /// The longest wait between two attempts, beside what the hub asks for. Default: 60 s. The wait
    /// is random below a limit that starts at 0.5 s and doubles with each attempt up to this one.
    pub longest_wait: Duration,
    /// The options of the socket, under what the URL says.
    pub socket: Options,
}

/// What to do when a connection is lost, or could not be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// It is over.
    Never,
    /// Try again until so many attempts in a row have failed.
    AtMost(u32),
    /// Try again for ever.
    Always,
}

impl Settings {
    /// The usual settings, with a random identity.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            device: None,
            is_ephemeral: false,
            keepalive: Duration::from_secs(60),
            credit: 64,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            reconnect: Reconnect::Always,
            longest_wait: Duration::from_secs(60),
            socket: Options::default(),
        }
    }
}

impl Reconnect {
    /// Whether to try once more after so many failures in a row.
    pub(super) const fn allows(self, failures: u32) -> bool {
        match self {
            Self::Never => false,
            Self::AtMost(most) => failures < most,
            Self::Always => true,
        }
    }
}
