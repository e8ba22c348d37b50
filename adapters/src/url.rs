//! URLs that name what to speak, where, and how: `echo+tcp://127.0.0.1:8080?prefix=Echo: `.
//!
//! Knows the form of the URLs and their options. Opens nothing. A parser of its own, since the
//! scheme names two things, a space may stand as it is, and an unknown option must be an error;
//! an [`Endpoint`] that was parsed is shown as a URL that parses to the same.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::socket::{Keepalive, Options};

mod parse;
#[cfg(test)]
mod tests;

/// The port of chat, which a URL need not name.
pub const CHAT_PORT: u16 = 7007;

/// What a URL of a listener or of a hub says.
///
/// ```
/// use halloo_std::url::{Endpoint, Protocol, Transport};
///
/// let endpoint: Endpoint = "echo+tcp://127.0.0.1:8080?prefix=Echo: ".parse()?;
/// assert_eq!(endpoint.protocol, Protocol::Echo);
/// assert_eq!(endpoint.transport, Transport::Tcp { host: "127.0.0.1".into(), port: 8080 });
/// assert_eq!(endpoint.options.prefix.as_deref(), Some("Echo: "));
/// assert_eq!(endpoint.to_string(), "echo+tcp://127.0.0.1:8080?prefix=Echo:%20");
/// # Ok::<(), halloo_std::url::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What is spoken.
    pub protocol: Protocol,
    /// What carries it, and where.
    pub transport: Transport,
    /// What stands after the question mark.
    pub options: UrlOptions,
}

/// What is spoken at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// halloo's own binary messages.
    Chat,
    /// The JSON objects of the tutorial.
    Json,
    /// Bytes come back as they were sent, or behind a prefix.
    Echo,
    /// One greeting, then the connection is closed.
    Greet,
}

/// What carries the bytes, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A TCP connection.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 lets a listener take a free one.
        port: u16,
    },
    /// UDP datagrams.
    Udp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 lets a listener take a free one.
        port: u16,
    },
    /// A Unix stream at a path.
    Unix(PathBuf),
    /// A serial line over TCP: its bytes, with frames in COBS.
    CobsTcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 lets a listener take a free one.
        port: u16,
    },
    /// A serial device at a path, with frames in COBS.
    Serial(PathBuf),
}

/// The options of a URL; `None` leaves each to the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlOptions {
    /// `prefix`, for echo: what stands before the bytes that come back.
    pub prefix: Option<String>,
    /// `text`, for greet: the greeting.
    pub text: Option<String>,
    /// `guard`, for echo and greet over UDP: whether answers that could go round for ever are left
    /// out, which they are unless this is `off`. `on` or `off`.
    pub guard: Option<bool>,
    /// `type`, for echo and greet over Unix: what kind of socket it is.
    pub kind: Option<UnixKind>,
    /// `mode`, for Unix: the permissions of the socket file, in octal, such as 660.
    pub mode: Option<u32>,
    /// `nodelay`, for TCP: `on` or `off`.
    pub nodelay: Option<bool>,
    /// `keepalive`, for TCP: the seconds of silence before the first probe.
    pub keepalive: Option<u32>,
    /// `v6only`, for TCP and UDP: `on` or `off`.
    pub v6only: Option<bool>,
    /// `baud`, for serial lines: the rate in bits a second. Over TCP it is what the line behind has,
    /// and no more is sent than that takes.
    pub baud: Option<u32>,
    /// `connect`, for serial lines over TCP: a hub connects to what listens there, as ser2net does,
    /// in place of listening itself. `on` or `off`.
    pub connect: Option<bool>,
    /// `backlog`, for TCP and Unix: how many connections may wait to be accepted.
    pub backlog: Option<u32>,
}

/// The kinds of Unix sockets, as the option `type` names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum UnixKind {
    /// `stream`: bytes, cut anywhere.
    #[default]
    Stream,
    /// `datagram`: messages without a connection; one that has no path cannot be answered.
    Datagram,
    /// `seqpacket`: messages over a connection.
    Seqpacket,
}

/// Why a text is no URL of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URL `{url}` {problem}; a good one is `{example}`")]
pub struct UrlError {
    /// The text.
    pub url: String,
    /// What is wrong with it.
    pub problem: UrlProblem,
    /// A good URL of that kind.
    pub example: &'static str,
}

/// What is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlProblem {
    /// No scheme, or an unknown one.
    #[error(
        "does not start with a known scheme: tcp://, udp://, unix:, serial: or cobs+tcp://, alone or after chat+, json+, echo+ or greet+"
    )]
    Scheme,
    /// Two slashes are missing, or there are too many.
    #[error(
        "has its slashes wrong: two after tcp: and udp:, and a plain path after unix: and serial:"
    )]
    Slashes,
    /// No host.
    #[error("has no host: 0.0.0.0 or [::] stands for all of this machine's addresses")]
    NoHost,
    /// A host with characters that no name has, or an IPv6 address that is none.
    #[error(
        "has the host {0:?}, which is no name and no address: an IPv6 address stands in brackets"
    )]
    Host(String),
    /// No port, and the protocol has none of its own.
    #[error("has no port")]
    NoPort,
    /// A port that is none.
    #[error("has the port {0:?}: a port is a number from 0 to 65535")]
    Port(String),
    /// A path where a host and port are all there is.
    #[error("has the path {0:?}, which means nothing there")]
    PathAfterPort(String),
    /// No path, or one with a zero byte.
    #[error("has no path that a file can have")]
    Path,
    /// A percent sign that begins no escape, or an escape that makes no UTF-8.
    #[error(
        "has a wrong escape in {0:?}: two hexadecimal digits follow a percent sign, %25 is the sign itself, and text is UTF-8"
    )]
    Escape(String),
    /// An option that there is not, or not for this kind of URL.
    #[error("has the option {key:?}, which it cannot have: it takes {known}{}", if *.follows { ", and an & inside a value is written %26" } else { "" })]
    UnknownOption {
        /// The option.
        key: String,
        /// The options that this kind of URL takes.
        known: String,
        /// Whether it stands behind another option, whose value it may be part of.
        follows: bool,
    },
    /// An option twice.
    #[error("has the option {0:?} twice")]
    OptionTwice(String),
    /// A value that the option does not take.
    #[error("has the value {value:?} for {key}, which takes {takes}")]
    OptionValue {
        /// The option.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
}

impl Endpoint {
    /// Parses a URL; one whose scheme names no protocol speaks `default`.
    ///
    /// ```
    /// use halloo_std::url::{Endpoint, Protocol};
    /// let endpoint = Endpoint::parse("tcp://[::1]:7", Protocol::Echo)?;
    /// assert_eq!(endpoint.to_string(), "echo+tcp://[::1]:7");
    /// # Ok::<(), halloo_std::url::UrlError>(())
    /// ```
    pub fn parse(url: &str, default: Protocol) -> Result<Self, UrlError> {
        parse::endpoint(url, default)
    }

    /// `base` with what the URL says about the socket laid over it.
    #[must_use]
    pub fn socket_options(&self, base: &Options) -> Options {
        let said = &self.options;
        let mut options = base.clone();
        options.mode = said.mode.or(base.mode);
        options.nodelay = said.nodelay.unwrap_or(base.nodelay);
        options.v6only = said.v6only.unwrap_or(base.v6only);
        options.backlog = said.backlog.unwrap_or(base.backlog);
        if let Some(secs) = said.keepalive {
            options.keepalive = Some(Keepalive {
                idle: Duration::from_secs(secs.into()),
                ..base.keepalive.unwrap_or_default()
            });
        }
        options
    }
}

impl FromStr for Endpoint {
    type Err = UrlError;

    /// As [`Endpoint::parse`], with chat for a URL that names no protocol.
    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::parse(url, Protocol::Chat)
    }
}

impl UnixKind {
    /// As it stands in a URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Datagram => "datagram",
            Self::Seqpacket => "seqpacket",
        }
    }
}

impl Transport {
    /// Whether this is a serial line.
    #[must_use]
    pub const fn is_line(&self) -> bool {
        matches!(self, Self::CobsTcp { .. } | Self::Serial(_))
    }
}

impl Protocol {
    /// As it stands in a URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Json => "json",
            Self::Echo => "echo",
            Self::Greet => "greet",
        }
    }

    /// The port that a URL need not name.
    #[must_use]
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Self::Chat => Some(CHAT_PORT),
            Self::Json | Self::Echo | Self::Greet => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.protocol, self.transport)?;
        parse::write_options(&self.options, f)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => parse::write_host_port(f, "tcp", host, *port),
            Self::Udp { host, port } => parse::write_host_port(f, "udp", host, *port),
            Self::Unix(path) => parse::write_path(f, "unix", path),
            Self::CobsTcp { host, port } => parse::write_host_port(f, "cobs+tcp", host, *port),
            Self::Serial(path) => parse::write_path(f, "serial", path),
        }
    }
}
