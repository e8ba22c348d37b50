//! A chat from the first line to the last acknowledgement.
//!
//! One loop waits for the input and the hub together. Input that the outbox has no place for is
//! left where it is, so that a long file takes no more memory than a short one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use halloo_core::wire::{GapReason, NoticeKind};
use halloo_std::client::{ClientError, Device, From, Happening, JoinError, PostError, PostId};
use halloo_std::socket::Interest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Args;
use super::command::{self, HELP, Line};
use super::input::{Input, Typed};
use super::screen::Screen;
use crate::failure::Failure;
use crate::output::harmless;

/// After so long without a verdict, a post is shown as open.
const OPEN_AFTER: Duration = Duration::from_secs(2);

/// How long the hub has to close after the bye.
const BYE: Duration = Duration::from_secs(2);

/// How many happenings are shown before the input has its turn.
const BATCH: usize = 64;

pub(super) struct Session<'a> {
    args: &'a Args,
    device: Device,
    input: Input,
    screen: Screen,
    /// Where lines are posted.
    room: Option<String>,
    /// The last offset of each room when it was joined.
    heads: HashMap<String, u64>,
    open: HashMap<PostId, Open>,
    /// A line that waits for place in the outbox, or for the room to be joined.
    waiting: Option<Vec<u8>>,
    is_quitting: bool,
    unposted: usize,
}

/// A post without verdict.
struct Open {
    room: String,
    body: Vec<u8>,
    since: Instant,
    is_shown: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(args: &'a Args, device: Device, input: Input, screen: Screen) -> Self {
        Self {
            args,
            device,
            input,
            screen,
            room: Some(args.room.clone()),
            heads: HashMap::new(),
            open: HashMap::new(),
            waiting: None,
            is_quitting: false,
            unposted: 0,
        }
    }

    /// Runs until the input has ended, then for at most `patience` until all is acknowledged.
    pub(super) fn run(mut self, patience: Duration) -> Result<(), Failure> {
        let mut deadline = None;
        loop {
            self.show_news()?;
            self.take_lines()?;
            self.show_open()?;
            if self.is_leaving() {
                let deadline = *deadline.get_or_insert(Instant::now() + patience);
                if self.is_done() || deadline <= Instant::now() {
                    break;
                }
            }
            self.wait(deadline)?;
        }
        let unacknowledged = self.open.len() + usize::from(self.waiting.is_some());
        if self.device.is_connected() {
            // What counts is acknowledged or not already.
            let _ = self.device.bye(BYE);
        }
        match (unacknowledged, self.unposted) {
            (0, 0) => Ok(()),
            (0, refused) => Err(Failure::Job(format!(
                "{} not posted: see above why",
                count(refused, "line was", "lines were")
            ))),
            (open, _) => Err(Failure::Job(format!(
                "{} not acknowledged in time: check the hub, or allow more by --timeout",
                count(open, "post was", "posts were")
            ))),
        }
    }

    /// Whether no more lines are taken.
    fn is_leaving(&self) -> bool {
        let stays = self.args.follow && !self.screen.is_terminal();
        self.is_quitting || (self.input.has_ended() && !stays)
    }

    fn is_done(&self) -> bool {
        let is_shown =
            |(room, &head): (&String, &u64)| self.device.cursor(room).is_none_or(|at| at >= head);
        let is_settled = self.open.is_empty() && self.waiting.is_none();
        // A person who quits need not see the rest of the history.
        is_settled && (self.screen.is_terminal() || self.heads.iter().all(is_shown))
    }

    /// Blocks until the hub, the input or the clock has something.
    fn wait(&self, deadline: Option<Instant>) -> Result<(), Failure> {
        let mut timeout = self.device.poll_timeout();
        let unshown = self.open.values().filter(|open| !open.is_shown);
        let marks = unshown.map(|open| open.since + OPEN_AFTER).min();
        for at in [deadline, marks].into_iter().flatten() {
            let left = at.saturating_duration_since(Instant::now());
            timeout = Some(timeout.map_or(left, |now| now.min(left)));
        }
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        let mut fds = Vec::with_capacity(2);
        if let Some((fd, interest)) = self.device.poll_fd() {
            let flags = match interest {
                Interest::Read => PollFlags::IN,
                Interest::Write => PollFlags::OUT,
                Interest::Both => PollFlags::IN | PollFlags::OUT,
            };
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        if self.wants_input() {
            fds.push(PollFd::from_borrowed_fd(self.input.fd(), PollFlags::IN));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(Failure::from_stdio(&error.into())),
        }
    }

    fn wants_input(&self) -> bool {
        self.waiting.is_none() && !self.input.has_ended() && !self.is_quitting
    }

    fn take_lines(&mut self) -> Result<(), Failure> {
        if let Some(line) = self.waiting.take() {
            self.post(line)?;
        }
        if self.wants_input() && self.is_input_ready()? {
            self.input.read()?;
        }
        while self.waiting.is_none() && !self.is_quitting {
            match self.input.next() {
                Some(Typed::Line(line)) => self.obey(line)?,
                Some(Typed::TooLong) => self.refuse("it is longer than any hub takes")?,
                None => break,
            }
        }
        Ok(())
    }

    fn is_input_ready(&self) -> Result<bool, Failure> {
        let mut fds = [PollFd::from_borrowed_fd(self.input.fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec::default())) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(Failure::from_stdio(&error.into())),
        }
    }

    fn obey(&mut self, line: Vec<u8>) -> Result<(), Failure> {
        if !self.screen.is_terminal() && !self.args.commands {
            return self.post(line);
        }
        match command::parse(&line) {
            Line::Post(body) => {
                let body = body.to_vec();
                self.post(body)
            }
            Line::Join(room) => self.join(room),
            Line::Leave(room) => {
                let room = room.map(String::from).or_else(|| self.room.clone());
                match room {
                    Some(room) => {
                        self.device.leave(&room);
                        Ok(())
                    }
                    None => self.screen.remark("you are in no room"),
                }
            }
            Line::Who => match &self.room {
                Some(room) => {
                    self.device.who(room, 0);
                    Ok(())
                }
                None => self.screen.remark("you are in no room: /join ROOM first"),
            },
            Line::Quit => {
                self.is_quitting = true;
                Ok(())
            }
            Line::Help => HELP.iter().try_for_each(|line| self.screen.remark(line)),
            Line::Nothing => Ok(()),
            Line::Wrong(line) => {
                let text = format!("{} is no command: /help lists them", harmless(line));
                self.screen.remark(&text)
            }
        }
    }

    fn join(&mut self, room: &str) -> Result<(), Failure> {
        match self.device.join(room, From::Last(self.args.history)) {
            Ok(()) => self.room = Some(room.into()),
            Err(ClientError::Join {
                source: JoinError::Again,
                ..
            }) => {
                self.room = Some(room.into());
                self.screen.remark(&format!("posting in {room}"))?;
            }
            Err(error) => self
                .screen
                .remark(&harmless(error.to_string().as_bytes()))?,
        }
        Ok(())
    }

    fn post(&mut self, body: Vec<u8>) -> Result<(), Failure> {
        let Some(room) = self.room.clone() else {
            return self.refuse("you are in no room: /join ROOM first");
        };
        match self.device.post(&room, &body) {
            Ok(id) => {
                let open = Open {
                    room,
                    body,
                    since: Instant::now(),
                    is_shown: false,
                };
                self.open.insert(id, open);
            }
            Err(PostError::OutboxFull) => self.waiting = Some(body),
            // The answer to the join is on its way.
            Err(PostError::NotJoined) if !self.heads.contains_key(&room) => {
                self.waiting = Some(body);
            }
            Err(PostError::TooLarge) => {
                let text = format!("it has {} bytes, more than the hub takes", body.len());
                self.refuse(&text)?;
            }
            Err(error) => self.refuse(&error.to_string())?,
        }
        Ok(())
    }

    /// A line is not posted.
    fn refuse(&mut self, why: &str) -> Result<(), Failure> {
        self.unposted += 1;
        self.screen
            .remark(&format!("the line is not posted: {why}"))
    }

    fn show_news(&mut self) -> Result<(), Failure> {
        for _ in 0..BATCH {
            match self.device.next(Duration::ZERO) {
                Ok(Some(happening)) => self.show(happening)?,
                Ok(None) => break,
                Err(error) => return Err(self.lost(error)),
            }
        }
        Ok(())
    }

    fn lost(&self, error: ClientError) -> Failure {
        match (Failure::from(error), self.open.len()) {
            (Failure::Connection(text), open @ 1..) => {
                let open = count(open, "post was", "posts were");
                Failure::Connection(format!("{text} ({open} not acknowledged)"))
            }
            (failure, _) => failure,
        }
    }

    fn show(&mut self, happening: Happening) -> Result<(), Failure> {
        match happening {
            Happening::Entry {
                room, from, body, ..
            } => self.screen.message(&said(&room, &from, &body)),
            Happening::Acked { post, .. } => {
                let Some(open) = self.open.remove(&post) else {
                    return Ok(());
                };
                let mut line = said(&open.room, &self.args.name, &open.body);
                if self.screen.is_terminal() {
                    line.push_str(" ✓");
                }
                self.screen.message(&line)
            }
            Happening::Rejected { post, code, .. } => {
                self.open.remove(&post);
                self.refuse(&format!("the hub says {code}"))
            }
            Happening::Unknown { post, code, .. } => {
                self.open.remove(&post);
                self.unposted += 1;
                let text = format!("the line may be posted or not: the hub says {code}");
                self.screen.remark(&text)
            }
            Happening::Joined {
                room,
                head,
                members,
            } => {
                let is_first = self.heads.insert(room.to_string(), head).is_none();
                if !is_first {
                    return Ok(());
                }
                let text = format!("you are in {room}, {members} here");
                self.screen.remark(&text)
            }
            Happening::Refused { room, code } => {
                self.gone_from(&room);
                let text = format!("the hub does not let you join {room}: {code}");
                self.screen.remark(&text)?;
                self.drop_waiting()
            }
            Happening::Left { room } => {
                self.gone_from(&room);
                self.screen.remark(&format!("you have left {room}"))?;
                self.drop_waiting()
            }
            Happening::Notice {
                room,
                kind,
                who,
                members,
            } => {
                let what = match kind {
                    NoticeKind::Joined => "came to",
                    NoticeKind::Left => "left",
                    _ => return self.screen.remark(&format!("{room}: {members} here")),
                };
                let text = format!("{} {what} {room}, {members} here", harmless(who.as_bytes()));
                self.screen.remark(&text)
            }
            Happening::Roster {
                room,
                skip,
                names,
                members,
            } => self.show_roster(&room, skip, &names, members),
            // Older history was not asked for.
            Happening::Gap {
                reason: GapReason::History,
                ..
            } => Ok(()),
            Happening::Gap {
                room,
                from,
                to,
                reason,
            } => {
                let missing = to.saturating_sub(from).saturating_add(1);
                let missing = usize::try_from(missing).unwrap_or(usize::MAX);
                let missing = count(missing, "post", "posts");
                let text = format!("{missing} of {room} missing here: {reason}");
                self.screen.remark(&text)
            }
            Happening::StoreChanged { room } => {
                let text = format!("the hub has a new log of {room}: what it kept before is gone");
                self.screen.remark(&text)
            }
            Happening::Disconnected {
                cause,
                retry_in: Some(_),
            } => {
                let open = match self.open.len() {
                    0 => String::new(),
                    open => format!(", {} for it", count(open, "post waits", "posts wait")),
                };
                let text = format!("connection lost, connecting again{open}: {cause}");
                self.screen.remark(&harmless(text.as_bytes()))
            }
            Happening::Reconnected => self.screen.remark("connected again"),
            _ => Ok(()),
        }
    }

    fn show_roster(
        &mut self,
        room: &str,
        skip: u16,
        names: &[halloo_core::name::Name],
        members: u32,
    ) -> Result<(), Failure> {
        let list: Vec<_> = names.iter().map(|n| harmless(n.as_bytes())).collect();
        self.screen
            .remark(&format!("in {room}: {}", list.join(", ")))?;
        let seen = usize::from(skip) + names.len();
        if let Ok(skip) = u16::try_from(seen)
            && !names.is_empty()
            && u32::from(skip) < members
        {
            self.device.who(room, skip);
        }
        Ok(())
    }

    fn gone_from(&mut self, room: &str) {
        self.heads.remove(room);
        if self.room.as_deref() == Some(room) {
            self.room = self.heads.keys().next().cloned();
        }
    }

    /// A line that waited for a room has nowhere to go.
    fn drop_waiting(&mut self) -> Result<(), Failure> {
        if self.room.is_none() && self.waiting.take().is_some() {
            self.refuse("you are in no room: /join ROOM first")?;
        }
        Ok(())
    }

    /// Shows posts that wait unusually long for their verdict.
    fn show_open(&mut self) -> Result<(), Failure> {
        let mut late: Vec<_> = self
            .open
            .iter_mut()
            .filter(|(_, open)| !open.is_shown && open.since.elapsed() >= OPEN_AFTER)
            .collect();
        late.sort_by_key(|(id, _)| **id);
        for (_, open) in late {
            open.is_shown = true;
            let line = said(&open.room, &self.args.name, &open.body);
            self.screen
                .remark(&format!("not acknowledged yet: {line}"))?;
        }
        Ok(())
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn said(room: &str, from: &str, body: &[u8]) -> String {
    format!("[{room}] {}: {}", harmless(from.as_bytes()), harmless(body))
}
