use super::*;
use crate::testkit::SimDisk;
use halloo_core::wire::Code;
use proptest::prelude::*;

const ROOMS: [&str; 3] = ["lab", "hall", "yard"];

fn settings(segment_bytes: u64) -> Settings {
    Settings {
        segment_bytes,
        store: 77,
        ..Settings::default()
    }
}

pub(super) fn open(disk: &SimDisk, segment_bytes: u64) -> Result<Journal<SimDisk>, JournalError> {
    Journal::open(disk.clone(), &settings(segment_bytes))
}

/// A history: what was appended, one number for each verdict.
#[derive(Debug, Default, Clone)]
pub(super) struct Script {
    pub(super) steps: u64,
    pub(super) rooms: u32,
}

impl Script {
    /// The next record of a fixed history, of which every part of the state takes its share.
    pub(super) fn append(&mut self, journal: &mut Journal<SimDisk>) {
        let n = self.steps;
        self.steps += 1;
        if self.rooms < 3 && n.is_multiple_of(5) {
            let name = ROOMS[self.rooms as usize];
            journal.append(&Record::Room {
                number: self.rooms,
                name,
            });
            self.rooms += 1;
            return;
        }
        let room = (n % u64::from(self.rooms)) as u32;
        let device = [(n % 4) as u8; 16];
        let state = journal.state();
        let member = state.members.get(&(room, device));
        let seq = member.map_or(0, |m| m.up_seq) + 1;
        let time = 1_000_000 + n;
        if n % 11 == 7 {
            let code = Code::TooLarge;
            let record = Record::Reject {
                time,
                device,
                seq,
                room,
                code,
            };
            return journal.append(&record);
        }
        if n % 29 == 23 {
            return journal.append(&Record::Forget { device, room });
        }
        let offset = state.rooms[room as usize].head + 1;
        let frame = vec![n as u8; (n * 7 % 90) as usize];
        journal.append(&Record::Entry {
            time,
            device,
            seq,
            room,
            offset,
            frame: &frame,
        });
    }
}

/// The state after so many steps.
pub(super) fn state_after(steps: u64) -> State {
    let mut journal = open(&SimDisk::new(), u64::MAX).unwrap();
    let mut script = Script::default();
    (0..steps).for_each(|_| script.append(&mut journal));
    journal.state().clone()
}

/// All entries of all rooms from the oldest on can be read, and are those of the script.
fn check_entries(journal: &mut Journal<SimDisk>) {
    let rooms = journal.state().rooms.clone();
    let mut script = Script::default();
    let mut whole = open(&SimDisk::new(), u64::MAX).unwrap();
    let mut heads = [0; 3];
    let mut found = 0;
    let wanted: u64 = rooms.iter().map(|r| r.head + 1 - r.oldest).sum();
    while found < wanted {
        let n = script.steps;
        script.append(&mut whole);
        for (number, room) in (0_u32..).zip(&whole.state().rooms) {
            let head = &mut heads[number as usize];
            if room.head == *head {
                continue;
            }
            *head = room.head;
            if *head < rooms[number as usize].oldest {
                continue;
            }
            found += 1;
            let frame = vec![n as u8; (n * 7 % 90) as usize];
            let device = [(n % 4) as u8; 16];
            let stored = journal.read(number, *head).unwrap();
            assert_eq!(
                stored,
                Stored::Entry {
                    device,
                    frame: &frame
                }
            );
        }
    }
    for (number, room) in (0..).zip(&rooms) {
        assert_eq!(journal.read(number, room.head + 1).unwrap(), Stored::Gone);
        assert_eq!(journal.read(number, room.oldest - 1).unwrap(), Stored::Gone);
    }
}

/// Commits batches of the sizes given until the disk fails; how many steps were acknowledged.
pub(super) fn run(
    disk: &SimDisk,
    segment_bytes: u64,
    batches: &[u64],
) -> (Result<(), JournalError>, u64) {
    let mut journal = match open(disk, segment_bytes) {
        Ok(journal) => journal,
        Err(error) => return (Err(error), 0),
    };
    let mut script = Script::default();
    let mut acknowledged = 0;
    for &batch in batches {
        (0..batch).for_each(|_| script.append(&mut journal));
        if let Err(error) = journal.commit() {
            assert!(matches!(journal.commit(), Err(JournalError::Failed)));
            return (Err(error), acknowledged);
        }
        acknowledged = script.steps;
    }
    (Ok(()), acknowledged)
}

/// Opens after a crash: all that was acknowledged is there, and what is there is a history.
fn check_recovery(disk: &SimDisk, segment_bytes: u64, acknowledged: u64, ends: &[u64]) -> u64 {
    let mut journal = open(disk, segment_bytes).expect("what a crash leaves can be opened");
    let state = journal.state().clone();
    let steps = ends
        .iter()
        .copied()
        .find(|&steps| steps >= acknowledged && state_after(steps) == state);
    let steps = steps.unwrap_or_else(|| {
        panic!("no history from {acknowledged} steps on leads to {state:?}");
    });
    check_entries(&mut journal);
    steps
}

/// The steps at the end of each batch, and none.
pub(super) fn ends(batches: &[u64]) -> Vec<u64> {
    let mut ends = vec![0];
    for batch in batches {
        ends.push(ends[ends.len() - 1] + batch);
    }
    ends
}

#[test]
fn what_was_committed_is_there_after_a_start_from_any_mix_of_files() {
    for segment_bytes in [200, 1000, u64::MAX] {
        let disk = SimDisk::new();
        let batches = [1, 7, 30, 2, 60, 1, 1, 19];
        run(&disk, segment_bytes, &batches).0.unwrap();
        // Indexes and snapshots are made anew from the segments.
        for ending in ["", ".index", ".snapshot"] {
            let mut writer = disk.clone();
            for name in writer.list().unwrap() {
                if !ending.is_empty() && name.ends_with(ending) {
                    writer.remove(&name).unwrap();
                }
            }
            let mut journal = open(&disk, segment_bytes).unwrap();
            assert_eq!(*journal.state(), state_after(121));
            assert_eq!(journal.store(), (77, 1));
            check_entries(&mut journal);
        }
    }
}

#[test]
fn a_power_cut_at_any_byte_or_call_loses_nothing_acknowledged() {
    let batches = [3, 8, 1, 12, 5, 2, 9];
    for segment_bytes in [300, u64::MAX] {
        let whole = SimDisk::new();
        run(&whole, segment_bytes, &batches).0.unwrap();
        for power in 0..whole.used() {
            for keep in [0, 1, 17, usize::MAX] {
                let disk = SimDisk::new();
                disk.power_off_after(power);
                let (outcome, acknowledged) = run(&disk, segment_bytes, &batches);
                assert!(outcome.is_err());
                disk.crash(|_, _| keep);
                check_recovery(&disk, segment_bytes, acknowledged, &ends(&batches));
            }
        }
    }
}

/// A disk of its own with the same files, all synced.
fn copy(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new();
    let mut writer = copy.clone();
    for name in disk.clone().list().unwrap() {
        let mut file = writer.create(&name).unwrap();
        writer
            .write(&mut file, 0, &disk.bytes(&name).unwrap())
            .unwrap();
        writer.sync(&mut file).unwrap();
    }
    writer.sync_names().unwrap();
    copy
}

#[test]
fn two_hundred_crash_points_and_a_torn_write_at_every_byte_of_the_last_record() {
    // [D-POST-7] S16: what a start finds is how the history began, and has all that was acknowledged.
    let (mut points, mut torn, mut whole) = (0, 0, 0);
    for segment_bytes in [u64::MAX, 3000] {
        let disk = SimDisk::new();
        let mut script = Script::default();
        for batch in (0..100).map(|n| 1 + n % 4) {
            let mut live = open(&disk, segment_bytes).unwrap();
            let (before, start) = (live.state().clone(), script.clone());
            (0..batch).for_each(|_| script.append(&mut live));
            let (after, len) = (live.state().clone(), live.buffer.len());
            for kept in live.last_at..=len {
                let disk = copy(&disk);
                let mut journal = open(&disk, segment_bytes).unwrap();
                let mut script = start.clone();
                (0..batch).for_each(|_| script.append(&mut journal));
                // All of it is written, and the power goes before the sync.
                disk.power_off_after(len as u64);
                journal.commit().unwrap_err();
                disk.crash(|_, _| kept);
                let mut journal = open(&disk, segment_bytes).expect("a crash is no damage");
                let found = if kept == len { &after } else { &before };
                assert_eq!(journal.state(), found, "{kept} of {len} bytes are there");
                if [0, 1, len - kept].contains(&(kept % 16)) {
                    check_entries(&mut journal);
                }
                torn += u32::from(kept < len);
                whole += u32::from(kept == len);
            }
            points += 1;
            live.commit().unwrap();
        }
    }
    println!("{points} crash points, {torn} torn writes, {whole} whole but unsynced: nothing lost");
    assert!(points == 200 && torn > 200 * 30, "{points}, {torn}");
}

#[test]
fn a_journal_that_was_cut_goes_on_and_is_cut_again() {
    let disk = SimDisk::new();
    let batches = [5, 5, 5, 5, 5, 5, 5, 5];
    let mut steps = 0;
    for round in 0..40 {
        let mut journal = open(&disk, 400).unwrap();
        assert_eq!(*journal.state(), state_after(steps), "round {round}");
        let mut script = Script {
            steps,
            rooms: journal.state().rooms.len() as u32,
        };
        disk.power_off_after(137 + round * 41);
        let mut acknowledged = steps;
        let mut ends = vec![steps];
        for batch in batches {
            (0..batch).for_each(|_| script.append(&mut journal));
            ends.push(script.steps);
            if journal.commit().is_err() {
                break;
            }
            acknowledged = script.steps;
        }
        disk.crash(|_, nth| if nth % 2 == 0 { 9 } else { 0 });
        steps = check_recovery(&disk, 400, acknowledged, &ends);
    }
    assert!(steps > 100, "{steps}");
}

#[test]
fn rot_under_later_commits_is_never_passed_over() {
    let disk = SimDisk::new();
    let batches = [4, 1, 6, 2, 3];
    run(&disk, u64::MAX, &batches).0.unwrap();
    let name = segment::name(1);
    let bytes = disk.bytes(&name).unwrap();
    let ends = ends(&batches);
    let mut torn = 0;
    for at in 0..bytes.len() {
        disk.rot(&name, at, 0x10);
        match open(&disk, u64::MAX) {
            Err(JournalError::Damaged { .. } | JournalError::Newer { .. }) => {}
            Ok(journal) => {
                // In the last commit, rot looks like a crash.
                assert_eq!(*journal.state(), state_after(ends[ends.len() - 2]));
                torn += 1;
                break;
            }
            Err(other) => panic!("{other}"),
        }
        disk.rot(&name, at, 0x10);
    }
    assert_eq!(torn, 1, "the last commit begins somewhere");
}

#[test]
fn the_first_commit_of_a_segment_may_be_torn_in_its_middle() {
    // A disk may keep the second half of a write and not the first.
    let first = SimDisk::new();
    run(&first, u64::MAX, &[6]).0.unwrap();
    first.rot(&segment::name(1), segment::HEADER + 9, 1);
    assert_eq!(*open(&first, u64::MAX).unwrap().state(), state_after(0));
    let later = SimDisk::new();
    run(&later, 300, &[40, 3]).0.unwrap();
    let name = segment::name(2);
    assert!(later.bytes(&name).unwrap().len() > segment::HEADER + 100);
    assert_eq!(later.bytes(&segment::name(3)), None);
    later.rot(&name, segment::HEADER + 9, 1);
    assert_eq!(*open(&later, 300).unwrap().state(), state_after(40));
}

#[test]
fn rot_in_the_first_of_two_commits_is_damage() {
    let disk = SimDisk::new();
    run(&disk, u64::MAX, &[1, 1]).0.unwrap();
    disk.rot(&segment::name(1), segment::HEADER + 9, 1);
    let opened = open(&disk, u64::MAX);
    assert!(matches!(opened, Err(JournalError::Damaged { .. })));
}

#[test]
fn rot_in_a_full_segment_is_found_by_who_reads_it() {
    let disk = SimDisk::new();
    run(&disk, 300, &[40, 1]).0.unwrap();
    let at = segment::HEADER + 80;
    disk.rot(&segment::name(1), at, 1);
    let mut journal = open(&disk, 300).expect("a start reads no full segment");
    let rooms = journal.state().rooms.clone();
    let bad = (0..)
        .zip(&rooms)
        .flat_map(|(room, state)| (1..=state.head).map(move |offset| (room, offset)));
    let bad = bad.filter(|&(room, offset)| {
        matches!(
            journal.read(room, offset),
            Err(JournalError::Damaged { .. })
        )
    });
    assert_eq!(bad.count(), 1);
    // Without its index, the segment has to be read, and is refused.
    disk.clone().remove(&index_name(1)).unwrap();
    assert!(matches!(
        open(&disk, 300),
        Err(JournalError::Damaged { .. })
    ));
}

#[test]
fn an_index_that_has_gone_bad_costs_no_entry() {
    let disk = SimDisk::new();
    run(&disk, 300, &[40, 1]).0.unwrap();
    let len = disk.bytes(&index_name(1)).unwrap().len();
    for at in 0..len {
        disk.rot(&index_name(1), at, 0x41);
        let mut journal = open(&disk, 300).unwrap();
        for (room, state) in (0..).zip(&journal.state().rooms.clone()) {
            for offset in state.oldest..=state.head {
                if journal.read(room, offset).is_err() {
                    assert!(journal.look_again(room, offset).unwrap());
                }
                let found = journal.read(room, offset);
                assert!(matches!(found, Ok(Stored::Entry { .. })), "{at}: {found:?}");
            }
        }
        drop(journal);
        // The start may have made it anew.
        let has_rot = disk.bytes(&index_name(1)).unwrap().len() == len;
        assert!(has_rot);
        disk.clone().remove(&index_name(1)).unwrap();
        open(&disk, 300).unwrap();
    }
}

#[test]
fn a_full_disk_and_a_sync_that_fails_are_told_and_nothing_more_is_written() {
    for full in [true, false] {
        let disk = SimDisk::new();
        let mut journal = open(&disk, u64::MAX).unwrap();
        let mut script = Script::default();
        (0..5).for_each(|_| script.append(&mut journal));
        journal.commit().unwrap();
        (0..5).for_each(|_| script.append(&mut journal));
        disk.set_full(full);
        disk.fail_syncs(!full);
        let error = journal.commit().unwrap_err();
        assert!(matches!(error, JournalError::Disk { .. }));
        assert_eq!(error.to_string().contains("make room"), full);
        disk.set_full(false);
        disk.fail_syncs(false);
        assert!(matches!(journal.commit(), Err(JournalError::Failed)));
        drop(journal);
        disk.crash(|_, _| 0);
        assert_eq!(*open(&disk, u64::MAX).unwrap().state(), state_after(5));
    }
}

#[test]
fn retention_deletes_whole_segments_and_keeps_at_least_its_limit() {
    let disk = SimDisk::new();
    let settings = Settings {
        retention: Retention {
            entries: Some(10),
            ..Retention::default()
        },
        ..settings(500)
    };
    let mut journal = Journal::open(disk.clone(), &settings).unwrap();
    let mut script = Script::default();
    for _ in 0..60 {
        (0..5).for_each(|_| script.append(&mut journal));
        journal.commit().unwrap();
    }
    let rooms = journal.state().rooms.clone();
    for room in &rooms {
        let kept = room.head + 1 - room.oldest;
        assert!((10..60).contains(&kept), "{room:?}");
    }
    check_entries(&mut journal);
    drop(journal);
    let mut journal = Journal::open(disk, &settings).unwrap();
    assert_eq!(journal.state().rooms, rooms);
    assert_eq!(journal.state().members, state_after(300).members);
    check_entries(&mut journal);
}

#[test]
fn age_lets_go_of_what_is_old() {
    let settings = Settings {
        retention: Retention {
            age: Some(std::time::Duration::from_millis(50)),
            ..Retention::default()
        },
        ..settings(500)
    };
    let mut journal = Journal::open(SimDisk::new(), &settings).unwrap();
    let mut script = Script::default();
    for _ in 0..200 {
        script.append(&mut journal);
        journal.commit().unwrap();
    }
    assert!(journal.state().rooms.iter().all(|room| room.oldest > 1));
    let before = journal.sealed.len();
    assert!(before > 1);
    journal.retain_in_time(1_000_000).unwrap();
    assert_eq!(journal.sealed.len(), before);
    journal
        .retain_in_time(1_000_000 + retention::EVERY)
        .unwrap();
    assert_eq!(journal.sealed.len(), 1);
    check_entries(&mut journal);
}

#[test]
fn an_index_whose_segment_is_gone_goes_too() {
    let (disk, settings) = (SimDisk::new(), settings(300));
    run(&disk, 300, &[40, 20, 5]).0.unwrap();
    let mut writer = disk.clone();
    writer.remove(&segment::name(1)).unwrap();
    let mut journal = Journal::open(disk.clone(), &settings).unwrap();
    assert_eq!(disk.bytes(&index_name(1)), None);
    assert!(journal.state().rooms.iter().all(|room| room.oldest > 1));
    check_entries(&mut journal);
}

#[test]
fn what_is_no_journal_of_ours_is_refused() {
    let disk = SimDisk::new();
    run(&disk, 300, &[20, 20]).0.unwrap();
    let mut writer = disk.clone();
    for number in [2, 3] {
        writer.rename(&segment::name(number), "elsewhere").unwrap();
        let error = open(&disk, 300).unwrap_err().to_string();
        assert!(error.contains("not there"), "{error}");
        writer.rename("elsewhere", &segment::name(number)).unwrap();
    }
    drop(open(&disk, 300).unwrap());
    // A newer version has another number and another sum.
    let name = segment::name(1);
    let mut header = disk.bytes(&name).unwrap()[..segment::HEADER].to_vec();
    header[9] = 2;
    let crc = crc32c::crc32c(&header[..segment::HEADER - 4]);
    header[segment::HEADER - 4..].copy_from_slice(&crc.to_be_bytes());
    let mut file = writer.open(&name).unwrap();
    writer.write(&mut file, 0, &header).unwrap();
    assert!(matches!(
        open(&disk, 300),
        Err(JournalError::Newer { found: 2, .. })
    ));
}

#[test]
fn a_folder_of_a_newer_hub_is_left_with_all_that_is_in_it() {
    let mut disk = SimDisk::new();
    let mut journal = open(&disk, 300).unwrap();
    let mut script = Script::default();
    for _ in 0..20 {
        script.append(&mut journal);
        journal.commit().unwrap();
    }
    drop(journal);
    let mut names = disk.list().unwrap();
    names.retain(|name| name.ends_with(".journal"));
    names.sort_unstable();
    let last = names.last().unwrap();
    let mut header = disk.bytes(last).unwrap()[..segment::HEADER - 4].to_vec();
    header[9] = 2;
    let sum = crc32c::crc32c(&header);
    header.extend_from_slice(&sum.to_be_bytes());
    let mut file = disk.open(last).unwrap();
    disk.write(&mut file, 0, &header).unwrap();
    // It was stopped while it wrote a snapshot.
    disk.create("00000000000000000007.snapshot.new").unwrap();
    let files = disk.list().unwrap();
    let error = open(&disk, 300).unwrap_err();
    assert!(matches!(error, JournalError::Newer { .. }), "{error}");
    assert_eq!(disk.list().unwrap(), files);
}

#[test]
fn a_folder_has_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let first = Folder::take(&path).unwrap();
    let second = Folder::take(&path).unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    let mut journal = Journal::open(Folder::take(&path).unwrap(), &settings(100)).unwrap();
    journal.append(&Record::Room {
        number: 0,
        name: "lab",
    });
    journal.commit().unwrap();
    drop(journal);
    let journal = Journal::open(Folder::take(&path).unwrap(), &settings(100)).unwrap();
    assert_eq!(journal.state().rooms.len(), 1);
}

proptest! {
    #[test]
    fn records_come_back_as_they_were_and_nowhere_else(
        segment: u64, at in 0..u64::MAX / 2, batch: u32, time: u64, device: [u8; 16], seq: u32,
        room: u32, offset: u64, frame in prop::collection::vec(any::<u8>(), 0..300),
        flip in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let place = Place { segment, at };
        for record in [
            Record::Entry { time, device, seq, room, offset, frame: &frame },
            Record::Reject { time, device, seq, room, code: Code::Full },
            Record::Room { number: room, name: "lab" },
            Record::Forget { device, room },
            Record::Lost { room, from: offset, to: time },
        ] {
            let mut bytes = Vec::new();
            record::write(&mut bytes, place, batch, &record);
            let read = record::read(&bytes, place).unwrap();
            prop_assert_eq!((read.record, read.batch, read.is_last, read.len), (record, batch, false, bytes.len()));
            record::end_batch(&mut bytes, place);
            let read = record::read(&bytes, place).unwrap();
            prop_assert_eq!((read.record, read.is_last), (record, true));
            prop_assert_eq!(record::read(&bytes, Place { at: at + 1, ..place }), None);
            prop_assert_eq!(record::read(&bytes, Place { segment: segment ^ 1, ..place }), None);
            prop_assert_eq!(record::read(&bytes[..bytes.len() - 1], place), None);
            let flip = flip.index(bytes.len());
            bytes[flip] ^= 1 << bit;
            prop_assert_eq!(record::read(&bytes, place), None);
        }
    }
}
