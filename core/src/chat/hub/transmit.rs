//! What the hub says to a connection: messages that are owed, then runs of the log.

use super::links::{At, NONE};
use super::slots::{LastWord, Member, Owed, Phase, Presence, Room};
use super::store::{Found, Wanted};
use super::{ConnId, Hub, Parting};
use crate::chat::datagram;
use crate::chat::log::{FRAME_HEADER, Run};
use crate::mutant;
use crate::time::Instant;
use crate::wire::{
    self, Bye, ByeReason, Entry, Gap, GapReason, Join, Joined, Lineage, MAX_LINEAGE, Message,
    PeerError, VERSION, Welcome,
};

/// What is to be sent to a connection.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transmit<'a> {
    /// Nothing now.
    Idle,
    /// The message that the first so many bytes of `out` hold, not framed yet. It counts as sent:
    /// the caller frames it and owes it to the peer from here on.
    Message(usize),
    /// Entries, as they lie in the log. They count as sent only by `handle_sent`.
    Entries(Entries<'a>),
    /// Entries that only the store has: read them, and tell `handle_stored` what came of it.
    Stored(Wanted),
    /// Close the connection once everything given before is written, then `handle_disconnected`.
    Close,
}

/// A run of `Length32` frames out of a room's log, in two pieces: write `head`, then `tail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entries<'a> {
    /// The first frames.
    pub head: &'a [u8],
    /// The frames after them; often empty.
    pub tail: &'a [u8],
    /// What `handle_sent` wants back.
    pub sent: Sent,
}

/// Names the entries that were offered; without a borrow, so that it outlives the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sent {
    pub(super) member: u32,
    pub(super) room: u32,
    pub(super) first: u64,
    last: u64,
    len: usize,
}

/// The entries that a connection gets next.
enum Next {
    Run(Sent),
    Stored(Wanted),
}

/// What a member was told, and what that changes.
#[derive(Clone, Copy)]
enum Told {
    Joined { presence: u32 },
    Reject,
    Ack,
    Gap { to: u64 },
    Notice { version: u32, is_last: bool },
    Own { offset: u64 },
}

impl Hub<'_> {
    /// What to send to this connection next; ask until it is idle.
    ///
    /// `out` takes one message: [`MAX_CONTROL`](wire::MAX_CONTROL) bytes are enough for all on a
    /// stream, whose messages are not framed yet. Over datagrams `Message` is a whole datagram, of
    /// an entry too: there `out` takes the largest entry and 16 bytes in front of it. On both,
    /// more let a `Roster` carry more names. Work: linear in the rooms of the device; for a device
    /// that gets markers for its own posts, in the entries of one run; for a `Roster`, in its bytes
    /// and in at most 1,024 members.
    pub fn poll_transmit(&mut self, now: Instant, id: ConnId, out: &mut [u8]) -> Transmit<'_> {
        let Some(at) = self.conn_at(id) else {
            return Transmit::Close;
        };
        let now = self.tick(now);
        if self.is_datagram(at) {
            return self.transmit_datagram(now, at, out);
        }
        let phase = self.storage.conns.get(at as usize).map(|conn| conn.phase);
        let next = match phase {
            Some(Phase::Serving) => match self.next_message(at, out) {
                Some(len) => {
                    self.spoke(at, now);
                    return Transmit::Message(len);
                }
                None => self.in_turn(at, |hub, member| {
                    let run = hub.run_of(member).map(Next::Run);
                    run.or_else(|| hub.wanted(member).map(Next::Stored))
                }),
            },
            Some(Phase::Parting { last, .. }) => return self.say_last(at, last, out),
            Some(Phase::Closed) | None => return Transmit::Close,
            Some(Phase::Free | Phase::Greeting { .. }) => None,
        };
        // The run is found first and borrowed now: a borrow could not leave the search for it.
        let sent = match next {
            Some(Next::Run(sent)) => sent,
            Some(Next::Stored(wanted)) => return Transmit::Stored(wanted),
            None => return Transmit::Idle,
        };
        match self.borrow_run(sent) {
            Some(entries) => Transmit::Entries(entries),
            None => Transmit::Idle,
        }
    }

    /// The connection took the first `written` bytes of the entries that `sent` names.
    ///
    /// Gives back what is missing of the last frame that was begun: the caller keeps these bytes
    /// and writes them before anything else. Entries of which nothing was written are offered
    /// again. To be called right after the write: should an append in between have taken the entry
    /// that was begun out of the log, the connection is closed.
    pub fn handle_sent(&mut self, now: Instant, id: ConnId, sent: Sent, written: usize) -> &[u8] {
        let Some(at) = self.conn_at(id) else {
            return &[];
        };
        let now = self.tick(now);
        let Some(member) = self.storage.members.get(sent.member as usize) else {
            return &[];
        };
        if written == 0 {
            return &[];
        }
        // The member may have left since, have been seated elsewhere or be another by now: then only
        // the bytes of the frame that was begun are still its business.
        let room = sent.room;
        let is_current = member.presence == Presence::Here { conn: at }
            && member.room == room
            && member.cursor.saturating_add(1) == sent.first;
        self.spoke(at, now);
        let log = self.storage.rooms.get(room as usize).map(|room| room.log);
        if written < sent.len && log.is_none_or(|log| log.first() > sent.first) {
            self.end_session(at, now, Parting::Lost);
            self.close(at);
            return &[];
        }
        let is_whole = written >= sent.len;
        let (last, missing) = match is_whole {
            true => (sent.last, 0),
            false => self.last_begun(sent, written),
        };
        if is_current && let Some(member) = self.storage.members.get_mut(sent.member as usize) {
            member.cursor = last;
            let count = last.saturating_sub(sent.first).saturating_add(1);
            self.counters.delivered = self.counters.delivered.saturating_add(count);
        }
        if is_whole {
            return &[];
        }
        // The rest of the run is still there to be sent.
        self.queue(at);
        let frame = log.and_then(|log| log.frame(self.log_view(room), last));
        let frame = frame.unwrap_or_default();
        let done = frame.len().saturating_sub(missing);
        frame.get(done..).unwrap_or_default()
    }

    /// The last entry of which a byte was written, and how many of its bytes were not.
    fn last_begun(&self, sent: Sent, written: usize) -> (u64, usize) {
        let view = self.log_view(sent.room);
        let room = self.storage.rooms.get(sent.room as usize);
        let log = room.map(|room| room.log);
        let mut end = 0_usize;
        for offset in sent.first..=sent.last {
            let len = log.and_then(|log| log.frame_len(view, offset)).unwrap_or(0);
            end = end.saturating_add(len);
            if end >= written {
                return (offset, end.saturating_sub(written));
            }
        }
        (sent.last, 0)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn spoke(&mut self, at: u32, now: Instant) {
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            conn.spoke = now;
        }
    }

    pub(super) fn say_last(&mut self, at: u32, last: LastWord, out: &mut [u8]) -> Transmit<'_> {
        let message = match last {
            LastWord::Error(code) => Message::Error(PeerError {
                code,
                retry_after: self.retry_after(code),
                text: "",
            }),
            LastWord::Bye(reason) => Message::Bye(Bye {
                reason,
                retry_after: match reason {
                    ByeReason::Shutdown | ByeReason::Storage => self.stay_away(),
                    _ => 0,
                },
            }),
        };
        if let Some(conn) = self.storage.conns.get_mut(at as usize) {
            conn.phase = Phase::Closed;
        }
        self.queue(at);
        match wire::binary::encode_to_device(&message, out) {
            Some(len) => Transmit::Message(len),
            None => Transmit::Close,
        }
    }

    /// Encodes the next message that is owed.
    pub(super) fn next_message(&mut self, at: u32, out: &mut [u8]) -> Option<usize> {
        if let Some(len) = self.next_of_conn(at, out) {
            return Some(len);
        }
        let mut next = self.storage.conns.get(at as usize)?.members.first();
        while let Some(member) = next {
            if let Some(len) = self.next_of_member(member, out) {
                return Some(len);
            }
            next = self.storage.members.get(member as usize)?.in_conn.next();
        }
        self.roster(at, out)
    }

    fn next_of_conn(&mut self, at: u32, out: &mut [u8]) -> Option<usize> {
        if self.storage.conns.get(at as usize)?.owed == Owed::NOTHING {
            return None;
        }
        let max_body = self.most_body(at);
        let config = &self.config;
        let conn = self.storage.conns.get_mut(at as usize)?;
        let owed = conn.owed;
        let mut lineage = [0; 4 * MAX_LINEAGE];
        let (what, message) = if owed.has(Owed::WELCOME) {
            let welcome = Welcome {
                version: VERSION,
                suite: 0,
                flags: 0,
                nonce: conn.nonce,
                session: conn.session,
                store: config.store,
                generation: config.generation,
                keepalive: conn.keepalive,
                max_body,
                window: match conn.path {
                    Some(_) => config.window.min(datagram::WINDOW),
                    None => config.window,
                },
                proof: &[],
                lineage: Lineage::write(self.lineage, &mut lineage),
            };
            (Owed::WELCOME, Message::Welcome(welcome))
        } else if owed.has(Owed::PONG) {
            (Owed::PONG, Message::Pong { token: conn.pong })
        } else if owed.has(Owed::ECHO) {
            let (token, bytes) = (conn.echo_token, conn.echo.as_slice());
            (Owed::ECHO, Message::EchoReply { token, bytes })
        } else if owed.has(Owed::REFUSAL) {
            let (slot, code) = conn.refusal;
            (Owed::REFUSAL, Message::Reject { slot, seq: 0, code })
        } else if owed.has(Owed::PING) {
            (Owed::PING, Message::Ping { token: 0 })
        } else {
            return None;
        };
        let len = wire::binary::encode_to_device(&message, out)?;
        conn.owed.clear(what);
        Some(len)
    }

    fn next_of_member(&mut self, at: u32, out: &mut [u8]) -> Option<usize> {
        let member = self.storage.members.get(at as usize)?;
        let room = self.storage.rooms.get(member.room as usize)?;
        if member.owed == Owed::NOTHING && member.cursor >= room.log.head() {
            return None;
        }
        let (told, message) = self.owed_to(at, member, room)?;
        let len = wire::binary::encode_to_device(&message, out)?;
        self.told(at, told);
        Some(len)
    }

    fn owed_to(&self, at: u32, member: &Member, room: &Room) -> Option<(Told, Message<'_>)> {
        let (slot, owed) = (member.slot, member.owed);
        if owed.has(Owed::JOINED) {
            // What a crash could take back must not be told (rule D-5).
            let is_early = mutant::is("joined before commit");
            if member.up_seq != member.up_committed && !is_early {
                return None;
            }
            let joined = Joined {
                slot,
                room: member.room,
                up_seq: match is_early {
                    true => member.up_seq,
                    false => member.up_committed,
                },
                rejects: member.committed_rejects(),
                start: member.cursor,
                head: room.log.head(),
                members: room.present,
                presence: room.presence,
            };
            let told = Told::Joined {
                presence: room.presence,
            };
            return Some((told, Message::Joined(joined)));
        }
        if owed.has(Owed::REJECT) {
            let (seq, code) = member.reject;
            return Some((Told::Reject, Message::Reject { slot, seq, code }));
        }
        if owed.has(Owed::ACK) && !self.holds_ack(at) {
            let ack = Message::Ack {
                slot,
                up_seq: member.up_committed,
                rejects: member.committed_rejects(),
            };
            return Some((Told::Ack, ack));
        }
        if let Some(gap) = self.gap(at) {
            return Some((Told::Gap { to: gap.to }, Message::Gap(gap)));
        }
        if owed.has(Owed::NOTICE)
            && let Some(notice) = self.next_notice(member, room)
        {
            let told = Told::Notice {
                version: notice.version,
                is_last: notice.version == room.presence,
            };
            return Some((told, Message::Notice(notice)));
        }
        let offset = self.next_own(at)?;
        let marker = Entry {
            room: member.room,
            offset,
            flags: Entry::OWN,
            from: "",
            body: &[],
        };
        Some((Told::Own { offset }, Message::Entry(marker)))
    }

    /// A member was told what it was owed.
    fn told(&mut self, at: u32, told: Told) {
        let is_tracked = match told {
            Told::Gap { .. } | Told::Own { .. } => self.track(at),
            _ => false,
        };
        let Some(member) = self.storage.members.get_mut(at as usize) else {
            return;
        };
        match told {
            Told::Joined { presence } => {
                member.presence_seen = presence;
                member.owed.clear(Owed::JOINED);
                member.owed.clear(Owed::NOTICE);
                member.owed.clear(Owed::ACK);
            }
            Told::Reject => member.owed.clear(Owed::REJECT),
            Told::Ack => member.owed.clear(Owed::ACK),
            Told::Gap { to } => {
                if !is_tracked {
                    // A gap takes no credit (rule D-GAP-2).
                    let length = to.saturating_sub(member.cursor);
                    member.limit = member.limit.saturating_add(length);
                }
                member.cursor = to;
                member.found = Found::Entries;
                super::count(&mut self.counters.gaps);
            }
            Told::Notice { version, is_last } => {
                member.presence_seen = version;
                if is_last {
                    member.owed.clear(Owed::NOTICE);
                }
            }
            Told::Own { offset } => {
                member.cursor = offset;
                member.found = Found::Entries;
                super::count(&mut self.counters.delivered);
            }
        }
    }

    /// The entries that a member misses for good: too old, too large for it, or passed over.
    fn gap(&self, at: u32) -> Option<Gap> {
        let member = self.storage.members.get(at as usize)?;
        let room = self.storage.rooms.get(member.room as usize)?;
        let log = room.log;
        let from = member.cursor.saturating_add(1);
        let gap = |to, reason| Gap {
            slot: member.slot,
            from,
            to,
            reason,
        };
        if member.cursor < member.history_from {
            return Some(gap(member.history_from, GapReason::History));
        }
        // What it misses, it is told once it has credit; else each post may be a gap for a device
        // that only posts (rule D-GAP-5).
        if member.limit <= member.cursor {
            return None;
        }
        if room.is_latest
            && let Some(to) = self.passed_over(member, room)
        {
            return Some(gap(to, GapReason::Latest));
        }
        let first = self.first_kept(member.room);
        if from < first {
            return Some(gap(first.saturating_sub(1), GapReason::Retention));
        }
        match member.found {
            Found::TooLarge => return Some(gap(from, GapReason::TooLarge)),
            Found::Lost { to } => return Some(gap(to, GapReason::Repair)),
            Found::Entries | Found::Own => {}
        }
        let too_large = from <= log.head() && self.is_too_large(at, from);
        too_large.then(|| gap(from, GapReason::TooLarge))
    }

    /// Whether an entry is above what the member's device takes in a frame.
    fn is_too_large(&self, at: u32, offset: u64) -> bool {
        let Some(member) = self.storage.members.get(at as usize) else {
            return false;
        };
        let Some(log) = self.storage.rooms.get(member.room as usize).map(|r| r.log) else {
            return false;
        };
        let most = self.frame_limit(member.presence);
        log.largest() > most
            && log
                .frame_len(self.log_view(member.room), offset)
                .is_some_and(|len| len > most && !self.is_own(at, offset))
    }

    /// The longest frame, header included, that a member's device takes.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn frame_limit(&self, presence: Presence) -> usize {
        match presence {
            Presence::Here { conn } => self.storage.conns.get(conn as usize).map_or(0, |conn| {
                (conn.max_frame as usize).saturating_add(FRAME_HEADER)
            }),
            Presence::Free | Presence::Lingering { .. } | Presence::Away { .. } => usize::MAX,
        }
    }

    /// Whether the member gets a marker instead of the entry, since it posted it itself.
    fn is_own(&self, at: u32, offset: u64) -> bool {
        let Some(member) = self.storage.members.get(at as usize) else {
            return false;
        };
        if member.flags & Join::OWN_BODIES != 0
            || offset < member.own_from
            || offset > member.own_last
        {
            return false;
        }
        let Some(room) = self.storage.rooms.get(member.room as usize) else {
            return false;
        };
        room.log
            .author(self.log_view(member.room), offset)
            .is_some_and(|(author, _)| author == at)
    }

    /// The last offset that a member may be sent now.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn sendable(&self, at: u32) -> Option<u64> {
        let member = self.storage.members.get(at as usize)?;
        let head = self.storage.rooms.get(member.room as usize)?.log.head();
        let last = head.min(member.limit);
        (last > member.cursor && !member.owed.has(Owed::JOINED)).then_some(last)
    }

    /// The offset of a member's next entry, if it gets a marker for that.
    fn next_own(&self, at: u32) -> Option<u64> {
        self.sendable(at)?;
        let member = self.storage.members.get(at as usize)?;
        let offset = member.cursor.saturating_add(1);
        (member.found == Found::Own || self.is_own(at, offset)).then_some(offset)
    }

    /// What `find` finds first for a member of a connection; its rooms take turns.
    pub(super) fn in_turn<T>(
        &mut self,
        at: u32,
        find: impl Fn(&Self, u32) -> Option<T>,
    ) -> Option<T> {
        let conn = self.storage.conns.get(at as usize)?;
        let first = conn.members.first();
        let turn = conn.turn.some().or(first);
        // From whose turn it is to the end, then from the start up to there.
        let rounds = [(turn, None), (first, turn)];
        for (from, until) in rounds {
            let mut next = from;
            while let Some(member) = next {
                if Some(member) == until {
                    break;
                }
                next = self.storage.members.get(member as usize)?.in_conn.next();
                let found = find(self, member);
                if found.is_some() {
                    self.storage.conns.get_mut(at as usize)?.turn = At::of(next.unwrap_or(NONE));
                    return found;
                }
            }
        }
        None
    }

    /// The run that a member gets next: up to its own next post, or one too large for it.
    fn run_of(&self, at: u32) -> Option<Sent> {
        let last = self.sendable(at)?;
        let member = self.storage.members.get(at as usize)?;
        let log = self.storage.rooms.get(member.room as usize)?.log;
        let view = self.log_view(member.room);
        let mut run = log.run(view, member.cursor, last, self.config.run_bytes)?;
        let has_own = member.flags & Join::OWN_BODIES == 0 && member.own_last >= run.first;
        let has_large = log.largest() > self.frame_limit(member.presence);
        if has_own || has_large {
            let stop = (run.first..=run.last)
                .find(|&offset| self.is_own(at, offset) || self.is_too_large(at, offset));
            if let Some(stop) = stop {
                run = log.run(
                    view,
                    member.cursor,
                    stop.checked_sub(1)?,
                    self.config.run_bytes,
                )?;
            }
        }
        let Run {
            first,
            last,
            head,
            tail,
        } = run;
        Some(Sent {
            member: at,
            room: member.room,
            first,
            last,
            len: head.len().saturating_add(tail.len()),
        })
    }

    fn borrow_run(&self, sent: Sent) -> Option<Entries<'_>> {
        let log = self.storage.rooms.get(sent.room as usize)?.log;
        let after = sent.first.saturating_sub(1);
        let run = log.run(self.log_view(sent.room), after, sent.last, usize::MAX)?;
        Some(Entries {
            head: run.head,
            tail: run.tail,
            sent,
        })
    }
}
