//! A member of a room on a server that speaks the tutorial's JSON.
//!
//! Does no I/O and reads no clock. The tutorial's server takes what one `recv` gives it for one object,
//! so two that come together are both lost. Therefore: nothing is said before the server has greeted,
//! no line before the room is joined, and lines go out one by one with a pause between, unless the welcome
//! is that of our hub, which knows that streams have no ends of their own. Newlines in what a server sends
//! tell nothing of how it reads.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use halloo_core::frame::{FrameError, Framing, JsonObjects, Scan};

use super::answer;
use super::object::{Request, Said};

/// How long the server may take to greet, and to answer a join or a leave. Some never do.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// The pause that lets a server read one object before the next comes.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// How long a line of one's own may take to come back from a server that tells all. What comes later may
/// be a namesake's.
const ECHO: Duration = Duration::from_secs(10);

/// When what is no JSON has stopped for so long, it is a text. Prompts have no newline.
const STOP: Duration = Duration::from_millis(500);

/// As much of a text is told at once.
const TEXT: usize = 4096;

/// How our hub's welcome starts.
const OURS: &str = "Welcome to halloo!";

/// The longest object that is taken.
const MAX_OBJECT: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Member {
    name: String,
    room: Option<String>,
    stage: Stage,
    /// The wish that was answered with an error last, and until when it may be granted all the same: the
    /// error may be that of a line before it.
    doubted: Option<(Wish, Instant)>,
    framing: JsonObjects,
    received: Vec<u8>,
    /// What is no object, as far as it has come.
    text: Option<Text>,
    /// No more comes.
    is_over: bool,
    unsent: Vec<u8>,
    /// Lines that may come back, each with when it was said, the oldest first.
    said: VecDeque<(Instant, String)>,
    /// An object came.
    has_heard: bool,
    /// The server is our hub, which finds the end of each object itself.
    is_ours: bool,
    /// When the pause is over.
    next_at: Option<Instant>,
}

#[derive(Debug)]
struct Text {
    bytes: Vec<u8>,
    until: Instant,
}

#[derive(Debug)]
enum Stage {
    /// The room is joined once the server has greeted.
    Greeting {
        room: String,
        until: Instant,
    },
    Free,
    /// The answer is to come.
    Asked {
        wish: Wish,
        until: Instant,
    },
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Join(String),
    Leave,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Said(Said),
    Refused {
        wish: Wish,
        why: String,
    },
    /// Nothing that looks like an answer came. A join counts as done, a leave does not.
    Unanswered(Wish),
}

impl Member {
    /// One that has connected and wants to join `room`.
    pub(super) fn new(name: &str, room: &str, now: Instant) -> Self {
        Self {
            name: name.into(),
            room: None,
            stage: Stage::Greeting {
                room: room.into(),
                until: now + ANSWER,
            },
            doubted: None,
            framing: JsonObjects::new(MAX_OBJECT),
            received: Vec::new(),
            text: None,
            is_over: false,
            unsent: Vec::new(),
            said: VecDeque::new(),
            has_heard: false,
            is_ours: false,
            next_at: None,
        }
    }

    pub(super) fn room(&self) -> Option<&str> {
        self.room.as_deref()
    }

    /// What is to be written.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.unsent
    }

    /// Whether nothing is under way, so that [`join`](Self::join), [`leave`](Self::leave) and
    /// [`chat`](Self::chat) may be called.
    pub(super) fn is_ready(&self) -> bool {
        self.is_settled() && self.next_at.is_none()
    }

    /// Whether all is written and answered, as far as there are answers.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Free) && self.unsent.is_empty()
    }

    /// Whether the answer to a join or a leave is to come.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asked { .. })
    }

    pub(super) fn join(&mut self, room: &str, now: Instant) {
        self.doubted = None;
        let username = &self.name;
        self.unsent = Request::Join { room, username }.to_bytes();
        self.stage = Stage::Asked {
            wish: Wish::Join(room.into()),
            until: now + ANSWER,
        };
    }

    pub(super) fn leave(&mut self, now: Instant) {
        self.doubted = None;
        self.unsent = Request::Leave.to_bytes();
        self.stage = Stage::Asked {
            wish: Wish::Leave,
            until: now + ANSWER,
        };
    }

    pub(super) fn chat(&mut self, message: &str, now: Instant) {
        self.unsent = Request::Chat { message }.to_bytes();
        // Our hub tells the others alone.
        if !self.is_ours {
            self.forget(now);
            self.said.push_back((now, message.into()));
        }
    }

    /// The first `n` of the unsent bytes are written.
    pub(super) fn handle_sent(&mut self, n: usize, now: Instant) {
        self.unsent.drain(..n);
        if self.unsent.is_empty() && !self.is_ours {
            self.next_at = Some(now + PAUSE);
        }
    }

    pub(super) fn handle_received(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Nothing more comes.
    pub(super) fn handle_end(&mut self) {
        self.is_over = true;
    }

    /// What came, or came not in time; until there is nothing more.
    pub(super) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            // Not in an array or a string that is a part of the text.
            if self.received.first() == Some(&b'{')
                && self.framing.end(&[]).is_ok()
                && self.open_text().is_some()
                && let Some(event) = self.end_text(true)
            {
                return Some(event);
            }
            match self.framing.scan(&self.received) {
                Ok(Scan::Frame {
                    start,
                    end,
                    consumed,
                }) => {
                    self.text = None;
                    let said = Said::parse(&self.received[start..end]);
                    self.received.drain(..consumed);
                    if let Some(event) = self.hear(said, now) {
                        return Some(event);
                    }
                }
                Ok(Scan::Skip { consumed }) => {
                    if let Some(event) = self.skip(consumed, now) {
                        return Some(event);
                    }
                }
                Ok(Scan::More) => return self.handle_timeout(now),
                Err(FrameError::Oversize { .. }) => {
                    let what = "an object of more than 1 MiB";
                    return Some(Event::Said(Said::Strange(what.into())));
                }
                // It is skipped next.
                Err(_) => {
                    let (bytes, until) = (Vec::new(), now + STOP);
                    self.text = Some(Text { bytes, until });
                }
            }
        }
    }

    /// When to poll for events, though nothing came.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = match &self.stage {
            Stage::Greeting { until, .. } | Stage::Asked { until, .. } => Some(*until),
            Stage::Free => self.next_at,
        };
        let text = self.open_text().map(|text| text.until);
        [due, text].into_iter().flatten().min()
    }

    /// Passes over white space, or takes a text, which a newline ends.
    fn skip(&mut self, consumed: usize, now: Instant) -> Option<Event> {
        let skipped = self.received.drain(..consumed);
        let text = self.text.as_mut()?;
        text.bytes.extend(skipped);
        text.until = now + STOP;
        let is_whole = text.bytes.ends_with(b"\n");
        if is_whole || text.bytes.len() >= TEXT {
            return self.end_text(is_whole);
        }
        None
    }

    /// What has come of a text; if that is not the whole, more may follow.
    fn end_text(&mut self, is_whole: bool) -> Option<Event> {
        let text = self.text.as_mut()?;
        let bytes = mem::take(&mut text.bytes);
        if is_whole {
            self.text = None;
            // Behind a broken object, too, what follows its newline is another text.
            if self.framing.end(&[]).is_ok() {
                self.framing = JsonObjects::new(MAX_OBJECT);
            }
        }
        let said = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        (!said.is_empty()).then_some(Event::Said(Said::Text(said)))
    }

    /// A text of which something has come that is not told.
    fn open_text(&self) -> Option<&Text> {
        self.text.as_ref().filter(|text| !text.bytes.is_empty())
    }

    /// What an object tells; nothing if it is a line of one's own that comes back.
    fn hear(&mut self, said: Said, now: Instant) -> Option<Event> {
        if !self.has_heard {
            self.has_heard = true;
            self.is_ours = matches!(&said, Said::Told(text) if text.starts_with(OURS));
        }
        if let Said::Chat {
            username, message, ..
        } = &said
            && *username == self.name
            && self.comes_back(message, now)
        {
            return None;
        }
        match &self.stage {
            Stage::Greeting { room, .. } => {
                let room = room.clone();
                self.join(&room, now);
            }
            Stage::Asked { wish, .. } => {
                if let Said::Error(why) = &said {
                    let (wish, why) = (wish.clone(), why.clone());
                    self.stage = Stage::Free;
                    self.doubted = Some((wish.clone(), now + ANSWER));
                    return Some(Event::Refused { wish, why });
                }
                if answer::grants(&said, wish, &self.name, self.room()) {
                    self.grant(wish.clone());
                }
            }
            Stage::Free => {
                let doubted = self.doubted.take_if(|(wish, until)| {
                    let room = self.room.as_deref();
                    now < *until && answer::grants(&said, wish, &self.name, room)
                });
                if let Some((wish, _)) = doubted {
                    self.grant(wish);
                }
            }
        }
        Some(Event::Said(said))
    }

    /// Whether a text under one's own name is a line that was said; each comes back once.
    fn comes_back(&mut self, text: &str, now: Instant) -> bool {
        self.forget(now);
        let at = self.said.iter().position(|(_, line)| line == text);
        at.and_then(|at| self.said.remove(at)).is_some()
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > ECHO;
        let old = self.said.iter().take_while(|(at, _)| is_old(*at)).count();
        self.said.drain(..old);
    }

    fn grant(&mut self, wish: Wish) {
        self.room = match wish {
            Wish::Join(room) => Some(room),
            Wish::Leave => None,
        };
        self.stage = Stage::Free;
        // It has read what it answers.
        self.next_at = None;
    }

    fn handle_timeout(&mut self, now: Instant) -> Option<Event> {
        self.next_at = self.next_at.filter(|&at| at > now);
        let is_over = self.is_over;
        if self
            .open_text()
            .is_some_and(|text| is_over || text.until <= now)
            && let Some(event) = self.end_text(false)
        {
            // A prompt may begin as an array does, and have no end.
            if self.framing.end(&[]).is_err() {
                self.framing = JsonObjects::new(MAX_OBJECT);
            }
            return Some(event);
        }
        match &self.stage {
            Stage::Greeting { room, until } if *until <= now => {
                let room = room.clone();
                self.join(&room, now);
                None
            }
            Stage::Asked { wish, until } if *until <= now => {
                let wish = wish.clone();
                self.stage = Stage::Free;
                if let Wish::Join(room) = &wish {
                    self.room = Some(room.clone());
                }
                Some(Event::Unanswered(wish))
            }
            Stage::Greeting { .. } | Stage::Asked { .. } | Stage::Free => None,
        }
    }
}

#[cfg(test)]
mod tests;
