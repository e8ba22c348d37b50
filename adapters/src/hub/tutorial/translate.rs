//! A device inside the hub that speaks for one client: objects of the tutorial one way, messages of
//! halloo/1 the other.
//!
//! Knows one client and the room that it is in. Does no I/O and keeps no text: what it says is
//! written where it is told, and what the machine cannot take yet is handed in again. Invariant: a
//! client is in one room at most, which has slot 0.

use std::borrow::Cow;

use halloo_core::chat::hub::Busy;
use halloo_core::name::{self, Name};
use halloo_core::wire::{Bye, ByeReason, Entry, Join, Joined, Message, Notice, NoticeKind};

use super::object::{Fault, Reply, Request};

/// The slot of the room.
pub(super) const SLOT: u8 = 0;

/// How many entries beyond its cursor a client takes. What it does not read holds up the writing, so
/// this is not what keeps it from being swamped.
pub(super) const CREDIT: u16 = 1024;

/// After so many objects that were none a client is told no more.
const MOST_BAD: u8 = 16;

const WELCOME: &str = "Welcome to halloo! Join a room to chat.";

/// One client.
#[derive(Debug)]
pub(super) struct Translator {
    state: State,
    max_body: usize,
    /// How many objects were none.
    bad: u8,
    /// The room that it left by a join whose answer is to come.
    left: Option<Place>,
}

#[derive(Debug)]
enum State {
    /// `Welcome` is to come.
    Opening,
    Outside,
    /// `Joined`, or a refusal, is to come.
    Joining(Place),
    Inside(Inside),
    /// Nothing that it says is looked at any more.
    Over,
}

#[derive(Debug, Clone)]
struct Place {
    /// As this client spells it, in capitals or not.
    room: Name,
    username: Name,
}

impl Place {
    fn tell_left(&self, out: &mut Vec<u8>) {
        let Self { room, username } = self;
        notify(out, &format!("{username} left {room}"));
    }
}

#[derive(Debug)]
struct Inside {
    place: Place,
    /// The number of the last post.
    seq: u32,
    /// The last offset that was told, and up to which the machine may send.
    cursor: u64,
    limit: u64,
}

/// Why an object is not done.
enum Stop {
    Busy,
    Fault(Fault),
}

impl From<Busy> for Stop {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Translator {
    /// A client whose device has said `Hello`.
    pub(super) const fn new() -> Self {
        Self {
            state: State::Opening,
            max_body: 0,
            bad: 0,
            left: None,
        }
    }

    /// Whether an object would be looked at now.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, State::Outside | State::Inside(_))
    }

    /// Whether the client is told no more, and to be closed.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The client sent an object. `say` is the machine; what the client is told at once goes to `out`.
    ///
    /// `Err(Busy)`: the machine did not take it all; hand the same object in again.
    pub(super) fn handle_object(
        &mut self,
        object: &[u8],
        say: &mut impl FnMut(&Message<'_>) -> Result<(), Busy>,
        out: &mut Vec<u8>,
    ) -> Result<(), Busy> {
        if !self.is_ready() {
            return Err(Busy);
        }
        match self.obey(object, say, out) {
            Ok(()) => Ok(()),
            Err(Stop::Busy) => Err(Busy),
            Err(Stop::Fault(fault)) => {
                self.handle_fault(fault, out);
                Ok(())
            }
        }
    }

    /// What the client sent is wrong, or cannot be had.
    pub(super) fn handle_fault(&mut self, fault: Fault, out: &mut Vec<u8>) {
        let message = &fault.to_string();
        Reply::Error { message }.write(out);
        if fault.is_bad_object() {
            self.bad += 1;
            if self.bad >= MOST_BAD {
                self.state = State::Over;
            }
        }
    }

    fn obey(
        &mut self,
        object: &[u8],
        say: &mut impl FnMut(&Message<'_>) -> Result<(), Busy>,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        match Request::parse(object)? {
            Request::Join { room, username } => {
                // Tutorials have rooms such as General; halloo/1 has no capitals.
                let shared = room.to_ascii_lowercase();
                let shared = name::room(shared.as_bytes()).map_err(|_| Fault::Room)?;
                let username = name::member(username.as_bytes()).map_err(|_| Fault::Username)?;
                let place = Place {
                    room: name::store(&room),
                    username: name::store(username),
                };
                // Told with the join, in one object: a tutorial's client takes two at once for none.
                if let Some(left) = self.leave(say)? {
                    self.left = Some(left);
                }
                say(&Message::Join(Join {
                    slot: SLOT,
                    flags: 0,
                    cursor: Join::LATEST,
                    history: u32::MAX,
                    room: shared.as_bytes(),
                    name: place.username.as_bytes(),
                }))?;
                self.state = State::Joining(place);
                Ok(())
            }
            Request::Chat { message } => {
                let State::Inside(inside) = &mut self.state else {
                    return Err(Fault::Outside.into());
                };
                let most = self.max_body;
                if message.len() > most {
                    return Err(Fault::Message { most }.into());
                }
                let seq = inside.seq.wrapping_add(1);
                let body = message.as_bytes();
                let slot = SLOT;
                say(&Message::Post { slot, seq, body })?;
                inside.seq = seq;
                Ok(())
            }
            Request::Leave => match self.leave(say)? {
                Some(left) => {
                    left.tell_left(out);
                    Ok(())
                }
                None => Err(Fault::Outside.into()),
            },
        }
    }

    /// Leaves the room, if it is in one, and gives back which.
    fn leave(
        &mut self,
        say: &mut impl FnMut(&Message<'_>) -> Result<(), Busy>,
    ) -> Result<Option<Place>, Busy> {
        let State::Inside(inside) = &self.state else {
            return Ok(None);
        };
        say(&Message::Leave { slot: SLOT })?;
        let left = inside.place.clone();
        self.state = State::Outside;
        Ok(Some(left))
    }

    /// The machine says something to the device: what the client is told of it goes to `out`.
    pub(super) fn handle_message(&mut self, message: &Message<'_>, out: &mut Vec<u8>) {
        match message {
            Message::Welcome(welcome) => {
                self.max_body = welcome.max_body.into();
                if let State::Opening = self.state {
                    self.state = State::Outside;
                }
                Reply::Welcome { message: WELCOME }.write(out);
            }
            Message::Joined(joined) => self.joined(joined, out),
            Message::Reject { seq, code, .. } => {
                if *seq == 0 && matches!(self.state, State::Joining(_)) {
                    self.state = State::Outside;
                    if let Some(left) = self.left.take() {
                        left.tell_left(out);
                    }
                }
                self.handle_fault(Fault::Refused(*code), out);
            }
            Message::Entry(entry) => self.entry(entry, out),
            Message::Gap(gap) => {
                if let State::Inside(inside) = &mut self.state {
                    let missed = gap.to.saturating_sub(inside.cursor);
                    inside.cursor = gap.to;
                    // A gap takes no credit (rule D-GAP-2).
                    inside.limit = inside.limit.saturating_add(missed);
                    let room = &inside.place.room;
                    notify(out, &format!("{missed} messages of {room} were missed"));
                }
            }
            Message::Notice(notice) => self.notice(notice, out),
            Message::Error(error) => self.handle_fault(Fault::Refused(error.code), out),
            Message::Bye(bye) => match bye.reason {
                // It is the answer to our own.
                ByeReason::Done => {}
                reason => notify(out, &format!("Goodbye: {reason}")),
            },
            // Acks are for devices that come back; the rest is not asked for.
            _ => {}
        }
    }

    fn joined(&mut self, joined: &Joined, out: &mut Vec<u8>) {
        let State::Joining(place) = &self.state else {
            return;
        };
        let Place { room, username } = place;
        notify(out, &format!("{username} joined {room}"));
        self.left = None;
        self.state = State::Inside(Inside {
            place: place.clone(),
            seq: joined.up_seq,
            cursor: joined.start,
            limit: joined.start.saturating_add(CREDIT.into()),
        });
    }

    fn entry(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let State::Inside(inside) = &mut self.state else {
            return;
        };
        inside.cursor = entry.offset;
        if entry.flags & Entry::OWN != 0 {
            return;
        }
        // A device may post any bytes.
        let message: Cow<'_, str> = String::from_utf8_lossy(entry.body);
        Reply::Chat {
            username: entry.from,
            room: &inside.place.room,
            message: &message,
        }
        .write(out);
    }

    fn notice(&self, notice: &Notice<'_>, out: &mut Vec<u8>) {
        let State::Inside(inside) = &self.state else {
            return;
        };
        let (who, room) = (notice.who, &inside.place.room);
        match notice.kind {
            NoticeKind::Joined => notify(out, &format!("{who} joined {room}")),
            NoticeKind::Left => notify(out, &format!("{who} left {room}")),
            // A large room, where names would be a storm.
            _ => notify(out, &format!("{} are in {room}", notice.members)),
        }
    }

    /// What tells the machine to send on: once half of what was granted is used up.
    pub(super) const fn poll_credit(&mut self) -> Option<Message<'static>> {
        let State::Inside(inside) = &mut self.state else {
            return None;
        };
        if inside.limit.saturating_sub(inside.cursor) > CREDIT as u64 / 2 {
            return None;
        }
        inside.limit = inside.cursor.saturating_add(CREDIT as u64);
        Some(Message::Credit {
            slot: SLOT,
            cursor: inside.cursor,
            window: CREDIT,
        })
    }
}

/// The device is done, in good order: the room is told at once.
pub(super) const DONE: Message<'static> = Message::Bye(Bye {
    reason: ByeReason::Done,
    retry_after: 0,
});

fn notify(out: &mut Vec<u8>, message: &str) {
    Reply::Notification { message }.write(out);
}
