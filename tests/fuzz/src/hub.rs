//! The hub's machine under any calls: devices that lie, commits in any portion, crashes.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Result, Unstructured};
use halloo_core::chat::Hub;
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub::{Config, ConnId, Found, Transmit};
use halloo_core::time::{Instant, after, secs};
use halloo_core::wire::{
    ByeReason, Code, DeviceId, Entry, GapReason, Hello, Join, MAX_CONTROL, Message, binary,
};

use crate::message;
use crate::store::{Memory, Store, frames};

/// More than there is to say at once.
const ENOUGH: usize = 400;
const ROOMS: [&[u8]; 4] = [b"lab", b"yard", b"roof", b"cave"];

/// How far the peer of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Since then.
    Greeting(Instant),
    Serving,
    /// Another connection of its device said `Hello`.
    Fenced,
    Over,
}

/// Where a peer stands in a room.
#[derive(Debug, Default)]
struct Seat {
    /// Whether it ever asked for markers.
    wants_markers: bool,
    /// The largest grant since the last `Joined`.
    window: u16,
    /// From its `Joined` on: the room's number, and how far it has read and may read.
    reads: Option<(u32, u64, u64)>,
}

#[derive(Debug)]
struct Peer {
    id: ConnId,
    phase: Phase,
    device: DeviceId,
    nonce: u64,
    credit: u16,
    max_frame: u32,
    seats: BTreeMap<u8, Seat>,
    /// Over datagrams: the session, the last number sent to the hub, and the last that came.
    path: Option<Header>,
}

struct Run {
    store: Store,
    peers: Vec<Peer>,
    now: Instant,
    sessions: BTreeSet<u64>,
    has_store: bool,
    /// What was posted by a connection that was fenced.
    inert: BTreeSet<Vec<u8>>,
    posts: u16,
    starts: u32,
}

/// Runs the machine.
pub fn machine(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut run = Run {
        store: Store::default(),
        peers: Vec::new(),
        now: Instant::from_ticks(0),
        sessions: BTreeSet::new(),
        has_store: u.ratio(3, 4).unwrap_or(true),
        inert: BTreeSet::new(),
        posts: 0,
        starts: 0,
    };
    let window = u.int_in_range(1..=4).unwrap_or(1);
    while !u.is_empty() {
        run.starts += 1;
        run.peers.clear();
        run.store.crash();
        if !run.has_store {
            run.store = Store::default();
        }
        let mut memory = Memory::new();
        let mut hub = memory.hub(Config {
            max_body: 24,
            window,
            run_bytes: 64,
            lifetime: secs(1000),
            has_store: run.has_store,
            ..Config::new(1, [run.starts, 2, 3, 4], 5)
        });
        run.store.restore(&mut hub);
        let mut is_up = true;
        while is_up && !u.is_empty() {
            is_up = run.step(&mut hub, &mut u).unwrap_or(true);
        }
        if is_up {
            run.settle(&mut hub);
        }
    }
}

impl Run {
    /// One step; `false` is a crash.
    fn step(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<bool> {
        match u.int_in_range(0..=23)? {
            0 | 1 => {
                if let Ok(id) = hub.connect(self.now) {
                    self.peers.push(Peer::new(id, self.now));
                    assert!(self.peers.len() <= 5, "S10: more connections than slots");
                    if u.ratio(7, 8)? {
                        self.hello(hub, u, self.peers.len() - 1)?;
                    }
                }
            }
            2 if u.arbitrary()? => self.open_datagram(hub, u)?,
            2 => {
                let Some(at) = self.peer(u)? else {
                    return Ok(true);
                };
                self.hello(hub, u, at)?;
            }
            3 => {
                let Some(at) = self.peer(u)? else {
                    return Ok(true);
                };
                let message = message::any(u)?;
                self.hand_in(hub, u, at, &message)?;
            }
            4..=6 => self.join(hub, u)?,
            7..=11 => self.post(hub, u)?,
            12 => self.credit_or_leave(hub, u)?,
            13 => {
                if let Some(at) = self.peer(u)? {
                    let peer = self.peers.remove(at);
                    hub.handle_disconnected(self.now, peer.id);
                }
            }
            14 | 15 => {
                self.stage(hub);
                let count = u.int_in_range(0..=3)?;
                let count = self.store.sync(count);
                hub.handle_appended(count);
            }
            16..=18 => {
                if let Some(at) = self.peer(u)? {
                    let most = u.int_in_range(0..=8)?;
                    let written = u.arbitrary::<u8>()?;
                    self.drain(hub, at, most, written.into());
                }
            }
            19 => self.settle(hub),
            20 => {
                let jump: u8 = u.arbitrary()?;
                self.now = match jump {
                    0..100 => after(self.now, secs(u64::from(jump))),
                    100..200 => hub.poll_timeout().unwrap_or(self.now).max(self.now),
                    _ => after(self.now, secs(u64::from(jump) * 10)),
                };
                self.timeout(hub);
            }
            21 => {
                if let Some(at) = self.peer(u)? {
                    self.peers[at].end_greeting();
                    let code = Code::from_wire(u.arbitrary()?);
                    hub.handle_bad_frame(self.now, self.peers[at].id, code);
                }
            }
            22 => {
                // A crash, before the sync or after it.
                self.stage(hub);
                let count = u.int_in_range(0..=3)?;
                self.store.sync(count);
                return Ok(false);
            }
            _ => {
                if u.ratio(1, 16)? {
                    hub.shut_down(self.now, ByeReason::Shutdown);
                    self.peers.iter_mut().for_each(Peer::end_greeting);
                }
            }
        }
        Ok(true)
    }

    fn peer(&self, u: &mut Unstructured<'_>) -> Result<Option<usize>> {
        let at: usize = u.int_in_range(0..=3)?;
        Ok(at.checked_rem(self.peers.len()))
    }

    fn hello(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>, at: usize) -> Result<()> {
        let hello = Message::Hello(hello(u)?);
        self.hand_in(hub, u, at, &hello)
    }

    /// A `Hello` whose cookie fits opens a session over datagrams.
    fn open_datagram(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let hello = hello(u)?;
        let header = Header {
            session: hello.nonce,
            number: message::word(u)?,
            seen: 0,
        };
        let back = secs(u.int_in_range(0..=20)?).as_ticks();
        let issued = Instant::from_ticks(self.now.as_ticks().saturating_sub(back));
        let Ok(id) = hub.open_datagram(self.now, issued, &header, &hello) else {
            return Ok(());
        };
        let session = hub.session(id).expect("it was opened");
        if self.peers.iter().any(|peer| peer.id == id) {
            // It is the one that it opened before.
            return Ok(());
        }
        self.peers.push(Peer {
            path: Some(Header { session, ..header }),
            ..Peer::new(id, self.now)
        });
        assert!(self.peers.len() <= 5, "S10: more connections than slots");
        self.opened(self.peers.len() - 1, &hello);
        Ok(())
    }

    /// The peer has a session, and no other of its device has one.
    fn opened(&mut self, at: usize, hello: &Hello<'_>) {
        for peer in &mut self.peers {
            if peer.phase == Phase::Serving && peer.device == hello.device {
                peer.phase = Phase::Fenced;
            }
        }
        let peer = &mut self.peers[at];
        peer.phase = Phase::Serving;
        peer.device = hello.device;
        peer.nonce = hello.nonce;
        peer.credit = hello.credit;
        peer.max_frame = hello.max_frame;
    }

    fn join(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.peer(u)? else {
            return Ok(());
        };
        let join = Join {
            slot: u.int_in_range(0..=1)?,
            flags: u.int_in_range(0..=3)?,
            cursor: *u.choose(&[0, 0, 1, 5, Join::LATEST])?,
            history: *u.choose(&[u32::MAX, u32::MAX, 2])?,
            room: u.choose(&ROOMS)?,
            name: b"dev",
        };
        self.hand_in(hub, u, at, &Message::Join(join))
    }

    fn post(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.peer(u)? else {
            return Ok(());
        };
        let slot = u.int_in_range(0..=1)?;
        let peer = &self.peers[at];
        let room = peer.seats.get(&slot).and_then(|seat| seat.reads);
        let up_seq = room.map_or(0, |(room, ..)| self.store.stand(room, peer.device).up_seq);
        // The next one more often than not, after those on their way.
        let seq = up_seq.wrapping_add(u.int_in_range(0..=4)?);
        self.posts += 1;
        let mut body = self.posts.to_be_bytes().to_vec();
        body.resize(*u.choose(&[2, 2, 8, 24, 25])?, 0);
        if peer.phase == Phase::Fenced {
            self.inert.insert(body.clone());
        }
        let body = &body;
        self.hand_in(hub, u, at, &Message::Post { slot, seq, body })
    }

    fn credit_or_leave(&mut self, hub: &mut Hub<'_>, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.peer(u)? else {
            return Ok(());
        };
        let slot = u.int_in_range(0..=1)?;
        let cursor = match self.peers[at].seats.get(&slot).and_then(|seat| seat.reads) {
            Some((_, cursor, _)) => cursor,
            None => return Ok(()),
        };
        let message = match u.int_in_range(0..=3)? {
            0 => Message::Leave { slot },
            _ => Message::Credit {
                slot,
                cursor,
                window: u.int_in_range(0..=8)?,
            },
        };
        self.hand_in(hub, u, at, &message)
    }

    /// A message arrives; what is known of its sender follows.
    fn hand_in(
        &mut self,
        hub: &mut Hub<'_>,
        u: &mut Unstructured<'_>,
        at: usize,
        message: &Message<'_>,
    ) -> Result<()> {
        let id = self.peers[at].id;
        let was_taken = match &mut self.peers[at].path {
            None => hub.handle_message(self.now, id, message).map(|()| true),
            Some(path) => {
                path.number = path.number.wrapping_add(u.int_in_range(0..=2)?);
                let seen = path.seen.wrapping_sub(u.int_in_range(0..=3)?);
                let header = Header { seen, ..*path };
                hub.handle_datagram(self.now, id, &header, message)
            }
        };
        if was_taken != Ok(true) {
            return Ok(());
        }
        let peer = &mut self.peers[at];
        match (peer.phase, message) {
            (Phase::Greeting(_), Message::Unknown { .. }) => {}
            (Phase::Greeting(_), Message::Hello(hello)) if is_good(hello) => {
                self.opened(at, hello);
            }
            (Phase::Greeting(_), _) => peer.phase = Phase::Over,
            (Phase::Serving, Message::Join(join)) => {
                let seat = peer.seats.entry(join.slot).or_default();
                seat.wants_markers |= join.flags & Join::OWN_BODIES == 0;
            }
            (Phase::Serving, Message::Leave { slot }) => {
                peer.seats.remove(slot);
            }
            (
                Phase::Serving,
                Message::Credit {
                    slot,
                    cursor,
                    window,
                },
            ) => {
                if let Some(seat) = peer.seats.get_mut(slot) {
                    seat.window = seat.window.max(*window);
                    if let Some((_, read, limit)) = &mut seat.reads {
                        let grant = (*cursor).min(*read).saturating_add((*window).into());
                        *limit = grant.max(*limit);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn stage(&mut self, hub: &mut Hub<'_>) {
        self.store.stage(hub);
        let inert = |body: &[u8]| self.inert.contains(body);
        let has_inert = self.store.staged_bodies().any(inert);
        assert!(!has_inert, "S8: a fenced session has posted");
    }

    fn timeout(&mut self, hub: &mut Hub<'_>) {
        hub.handle_timeout(self.now);
        for peer in &mut self.peers {
            if let Phase::Greeting(since) = peer.phase
                && after(since, secs(10)) <= self.now
            {
                peer.phase = Phase::Over;
            }
        }
    }

    /// All is committed and said, and nothing is left to do before the next deadline.
    fn settle(&mut self, hub: &mut Hub<'_>) {
        for turn in 0.. {
            self.stage(hub);
            let count = self.store.sync(usize::MAX);
            hub.handle_appended(count);
            self.timeout(hub);
            let mut ready = Vec::new();
            while let Some(id) = hub.poll_ready() {
                assert!(ready.len() < ENOUGH, "no end of connections");
                ready.push(id);
            }
            if ready.is_empty() && count == 0 {
                break;
            }
            assert!(turn < ENOUGH, "the hub comes to no rest");
            for id in ready {
                if let Some(at) = self.peers.iter().position(|peer| peer.id == id) {
                    self.drain(hub, at, ENOUGH, usize::MAX);
                }
            }
        }
        let due = hub.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "busy at {due:?}");
    }

    /// Takes up to `most` pieces of what is owed to a peer; of runs, up to `written` bytes.
    fn drain(&mut self, hub: &mut Hub<'_>, at: usize, most: usize, written: usize) {
        let (id, now) = (self.peers[at].id, self.now);
        let mut out = [0; 256];
        for turn in 0..most {
            assert!(turn + 1 < ENOUGH, "no end of things to say");
            match hub.poll_transmit(now, id, &mut out) {
                Transmit::Idle => return,
                Transmit::Close => {
                    self.peers.remove(at);
                    return hub.handle_disconnected(now, id);
                }
                Transmit::Message(len) => self.heard(at, &out[..len]),
                Transmit::Entries(run) => {
                    let mut bytes = [run.head, run.tail].concat();
                    let sent = run.sent;
                    bytes.truncate(written);
                    let rest = hub.handle_sent(now, id, sent, bytes.len());
                    bytes.extend_from_slice(rest);
                    if bytes.is_empty() {
                        return;
                    }
                    for frame in frames(&bytes) {
                        self.heard(at, frame);
                    }
                }
                Transmit::Stored(wanted) => {
                    assert!(self.has_store && wanted.last >= wanted.first);
                    let kept = &self.store.log(wanted.room)[wanted.first as usize - 1];
                    if wanted.own == Some(kept.device) {
                        hub.handle_found(now, id, wanted, Found::Own);
                    } else if kept.frame.len() > wanted.longest {
                        hub.handle_found(now, id, wanted, Found::TooLarge);
                    } else {
                        let frame = kept.frame.clone();
                        if self.peers[at].path.is_some() {
                            let len = hub.stored_datagram(now, id, wanted, &frame, &mut out);
                            self.heard(at, &out[..len.expect("it is wanted")]);
                        } else {
                            hub.handle_stored(now, id, wanted, wanted.first);
                            self.heard(at, &frame[4..]);
                        }
                    }
                }
            }
        }
    }

    /// The bytes of a message or of a datagram reach a peer.
    fn heard(&mut self, at: usize, mut bytes: &[u8]) {
        let peer = &mut self.peers[at];
        let mut tag = None;
        if let Some(path) = &mut peer.path {
            let (header, rest) = Header::decode(bytes).expect("S12: a hub speaks well");
            assert!(header.number > path.seen, "F-DGRAM-4");
            path.seen = header.number;
            tag = Some((header.session, path.session));
            bytes = rest;
        }
        let decoded = binary::decode(bytes).expect("S12: a hub speaks well");
        match tag {
            Some((tag, _)) if matches!(decoded.message, Message::Welcome(_)) => {
                assert_eq!(tag, peer.nonce, "F-DGRAM-3");
            }
            Some((tag, session)) => assert_eq!(tag, session, "F-DGRAM-3"),
            None => {}
        }
        self.said(at, &decoded.message, bytes.len());
    }

    fn said(&mut self, at: usize, message: &Message<'_>, len: usize) {
        let peer = &mut self.peers[at];
        if matches!(message, Message::Error(_) | Message::Bye(_)) {
            peer.phase = Phase::Over;
            return;
        }
        assert_eq!(peer.phase, Phase::Serving, "S8: {message:?}");
        assert!(len <= peer.max_frame as usize, "L-FRAME-2: {message:?}");
        let (device, most) = (peer.device, peer.max_frame as usize);
        let is_datagram = peer.path.is_some();
        match message {
            Message::Welcome(welcome) => {
                assert_eq!(welcome.nonce, peer.nonce);
                let is_new = self.sessions.insert(welcome.session);
                assert!(is_new || peer.path.is_some(), "a session again");
            }
            Message::Joined(joined) => {
                let seat = peer.seats.get_mut(&joined.slot);
                let seat = seat.expect("S11: joined and did not ask");
                let stand = self.store.stand(joined.room, device);
                let told = (joined.up_seq, joined.rejects);
                assert_eq!(told, (stand.up_seq, stand.rejects), "D-5");
                let head = self.store.log(joined.room).len() as u64;
                assert_eq!(joined.head, head, "S6");
                assert!(joined.start <= head);
                let limit = joined.start + u64::from(peer.credit.max(seat.window));
                seat.window = 0;
                seat.reads = Some((joined.room, joined.start, limit));
            }
            // A join is refused.
            Message::Reject { seq: 0, .. } => {}
            Message::Ack {
                slot,
                up_seq,
                rejects,
            } => {
                let (room, ..) = peer.reads(*slot);
                let stand = self.store.stand(room, device);
                let told = (*up_seq, *rejects);
                assert_eq!(told, (stand.up_seq, stand.rejects), "S1");
            }
            Message::Reject { slot, seq, code } => {
                let (room, ..) = peer.reads(*slot);
                let stand = self.store.stand(room, device);
                let back = stand.up_seq.wrapping_sub(*seq);
                assert_eq!(*code, Code::TooLarge);
                assert!(back >= 32 || stand.rejects >> back & 1 == 1, "S9");
            }
            Message::Entry(entry) => self.entry(at, entry),
            Message::Gap(gap) => {
                let log = self.store.log(peer.reads(gap.slot).0);
                let (_, cursor, limit) = peer.reads(gap.slot);
                let is_next = gap.from == *cursor + 1;
                assert!(is_next || is_datagram && gap.from <= *cursor, "S5");
                assert!(
                    gap.from <= gap.to && gap.to <= log.len() as u64,
                    "S6: {gap:?}"
                );
                match gap.reason {
                    GapReason::Retention => assert!(!self.has_store, "all is kept: {gap:?}"),
                    GapReason::TooLarge => {
                        let kept = &log[gap.from as usize - 1];
                        assert!(kept.frame.len() - 4 > most, "{gap:?}");
                    }
                    _ => {}
                }
                *limit += gap.to.saturating_sub(*cursor);
                *cursor = gap.to.max(*cursor);
            }
            Message::Notice(notice) => {
                peer.reads(notice.slot);
            }
            Message::Roster(roster) => {
                assert!(peer.seats.contains_key(&roster.slot), "S11");
            }
            _ => {}
        }
    }

    fn entry(&mut self, at: usize, entry: &Entry<'_>) {
        let peer = &mut self.peers[at];
        let (device, is_datagram) = (peer.device, peer.path.is_some());
        let mut seats = peer.seats.values_mut();
        let seat = seats.find(|seat| seat.reads.is_some_and(|(room, ..)| room == entry.room));
        let seat = seat.expect("S11: an entry of a room that it is not in");
        let wants_markers = seat.wants_markers;
        let Some((_, cursor, limit)) = &mut seat.reads else {
            return;
        };
        // What was lost comes again.
        let is_again = is_datagram && entry.offset <= *cursor;
        assert!(is_again || entry.offset == *cursor + 1, "S5");
        assert!(entry.offset <= *limit, "S10: beyond the credit of {limit}");
        *cursor = entry.offset.max(*cursor);
        let kept = self.store.log(entry.room).get(entry.offset as usize - 1);
        let kept = kept.expect("S6: shown before its commit");
        if entry.flags & Entry::OWN != 0 {
            let is_own = kept.device == device && wants_markers;
            assert!(is_own, "a marker for {kept:?}");
        } else {
            assert_eq!(entry.body, kept.body, "S5");
        }
    }
}

impl Peer {
    fn new(id: ConnId, now: Instant) -> Self {
        Self {
            id,
            phase: Phase::Greeting(now),
            device: [0; 16],
            nonce: 0,
            credit: 0,
            max_frame: 0,
            seats: BTreeMap::new(),
            path: None,
        }
    }

    fn end_greeting(&mut self) {
        if let Phase::Greeting(_) = self.phase {
            self.phase = Phase::Over;
        }
    }

    /// Room, cursor and limit of a slot.
    fn reads(&mut self, slot: u8) -> (u32, &mut u64, &mut u64) {
        let reads = self
            .seats
            .get_mut(&slot)
            .and_then(|seat| seat.reads.as_mut());
        let (room, cursor, limit) = reads.expect("S11: of a room that it is not in");
        (*room, cursor, limit)
    }
}

fn hello(u: &mut Unstructured<'_>) -> Result<Hello<'static>> {
    Ok(Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: u.int_in_range(0..=1)?,
        nonce: u.arbitrary::<u16>()?.into(),
        device: [u.int_in_range(1..=3)?; 16],
        max_frame: *u.choose(&[512, 512, 160])?,
        credit: *u.choose(&[64, 3, 1, 0])?,
        keepalive: *u.choose(&[0, 60])?,
        proof: &[],
        cookie: None,
    })
}

fn is_good(hello: &Hello<'_>) -> bool {
    (hello.version_min..=hello.version_max).contains(&1)
        && hello.suite == 0
        && hello.max_frame as usize >= MAX_CONTROL
}
