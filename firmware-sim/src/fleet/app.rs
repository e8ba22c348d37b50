//! The application of a device: what it posts, what it does with what it is handed, and its pages
//! of the ledger.
//!
//! Knows the client's interface and the time. Knows no connection.

use std::collections::VecDeque;
use std::sync::Arc;

use halloo_core::chat::client::{Delivery, Event, PostError, SlotId};
use halloo_core::time::{Duration, Instant, after, since};

use super::Client;
use super::body::{Body, COMMAND, Stamp};
use super::plan::{Kind, Plan};
use super::script::{Script, Text};
use super::shared::{Phase, Shared, Tally};
use crate::ledger::Page;

/// The most answers that an actuator owes; a further command is not answered.
const ANSWERS: u8 = 8;

#[derive(Debug)]
pub(crate) struct App {
    number: u32,
    kind: Kind,
    /// One for each slot.
    pages: Vec<Page>,
    /// How many rooms were joined.
    joined: usize,
    /// It was a member of all its rooms when posting began.
    has_started: bool,
    /// Posts without verdict, in order.
    open: VecDeque<Open>,
    answers: u8,
    script: Script,
    next_post: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    slot: SlotId,
    seq: u32,
    counter: u32,
    at: Instant,
}

impl App {
    pub(crate) fn new(number: u32, plan: &Plan, period: Duration) -> Option<Self> {
        let role = plan.roles.get(number as usize)?;
        let page = |&room: &u32| {
            let members = plan.rooms.get(room as usize)?;
            Some(Page::new(number, room, Arc::clone(members)))
        };
        Some(Self {
            number,
            kind: role.kind,
            pages: role.rooms.iter().map(page).collect::<Option<_>>()?,
            joined: 0,
            has_started: false,
            open: VecDeque::with_capacity(4),
            answers: 0,
            script: Script::new(role, period),
            next_post: None,
        })
    }

    /// Whether it is a member of all its rooms.
    pub(crate) fn is_joined(&self) -> bool {
        self.joined >= self.pages.len()
    }

    /// Whether it takes part: it was a member of all its rooms when posting began.
    pub(crate) const fn has_started(&self) -> bool {
        self.has_started
    }

    /// Whether every post has its verdict, and the good ones have come back.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.pages.iter().all(Page::is_settled)
    }

    /// Whether it has read every room up to what is known of it.
    pub(crate) fn has_read(&self, shared: &Shared) -> bool {
        let is_read = |page: &Page| page.cursor() >= shared.head(page.room());
        self.pages.iter().all(is_read)
    }

    pub(crate) fn into_pages(self) -> Vec<Page> {
        self.pages
    }

    /// Posting begins.
    pub(crate) fn handle_start(&mut self, now: Instant) {
        self.has_started = self.is_joined();
        if self.has_started {
            self.next_post = self.script.first().map(|pause| after(now, pause));
        }
    }

    /// Posting ends.
    pub(crate) fn handle_stop(&mut self) {
        self.next_post = None;
        self.answers = 0;
    }

    /// When it wants to post.
    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.next_post
    }

    /// Posts what is due; whether the client has something new to send.
    pub(crate) fn poll_post(
        &mut self,
        now: Instant,
        client: &mut Client,
        tally: &mut Tally,
    ) -> bool {
        let mut has_posted = false;
        while let Some(due) = self.next_post.filter(|&due| due <= now) {
            let line = self.script.next_line();
            self.next_post = Some(after(due, line.pause));
            if self.post(now, line.place, line.text, client) {
                has_posted = true;
                tally.live.posts.add(1);
            } else {
                tally.held_back += 1;
            }
        }
        while self.answers > 0 && self.post(now, 0, Text::Answer, client) {
            self.answers -= 1;
            has_posted = true;
            tally.live.posts.add(1);
        }
        has_posted
    }

    fn post(&mut self, now: Instant, place: usize, text: Text, client: &mut Client) -> bool {
        let Some(page) = self.pages.get_mut(place) else {
            return false;
        };
        let stamp = Stamp {
            device: self.number,
            room: page.room(),
            counter: page.posted().saturating_add(1),
            at: now.as_ticks(),
        };
        let body = Body::new(text, stamp);
        let Ok(slot) = SlotId::try_from(place) else {
            return false;
        };
        match client.post(slot, body.as_bytes()) {
            Ok(seq) => {
                page.post();
                self.open.push_back(Open {
                    slot,
                    seq,
                    counter: page.posted(),
                    at: now,
                });
                true
            }
            Err(PostError::OutboxFull) => false,
            Err(error) => {
                tracing::warn!(device = self.number, %error, "a post was not taken");
                false
            }
        }
    }

    pub(crate) fn handle_delivery(
        &mut self,
        now: Instant,
        delivery: &Delivery<'_>,
        shared: &Shared,
        tally: &mut Tally,
    ) {
        match *delivery {
            Delivery::Entry {
                slot, offset, body, ..
            } => {
                tally.live.delivered.add(1);
                self.handle_entry(now, slot, offset, body, shared, tally);
            }
            Delivery::Own { slot, offset } => {
                tally.live.delivered.add(1);
                if let Some(page) = self.pages.get_mut(usize::from(slot)) {
                    page.own(offset);
                    shared.raise_head(page.room(), offset);
                }
            }
            Delivery::Gap {
                slot,
                from,
                to,
                reason,
            } => {
                tracing::info!(device = self.number, from, to, %reason, "a gap");
                if let Some(page) = self.pages.get_mut(usize::from(slot)) {
                    page.gap(from, to);
                }
            }
            Delivery::Error(error) => {
                tracing::warn!(device = self.number, code = %error.code, text = error.text, "the hub found an error");
            }
            Delivery::Notice(_) | Delivery::Roster(_) | Delivery::Echo { .. } => {}
        }
    }

    fn handle_entry(
        &mut self,
        now: Instant,
        slot: SlotId,
        offset: u64,
        body: &[u8],
        shared: &Shared,
        tally: &mut Tally,
    ) {
        let Some(page) = self.pages.get_mut(usize::from(slot)) else {
            return;
        };
        let Some(stamp) = Stamp::read(body) else {
            page.foreign(offset);
            return;
        };
        page.entry(offset, stamp.device, stamp.room, stamp.counter);
        tally.record_delivery(since(now, Instant::from_ticks(stamp.at)));
        let is_command = self.kind == Kind::Actuator && body.starts_with(COMMAND.as_bytes());
        if is_command && self.has_started && shared.phase() == Phase::Posting {
            self.answers = self.answers.saturating_add(1).min(ANSWERS);
        }
    }

    pub(crate) fn handle_event(
        &mut self,
        now: Instant,
        event: Event,
        client: &Client,
        tally: &mut Tally,
    ) {
        match event {
            Event::Joined { slot, .. } => self.handle_joined(slot, client, tally),
            Event::Acked { slot, seq } => {
                let Some(open) = self.take_open(slot, seq) else {
                    return;
                };
                tally.live.acknowledged.add(1);
                tally.record_round_trip(since(now, open.at));
                if let Some(page) = self.pages.get_mut(usize::from(slot)) {
                    page.acknowledge(open.counter);
                }
            }
            Event::Rejected { slot, seq, code } => {
                tracing::warn!(device = self.number, %code, "a post was rejected");
                self.take_open(slot, seq);
                if let Some(page) = self.pages.get_mut(usize::from(slot)) {
                    page.reject();
                }
            }
            // Neither acknowledged nor rejected: it may be in the log, and need not be.
            Event::Unknown { slot, seq, code } => {
                tracing::warn!(device = self.number, %code, "a post has no verdict");
                self.take_open(slot, seq);
            }
            Event::Refused { code, .. } => {
                tracing::warn!(device = self.number, %code, "a join was refused");
            }
            Event::StoreChanged { slot } => {
                tracing::warn!(device = self.number, "the hub's store is another one");
                tally.live.store_changes.add(1);
                if let Some(page) = self.pages.get_mut(usize::from(slot))
                    && let Some(cursor) = client.cursor(slot)
                {
                    page.start(cursor);
                }
            }
            Event::Welcomed | Event::Left { .. } | Event::Closed { .. } => {}
        }
    }

    fn handle_joined(&mut self, slot: SlotId, client: &Client, tally: &mut Tally) {
        // Slots are given out in order, so the first time is the one that is next.
        let is_first = usize::from(slot) >= self.joined;
        if is_first
            && let Some(page) = self.pages.get_mut(usize::from(slot))
            && let Some(cursor) = client.cursor(slot)
        {
            page.start(cursor);
            self.joined += 1;
            if self.is_joined() {
                tally.live.joined.add(1);
            }
        }
    }

    /// The open post that a verdict is on.
    fn take_open(&mut self, slot: SlotId, seq: u32) -> Option<Open> {
        let exact = |open: &Open| open.slot == slot && open.seq == seq;
        let at = self.open.iter().position(exact)?;
        self.open.remove(at)
    }
}
