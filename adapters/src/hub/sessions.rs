//! Chat over datagrams: one socket for all sessions, each with its share of a turn.
//!
//! Knows sockets and who waits for them; what a datagram means is for [`Addresses`] to say.

use std::collections::{HashSet, VecDeque};
use std::io;

use halloo_core::chat::hub::{Busy, ConnId, Transmit};

use super::addresses::{Addresses, Place};
use super::desk::Desk;
use super::durable;
use super::listeners::Datagrams;

/// How many datagrams of one socket are taken per turn, and sent to one session.
const SHARE: usize = 64;

/// A datagram that waits, with where it came from or goes to: for the machine to take it, or for the
/// system.
pub(super) type Waiting = (Place, Box<[u8]>);

/// All sessions over datagrams.
#[derive(Debug)]
pub(super) struct Sessions {
    addresses: Addresses,
    ready: VecDeque<ConnId>,
    /// Those that stand there.
    queued: HashSet<ConnId>,
    pub(super) opened: u64,
}

impl Sessions {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self {
            addresses: Addresses::new(key),
            ready: VecDeque::new(),
            queued: HashSet::new(),
            opened: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Whether something is to be sent and the system takes it. One socket that takes nothing, beside
    /// another that would, is waited for and not asked again and again.
    pub(super) fn has_work(&self, sockets: &[Datagrams]) -> bool {
        let takes = |id: &ConnId| {
            let number = self.addresses.place(*id).map(|place| place.socket);
            let socket = number.and_then(|number| sockets.get(number));
            socket.is_none_or(|socket| socket.blocked.is_none())
        };
        self.ready.iter().any(takes)
    }

    /// The machine has something for a connection; `false` if it is not one of these.
    pub(super) fn queue(&mut self, id: ConnId) -> bool {
        if self.addresses.place(id).is_none() {
            return false;
        }
        if self.queued.insert(id) {
            self.ready.push_back(id);
        }
        true
    }

    /// Takes the datagrams that wait at a socket, up to its share of a turn.
    pub(super) fn read(&mut self, desk: &mut Desk<'_>, sockets: &mut [Datagrams], number: usize) {
        let Some(socket) = sockets.get_mut(number) else {
            return;
        };
        if let Some((from, datagram)) = socket.busy.take() {
            // What is not taken after a commit is as good as lost.
            let _ = self.take(desk, socket, from, &datagram);
        }
        for _ in 0..SHARE {
            let mut room = std::mem::take(&mut desk.room);
            let received = socket.socket.recv_from(&mut room);
            let taken = match received {
                Ok((len, address, local)) => {
                    let from = Place {
                        address,
                        socket: number,
                        local,
                    };
                    let taken = self.take(desk, socket, from, &room[..len]);
                    taken.map_err(|Busy| (from, Box::from(&room[..len])))
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    socket.ready = false;
                    Ok(())
                }
                // What became of an earlier datagram; the next is none the worse.
                Err(error) => {
                    tracing::debug!(%error, listener = %socket.endpoint, "a datagram was not read");
                    Ok(())
                }
            };
            desk.room = room;
            match taken {
                Ok(()) if socket.ready => {}
                Ok(()) => return,
                Err(waiting) => {
                    socket.busy = Some(waiting);
                    return;
                }
            }
        }
    }

    fn take(
        &mut self,
        desk: &mut Desk<'_>,
        socket: &mut Datagrams,
        from: Place,
        datagram: &[u8],
    ) -> Result<(), Busy> {
        let (hub, now, out) = (&mut desk.hub, desk.now, &mut desk.out);
        let taken = self.addresses.take(hub, now, from, datagram, out)?;
        self.opened += u64::from(taken.is_new);
        if let Some(id) = taken.session {
            self.queue(id);
        }
        // What belongs to no session waits for nobody.
        if taken.answer > 0 && (!taken.is_stray || socket.blocked.is_none()) {
            let is_sent = socket.send(&desk.out[..taken.answer], from);
            desk.datagrams_dropped += u64::from(!is_sent);
        }
        Ok(())
    }

    /// Sends what the machine owes, each session its share.
    pub(super) fn write(&mut self, desk: &mut Desk<'_>, sockets: &mut [Datagrams]) {
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            self.queued.remove(&id);
            let Some(place) = self.addresses.place(id) else {
                continue;
            };
            let Some(socket) = sockets.get_mut(place.socket) else {
                continue;
            };
            match send_all(desk, socket, id, place) {
                Flow::Idle => {}
                Flow::More => {
                    self.queue(id);
                }
                Flow::Over => {
                    self.addresses.remove(id);
                    desk.hub.handle_disconnected(desk.now, id);
                }
            }
        }
    }

    /// The hub stops: what could not be told is not.
    pub(super) fn clear(&mut self, desk: &mut Desk<'_>) -> usize {
        let left = self.addresses.len();
        for id in self.addresses.take_all() {
            desk.hub.handle_disconnected(desk.now, id);
        }
        left
    }
}

enum Flow {
    Idle,
    More,
    Over,
}

fn send_all(desk: &mut Desk<'_>, socket: &mut Datagrams, id: ConnId, to: Place) -> Flow {
    let now = desk.now;
    for _ in 0..SHARE {
        if socket.blocked.is_some() {
            return Flow::More;
        }
        let len = match desk.hub.poll_transmit(now, id, &mut desk.out) {
            Transmit::Message(len) => len,
            Transmit::Stored(wanted) => match durable::stored_datagram(desk, id, wanted) {
                Some(len) => len,
                // It is a gap or a marker, which the machine says.
                None => continue,
            },
            Transmit::Close => return Flow::Over,
            Transmit::Idle | Transmit::Entries(_) => return Flow::Idle,
        };
        desk.datagrams_dropped += u64::from(!socket.send(&desk.out[..len], to));
    }
    Flow::More
}

impl Datagrams {
    /// Sends a datagram, or keeps it until the system takes it; `false` if it is lost.
    fn send(&mut self, datagram: &[u8], to: Place) -> bool {
        match self.socket.send_to(datagram, to.address, to.local) {
            Ok(_) => true,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && self.blocked.is_none() => {
                self.blocked = Some((to, datagram.into()));
                true
            }
            Err(_) => false,
        }
    }

    /// The system may take something again.
    pub(super) fn unblock(&mut self) {
        if let Some((to, datagram)) = self.blocked.take() {
            self.send(&datagram, to);
        }
    }
}
