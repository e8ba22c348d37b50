//! A serial line at a hub: frames are datagrams, and one device at a time is at the other end.
//!
//! Knows sessions and no bytes: the framing is the caller's. A line has no addresses, so there is
//! nobody to be mistaken for another and no cookie; and it does not tell of a reset, so a `Hello` at
//! any time is the end of the session before.

use super::{Busy, ConnId, Hub, NotOpened};
use crate::chat::datagram::{Header, MIN_ANSWERED, answer};
use crate::time::Instant;
use crate::wire::{self, Code, Message, PeerError};

/// Who is at the other end of a serial line.
///
/// The caller's loop, with a [`Decoder`](crate::frame::Decoder) over `Cobs`: each frame goes to
/// [`handle_datagram`](Self::handle_datagram). When [`Hub::poll_ready`] names [`conn`](Self::conn),
/// what [`Hub::poll_datagram`] gives is sealed and written, a frame at a time, each when the one before
/// is out; at `Transmit::Close` the session is over and [`hang_up`](Self::hang_up) is called, as it is
/// when the line itself is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Line {
    peer: Option<Peer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Peer {
    conn: ConnId,
    nonce: u64,
}

impl Line {
    /// A line without a session.
    #[must_use]
    pub const fn new() -> Self {
        Self { peer: None }
    }

    /// The connection that has the line, if one has.
    #[must_use]
    pub fn conn(&self) -> Option<ConnId> {
        self.peer.map(|peer| peer.conn)
    }

    /// The payload of a frame came. Returns how many bytes of `out` are a datagram to answer with
    /// that belongs to no session; 0 is none, and it may as well be lost.
    ///
    /// `out` takes 32 bytes. `Busy`: handed in again after a commit it may be taken; if not, it is as
    /// good as lost.
    pub fn handle_datagram(
        &mut self,
        hub: &mut Hub<'_>,
        now: Instant,
        datagram: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Busy> {
        let Some((header, message)) = Header::decode(datagram) else {
            return Ok(0);
        };
        let Ok(decoded) = wire::binary::decode_from_device(message) else {
            return Ok(0);
        };
        let code = match decoded.message {
            Message::Hello(hello) if hello.nonce == header.session => {
                if self.peer.is_some_and(|peer| peer.nonce != hello.nonce) {
                    // First, since a small hub may have no slot to spare.
                    self.hang_up(hub, now);
                }
                match hub.open_datagram(now, now, &header, &hello) {
                    Ok(conn) => {
                        let nonce = hello.nonce;
                        if self.conn().is_some_and(|old| old != conn) {
                            self.hang_up(hub, now);
                        }
                        self.peer = Some(Peer { conn, nonce });
                        return Ok(0);
                    }
                    Err(NotOpened::Refused(code)) => code,
                    Err(NotOpened::Stale) => return Ok(0),
                }
            }
            Message::Error(_) | Message::Bye(_) if !self.has(hub, header.session) => return Ok(0),
            message => match self.conn() {
                Some(conn) if self.has(hub, header.session) => {
                    return hub.handle_datagram(now, conn, &header, &message).map(|_| 0);
                }
                _ if datagram.len() < MIN_ANSWERED => return Ok(0),
                _ => Code::NoSession,
            },
        };
        let error = Message::Error(PeerError {
            code,
            retry_after: hub.retry_after(code),
            text: "",
        });
        Ok(answer(&header, &error, out).unwrap_or(0))
    }

    /// The line is gone, or what was at its other end: the session, if there is one, is as one whose
    /// connection was lost.
    pub fn hang_up(&mut self, hub: &mut Hub<'_>, now: Instant) {
        if let Some(peer) = self.peer.take() {
            hub.handle_disconnected(now, peer.conn);
        }
    }

    fn has(&self, hub: &Hub<'_>, session: u64) -> bool {
        self.conn()
            .is_some_and(|conn| hub.session(conn) == Some(session))
    }
}
