//! What happens, put in words.

use std::time::Instant;

use halloo_core::name::Name;
use halloo_core::wire::{GapReason, NoticeKind};
use halloo_std::client::Happening;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{count, harmless};

impl Session<'_> {
    pub(super) fn show(&mut self, happening: Happening) -> Result<(), Failure> {
        match happening {
            Happening::Entry {
                room, from, body, ..
            } => {
                let from = harmless(from.as_bytes());
                self.near.screen.message(&room, &from, &harmless(&body))
            }
            Happening::Acked { post, .. } => match self.ledger.settle(post) {
                Some(open) => {
                    let body = harmless(&open.body);
                    self.near.screen.own(&open.room, &self.args.name, &body)
                }
                None => Ok(()),
            },
            Happening::Rejected { post, code, .. } => {
                self.ledger.settle(post);
                self.near.refuse(&format!("the hub says {code}"))
            }
            Happening::Unknown { post, code, .. } => {
                self.ledger.settle(post);
                self.near.unposted += 1;
                let text = format!("the line may be posted or not: the hub says {code}");
                self.near.screen.remark(&text)
            }
            Happening::Joined {
                room,
                head,
                members,
            } => self.show_joined(&room, head, members),
            Happening::Refused { room, code } => {
                let text = format!("the hub does not let you join {room}: {code}");
                self.near.screen.remark(&text)?;
                self.gone_from(&room)
            }
            Happening::Left { room } => {
                self.gone_from(&room)?;
                let text = match &self.room {
                    Some(other) => format!("you have left {room}, and post in {other} now"),
                    None => format!("you have left {room}"),
                };
                self.near.screen.remark(&text)
            }
            Happening::Notice {
                room,
                kind,
                who,
                members,
            } => {
                let who = harmless(who.as_bytes());
                self.near.screen.remark(&match kind {
                    NoticeKind::Joined => format!("{who} came to {room}, {members} here"),
                    NoticeKind::Left => format!("{who} left {room}, {members} here"),
                    _ => format!("{room}: {members} here"),
                })
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
                self.near.screen.remark(&text)
            }
            Happening::StoreChanged { room } => {
                let text = format!("the hub has a new log of {room}: what it kept before is gone");
                self.near.screen.remark(&text)
            }
            Happening::Disconnected {
                cause,
                retry_in: Some(_),
            } => {
                let open = match self.ledger.len() {
                    0 => String::new(),
                    open => format!(", {} for it", count(open, "post waits", "posts wait")),
                };
                let text = format!("connection lost, connecting again{open}: {cause}");
                self.lost = Some((Instant::now(), Failure::from_ended(&cause)));
                self.near.screen.remark(&harmless(text.as_bytes()))
            }
            Happening::NotConnected {
                cause,
                retry_in: Some(_),
            } => {
                // The newest cause says most.
                if let Some((_, why)) = &mut self.lost {
                    *why = Failure::from_ended(&cause);
                }
                Ok(())
            }
            Happening::Reconnected => {
                self.lost = None;
                self.near.screen.remark("connected again")
            }
            _ => Ok(()),
        }
    }

    fn show_joined(&mut self, room: &str, head: u64, members: u32) -> Result<(), Failure> {
        let is_first = self.heads.is_empty();
        if self.heads.insert(room.into(), head).is_some() {
            return Ok(());
        }
        let help = if is_first && self.near.ways.is_person {
            "; /help lists the commands"
        } else {
            ""
        };
        self.near
            .screen
            .remark(&format!("you are in {room}, {members} here{help}"))
    }

    fn show_roster(
        &mut self,
        room: &str,
        skip: u16,
        names: &[Name],
        members: u32,
    ) -> Result<(), Failure> {
        let list: Vec<_> = names.iter().map(|n| harmless(n.as_bytes())).collect();
        self.near
            .screen
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

    /// Shows posts that wait unusually long for their verdict.
    pub(super) fn show_late(&mut self) -> Result<(), Failure> {
        for open in self.ledger.take_late() {
            let text = format!("not acknowledged yet: {}", harmless(&open.body));
            self.near.screen.remark(&text)?;
        }
        Ok(())
    }
}
