//! A hub on the test's own thread, over pipes in memory.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use halloo_core::chat::hub::{
    Config, Conn, ConnId, Counters, Hub, Member, Pending, Room, Storage, Transmit,
};
use halloo_core::frame::{Decoder, Framing, Length32};
use halloo_core::time::Instant;
use halloo_core::wire::{Code, MAX_CONTROL, binary};

use super::End;
use super::line::SerialLine;

/// The largest frame that the hub of a test takes.
const FRAME: usize = 2048;

/// The memory of a hub: slots and logs.
#[derive(Debug)]
pub struct HubMemory {
    conns: Vec<Conn>,
    members: Vec<Member>,
    rooms: Vec<Room>,
    bytes: Vec<u8>,
    index: Vec<[u32; 4]>,
    pending: Vec<Pending>,
}

impl HubMemory {
    /// Room for 8 connections, 16 members and 4 rooms with logs of 4 KiB.
    #[must_use]
    pub fn small() -> Self {
        Self::new(8, 16, 4, 4096)
    }

    /// Room for so many connections, members and rooms, each with a log of `log` bytes.
    #[must_use]
    pub fn new(conns: usize, members: usize, rooms: usize, log: usize) -> Self {
        Self {
            conns: vec![Conn::FREE; conns],
            members: vec![Member::FREE; members],
            rooms: vec![Room::FREE; rooms],
            bytes: vec![0; log * rooms],
            index: vec![[0; 4]; rooms * (log / 32).next_power_of_two()],
            pending: vec![Pending::FREE; 16],
        }
    }

    /// A hub over this memory. Each call starts anew, as after a crash that lost everything.
    pub fn hub(&mut self) -> LocalHub<'_> {
        self.hub_with(Config::new(1, [1; 4], 1))
    }

    /// As [`hub`](Self::hub), with limits and a store of your own.
    pub fn hub_with(&mut self, config: Config) -> LocalHub<'_> {
        self.conns.fill(Conn::FREE);
        self.members.fill(Member::FREE);
        self.rooms.fill(Room::FREE);
        let storage = Storage {
            conns: &mut self.conns,
            members: &mut self.members,
            rooms: &mut self.rooms,
            bytes: &mut self.bytes,
            index: &mut self.index,
            pending: &mut self.pending,
        };
        LocalHub {
            hub: Hub::new(config, storage),
            peers: Vec::new(),
            lines: Vec::new(),
        }
    }
}

/// A hub whose every step the test takes.
#[derive(Debug)]
pub struct LocalHub<'m> {
    hub: Hub<'m>,
    peers: Vec<Peer>,
    lines: Vec<SerialLine>,
}

#[derive(Debug)]
struct Peer {
    conn: ConnId,
    end: End,
    rx: Box<Decoder<Length32, FRAME>>,
    tx: Vec<u8>,
    is_over: bool,
}

impl LocalHub<'_> {
    /// A peer connects over a pipe.
    ///
    /// # Panics
    /// If the hub has no connection slot left.
    pub fn attach(&mut self, now: Instant, end: End) -> ConnId {
        let conn = self.hub.connect(now).expect("a free connection slot");
        self.peers.push(Peer {
            conn,
            end,
            rx: Box::new(Decoder::new(Length32::new(FRAME))),
            tx: Vec::new(),
            is_over: false,
        });
        conn
    }

    /// A serial line, with whatever device comes to be at its other end: frames in COBS, and in each
    /// a datagram.
    pub fn attach_serial(&mut self, end: End) {
        self.lines.push(SerialLine::new(end));
    }

    /// The last offset of a room's log; `None` for a room that nobody ever joined.
    #[must_use]
    pub fn head(&self, room: &str) -> Option<u64> {
        self.hub.head(room)
    }

    /// What the hub has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.hub.counters()
    }

    /// Everything once: timers, all that can be read, the commit, all that can be written.
    pub fn turn(&mut self, now: Instant) {
        self.hub.handle_timeout(now);
        for peer in &mut self.peers {
            peer.read(&mut self.hub, now);
        }
        for line in &mut self.lines {
            line.read(&mut self.hub, now);
        }
        self.hub.commit_in_memory();
        for peer in &mut self.peers {
            peer.write(&mut self.hub, now);
        }
        for line in &mut self.lines {
            line.write(&mut self.hub, now);
        }
        for peer in self.peers.extract_if(.., |peer| peer.is_over) {
            self.hub.handle_disconnected(now, peer.conn);
        }
        for mut line in self.lines.extract_if(.., |line| line.is_over) {
            line.hang_up(&mut self.hub, now);
        }
    }
}

impl Peer {
    fn read(&mut self, hub: &mut Hub<'_>, now: Instant) {
        while !self.is_over && self.end.read_ready().is_ok_and(|ready| ready) {
            match self.end.read(self.rx.room()) {
                Ok(0) | Err(_) => self.is_over = true,
                Ok(n) => self.rx.commit(n),
            }
            self.take_frames(hub, now);
        }
    }

    fn take_frames(&mut self, hub: &mut Hub<'_>, now: Instant) {
        loop {
            let message = match self.rx.poll_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => binary::decode(self.rx.bytes(frame)).map_err(|e| e.code()),
                Err(_) => Err(Code::Oversize),
            };
            match message {
                Ok(decoded) => {
                    while hub
                        .handle_message(now, self.conn, &decoded.message)
                        .is_err()
                    {
                        hub.commit_in_memory();
                        write(&mut self.tx, hub, now, self.conn);
                    }
                }
                Err(code) => hub.handle_bad_frame(now, self.conn, code),
            }
        }
    }

    fn write(&mut self, hub: &mut Hub<'_>, now: Instant) {
        loop {
            while !self.tx.is_empty() && self.end.write_ready().is_ok_and(|ready| ready) {
                match self.end.write(&self.tx) {
                    Ok(n) if n > 0 => drop(self.tx.drain(..n)),
                    Ok(_) | Err(_) => {
                        self.is_over = true;
                        return;
                    }
                }
            }
            if !self.tx.is_empty() {
                return;
            }
            match write(&mut self.tx, hub, now, self.conn) {
                Wrote::Something => {}
                Wrote::Nothing => return,
                Wrote::LastWord => {
                    self.is_over = true;
                    return;
                }
            }
        }
    }
}

enum Wrote {
    Something,
    Nothing,
    LastWord,
}

/// Moves the next thing that the hub has for a connection behind the bytes that wait.
fn write(tx: &mut Vec<u8>, hub: &mut Hub<'_>, now: Instant, conn: ConnId) -> Wrote {
    let mut frame = [0; Length32::HEADER + MAX_CONTROL];
    match hub.poll_transmit(now, conn, &mut frame[Length32::HEADER..]) {
        // There is no store.
        Transmit::Idle | Transmit::Stored(_) => Wrote::Nothing,
        Transmit::Close => Wrote::LastWord,
        Transmit::Message(len) => {
            let sealed = Length32::new(FRAME).seal(&mut frame, len);
            tx.extend(&frame[..sealed.unwrap_or(0)]);
            Wrote::Something
        }
        Transmit::Entries(entries) => {
            tx.extend(entries.head);
            tx.extend(entries.tail);
            let sent = entries.sent;
            let rest = hub.handle_sent(now, conn, sent, tx.len());
            debug_assert!(rest.is_empty());
            Wrote::Something
        }
    }
}
