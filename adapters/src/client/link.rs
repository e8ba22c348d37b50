//! The link under a device: framed on a stream, or a session of datagrams, bare or in COBS.

use halloo_core::chat::Client;
use halloo_core::chat::datagram;
use halloo_core::frame::{Cobs, Datagram, Length32};
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::name::MAX_NAME;
use halloo_core::time::Instant;
use halloo_core::wire::ENTRY_OVERHEAD;

use super::pipe::Pipe;
use super::{MAX_BODY, MAX_FRAME, OUTBOX, ROOMS};
use crate::socket::SocketError;
use crate::url::Transport;

/// The largest entry of a datagram, and the longest body.
const BODY: usize = datagram::MAX_BODY as usize;
const ENTRY: usize = ENTRY_OVERHEAD + MAX_NAME + BODY;

type Machine = Client<ROOMS, OUTBOX>;
type Stream =
    Link<Length32, { rx_bytes::<Length32>(MAX_FRAME) }, { tx_bytes::<Length32>(MAX_BODY) }>;
type Datagrams = Link<Datagram, { rx_bytes::<Datagram>(ENTRY) }, { tx_bytes::<Datagram>(BODY) }>;
type Serial = Link<Cobs, { rx_bytes::<Cobs>(ENTRY) }, { tx_bytes::<Cobs>(BODY) }>;

#[derive(Debug)]
pub(super) enum HostLink {
    Stream(Box<Stream>),
    Datagrams(Box<Datagrams>),
    Serial(Box<Serial>),
}

impl HostLink {
    pub(super) fn new(transport: &Transport) -> Self {
        match transport {
            Transport::Udp { .. } => {
                Self::Datagrams(Box::new(Link::new(Datagram::new(usize::MAX))))
            }
            Transport::CobsTcp { .. } | Transport::Serial(_) => {
                Self::Serial(Box::new(Link::new(Cobs::new(usize::MAX))))
            }
            Transport::Tcp { .. } | Transport::Unix(_) => {
                Self::Stream(Box::new(Link::new(Length32::new(MAX_FRAME))))
            }
        }
    }

    pub(super) fn connect(&mut self, client: &mut Machine, now: Instant, nonce: u64) {
        match self {
            Self::Stream(link) => link.connect(client, now, nonce),
            Self::Datagrams(link) => link.connect(client, now, nonce),
            Self::Serial(link) => link.connect(client, now, nonce),
        }
    }

    pub(super) fn poll_timeout(&self, client: &Machine) -> Option<Instant> {
        match self {
            Self::Stream(link) => link.poll_timeout(client),
            Self::Datagrams(link) => link.poll_timeout(client),
            Self::Serial(link) => link.poll_timeout(client),
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        match self {
            Self::Stream(link) => link.is_writing(),
            Self::Datagrams(link) => link.is_writing(),
            Self::Serial(link) => link.is_writing(),
        }
    }

    pub(super) fn poll(
        &mut self,
        pipe: &mut Pipe,
        client: &mut Machine,
        now: Instant,
    ) -> nb::Result<Output<'_>, LinkError<SocketError>> {
        match self {
            Self::Stream(link) => link.poll(pipe, client, now),
            Self::Datagrams(link) => link.poll(pipe, client, now),
            Self::Serial(link) => link.poll(pipe, client, now),
        }
    }
}
