//! How each record follows from those before it, and what has to be put in where one is missing.

use super::check::Check;
use super::error::JournalError;
use super::record::Record;
use super::repair::Rewriter;
use super::snapshot;
use super::state::State;

impl Check {
    /// Adds a record, behind what has to stand before it.
    pub(super) fn take(
        &mut self,
        file: &str,
        at: u64,
        record: &Record<'_>,
        anew: &mut Option<Rewriter>,
    ) -> Result<(), &'static str> {
        if let Record::Entry { room, .. }
        | Record::Reject { room, .. }
        | Record::Lost { room, .. } = *record
        {
            self.open_room(file, at, room, anew)?;
        }
        match *record {
            Record::Room { number, .. } => self.first_seen(number, 0),
            Record::Entry { room, offset, .. } => self.come_to(room, offset, anew)?,
            Record::Lost { room, from, .. } => self.come_to(room, from, anew)?,
            Record::Reject { .. } | Record::Forget { .. } => {}
        }
        self.state.apply(record)?;
        put(anew, record);
        Ok(())
    }

    /// A room whose name was lost gets it from the snapshot, or another one.
    fn open_room(
        &mut self,
        file: &str,
        at: u64,
        room: u32,
        anew: &mut Option<Rewriter>,
    ) -> Result<(), &'static str> {
        let named = |state: &State| {
            let room = state.rooms.get(room as usize)?;
            (!room.name.is_empty()).then(|| room.name.clone())
        };
        if named(&self.state).is_some() {
            return Ok(());
        }
        let name = self.truth.as_ref().and_then(|(_, state)| named(state));
        let name = name.unwrap_or_else(|| self.unused_name(room));
        let record = Record::Room {
            number: room,
            name: &name,
        };
        self.state.apply(&record)?;
        put(anew, &record);
        self.damage(file, at, "the record that names its room is missing");
        Ok(())
    }

    fn unused_name(&self, room: u32) -> String {
        let mut name = format!("lost-{room}");
        let truth = self.truth.iter().flat_map(|(_, state)| &state.rooms);
        let known: Vec<_> = self.state.rooms.iter().chain(truth).collect();
        while known.iter().any(|room| room.name == name) {
            name.push('-');
        }
        name
    }

    /// Tells the entries that are missing before `offset`.
    fn come_to(
        &mut self,
        room: u32,
        offset: u64,
        anew: &mut Option<Rewriter>,
    ) -> Result<(), &'static str> {
        self.first_seen(room, offset.saturating_sub(1));
        let head = self.state.rooms.get(room as usize).map_or(0, |r| r.head);
        let missing = offset.saturating_sub(head + 1);
        if missing == 0 {
            return Ok(());
        }
        if missing > self.missing_most {
            return Err("an entry is out of order");
        }
        let record = Record::Lost {
            room,
            from: head + 1,
            to: offset - 1,
        };
        self.state.apply(&record)?;
        put(anew, &record);
        self.report.lost += missing;
        Ok(())
    }

    /// What came before in this room was deleted long ago.
    fn first_seen(&mut self, room: u32, head: u64) {
        if let Some(unseen) = self.unseen.get_mut(room as usize)
            && std::mem::take(unseen)
            && let Some(room) = self.state.rooms.get_mut(room as usize)
        {
            room.head = head;
        }
    }

    /// At the end of the segment whose snapshot is good: what that knows is so.
    pub(super) fn meet_truth(
        &mut self,
        number: u64,
        anew: &mut Option<Rewriter>,
    ) -> Result<(), JournalError> {
        let Some((_, truth)) = self.truth.take_if(|(last, _)| *last == number) else {
            return Ok(());
        };
        let name = snapshot::name(number);
        let contradicts = |_| JournalError::beyond(&name, "it contradicts the segments before it");
        if let Some(anew) = anew {
            anew.begin_another();
        }
        for (room, known) in (0..).zip(&truth.rooms) {
            let head = self.state.rooms.get(room as usize).map_or(0, |r| r.head);
            let is_unseen = self.unseen.get(room as usize) == Some(&true);
            if head > known.head {
                return Err(contradicts("an entry is after the last one"));
            }
            if is_unseen || head == known.head {
                continue;
            }
            if self
                .state
                .rooms
                .get(room as usize)
                .is_none_or(|r| r.name.is_empty())
            {
                let record = Record::Room {
                    number: room,
                    name: &known.name,
                };
                self.state.apply(&record).map_err(contradicts)?;
                put(anew, &record);
            }
            let come = self.come_to(room, known.head + 1, anew);
            come.map_err(contradicts)?;
        }
        self.unseen.clear();
        self.state = truth;
        Ok(())
    }
}

fn put(anew: &mut Option<Rewriter>, record: &Record<'_>) {
    if let Some(anew) = anew {
        anew.put(record);
    }
}
