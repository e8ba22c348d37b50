//! What the server says, put in words.

use std::time::Instant;

use super::Session;
use super::member::{Event, Wish};
use super::object::Said;
use crate::failure::Failure;
use crate::output::harmless;

/// How much is shown of what is no chat.
const STRANGE: usize = 200;

impl Session<'_> {
    pub(super) fn show_news(&mut self) -> Result<(), Failure> {
        let was_asking = self.member.is_asking();
        let room = self.member.room().map(String::from);
        while let Some(event) = self.member.poll_event(Instant::now()) {
            self.was_inside |= self.member.room().is_some();
            match event {
                Event::Said(said) => self.show(said)?,
                Event::Refused { wish, why } => self.show_refused(&wish, &why)?,
                Event::Unanswered(Wish::Join(_)) => {
                    let text = "the server said nothing to the join: lines are sent all the same";
                    self.near.screen.remark(text)?;
                }
                Event::Unanswered(Wish::Leave) => {
                    let text = "the server said nothing to the leave: you may be there still";
                    self.near.screen.remark(text)?;
                }
            }
        }
        let is_answered = was_asking && !self.member.is_asking();
        if is_answered || room.as_deref() != self.member.room() {
            self.near.ask(self.member.room());
        }
        Ok(())
    }

    fn show(&mut self, said: Said) -> Result<(), Failure> {
        let clean = |text: &str| harmless(text.as_bytes());
        let start = |text: &str| clean(&text.chars().take(STRANGE).collect::<String>());
        match said {
            Said::Chat {
                room,
                username,
                message,
            } => {
                let room = room.as_deref().or(self.member.room()).unwrap_or("?");
                let (room, from) = (clean(room), clean(&username));
                self.near.screen.message(&room, &from, &clean(&message))
            }
            Said::Told(text) => self.near.screen.remark(&clean(&text)),
            Said::Did { text, .. } => self.near.screen.remark(&start(&text)),
            Said::Text(text) => {
                let text = format!("the server sent no JSON: {}", start(&text));
                self.near.screen.remark(&text)
            }
            Said::Error(text) => {
                self.errors += 1;
                let text = format!("the server says: {}", clean(&text));
                self.near.screen.remark(&text)
            }
            Said::Strange(text) => {
                let text = format!("the server sent what says nothing here: {}", start(&text));
                self.near.screen.remark(&text)
            }
        }
    }

    fn show_refused(&mut self, wish: &Wish, why: &str) -> Result<(), Failure> {
        self.errors += 1;
        let why = harmless(why.as_bytes());
        // Errors do not tell what they answer.
        if self.sent > 0 {
            let wish = match wish {
                Wish::Join(room) => format!("the join of {}", harmless(room.as_bytes())),
                Wish::Leave => "the leave".into(),
            };
            let text = format!("the server says, to {wish} or to a line before it: {why}");
            return self.near.screen.remark(&text);
        }
        match wish {
            Wish::Join(room) => {
                let room = harmless(room.as_bytes());
                let text = format!("the server does not let you join {room}: {why}");
                if !self.was_inside {
                    return Err(Failure::Refused(text));
                }
                self.near.screen.remark(&text)
            }
            Wish::Leave => {
                let text = format!("the server does not let you leave: {why}");
                self.near.screen.remark(&text)
            }
        }
    }
}
