//! What a probe is told to do.

use core::fmt;

use super::payload::MIN_PAYLOAD;
use crate::time::Duration;

/// How replies come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transport {
    /// As one stream of bytes, in the order of the probes, cut anywhere.
    Stream,
    /// Each as one datagram, in any order, or not at all.
    Datagram,
}

/// What a [`Probe`](super::Probe) sends and expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProbeConfig<'t> {
    /// How replies come back.
    pub transport: Transport,
    /// The bytes of each payload; at least [`MIN_PAYLOAD`].
    pub size: usize,
    /// How many probes to send.
    pub count: u32,
    /// The least time between two sends; zero sends as fast as the window allows.
    pub interval: Duration,
    /// How long after its send a reply counts as lost.
    pub timeout: Duration,
    /// What the server puts before each reply. On a stream with a prefix one probe is in flight at
    /// a time, since a server that reads two at once would answer both behind one prefix.
    pub prefix: &'t [u8],
    /// Sets the pattern: runs with different seeds do not take each other's replies for their own.
    pub seed: u32,
}

/// Why a probe was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProbeError {
    /// Caller: the size is below [`MIN_PAYLOAD`].
    TooSmall,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall => write!(f, "a probe has at least {MIN_PAYLOAD} bytes"),
        }
    }
}

impl core::error::Error for ProbeError {}
