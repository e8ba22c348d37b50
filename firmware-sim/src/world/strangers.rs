//! Strangers at the hub's listeners: they say anything, too much, too slowly, or nothing.
//!
//! What they may cost is judged here: no connection stands for long after its last useful message,
//! and only a stranger that the hub made a member is shown entries.

use super::Net;
use super::air::stranger_address;
use super::fault::Fault;
use super::inbox::{Inbox, Spare};
use super::link::framed;
use super::model::{Check, PostId, STRANGER, VISITOR, must};
use super::rng::Rng;
use super::strange_words::{any_message, hello, join, leave, post, wrong_way};
use halloo_core::chat::Hub;
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub::{ConnId, Transmit};
use halloo_core::frame::FrameError;
use halloo_core::wire::{Code, Message, binary};
use halloo_std::journal::hub as kept;
use std::collections::VecDeque;

/// So many are there at once, under so many names.
const MOST: usize = 2;
const NAMES: u64 = 3;

/// The bytes that fit between a stranger and the hub, each way.
const CAPACITY: usize = 2048;

/// A connection is closed so long after its last useful message.
const LONGEST: u64 = 46_000_000;

/// A connection on which nothing can be written for so long is closed.
const NO_PROGRESS: u64 = 30_000_000;

/// How much is read or written in a turn.
const SHARE: usize = 32;

/// The frames of devices that are kept to be said again.
const RECORDED: usize = 16;

/// All strangers on streams.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    here: Vec<Stranger>,
    /// There is something to do at once.
    is_due: bool,
    /// What devices said in sessions, without what opened them.
    recorded: VecDeque<Vec<u8>>,
    /// How many posts they have made up.
    posts: u32,
    /// How many came once and never again.
    visitors: u32,
}

/// A stranger on a stream.
#[derive(Debug)]
struct Stranger {
    fault: Fault,
    /// What it has still to say, and when it says the next of it.
    script: VecDeque<Vec<u8>>,
    next_at: u64,
    pause: u64,
    /// Its connection, once the hub has taken it.
    id: Option<ConnId>,
    /// What it said and the hub has not read.
    to_hub: VecDeque<u8>,
    decoder: Inbox,
    held: Option<Vec<u8>>,
    /// What the hub said and it has not read, or could not be written.
    unread: usize,
    out: Vec<u8>,
    blocked_since: Option<u64>,
    last_useful: u64,
    is_member: bool,
    is_leaving: bool,
}

impl Strangers {
    /// When one of them does something next, or the hub for one of them.
    pub(super) fn next_time(&self) -> u64 {
        let times = self.here.iter().map(|stranger| {
            let says = (!stranger.script.is_empty()).then_some(stranger.next_at);
            let stuck = stranger.blocked_since.map(|since| since + NO_PROGRESS);
            let silent = stranger.last_useful + LONGEST;
            let sooner = says.unwrap_or(silent).min(stuck.unwrap_or(silent));
            if stranger.is_leaving { 0 } else { sooner }
        });
        match self.is_due && !self.here.is_empty() {
            true => 0,
            false => times.min().unwrap_or(u64::MAX),
        }
    }

    /// The hub may have something for one of them.
    pub(super) const fn wake(&mut self) {
        self.is_due = true;
    }

    /// The hub is gone, and all connections with it.
    pub(super) fn leave(&mut self) {
        self.here.clear();
    }

    /// A device said this on a stream.
    pub(super) fn overhear(&mut self, message: &[u8]) {
        let is_opening = matches!(
            binary::decode(message).map(|decoded| decoded.message),
            Ok(Message::Hello(_)) | Err(_)
        );
        if !is_opening {
            if self.recorded.len() == RECORDED {
                self.recorded.pop_front();
            }
            self.recorded.push_back(framed(message));
        }
    }
}

impl Net {
    /// A stranger comes, with a stream or with datagrams.
    pub(super) fn send_stranger(&mut self, fault: Fault) {
        if !self.is_up {
            return;
        }
        match self.rng.chance(500) {
            true => self.send_strange_datagrams(fault),
            false if self.strangers.here.len() < MOST => {
                let script = self.script(fault);
                let pause = match fault {
                    Fault::Dripping => 5_000_000,
                    Fault::Flood => 1000,
                    _ => self.rng.pick(&[1000, 100_000, 2_000_000]),
                };
                self.strangers.here.push(Stranger {
                    fault,
                    script,
                    next_at: self.now,
                    pause,
                    id: None,
                    to_hub: VecDeque::new(),
                    decoder: Inbox::new(usize::MAX, false),
                    held: None,
                    unread: 0,
                    out: Vec::new(),
                    blocked_since: None,
                    last_useful: self.now,
                    is_member: false,
                    is_leaving: false,
                });
            }
            false => {}
        }
    }

    /// All go. The hub learns of it.
    pub(super) fn send_strangers_home(&mut self) {
        for stranger in &mut self.strangers.here {
            stranger.is_leaving = true;
        }
    }

    fn script(&mut self, fault: Fault) -> VecDeque<Vec<u8>> {
        let number = STRANGER + self.rng.below(NAMES) as u32;
        let rng = &mut self.rng;
        let opening = framed(&hello(rng, number));
        let mut script: VecDeque<Vec<u8>> = match fault {
            Fault::RandomBytes => (0..rng.within(1, 5)).map(|_| noise(rng, 200)).collect(),
            Fault::Dripping => opening.iter().map(|&byte| vec![byte]).collect(),
            Fault::Oversize => {
                let len = rng.pick(&[5_000_u32, 1 << 20, u32::MAX]);
                [len.to_be_bytes().to_vec(), noise(rng, 2000)].into()
            }
            Fault::WrongWay => (0..5).map(|_| framed(&wrong_way(rng))).collect(),
            Fault::StaleSession => return self.strangers.recorded.clone(),
            Fault::Flood => (0..200).map(|_| framed(&any_message(rng, None))).collect(),
            _ if rng.chance(500) => return self.visit(),
            _ => {
                let mut script = VecDeque::new();
                for _ in 0..rng.within(5, 40) {
                    self.strangers.posts += 1;
                    let id = PostId {
                        device: number,
                        counter: self.strangers.posts,
                    };
                    script.push_back(framed(&any_message(rng, Some(id))));
                }
                script
            }
        };
        let is_greeting = !matches!(fault, Fault::Dripping) && self.rng.chance(700);
        if is_greeting {
            script.push_front(opening);
        }
        script
    }

    /// What somebody says who comes once, with some sense, and never again.
    fn visit(&mut self) -> VecDeque<Vec<u8>> {
        let (rng, strangers) = (&mut self.rng, &mut self.strangers);
        strangers.visitors += 1;
        let device = VISITOR + strangers.visitors;
        let mut script = vec![hello(rng, device), join(device)];
        for seq in 1..=rng.within(0, 5) as u32 {
            strangers.posts += 1;
            let counter = strangers.posts;
            script.push(post(seq, PostId { device, counter }));
        }
        script.extend(rng.chance(500).then(leave));
        script.iter().map(|message| framed(message)).collect()
    }

    /// Strangers speak, and the hub reads and answers.
    pub(super) fn serve_strangers(&mut self, hub: &mut Hub<'_>) -> Check {
        self.strangers.is_due = false;
        for mut stranger in std::mem::take(&mut self.strangers.here) {
            if self.serve_stranger(hub, &mut stranger)? {
                self.strangers.here.push(stranger);
            } else if let Some(id) = stranger.id {
                hub.handle_disconnected(self.hub_now(), id);
                self.moved = true;
            }
        }
        Ok(())
    }

    /// Whether it stays.
    fn serve_stranger(&mut self, hub: &mut Hub<'_>, stranger: &mut Stranger) -> Check<bool> {
        let now = self.now;
        let Some(id) = stranger.id else {
            let Ok(id) = hub.connect(self.hub_now()) else {
                self.refused += 1;
                return Ok(false);
            };
            self.by_conn[id.index()] = u64::MAX;
            stranger.id = Some(id);
            stranger.last_useful = now;
            self.strangers.wake();
            return Ok(true);
        };
        if stranger.is_leaving {
            return Ok(false);
        }
        while stranger.next_at <= now && stranger.to_hub.len() < CAPACITY {
            let Some(piece) = stranger.script.pop_front() else {
                break;
            };
            self.faults.count(stranger.fault);
            self.trace.bytes(&piece);
            stranger.to_hub.extend(piece);
            stranger.next_at = now + stranger.pause;
            self.moved = true;
        }
        if stranger.next_at <= now {
            stranger.next_at = now + 50_000;
        }
        self.hub_reads_stranger(hub, stranger, id)?;
        if stranger.fault != Fault::NeverReads {
            stranger.unread = 0;
        }
        let stays = self.hub_answers_stranger(hub, stranger, id)?;
        let is_stuck = stranger.blocked_since;
        let is_stuck = is_stuck.is_some_and(|since| since + NO_PROGRESS <= now);
        must!(
            !stays || is_stuck || now <= stranger.last_useful + LONGEST,
            "S10: a stranger ({}) is still connected {} s after its last useful message",
            stranger.fault.name(),
            (now - stranger.last_useful) / 1_000_000
        );
        Ok(stays && !is_stuck)
    }

    fn hub_reads_stranger(
        &mut self,
        hub: &mut Hub<'_>,
        stranger: &mut Stranger,
        id: ConnId,
    ) -> Check {
        let now = self.hub_now();
        for _ in 0..SHARE {
            let bytes = match stranger.held.take() {
                Some(held) => held,
                None => match stranger.decoder.poll_frame() {
                    Ok(Some(frame)) => stranger.decoder.bytes(frame).to_vec(),
                    Ok(None) => {
                        let room = stranger.decoder.room(&mut Spare::default());
                        let len = room.len().min(stranger.to_hub.len());
                        let bytes = stranger.to_hub.drain(..len);
                        room.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
                        stranger.decoder.commit(len);
                        if len == 0 {
                            return Ok(());
                        }
                        continue;
                    }
                    Err(error) => {
                        let code = match error {
                            FrameError::Oversize { .. } => Code::Oversize,
                            _ => Code::Malformed,
                        };
                        hub.handle_bad_frame(now, id, code);
                        stranger.to_hub.clear();
                        return Ok(());
                    }
                },
            };
            self.moved = true;
            match binary::decode(&bytes) {
                Ok(decoded) => {
                    let message = decoded.message;
                    self.trace
                        .words(self.now, || format!("a stranger says {message:?}"));
                    if hub.handle_message(now, id, &message).is_err() {
                        self.busy += 1;
                        stranger.held = Some(bytes);
                        // It waits for the hub, and not the hub for it.
                        stranger.last_useful = self.now;
                        return Ok(());
                    }
                    stranger.last_useful = self.now;
                }
                Err(error) => hub.handle_bad_frame(now, id, error.code()),
            }
        }
        self.strangers.wake();
        Ok(())
    }

    /// Whether the connection stays.
    fn hub_answers_stranger(
        &mut self,
        hub: &mut Hub<'_>,
        stranger: &mut Stranger,
        id: ConnId,
    ) -> Check<bool> {
        let now = self.hub_now();
        let mut buffer = [0; 512];
        for _ in 0..SHARE {
            let room = CAPACITY.saturating_sub(stranger.unread);
            if !stranger.out.is_empty() {
                let taken = room.min(stranger.out.len());
                stranger.out.drain(..taken);
                stranger.unread += taken;
                if !stranger.out.is_empty() {
                    stranger.blocked_since.get_or_insert(self.now);
                    return Ok(true);
                }
                stranger.blocked_since = None;
            }
            let entries = match hub.poll_transmit(now, id, &mut buffer) {
                Transmit::Idle => return Ok(true),
                Transmit::Close => return Ok(false),
                Transmit::Message(len) => {
                    let message = &buffer[..len];
                    let decoded = binary::decode(message).map(|decoded| decoded.message);
                    must!(decoded.is_ok(), "S12: {message:?} is no message");
                    let is_entry = matches!(decoded, Ok(Message::Entry(_)));
                    stranger.is_member |= matches!(decoded, Ok(Message::Joined(_)));
                    must!(
                        !is_entry || stranger.is_member,
                        "S11: a stranger that is no member is told {decoded:?}"
                    );
                    stranger.out = framed(message);
                    None
                }
                Transmit::Entries(entries) => {
                    Some((entries.sent, entries.head.len() + entries.tail.len()))
                }
                Transmit::Stored(wanted) => {
                    let Some(journal) = &mut self.keeping.journal else {
                        return Ok(true);
                    };
                    match kept::read_back(journal, wanted, self.limits.run_bytes) {
                        Ok(run) if room > 0 => {
                            let taken = room.min(run.bytes().len());
                            let (last, rest) = run.taken(wanted, taken);
                            stranger.out = rest.to_vec();
                            stranger.unread += taken;
                            hub.handle_stored(now, id, wanted, last);
                        }
                        Ok(_) => return Ok(true),
                        Err(found) => hub.handle_found(now, id, wanted, found),
                    }
                    must!(
                        stranger.is_member,
                        "S11: a stranger is shown what is stored"
                    );
                    None
                }
            };
            if let Some((sent, len)) = entries {
                must!(stranger.is_member, "S11: a stranger is shown entries");
                let taken = room.min(len);
                stranger.out = hub.handle_sent(now, id, sent, taken).to_vec();
                stranger.unread += taken;
                if taken < len {
                    stranger.blocked_since.get_or_insert(self.now);
                    return Ok(true);
                }
            }
        }
        self.strangers.wake();
        Ok(true)
    }

    /// A stranger sends some datagrams to the hub.
    fn send_strange_datagrams(&mut self, fault: Fault) {
        let from = stranger_address(self.rng.below(200));
        let count = match fault {
            Fault::Flood => 200,
            _ => self.rng.within(1, 8),
        };
        for nth in 0..count {
            let rng = &mut self.rng;
            let number = STRANGER + rng.below(NAMES) as u32;
            let header = Header {
                session: rng.next(),
                number: rng.pick(&[0, 1, 7, u32::MAX]),
                seen: rng.pick(&[0, 1, u32::MAX]),
            };
            let with = |message: Vec<u8>| [header.encode().to_vec(), message].concat();
            let (from, bytes) = match fault {
                Fault::RandomBytes if rng.chance(500) => (from, with(noise(rng, 200))),
                Fault::RandomBytes => (from, noise(rng, 200)),
                Fault::Dripping => (from, vec![nth as u8]),
                Fault::NeverReads => (from, greeting(rng, number)),
                Fault::WrongWay => (from, with(wrong_way(rng))),
                Fault::Oversize => (from, with(vec![0x87; 20_000])),
                Fault::StaleSession => {
                    let recorded = &self.air.recorded;
                    let at = rng.below(recorded.len() as u64) as usize;
                    let Some(recorded) = recorded.get(at).cloned() else {
                        return;
                    };
                    recorded
                }
                _ if rng.chance(200) => (from, greeting(rng, number)),
                _ => (from, with(any_message(rng, None))),
            };
            let spacing = if fault == Fault::Dripping {
                5_000_000
            } else {
                100
            };
            self.air
                .send_strange(self.now + nth * spacing, from, &bytes, fault);
        }
    }
}

/// A `Hello` as over datagrams, without a cookie.
fn greeting(rng: &mut Rng, number: u32) -> Vec<u8> {
    let mut message = hello(rng, number);
    let nonce: [u8; 8] = message[14..22].try_into().unwrap_or_default();
    // Padding, as extension 1.
    let padding = 64_usize.saturating_sub(message.len() + 2);
    message.extend([1, padding as u8]);
    message.extend(std::iter::repeat_n(0, padding));
    let header = Header {
        session: u64::from_be_bytes(nonce),
        number: 1,
        seen: 0,
    };
    [header.encode().to_vec(), message].concat()
}

fn noise(rng: &mut Rng, most: u64) -> Vec<u8> {
    (0..rng.within(1, most)).map(|_| rng.next() as u8).collect()
}
