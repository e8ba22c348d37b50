//! What the hub says and shows to a connection, held against the model before it is on its way.

use super::Net;
use super::fault::Fault;
use super::history::Kept;
use super::link::framed;
use super::model::{Broken, Check, must};
use halloo_core::chat::datagram;
use halloo_core::wire::{Code, GapReason, Message, binary};
use std::sync::Arc;

impl Net {
    /// The hub gave a message for a connection.
    pub(super) fn hub_says(&mut self, key: u64, bytes: &[u8]) -> Check {
        let Ok(decoded) = binary::decode(bytes) else {
            return Err(Broken(format!("S12: {bytes:?} is no message")));
        };
        let message = decoded.message;
        let is_second = self.links.get(&key).is_some_and(|link| link.device == 1);
        let taken_over = self.faults.fired()[Fault::TakeOver as usize];
        must!(
            !self.planted || taken_over == 0 || !is_second,
            "PLANTED: the second device is told something after a connection was taken over"
        );
        let mut again = [0; 512];
        let len = binary::encode(&message, &mut again).unwrap_or(0);
        must!(
            again[..len] == *bytes,
            "S12: {message:?} is encoded otherwise"
        );
        match message {
            Message::Ping { .. } | Message::Pong { .. } => self.idle_messages += 1,
            _ => self.busy_messages += 1,
        }
        let Some(link) = self.links.get_mut(&key) else {
            return Ok(());
        };
        self.trace
            .words(self.now, || format!("hub says on {key}: {message:?}"));
        let device = link.device as u32;
        let is_last_word = matches!(message, Message::Bye(_) | Message::Error(_));
        must!(
            is_last_word || self.live[link.device] == Some(key),
            "S8: a fenced connection is told {message:?}"
        );
        let Some(store) = self.lives.last_mut() else {
            return Ok(());
        };
        let told = |slot: u8| {
            let mut rooms = link.hub.rooms.iter();
            let told = rooms.find(|(other, _)| *other == slot);
            let told = told.map(|(_, told)| told);
            told.ok_or_else(|| Broken(format!("S11: {message:?} for a slot without room")))
        };
        match message {
            Message::Joined(joined) => {
                let room = &told(joined.slot)?.room;
                store.tell_up_seq(device, room, joined.up_seq, joined.rejects)?;
                let head = store.head(room);
                must!(joined.head == head, "S6: head {} of {head}", joined.head);
                let is_datagrams = link.is_datagrams;
                let credit = match is_datagrams {
                    true => self.limits.credit.min(datagram::MAX_ENTRIES),
                    false => self.limits.credit,
                };
                let granted = joined.start + u64::from(credit);
                if let Some(told) = link.hub.told(joined.slot) {
                    // What was told before stays true when it is told again.
                    let (sent, before) = match told.joined {
                        Some((_, sent, granted)) if is_datagrams => (sent, granted),
                        _ => (joined.start, granted),
                    };
                    told.joined = Some((joined.room, sent, granted.max(before)));
                }
            }
            Message::Ack {
                slot,
                up_seq,
                rejects,
            } => store.tell_up_seq(device, &told(slot)?.room, up_seq, rejects)?,
            // Over datagrams it answers a leave, too.
            Message::Reject {
                slot,
                seq: 0,
                code: Code::BadSlot,
            } if link.is_datagrams && told(slot).is_err() => {}
            Message::Reject { slot, seq: 0, .. } => {
                must!(told(slot)?.joined.is_none(), "a join is refused late");
                link.hub.forget(slot);
            }
            Message::Reject { slot, seq, .. } => {
                store.tell_reject(device, &told(slot)?.room, seq)?;
            }
            Message::Gap(gap) => {
                let head = store.head(&told(gap.slot)?.room);
                must!(gap.to <= head, "S6: {gap:?} beyond {head}");
                if let Some(journal) = &self.keeping.journal {
                    let room = &told(gap.slot)?.room;
                    let mut rooms = journal.state().rooms.iter();
                    let is_lost = |offset| store.kept(room, offset).is_some_and(Kept::is_lost);
                    let oldest = rooms
                        .find(|r| *r.name == **room)
                        .map_or(1, |room| room.oldest);
                    let is_gone = gap.to < oldest;
                    must!(
                        match gap.reason {
                            GapReason::Retention => is_gone,
                            GapReason::Repair => (gap.from..=gap.to).all(is_lost),
                            _ => true,
                        },
                        "S5: {gap:?}, but the disk has entries from {oldest} on"
                    );
                }
                let is_datagrams = link.is_datagrams;
                let told = link.hub.told(gap.slot);
                let Some((_, sent, granted)) = told.and_then(|t| t.joined.as_mut()) else {
                    return Err(Broken(format!("S5: {gap:?} before Joined")));
                };
                let follows = gap.from == *sent + 1 || is_datagrams && gap.from <= *sent;
                must!(follows && gap.to >= gap.from, "S5: {gap:?} after {sent}");
                if !is_datagrams {
                    *granted += gap.to - *sent;
                }
                *sent = gap.to.max(*sent);
            }
            Message::Entry(entry) => {
                let is_datagrams = link.is_datagrams;
                must!(
                    entry.flags == 1 || is_datagrams,
                    "S5: a lone entry is no marker: {entry:?}"
                );
                let room = self.shown(key, entry.room, entry.offset)?;
                let Some(store) = self.lives.last() else {
                    return Ok(());
                };
                let kept = store.kept(&room, entry.offset);
                if entry.flags != 1 {
                    must!(
                        kept.is_some_and(|kept| kept.is(entry.room, &framed(bytes))),
                        "S6: {room} shows {entry:?}, the log has {kept:?}"
                    );
                    return Ok(());
                }
                must!(
                    kept.is_some_and(|kept| kept.id.device == device),
                    "S5/S6: a marker for {entry:?}, which is {kept:?}"
                );
            }
            Message::Notice(notice) => {
                told(notice.slot)?;
            }
            Message::Roster(roster) => {
                told(roster.slot)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The hub's entry goes to a connection: the next one, within credit, of a room that is joined.
    fn shown(&mut self, key: u64, room: u32, offset: u64) -> Check<Arc<str>> {
        let link = self.links.get_mut(&key);
        let is_datagrams = link.as_ref().is_some_and(|link| link.is_datagrams);
        let rooms = link.map(|link| link.hub.rooms.iter_mut().map(|(_, told)| told));
        let mut rooms = rooms.into_iter().flatten();
        let told = rooms.find(|told| told.joined.is_some_and(|(number, ..)| number == room));
        let Some(told) = told else {
            return Err(Broken(format!("S11: {offset} of room {room} to no member")));
        };
        if let Some((_, sent, granted)) = &mut told.joined {
            let follows = offset == *sent + 1 || is_datagrams && offset <= *sent;
            must!(follows, "S5: {} sent after {sent}", offset);
            must!(offset <= *granted, "S10: {offset} sent, {granted} granted");
            *sent = offset.max(*sent);
        }
        Ok(Arc::clone(&told.room))
    }

    /// Of the entries in `bytes`, the first `taken` bytes went to a connection.
    pub(super) fn hub_shows(&mut self, key: u64, bytes: &[u8], taken: usize) -> Check {
        let device = self.links.get(&key).map_or(0, |link| link.device);
        must!(
            self.live[device] == Some(key),
            "S8: a fenced connection gets entries"
        );
        let mut at = 0;
        while at < taken {
            let header = bytes[at..at + 4].try_into().unwrap_or_default();
            let end = at + 4 + u32::from_be_bytes(header) as usize;
            let frame = &bytes[at..end];
            at = end;
            if self.is_next_kept(key, frame)? {
                self.busy_messages += 1;
                continue;
            }
            let Ok(Message::Entry(entry)) = binary::decode(&frame[4..]).map(|d| d.message) else {
                return Err(Broken(format!("S12: {frame:?} is no entry")));
            };
            let room = self.shown(key, entry.room, entry.offset)?;
            let store = self.lives.last();
            let kept = store.and_then(|store| store.kept(&room, entry.offset));
            must!(
                kept.is_some_and(|kept| kept.is(entry.room, frame)),
                "S6: {room} shows {entry:?}, the log has {kept:?}"
            );
            self.busy_messages += 1;
            self.trace.words(self.now, || {
                format!("hub shows {} of {room} on {key}", entry.offset)
            });
        }
        Ok(())
    }

    /// Whether a frame is the next one of a room that was joined, as it lies in the true log, where
    /// it was decoded when it was committed. If not, what it is has to be found out.
    fn is_next_kept(&mut self, key: u64, frame: &[u8]) -> Check<bool> {
        let (Some(link), Some(store)) = (self.links.get_mut(&key), self.lives.last()) else {
            return Ok(false);
        };
        for (_, told) in &mut link.hub.rooms {
            let Some((number, sent, granted)) = &mut told.joined else {
                continue;
            };
            let offset = *sent + 1;
            let is_kept = store
                .kept_at(&mut told.place, &told.room, offset)
                .is_some_and(|kept| kept.is(*number, frame));
            if is_kept {
                must!(offset <= *granted, "S10: {offset} sent, {granted} granted");
                *sent = offset;
                let room = &told.room;
                self.trace.words(self.now, || {
                    format!("hub shows {offset} of {room} on {key}")
                });
                return Ok(true);
            }
        }
        Ok(false)
    }
}
