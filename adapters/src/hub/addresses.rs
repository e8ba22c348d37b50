//! Which session over datagrams is at which address, and what a datagram from somewhere means.
//!
//! Knows addresses and cookies, and no socket: the server and the virtual world use it as it is. The
//! numbers in front of the messages are the machine's. Nothing is kept for an address before it has
//! sent a cookie back.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use halloo_core::chat::Hub;
use halloo_core::chat::datagram::{Header, MIN_ANSWERED, MIN_HELLO, answer};
use halloo_core::chat::hub::{Busy, ConnId, NotOpened};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Code, Hello, Message, PeerError};

use super::cookie::Cookies;

/// Where a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub address: SocketAddr,
    /// The number of the hub's socket that it talks to.
    pub socket: usize,
    /// The address that it talks to, if the socket has several: it may hear no other.
    pub local: Option<Local>,
}

/// An address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The address.
    pub ip: IpAddr,
    /// The index of the interface that has it, if it is a link-local one; 0 if not.
    pub interface: u32,
}

/// What came of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// So many bytes of `out` are to go back to where the datagram came from; 0 is none.
    pub answer: usize,
    /// The answer belongs to no session: it may as well be lost.
    pub is_stray: bool,
    /// The session that took it.
    pub by: Option<ConnId>,
    /// A session that was opened, greeted again, or has moved: it may have something to send.
    pub session: Option<ConnId>,
    /// That session is a new one.
    pub is_new: bool,
}

/// A session and where it is.
#[derive(Debug)]
struct Peer {
    id: ConnId,
    session: u64,
    place: Place,
}

/// All sessions over datagrams, and where they are.
#[derive(Debug)]
pub struct Addresses {
    cookies: Cookies,
    /// By session number, the machine's place; by that, the peer.
    places: HashMap<u64, usize>,
    peers: HashMap<usize, Peer>,
}

impl Addresses {
    /// No session. `key` is secret and random: it makes the cookies.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            cookies: Cookies::new(key),
            places: HashMap::new(),
            peers: HashMap::new(),
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Where a session is; `None` if the connection is not one of these.
    #[must_use]
    pub fn place(&self, id: ConnId) -> Option<Place> {
        let peer = self.peers.get(&id.index()).filter(|peer| peer.id == id)?;
        Some(peer.place)
    }

    /// Forgets a session that is over.
    pub fn remove(&mut self, id: ConnId) {
        if self.place(id).is_some()
            && let Some(peer) = self.peers.remove(&id.index())
        {
            self.places.remove(&peer.session);
        }
    }

    /// Forgets all, and says which they were.
    pub fn take_all(&mut self) -> impl Iterator<Item = ConnId> {
        self.places.clear();
        std::mem::take(&mut self.peers)
            .into_values()
            .map(|peer| peer.id)
    }

    /// A datagram came. `out` takes an answer to it.
    ///
    /// `Err(Busy)`: the machine was too busy; handed in again after a commit it may be taken.
    pub fn take(
        &mut self,
        hub: &mut Hub<'_>,
        now: Instant,
        from: Place,
        datagram: &[u8],
        out: &mut [u8],
    ) -> Result<Taken, Busy> {
        let Some((header, bytes)) = Header::decode(datagram) else {
            return Ok(Taken::default());
        };
        let Ok(decoded) = wire::binary::decode(bytes) else {
            return Ok(Taken::default());
        };
        let message = decoded.message;
        if let Message::Hello(hello) = &message
            && hello.nonce == header.session
        {
            return Ok(match bytes.len() >= MIN_HELLO {
                true => self.greet(hub, now, from, (&header, hello), out),
                false => Taken::default(),
            });
        }
        let place = self.places.get(&header.session);
        let Some(peer) = place.and_then(|place| self.peers.get_mut(place)) else {
            let is_last_word = matches!(message, Message::Error(_) | Message::Bye(_));
            return Ok(match datagram.len() >= MIN_ANSWERED && !is_last_word {
                true => stray(&header, &error(Code::NoSession, 0), out),
                false => Taken::default(),
            });
        };
        let id = peer.id;
        let mut taken = Taken::default();
        let is_taken = hub.handle_datagram(now, id, &header, &message)?;
        taken.by = is_taken.then_some(id);
        if is_taken && from != peer.place {
            // It may have moved, or somebody replays it: who answers from there is there.
            let local = from.local.map(|local| local.ip);
            let token = self.cookies.token(from.address, local, peer.session);
            if message == (Message::Pong { token }) {
                tracing::debug!(session = peer.session, from = %from.address, "a session has moved");
                peer.place = from;
                taken.session = Some(id);
            } else {
                taken.answer = hub.ping_datagram(now, id, token, out).unwrap_or(0);
            }
        }
        Ok(taken)
    }

    /// Answers a `Hello`: one without a cookie that fits is told one, and nothing is kept of it.
    fn greet(
        &mut self,
        hub: &mut Hub<'_>,
        now: Instant,
        from: Place,
        (header, hello): (&Header, &Hello<'_>),
        out: &mut [u8],
    ) -> Taken {
        let Some(issued) = self.cookies.check(now, from.address, hello) else {
            let cookie = self.cookies.make(now, from.address, hello);
            return stray(header, &Message::Retry { cookie }, out);
        };
        let id = match hub.open_datagram(now, issued, header, hello) {
            Ok(id) => id,
            Err(NotOpened::Refused(code)) => {
                return stray(header, &error(code, hub.retry_after(code)), out);
            }
            Err(_) => return Taken::default(),
        };
        let Some(session) = hub.session(id) else {
            return Taken::default();
        };
        let is_new = self.places.insert(session, id.index()).is_none();
        if is_new {
            tracing::debug!(session, from = %from.address, "session opened over datagrams");
        }
        let peer = Peer {
            id,
            session,
            place: from,
        };
        self.peers.insert(id.index(), peer);
        Taken {
            session: Some(id),
            is_new,
            ..Taken::default()
        }
    }
}

/// Says what belongs to no session.
fn stray(header: &Header, message: &Message<'_>, out: &mut [u8]) -> Taken {
    Taken {
        answer: answer(header, message, out).unwrap_or(0),
        is_stray: true,
        ..Taken::default()
    }
}

fn error(code: Code, retry_after: u32) -> Message<'static> {
    Message::Error(PeerError {
        code,
        retry_after,
        text: "",
    })
}
