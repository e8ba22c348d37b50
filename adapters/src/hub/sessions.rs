//! Chat over datagrams: which session is at which address, and one socket for all of them.
//!
//! Knows addresses and cookies; the numbers in front of the messages are the machine's. Nothing is
//! kept for an address before it has sent a cookie back.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;

use halloo_core::chat::datagram::{Header, MIN_ANSWERED, MIN_HELLO, answer};
use halloo_core::chat::hub::{Busy, ConnId, NotOpened, Transmit};
use halloo_core::wire::{self, Code, Hello, Message, PeerError};

use super::cookie::Cookies;
use super::desk::Desk;
use super::durable;
use super::listeners::Datagrams;

/// How many datagrams of one socket are taken per turn, and sent to one session.
const SHARE: usize = 64;

/// A session and where it is.
#[derive(Debug)]
struct Peer {
    id: ConnId,
    session: u64,
    address: SocketAddr,
    /// The number of the socket.
    socket: usize,
    is_queued: bool,
}

/// A datagram that waits: for the machine to take it, or for the system.
pub(super) type Waiting = (SocketAddr, Box<[u8]>);

/// All sessions over datagrams.
#[derive(Debug)]
pub(super) struct Sessions {
    cookies: Cookies,
    /// By session number, the machine's place; by that, the peer.
    places: HashMap<u64, usize>,
    peers: HashMap<usize, Peer>,
    ready: VecDeque<usize>,
    pub(super) opened: u64,
}

impl Sessions {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self {
            cookies: Cookies::new(key),
            places: HashMap::new(),
            peers: HashMap::new(),
            ready: VecDeque::new(),
            opened: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Whether something is to be sent and the system takes it. One socket that takes nothing, beside
    /// another that would, is waited for and not asked again and again.
    pub(super) fn has_work(&self, sockets: &[Datagrams]) -> bool {
        let takes = |place: &usize| {
            let number = self.peers.get(place).map(|peer| peer.socket);
            let socket = number.and_then(|number| sockets.get(number));
            socket.is_none_or(|socket| socket.blocked.is_none())
        };
        self.ready.iter().any(takes)
    }

    /// The machine has something for a connection; `false` if it is not one of these.
    pub(super) fn queue(&mut self, id: ConnId) -> bool {
        let Some(peer) = self.peers.get_mut(&id.index()).filter(|peer| peer.id == id) else {
            return false;
        };
        if !std::mem::replace(&mut peer.is_queued, true) {
            self.ready.push_back(id.index());
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
            let _ = self.take(desk, socket, number, from, &datagram);
        }
        for _ in 0..SHARE {
            let mut room = std::mem::take(&mut desk.room);
            let received = socket.socket.recv_from(&mut room);
            let taken = match received {
                Ok((len, from)) => {
                    let taken = self.take(desk, socket, number, from, &room[..len]);
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
        number: usize,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Busy> {
        let Some((header, bytes)) = Header::decode(datagram) else {
            return Ok(());
        };
        let Ok(decoded) = wire::binary::decode(bytes) else {
            return Ok(());
        };
        let message = decoded.message;
        if let Message::Hello(hello) = &message
            && hello.nonce == header.session
        {
            if bytes.len() >= MIN_HELLO {
                self.greet(desk, socket, number, from, (&header, hello));
            }
            return Ok(());
        }
        let place = self.places.get(&header.session);
        let Some(peer) = place.and_then(|place| self.peers.get_mut(place)) else {
            let is_last_word = matches!(message, Message::Error(_) | Message::Bye(_));
            if datagram.len() >= MIN_ANSWERED && !is_last_word {
                say(desk, socket, from, &header, &error(Code::NoSession, 0));
            }
            return Ok(());
        };
        let (now, id) = (desk.now, peer.id);
        let is_taken = desk.hub.handle_datagram(now, id, &header, &message)?;
        if is_taken && (from, number) != (peer.address, peer.socket) {
            // It may have moved, or somebody replays it: who answers from there is there.
            let token = self.cookies.token(from, peer.session);
            if message == (Message::Pong { token }) {
                tracing::debug!(session = peer.session, %from, "a session has moved");
                (peer.address, peer.socket) = (from, number);
                self.queue(id);
            } else if let Some(len) = desk.hub.ping_datagram(now, id, token, &mut desk.out) {
                desk.datagrams_dropped += u64::from(!socket.send(&desk.out[..len], from));
            }
        }
        Ok(())
    }

    /// Answers a `Hello`: one without a cookie that fits is told one, and nothing is kept of it.
    fn greet(
        &mut self,
        desk: &mut Desk<'_>,
        socket: &mut Datagrams,
        number: usize,
        from: SocketAddr,
        (header, hello): (&Header, &Hello<'_>),
    ) {
        let now = desk.now;
        let Some(issued) = self.cookies.check(now, from, hello) else {
            let cookie = self.cookies.make(now, from, hello);
            return say(desk, socket, from, header, &Message::Retry { cookie });
        };
        let id = match desk.hub.open_datagram(now, issued, header, hello) {
            Ok(id) => id,
            Err(NotOpened::Refused(code)) => {
                let error = error(code, desk.hub.retry_after(code));
                return say(desk, socket, from, header, &error);
            }
            Err(_) => return,
        };
        let Some(session) = desk.hub.session(id) else {
            return;
        };
        let is_new = self.places.insert(session, id.index()).is_none();
        if is_new {
            self.opened += 1;
            tracing::debug!(session, %from, "session opened over datagrams");
        }
        let is_queued = !is_new && self.peers.get(&id.index()).is_some_and(|p| p.is_queued);
        let peer = Peer {
            id,
            session,
            address: from,
            socket: number,
            is_queued,
        };
        self.peers.insert(id.index(), peer);
        self.queue(id);
    }

    /// Sends what the machine owes, each session its share.
    pub(super) fn write(&mut self, desk: &mut Desk<'_>, sockets: &mut [Datagrams]) {
        for _ in 0..self.ready.len() {
            let Some(place) = self.ready.pop_front() else {
                return;
            };
            let Some(peer) = self.peers.get_mut(&place) else {
                continue;
            };
            peer.is_queued = false;
            let Some(socket) = sockets.get_mut(peer.socket) else {
                continue;
            };
            match send_all(desk, socket, peer) {
                Flow::Idle => {}
                Flow::More => {
                    let id = peer.id;
                    self.queue(id);
                }
                Flow::Over => {
                    let id = peer.id;
                    self.places.remove(&peer.session);
                    self.peers.remove(&place);
                    desk.hub.handle_disconnected(desk.now, id);
                }
            }
        }
    }

    /// The hub stops: what could not be told is not.
    pub(super) fn clear(&mut self, desk: &mut Desk<'_>) -> usize {
        let left = self.peers.len();
        for peer in self.peers.values() {
            desk.hub.handle_disconnected(desk.now, peer.id);
        }
        self.peers.clear();
        self.places.clear();
        left
    }
}

enum Flow {
    Idle,
    More,
    Over,
}

fn send_all(desk: &mut Desk<'_>, socket: &mut Datagrams, peer: &Peer) -> Flow {
    let (now, id) = (desk.now, peer.id);
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
        desk.datagrams_dropped += u64::from(!socket.send(&desk.out[..len], peer.address));
    }
    Flow::More
}

/// Says what belongs to no session.
fn say(
    desk: &mut Desk<'_>,
    socket: &mut Datagrams,
    from: SocketAddr,
    header: &Header,
    message: &Message<'_>,
) {
    let mut out = [0; MIN_HELLO];
    if socket.blocked.is_none()
        && let Some(len) = answer(header, message, &mut out)
    {
        desk.datagrams_dropped += u64::from(!socket.send(&out[..len], from));
    }
}

fn error(code: Code, retry_after: u32) -> Message<'static> {
    Message::Error(PeerError {
        code,
        retry_after,
        text: "",
    })
}

impl Datagrams {
    /// Sends a datagram, or keeps it until the system takes it; `false` if it is lost.
    fn send(&mut self, datagram: &[u8], to: SocketAddr) -> bool {
        match self.socket.send_to(datagram, to) {
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
