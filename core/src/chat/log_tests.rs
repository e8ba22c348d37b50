use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// What is kept of one entry: its frame, its author and its author's number for it.
type Known = (Vec<u8>, u32, u32);

/// One thing that is done to a log.
#[derive(Debug, Clone)]
enum Step {
    Append { name: usize, body: usize },
    Commit { short_of_all: u64 },
    Run { back: u64, count: u64, most: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (1..=32_usize, 0..90_usize).prop_map(|(name, body)| Step::Append { name, body });
    let commit = (0..3_u64).prop_map(|short_of_all| Step::Commit { short_of_all });
    let run = (0..20_u64, 1..20_u64, 0..400_usize).prop_map(|(back, count, most)| Step::Run {
        back,
        count,
        most,
    });
    prop::collection::vec(prop_oneof![3 => append, 2 => commit, 2 => run], 1..120)
}

/// The frame of an entry, put together by hand.
fn frame(offset: u64, from: &str, body: &[u8]) -> Vec<u8> {
    let mut out = std::vec![0; 300];
    let entry = Message::Entry(Entry {
        room: 3,
        offset,
        flags: 0,
        from,
        body,
    });
    let len = wire::binary::encode(&entry, &mut out).unwrap();
    out.truncate(len);
    [&(len as u32).to_be_bytes()[..], &out].concat()
}

struct World {
    log: RoomLog,
    bytes: Vec<u8>,
    index: Vec<IndexSlot>,
    /// Every entry ever, the first one first.
    all: Vec<Known>,
    committed: u64,
}

impl World {
    fn new(bytes: usize, index: usize) -> Self {
        Self {
            log: RoomLog::new(),
            bytes: std::vec![0; bytes],
            index: std::vec![[0; 4]; index],
            all: Vec::new(),
            committed: 0,
        }
    }

    fn view(&self) -> View<'_> {
        View {
            bytes: &self.bytes,
            index: &self.index,
        }
    }

    fn append(&mut self, name: usize, body: usize) -> Result<u64, AppendError> {
        let from = "n".repeat(name);
        let seq = self.all.len() as u32 + 1;
        let body: Vec<u8> = (0..body).map(|at| (seq as usize + at) as u8).collect();
        let mut memory = Memory {
            bytes: &mut self.bytes,
            index: &mut self.index,
        };
        let entry = NewEntry {
            room: 3,
            from: &from,
            body: &body,
            author: seq ^ 7,
            seq,
        };
        let offset = self.log.append(&mut memory, &entry)?;
        self.all.push((frame(offset, &from, &body), seq ^ 7, seq));
        Ok(offset)
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Append { name, body } => self.check_append(name, body),
            Step::Commit { short_of_all } => {
                let offset = self.log.appended().saturating_sub(short_of_all);
                self.log.commit(offset);
                self.committed = self.committed.max(offset);
            }
            Step::Run { back, count, most } => {
                let after = self.log.appended().saturating_sub(back);
                self.check_run(after, after + count, most);
            }
        }
        self.check();
    }

    fn check_append(&mut self, name: usize, body: usize) {
        let before = (self.log, self.all.len() as u64);
        let len = FRAME_HEADER + ENTRY_OVERHEAD + name + body;
        match self.append(name, body) {
            Ok(offset) => assert_eq!(offset, before.1 + 1),
            Err(AppendError::TooLarge) => {
                assert!(len > self.bytes.len() || self.index.is_empty());
                assert_eq!(self.log, before.0, "nothing made room for what has none");
            }
            Err(AppendError::Full) => {
                let uncommitted = before.1 - self.committed;
                assert!(uncommitted > 0 && len <= self.bytes.len());
            }
        }
    }

    /// What is kept is a run of the newest, as it was written; what is uncommitted is kept.
    fn check(&self) {
        let (first, appended) = (self.log.first(), self.all.len() as u64);
        assert_eq!(self.log.appended(), appended);
        assert_eq!(self.log.head(), self.committed);
        assert!(
            first <= self.committed + 1,
            "an uncommitted entry was evicted"
        );
        assert!(appended + 1 - first <= self.index.len() as u64);
        for offset in first..=appended {
            let (frame, author, seq) = &self.all[offset as usize - 1];
            assert_eq!(self.log.frame(self.view(), offset), Some(&frame[..]));
            assert_eq!(self.log.frame_len(self.view(), offset), Some(frame.len()));
            assert_eq!(self.log.author(self.view(), offset), Some((*author, *seq)));
        }
        for offset in [0, first - 1, appended + 1] {
            assert!(
                offset >= first && offset <= appended
                    || self.log.frame(self.view(), offset).is_none()
            );
        }
    }

    /// The pieces of a run, put together, are the frames of the model.
    fn check_run(&self, after: u64, last: u64, most: usize) {
        let run = self.log.run(self.view(), after, last, most);
        let first = after + 1;
        let last = last.min(self.committed);
        if first < self.log.first() || first > last {
            assert_eq!(run, None);
            return;
        }
        let run = run.expect("the entry is there");
        assert_eq!(run.first, first);
        assert!(run.last >= first && run.last <= last);
        let frames = |last: u64| -> Vec<u8> {
            let frames = &self.all[first as usize - 1..last as usize];
            frames
                .iter()
                .flat_map(|(frame, ..)| frame.clone())
                .collect()
        };
        let got = [run.head, run.tail].concat();
        assert_eq!(got, frames(run.last));
        assert!(
            got.len() <= most || run.last == first,
            "more than was asked for"
        );
        // What is left over where the ring wraps counts too, and is less than one entry.
        let slack = FRAME_HEADER + ENTRY_OVERHEAD + 32 + 90;
        let is_greedy = run.last == last || frames(run.last + 1).len() + slack > most;
        assert!(is_greedy, "less than was asked for and is there");
    }
}

proptest! {
    #[test]
    fn a_log_equals_a_vector_of_its_newest_entries(
        bytes in prop::sample::select(std::vec![40_usize, 128, 300, 1000, 4096]),
        index in prop::sample::select(std::vec![1_usize, 2, 3, 8, 64]),
        steps in steps(),
    ) {
        let mut world = World::new(bytes, index);
        steps.iter().for_each(|step| world.take(step));
        for after in 0..world.all.len() as u64 + 2 {
            world.check_run(after, u64::MAX, usize::MAX);
            world.check_run(after, after + 2, 100);
        }
    }
}

#[test]
fn what_is_not_committed_is_neither_shown_nor_evicted() {
    let mut world = World::new(200, 4);
    let mut kept = 0;
    while world.append(1, 20).is_ok() {
        kept += 1;
    }
    assert_eq!(kept, 4);
    assert_eq!(world.append(1, 20), Err(AppendError::Full));
    assert_eq!(world.log.run(world.view(), 0, 9, usize::MAX), None);
    world.log.commit(1);
    assert_eq!(world.append(1, 20), Ok(5), "the first made room");
    assert_eq!(world.append(1, 20), Err(AppendError::Full));
    assert_eq!(world.log.first(), 2);
}

#[test]
fn what_is_held_makes_no_room_until_it_is_let_go() {
    let mut world = World::new(200, 4);
    for offset in 1..=4 {
        assert_eq!(world.append(1, 20), Ok(offset));
        world.log.commit(offset);
    }
    world.log.hold_after(1);
    assert_eq!(world.append(1, 20), Ok(5));
    assert_eq!(world.append(1, 20), Err(AppendError::Full));
    assert_eq!(world.log.first(), 2);
    world.log.hold_after(2);
    assert_eq!(world.append(1, 20), Ok(6));
    world.log.hold_after(u64::MAX);
    assert_eq!(world.append(1, 20), Ok(7));
    assert_eq!(world.append(1, 20), Ok(8));
    let uncommitted = world.append(1, 20);
    assert_eq!(uncommitted, Err(AppendError::Full));
}

#[test]
fn a_run_that_wraps_comes_in_two_pieces() {
    let mut world = World::new(200, 8);
    for offset in 1..=40 {
        assert_eq!(world.append(2, 30), Ok(offset));
        world.log.commit(offset);
        world.committed = offset;
        world.check();
    }
    let first = world.log.first();
    let run = world.log.run(world.view(), first - 1, u64::MAX, usize::MAX);
    assert!(!run.unwrap().tail.is_empty());
    world.check_run(first - 1, u64::MAX, usize::MAX);
}

#[test]
fn an_entry_as_long_as_the_log_fits_and_one_byte_more_does_not() {
    let room = 100 - FRAME_HEADER - ENTRY_OVERHEAD - 1;
    let mut world = World::new(100, 4);
    for offset in 1..=3 {
        assert_eq!(world.append(1, room + 1), Err(AppendError::TooLarge));
        assert_eq!(world.append(1, room), Ok(offset));
        world.log.commit(offset);
    }
    assert_eq!(World::new(100, 0).append(1, 0), Err(AppendError::TooLarge));
    assert_eq!(World::new(0, 4).append(1, 0), Err(AppendError::TooLarge));
}

#[test]
fn no_commit_goes_beyond_what_was_appended_or_back() {
    let mut world = World::new(300, 8);
    world.log.commit(5);
    assert_eq!(world.log.head(), 0);
    world.append(1, 1).unwrap();
    world.append(1, 1).unwrap();
    world.log.commit(9);
    assert_eq!(world.log.head(), 2);
    world.log.commit(1);
    assert_eq!(world.log.head(), 2);
}

#[test]
fn why_an_entry_was_not_appended_is_said_in_words() {
    let said = std::format!("{}; {}", AppendError::Full, AppendError::TooLarge);
    assert!(said.contains("not committed; the post is longer"), "{said}");
}
