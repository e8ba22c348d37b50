//! A chat from the first line to the last acknowledgement.
//!
//! One loop waits for the input, the hub and the signals together. Input that the outbox has no
//! place for is left where it is, so that a long file takes no more memory than a short one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use halloo_std::client::{ClientError, Device, From, JoinError, PostError};

use super::Args;
use super::command::{self, HELP, Line};
use super::ledger::Ledger;
use super::near::{NO_ROOM, Near};
use crate::failure::Failure;
use crate::output::{count, harmless};

/// How long the hub has to close after the bye.
const BYE: Duration = Duration::from_secs(2);

/// How many happenings are shown before the input has its turn.
const BATCH: usize = 64;

pub(super) struct Session<'a> {
    pub(super) args: &'a Args,
    pub(super) near: Near,
    pub(super) device: Device,
    history: u32,
    /// Where lines are posted.
    pub(super) room: Option<String>,
    /// The last offset of each room when it was joined.
    pub(super) heads: HashMap<String, u64>,
    pub(super) ledger: Ledger,
    /// Since when there is no connection, and why.
    pub(super) lost: Option<(Instant, Failure)>,
}

impl<'a> Session<'a> {
    pub(super) fn new(args: &'a Args, near: Near, device: Device, history: u32) -> Self {
        Self {
            args,
            near,
            device,
            history,
            room: Some(args.room.clone()),
            heads: HashMap::new(),
            ledger: Ledger::default(),
            lost: None,
        }
    }

    /// Runs until the input has ended, then for a while until all is acknowledged.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut deadline = None;
        loop {
            self.show_news()?;
            self.take_lines()?;
            self.show_late()?;
            self.take_signals()?;
            if self.near.is_leaving() {
                let deadline = *deadline.get_or_insert(Instant::now() + self.near.ways.patience);
                if self.is_done() || deadline <= Instant::now() {
                    break;
                }
            }
            self.check_patience()?;
            self.wait(deadline)?;
        }
        let open = self.open();
        if self.device.is_connected() {
            // What counts is acknowledged or not already.
            let _ = self.device.bye(BYE);
        }
        if open > 0 {
            let posts = count(open, "post was", "posts were");
            return Err(Failure::Job(if self.near.interrupts > 0 {
                format!("{posts} not acknowledged before the interrupt")
            } else {
                format!(
                    "{posts} not acknowledged in time: check the hub, or allow more by --timeout"
                )
            }));
        }
        self.near.verdict()
    }

    fn is_done(&self) -> bool {
        let is_shown =
            |(room, &head): (&String, &u64)| self.device.cursor(room).is_none_or(|at| at >= head);
        let is_settled = self.ledger.is_empty() && self.near.waiting.is_none();
        // Who quits need not see the rest of the history.
        let is_seen =
            self.near.ways.is_person || self.near.is_quitting || self.heads.iter().all(is_shown);
        self.near.interrupts > 1 || (is_settled && is_seen)
    }

    /// A pipe that is posted waits only so long for its hub.
    fn check_patience(&mut self) -> Result<(), Failure> {
        let is_bound = !self.near.ways.is_person && !self.near.ways.stays;
        match self.lost.take() {
            Some((since, why)) if is_bound && since.elapsed() >= self.near.ways.patience => {
                Err(self.with_open(why))
            }
            lost => {
                self.lost = lost;
                Ok(())
            }
        }
    }

    /// Blocks until the hub, the input, a signal or the clock has something.
    fn wait(&self, deadline: Option<Instant>) -> Result<(), Failure> {
        let mut timeout = self.device.poll_timeout();
        let gives_up = self
            .lost
            .as_ref()
            .map(|(at, _)| *at + self.near.ways.patience);
        let gives_up = gives_up.filter(|_| !self.near.ways.is_person && !self.near.ways.stays);
        for at in [deadline, gives_up, self.ledger.next_late()]
            .into_iter()
            .flatten()
        {
            let left = at.saturating_duration_since(Instant::now());
            timeout = Some(timeout.map_or(left, |now| now.min(left)));
        }
        self.near.wait(self.device.poll_fd(), timeout)
    }

    fn take_signals(&mut self) -> Result<(), Failure> {
        let open = self.open();
        if self.near.take_signals() && open > 0 {
            let posts = count(open, "post waits", "posts wait");
            let text = format!("{posts} to be acknowledged; interrupt again to leave at once");
            self.near.screen.remark(&text)?;
        }
        Ok(())
    }

    fn take_lines(&mut self) -> Result<(), Failure> {
        if let Some(line) = self.near.waiting.take() {
            self.post(line)?;
        }
        self.near.read()?;
        while let Some(line) = self.near.next_line()? {
            self.obey(line)?;
            self.near.ask(self.room.as_deref());
        }
        Ok(())
    }

    fn obey(&mut self, line: Vec<u8>) -> Result<(), Failure> {
        if !self.near.ways.takes_commands {
            return self.post(line);
        }
        match command::parse(&line) {
            Line::Post(body) => {
                let body = body.to_vec();
                self.post(body)
            }
            Line::Join(room) => self.join(room),
            Line::Leave(room) => match room.map(String::from).or_else(|| self.room.clone()) {
                Some(room) => self.leave(&room),
                None => self.near.screen.remark("you are in no room"),
            },
            Line::Who => match &self.room {
                Some(room) => {
                    self.device.who(room, 0);
                    Ok(())
                }
                None => self.near.screen.remark(NO_ROOM),
            },
            Line::Quit => {
                self.near.is_quitting = true;
                Ok(())
            }
            Line::Help => HELP
                .iter()
                .try_for_each(|line| self.near.screen.remark(line)),
            Line::Nothing => Ok(()),
            Line::Wrong(line) => self.near.screen.remark(&command::wrong(line)),
        }
    }

    fn join(&mut self, room: &str) -> Result<(), Failure> {
        match self.device.join(room, From::Last(self.history)) {
            Ok(()) => self.room = Some(room.into()),
            Err(ClientError::Join {
                source: JoinError::Again,
                ..
            }) => {
                self.room = Some(room.into());
                self.near
                    .screen
                    .remark(&format!("you post in {room} now"))?;
            }
            Err(error) => self
                .near
                .screen
                .remark(&harmless(error.to_string().as_bytes()))?,
        }
        Ok(())
    }

    fn leave(&mut self, room: &str) -> Result<(), Failure> {
        if self.device.cursor(room).is_none() && !self.heads.contains_key(room) {
            let text = format!("you are not in {}", harmless(room.as_bytes()));
            return self.near.screen.remark(&text);
        }
        self.device.leave(room);
        self.gone_from(room)
    }

    fn post(&mut self, body: Vec<u8>) -> Result<(), Failure> {
        let Some(room) = self.room.clone() else {
            return self.near.refuse(NO_ROOM);
        };
        match self.device.post(&room, &body) {
            Ok(id) => self.ledger.add(id, room, body),
            Err(PostError::OutboxFull) => self.near.waiting = Some(body),
            // The answer to the join is on its way.
            Err(PostError::NotJoined) if !self.heads.contains_key(&room) => {
                self.near.waiting = Some(body);
            }
            Err(PostError::TooLarge) => {
                let text = format!("it has {} bytes, more than the hub takes", body.len());
                self.near.refuse(&text)?;
            }
            Err(error) => self.near.refuse(&error.to_string())?,
        }
        Ok(())
    }

    pub(super) fn gone_from(&mut self, room: &str) -> Result<(), Failure> {
        self.heads.remove(room);
        if self.room.as_deref() == Some(room) {
            self.room = self.heads.keys().min().cloned();
        }
        // A line that waited for the room has nowhere to go.
        if self.room.is_none() && self.near.waiting.take().is_some() {
            self.near.refuse(NO_ROOM)?;
        }
        Ok(())
    }

    fn show_news(&mut self) -> Result<(), Failure> {
        for _ in 0..BATCH {
            match self.device.next(Duration::ZERO) {
                Ok(Some(happening)) => self.show(happening)?,
                Ok(None) => break,
                Err(error) => return Err(self.with_open(error.into())),
            }
        }
        Ok(())
    }

    /// How many posts have no verdict.
    fn open(&self) -> usize {
        self.ledger.len() + usize::from(self.near.waiting.is_some())
    }

    fn with_open(&self, failure: Failure) -> Failure {
        match self.open() {
            0 => failure,
            open => {
                let posts = count(open, "post was", "posts were");
                failure.and(&format!("{posts} not acknowledged"))
            }
        }
    }
}
