//! Sessions over datagrams: opened by a `Hello` whose cookie fits, and served with whole datagrams.
//!
//! Knows numbers, not addresses: cookies, and which address a session is at, are the caller's.

use super::slots::{Owed, Phase};
use super::store::Wanted;
use super::{Busy, ConnId, Hub, Transmit};
use crate::bytes;
use crate::chat::datagram::{HEADER, Header, MAX_BODY, MAX_ENTRIES, Path};
use crate::chat::log::FRAME_HEADER;
use crate::name::MAX_NAME;
use crate::time::Instant;
use crate::wire::{self, Code, ENTRY_OVERHEAD, Hello, Message};

/// The largest entry that goes into a datagram.
const MAX_ENTRY: u32 = (ENTRY_OVERHEAD + MAX_NAME + MAX_BODY as usize) as u32;

/// Why a `Hello` opened no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotOpened {
    /// Peer or resource: it is told `Error` with this code.
    Refused(Code),
    /// Peer: it is older than the session that its device has, or came before. It is passed over.
    Stale,
}

impl core::fmt::Display for NotOpened {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "the hub opens no session: {code}"),
            Self::Stale => f.write_str("the device has a newer session"),
        }
    }
}

impl core::error::Error for NotOpened {}

impl Hub<'_> {
    /// A datagram with a `Hello` came, and its cookie fits. `issued` is when that cookie was made.
    ///
    /// A `Hello` that is said again is answered again, on the connection that it opened. The caller
    /// keeps the address that the connection is at.
    pub fn open_datagram(
        &mut self,
        now: Instant,
        issued: Instant,
        header: &Header,
        hello: &Hello<'_>,
    ) -> Result<ConnId, NotOpened> {
        let now = self.tick(now);
        if let Some(old) = self.find_device(&hello.device)
            && let Some(conn) = self.storage.conns.get_mut(old as usize)
        {
            if let Some(path) = conn.path.as_mut().filter(|_| conn.nonce == hello.nonce) {
                if !path.hear_again(header.number) {
                    return Err(NotOpened::Stale);
                }
                conn.owed.add(Owed::WELCOME);
                let generation = conn.generation;
                self.queue(old);
                return Ok(ConnId {
                    index: old,
                    generation,
                });
            }
            if issued < conn.born {
                return Err(NotOpened::Stale);
            }
        }
        let id = self
            .connect(now)
            .map_err(|_| NotOpened::Refused(Code::Full))?;
        if let Err(code) = self.open_session(now, id.index, hello) {
            self.handle_disconnected(now, id);
            return Err(NotOpened::Refused(code));
        }
        if let Some(conn) = self.storage.conns.get_mut(id.index()) {
            conn.path = Path::open(header.number);
            conn.born = issued;
            conn.credit = conn.credit.min(MAX_ENTRIES);
            conn.max_frame = conn.max_frame.min(MAX_ENTRY);
            if conn.keepalive == 0 {
                // Nothing else would tell that it is gone.
                conn.keepalive = self.config.keepalive_max.max(1);
            }
        }
        Ok(id)
    }

    /// The number of the session of a connection; `None` for one that has none.
    #[must_use]
    pub fn session(&self, id: ConnId) -> Option<u64> {
        let conn = self.storage.conns.get(self.conn_at(id)? as usize)?;
        (conn.phase == Phase::Serving).then_some(conn.session)
    }

    /// A datagram of the connection's session came; whether it was taken: what is late or doubled is
    /// passed over.
    ///
    /// As [`handle_message`](Self::handle_message); one that is not handed in again after `Busy` is
    /// as one that was lost.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        id: ConnId,
        header: &Header,
        message: &Message<'_>,
    ) -> Result<bool, Busy> {
        let Some(at) = self.conn_at(id) else {
            return Ok(false);
        };
        let now = self.tick(now);
        let Some(path) = self.path_mut(at) else {
            return Ok(false);
        };
        let before = *path;
        if !path.take(now, header) {
            super::count(&mut self.counters.late);
            return Ok(false);
        }
        match self.handle_message(now, id, message) {
            Ok(()) => Ok(true),
            Err(busy) => {
                if let Some(path) = self.path_mut(at) {
                    *path = before;
                }
                Err(busy)
            }
        }
    }

    /// As [`poll_transmit`](Self::poll_transmit), of a connection over datagrams; one over a stream is
    /// idle here.
    ///
    /// A hub that serves datagrams alone and calls only this takes less flash.
    pub fn poll_datagram(&mut self, now: Instant, id: ConnId, out: &mut [u8]) -> Transmit<'_> {
        let Some(at) = self.conn_at(id) else {
            return Transmit::Close;
        };
        let now = self.tick(now);
        match self.is_datagram(at) {
            true => self.transmit_datagram(now, at, out),
            false => Transmit::Idle,
        }
    }

    /// A datagram with a `Ping`, for an address that the session may have moved to: a `Pong` from
    /// there with this token proves it.
    pub fn ping_datagram(
        &mut self,
        now: Instant,
        id: ConnId,
        token: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        let at = self.conn_at(id)?;
        self.session(id)?;
        let (head, message) = out.split_at_mut_checked(HEADER)?;
        let len = wire::binary::encode_to_device(&Message::Ping { token }, message)?;
        self.seal(at, now, head, message)?;
        Some(len.saturating_add(HEADER))
    }

    /// The first of the stored entries that were wanted, as a datagram: `frame` is its `Length32`
    /// frame. It counts as sent. `None`: it is wanted no more, or does not fit into `out`.
    pub fn stored_datagram(
        &mut self,
        now: Instant,
        id: ConnId,
        wanted: Wanted,
        frame: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let now = self.tick(now);
        let (at, _) = self.reader(id, wanted)?;
        let (head, message) = out.split_at_mut_checked(HEADER)?;
        let entry = frame.get(FRAME_HEADER..)?;
        bytes::copy(message.get_mut(..entry.len())?, entry);
        self.entry_sent(wanted.member, wanted.first);
        self.seal(at, now, head, message)?;
        self.queue(at);
        Some(entry.len().saturating_add(HEADER))
    }
}
