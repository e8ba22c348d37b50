//! Deadlines: a binary heap of connections that lives in the connections' own slots.
//!
//! A connection's place in the heap is the time of its next check, which may be early: what is
//! heard and said only moves the real deadline, and the check puts the connection back.

use super::links::{At, List, NONE};
use super::slots::{Conn, LastWord, Member, Owed, Phase, Presence, Room};
use super::{Hub, Parting};
use crate::chat::datagram::Path;
use crate::chat::{ANSWER, PRESENCE_GRACE};
use crate::time::{Due, Instant, after, earliest, millis};
use crate::wire::{ByeReason, Code};

/// How many deadlines one call of `handle_timeout` works off.
const BATCH: usize = 64;

impl Hub<'_> {
    /// When `handle_timeout` wants to be called; `None` when nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let conn = top(self.storage.conns).map(|(_, due)| due);
        let lingering = self.lingering.first().and_then(|m| self.linger_deadline(m));
        let presence = match self.telling.first() {
            Some(_) => Some(self.now),
            None => self.presence_at,
        };
        earliest(earliest(conn, lingering), presence)
    }

    /// Time has passed.
    ///
    /// Extra calls are harmless. Work: at most 64 connections with their rooms and 64 members that
    /// are gone, each with the members of a small room, and the members of one large room;
    /// `poll_timeout` says if more is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        for _ in 0..BATCH {
            match top(self.storage.conns) {
                Some((at, due)) if due <= now => self.check(at, now),
                _ => break,
            }
        }
        for _ in 0..BATCH {
            match self.lingering.first() {
                Some(at) if self.linger_deadline(at).is_none_or(|due| due <= now) => {
                    self.stop_lingering(at, now);
                }
                _ => break,
            }
        }
        // What changes from here on waits for its own pace.
        if self.telling.first().is_none() && self.presence_at.is_some_and(|due| due <= now) {
            self.presence_at = None;
            self.telling = core::mem::replace(&mut self.presence_dirty, List::EMPTY);
        }
        let room = self.telling.pop(self.storage.rooms, Room::presence_dirty);
        if let Some(room) = room {
            self.tell_presence(room);
        }
    }

    fn linger_deadline(&self, at: u32) -> Option<Instant> {
        match self.storage.members.get(at as usize)?.presence {
            Presence::Lingering { since } => Some(after(since, PRESENCE_GRACE)),
            Presence::Free | Presence::Here { .. } | Presence::Away { .. } => None,
        }
    }

    fn stop_lingering(&mut self, at: u32, now: Instant) {
        self.lingering
            .remove(self.storage.members, at, Member::waiting);
        self.go_away(at, now);
    }

    /// A connection's check is due: act on the deadlines that have passed, and set the next one.
    fn check(&mut self, at: u32, now: Instant) {
        self.go_back(at, now);
        let Some(conn) = self.storage.conns.get_mut(at as usize) else {
            return;
        };
        let again = conn.path.as_ref().map_or(Due::NEVER, Path::due);
        let next = match conn.phase {
            Phase::Free | Phase::Closed => Due::NEVER,
            Phase::Greeting { deadline } if deadline <= now => {
                self.part(at, now, LastWord::Error(Code::Timeout), Parting::Lost);
                return;
            }
            Phase::Greeting { deadline } => Due::at(deadline),
            Phase::Parting { deadline, .. } if deadline <= now => {
                conn.phase = Phase::Closed;
                self.queue(at);
                Due::NEVER
            }
            Phase::Parting { deadline, .. } => Due::at(deadline),
            Phase::Serving => {
                let interval = u64::from(conn.keepalive).saturating_mul(1000);
                let dead = after(conn.heard, millis(interval.saturating_mul(3) >> 1));
                let quiet = after(conn.spoke, millis(interval.saturating_mul(5) >> 2));
                let keepalive = if conn.keepalive == 0 {
                    Due::NEVER
                } else if dead <= now {
                    let last = LastWord::Bye(ByeReason::Silent);
                    self.part(at, now, last, Parting::Lost);
                    return;
                } else if quiet <= now {
                    // A ping that is still owed could not be sent: only silence ends that.
                    conn.owed.add(Owed::PING);
                    self.queue(at);
                    Due::at(dead)
                } else {
                    Due::at(dead.min(quiet))
                };
                keepalive.min(again)
            }
        };
        schedule(self.storage.conns, at, next);
    }

    /// Sets the deadline of a connection that is about to say its last word.
    pub(super) fn schedule_parting(&mut self, at: u32, now: Instant) -> Instant {
        let deadline = after(now, ANSWER);
        schedule(self.storage.conns, at, Due::at(deadline));
        deadline
    }
}

/// The connection with the earliest check.
fn top(conns: &[Conn]) -> Option<(u32, Instant)> {
    let at = conns.first()?.heap.get();
    Some((at, conns.get(at as usize)?.due))
}

fn entry(conns: &[Conn], place: u32) -> u32 {
    conns
        .get(place as usize)
        .map_or(NONE, |conn| conn.heap.get())
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn due(conns: &[Conn], place: u32) -> Due {
    let conn = conns.get(entry(conns, place) as usize);
    conn.map_or(Due::NEVER, |conn| Due::at(conn.due))
}

fn put(conns: &mut [Conn], place: u32, at: u32) {
    if let Some(cell) = conns.get_mut(place as usize) {
        cell.heap = At::of(at);
    }
    if let Some(conn) = conns.get_mut(at as usize) {
        conn.heap_place = At::of(place);
    }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn swap(conns: &mut [Conn], a: u32, b: u32) {
    let (at_a, at_b) = (entry(conns, a), entry(conns, b));
    put(conns, a, at_b);
    put(conns, b, at_a);
}

/// How many connections have a check. The heap is dense, so the first empty cell is its end.
fn len(conns: &[Conn]) -> u32 {
    // Binary search over the cells: full ones come first.
    conns.partition_point(|conn| conn.heap != At::NONE) as u32
}

/// Sets, moves or (with `NEVER`) removes the check of connection `at`. Work: logarithmic.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn schedule(conns: &mut [Conn], at: u32, when: Due) {
    let Some(conn) = conns.get_mut(at as usize) else {
        return;
    };
    let place = conn.heap_place.get();
    match (when.get(), place) {
        (None, NONE) => {}
        (None, place) => remove(conns, at, place),
        (Some(when), NONE) => {
            conn.due = when;
            let place = len(conns);
            put(conns, place, at);
            rise(conns, place);
        }
        (Some(when), place) => {
            conn.due = when;
            rise(conns, place);
            sink(conns, place);
        }
    }
}

fn remove(conns: &mut [Conn], at: u32, place: u32) {
    let last = len(conns).saturating_sub(1);
    swap(conns, place, last);
    if let Some(cell) = conns.get_mut(last as usize) {
        cell.heap = At::NONE;
    }
    if let Some(conn) = conns.get_mut(at as usize) {
        conn.heap_place = At::NONE;
    }
    if place != last {
        rise(conns, place);
        sink(conns, place);
    }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn rise(conns: &mut [Conn], mut place: u32) {
    while place > 0 {
        let parent = place.saturating_sub(1) >> 1;
        if due(conns, parent) <= due(conns, place) {
            return;
        }
        swap(conns, parent, place);
        place = parent;
    }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn sink(conns: &mut [Conn], mut place: u32) {
    loop {
        let left = place.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        // Where there is no child, it is never due.
        let child = match due(conns, right) < due(conns, left) {
            true => right,
            false => left,
        };
        if due(conns, place) <= due(conns, child) {
            return;
        }
        swap(conns, place, child);
        place = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::hub::links::mix;

    #[test]
    fn the_heap_yields_the_earliest_check_under_any_changes() {
        let mut conns = [Conn::FREE; 13];
        let mut model = [None; 13];
        let mut random = 3;
        for _ in 0..20_000 {
            random = mix(random);
            let at = (random % 13) as usize;
            let when = (random & 0x300 != 0).then(|| Instant::from_ticks(random >> 50));
            schedule(&mut conns, at as u32, when.map_or(Due::NEVER, Due::at));
            model[at] = when;
            let earliest = model.iter().flatten().min().copied();
            assert_eq!(top(&conns).map(|(_, due)| due), earliest);
            if let Some((at, due)) = top(&conns) {
                assert_eq!(model[at as usize], Some(due));
            }
        }
    }
}
