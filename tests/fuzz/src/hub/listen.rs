//! What the hub says to its peers, held against the store.

use halloo_core::chat::Hub;
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub::{Found, Transmit};
use halloo_core::wire::{Code, Entry, GapReason, Message, binary};

use super::peer::Phase;
use super::{ENOUGH, Run};
use crate::store::frames;

impl Run {
    /// Takes up to `most` pieces of what is owed to a peer; of runs, up to `written` bytes.
    pub(super) fn drain(&mut self, hub: &mut Hub<'_>, at: usize, most: usize, written: usize) {
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
                // Over datagrams the answer to a join may come again, and takes no credit back.
                let again = seat
                    .reads
                    .filter(|(room, ..)| is_datagram && *room == joined.room);
                let before = again.map_or(0, |(.., limit)| limit);
                let limit = joined.start + u64::from(peer.credit.max(seat.window));
                let limit = limit.max(before);
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
