//! Journals that are damaged anywhere: the damage is found, and what is good outlives the repair.

use std::collections::BTreeMap;

use super::tests::{Script, ends, open, run, state_after};
use super::*;
use crate::testkit::SimDisk;

/// What stands at each offset of each room, by name.
type Entries = BTreeMap<(String, u64), Vec<u8>>;

fn copy(disk: &SimDisk) -> SimDisk {
    let mut copy = SimDisk::new();
    for name in disk.clone().list().unwrap() {
        put(&mut copy, &name, &disk.bytes(&name).unwrap());
    }
    copy
}

fn put(disk: &mut SimDisk, name: &str, bytes: &[u8]) {
    let mut file = disk.create(name).unwrap();
    disk.write(&mut file, 0, bytes).unwrap();
    disk.sync(&mut file).unwrap();
    disk.sync_names().unwrap();
}

fn entries(journal: &mut Journal<SimDisk>) -> Entries {
    let mut found = BTreeMap::new();
    for (number, room) in (0..).zip(&journal.state().rooms.clone()) {
        for offset in room.oldest..=room.head {
            match journal.read(number, offset).unwrap() {
                Stored::Entry { frame, .. } => {
                    found.insert((room.name.clone(), offset), frame.to_vec());
                }
                Stored::Lost { to } => assert!((offset..=room.head).contains(&to)),
                Stored::Gone => panic!("offset {offset} of {} is nowhere", room.name),
            }
        }
    }
    found
}

/// Repairs, and compares with what was there; how many entries are lost.
fn check_repair(disk: &SimDisk, segment_bytes: u64, before: &Entries, what: &str) -> usize {
    let mut mended = disk.clone();
    let repaired = repair(&mut mended, 5).unwrap_or_else(|error| panic!("{what}: {error}"));
    let again = verify(&mut mended).unwrap();
    assert_eq!(again.bad, [], "{what}");
    let mut journal = open(disk, segment_bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    if let Some(generation) = repaired.generation {
        let store = journal.store();
        assert_eq!(store.1, generation, "{what}");
        let is_next = store == (5, 1) || store.0 == 77 && (2..=3).contains(&store.1);
        assert!(is_next, "{what}: {store:?}");
    } else {
        assert_eq!(journal.store(), (77, 1), "{what}");
    }
    let after = entries(&mut journal);
    for ((room, offset), frame) in &after {
        let known = match before.get(&(room.clone(), *offset)) {
            Some(known) => known,
            // A room whose name is lost keeps its entries.
            None => {
                assert!(
                    room.starts_with("lost-"),
                    "{what}: {room} {offset} is invented"
                );
                continue;
            }
        };
        assert_eq!(known, frame, "{what}: {room} {offset}");
    }
    // It goes on, and starts again.
    let mut script = Script {
        steps: 1000,
        rooms: journal.state().rooms.len() as u32,
    };
    for _ in 0..30 {
        script.append(&mut journal);
        journal
            .commit()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    let state = journal.state().clone();
    drop(journal);
    assert_eq!(*open(disk, segment_bytes).unwrap().state(), state, "{what}");
    before.len() - after.len()
}

#[test]
fn rot_at_any_byte_is_found_and_mended_and_costs_one_entry_at_most() {
    let batches = [7, 4, 1, 16, 2, 13];
    for segment_bytes in [300, u64::MAX] {
        let disk = SimDisk::new();
        run(&disk, segment_bytes, &batches).0.unwrap();
        let before = entries(&mut open(&disk, segment_bytes).unwrap());
        let mut names = disk.clone().list().unwrap();
        names.sort_unstable();
        assert_eq!(verify(&mut disk.clone()).unwrap().bad, []);
        let mut lost_most = 0;
        for name in names {
            for at in 0..disk.bytes(&name).unwrap().len() {
                let what = format!("{name}:{at}");
                let rotten = copy(&disk);
                rotten.rot(&name, at, 0x41);
                let report = verify(&mut rotten.clone()).unwrap();
                if let Some(torn) = &report.torn {
                    // In the last commit, rot looks as a crash does; so it does in a segment that
                    // has no commit yet.
                    let ends = ends(&batches);
                    let kept = ends[ends.len() - 1 - usize::from(torn.at > 0)];
                    let state = open(&rotten, segment_bytes).unwrap().state().clone();
                    assert_eq!(state, state_after(kept), "{what}");
                    assert_eq!(report.bad, [], "{what}");
                    continue;
                }
                assert!(
                    report.bad.iter().any(|bad| bad.file == name),
                    "{what}: {report:?}"
                );
                let lost = check_repair(&rotten, segment_bytes, &before, &what);
                assert!(lost as u64 >= report.lost, "{what}");
                lost_most = lost_most.max(lost);
            }
        }
        assert_eq!(lost_most, 1);
    }
}

/// A journal of several segments, and what it holds.
fn whole(segment_bytes: u64) -> (SimDisk, Entries, State) {
    let disk = SimDisk::new();
    run(&disk, segment_bytes, &[7, 4, 1, 16, 2, 13, 1, 1])
        .0
        .unwrap();
    let mut journal = open(&disk, segment_bytes).unwrap();
    let before = entries(&mut journal);
    (disk, before, journal.state().clone())
}

#[test]
fn rot_in_a_full_segment_changes_neither_heads_nor_where_devices_stand() {
    let (disk, before, state) = whole(300);
    for number in 1..=4 {
        let name = segment::name(number);
        // All of its records, and then some of the next one's.
        for at in segment::HEADER..disk.bytes(&name).unwrap().len() {
            disk.rot(&name, at, 0x55);
        }
        check_repair_keeps(&copy(&disk), &before, &state);
        if number < 4 {
            disk.rot(&segment::name(number + 1), segment::HEADER + 20, 1);
        }
    }
}

#[track_caller]
fn check_repair_keeps(disk: &SimDisk, before: &Entries, state: &State) {
    let report = repair(&mut disk.clone(), 5).unwrap().found;
    assert!(report.lost > 1, "{report:?}");
    let mut journal = open(disk, 300).unwrap();
    assert_eq!(journal.state().members, state.members);
    for (room, known) in journal.state().rooms.iter().zip(&state.rooms) {
        assert_eq!((&room.name, room.head), (&known.name, known.head));
    }
    let after = entries(&mut journal);
    assert!(
        after
            .iter()
            .all(|(at, frame)| before.get(at) == Some(frame))
    );
    // What stood before the first good entry is gone as retention would have it.
    let begins = journal.state().rooms.iter().map(|room| room.oldest - 1);
    let gone = begins.sum::<u64>() as usize;
    assert!(before.len() - after.len() <= report.lost as usize + gone);
}

#[test]
fn a_segment_that_is_missing_is_told_as_lost_and_the_rest_stays() {
    for number in 2..=5 {
        let (disk, before, _) = whole(300);
        disk.clone().remove(&segment::name(number)).unwrap();
        assert!(matches!(
            open(&disk, 300),
            Err(JournalError::Damaged { .. })
        ));
        let report = verify(&mut disk.clone()).unwrap();
        let missing = BadPlace {
            file: segment::name(number),
            at: 0,
            what: "the file is not there",
        };
        assert!(report.bad.contains(&missing), "{report:?}");
        let lost = check_repair(&disk, 300, &before, &format!("segment {number}"));
        assert!((1..20).contains(&lost), "{lost}");
    }
}

#[test]
fn a_repair_that_is_cut_short_anywhere_is_completed_by_the_next() {
    let (damaged, before, _) = whole(300);
    damaged.rot(&segment::name(1), segment::HEADER + 60, 1);
    damaged.rot(&segment::name(3), segment::HEADER + 60, 1);
    let mended = copy(&damaged);
    let used = mended.used();
    let lost = repair(&mut mended.clone(), 5).unwrap().found.lost;
    assert!(lost > 0);
    for power in (0..mended.used() - used).step_by(3) {
        for keep in [0, usize::MAX] {
            let disk = copy(&damaged);
            disk.power_off_after(power);
            repair(&mut disk.clone(), 5).unwrap_err();
            disk.crash(|_, _| keep);
            // What a hub finds in between is the damage, or what was before.
            if let Ok(mut journal) = open(&copy(&disk), 300) {
                assert_eq!(journal.store(), (77, 1), "cut short after {power}");
                let rooms = journal.state().rooms.clone();
                let heads = rooms.iter().map(|room| room.head);
                for (number, head) in (0..).zip(heads) {
                    (1..=head).for_each(|offset| drop(journal.read(number, offset)));
                }
            }
            let what = format!("cut short after {power}, {keep} bytes kept");
            let gone = check_repair(&disk, 300, &before, &what);
            assert_eq!(gone as u64, lost, "{what}");
            let lineage = open(&disk, 300).unwrap().lineage().to_vec();
            assert!(lineage.ends_with(&[1]), "{what}: {lineage:?}");
        }
    }
}

#[test]
fn what_retention_deleted_is_not_told_as_lost() {
    let disk = SimDisk::new();
    let settings = Settings {
        retention: Retention {
            entries: Some(10),
            ..Retention::default()
        },
        segment_bytes: 500,
        store: 77,
    };
    let mut journal = Journal::open(disk.clone(), &settings).unwrap();
    let mut script = Script::default();
    for _ in 0..60 {
        (0..5).for_each(|_| script.append(&mut journal));
        journal.commit().unwrap();
    }
    let before = entries(&mut journal);
    drop(journal);
    let mut names = disk.clone().list().unwrap();
    names.sort_unstable();
    let first = names
        .iter()
        .find(|name| name.ends_with(".journal"))
        .unwrap();
    assert_ne!(*first, segment::name(1));
    assert_eq!(verify(&mut disk.clone()).unwrap().bad, []);
    let rotten = copy(&disk);
    rotten.rot(first, segment::HEADER + 100, 4);
    assert_eq!(check_repair(&rotten, 500, &before, first), 1);
    // Without a snapshot, nobody knows the rooms' names any more.
    let snapshots = names.iter().filter(|name| name.ends_with(".snapshot"));
    snapshots.for_each(|name| disk.rot(name, 30, 1));
    let bytes: Vec<_> = names.iter().map(|name| disk.bytes(name)).collect();
    let error = repair(&mut disk.clone(), 5).unwrap_err().to_string();
    assert!(
        error.contains("only a backup of the folder helps"),
        "{error}"
    );
    let after: Vec<_> = names.iter().map(|name| disk.bytes(name)).collect();
    assert_eq!(bytes, after);
}

/// Retention that deletes all that it may.
fn nothing_old() -> Settings {
    Settings {
        retention: Retention {
            age: Some(std::time::Duration::from_millis(1)),
            ..Retention::default()
        },
        segment_bytes: 500,
        store: 77,
    }
}

#[test]
fn rot_in_one_snapshot_costs_nothing_however_much_retention_deleted() {
    let disk = SimDisk::new();
    let settings = nothing_old();
    let mut journal = Journal::open(disk.clone(), &settings).unwrap();
    let mut script = Script::default();
    for _ in 0..60 {
        (0..5).for_each(|_| script.append(&mut journal));
        journal.commit().unwrap();
        journal.retain(u64::MAX).unwrap();
        let names = disk.clone().list().unwrap();
        for name in names.iter().filter(|name| name.ends_with(".snapshot")) {
            let rotten = copy(&disk);
            rotten.rot(name, 30, 1);
            let again = Journal::open(rotten, &settings);
            let again = again.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(again.state(), journal.state(), "{name}");
        }
    }
}

#[test]
fn rot_in_a_snapshot_and_in_the_first_segment_that_is_left_is_mended() {
    let disk = SimDisk::new();
    let mut journal = Journal::open(disk.clone(), &nothing_old()).unwrap();
    let mut script = Script::default();
    for _ in 0..20 {
        (0..5).for_each(|_| script.append(&mut journal));
        journal.commit().unwrap();
    }
    journal.retain(u64::MAX).unwrap();
    let before = entries(&mut journal);
    drop(journal);
    let mut names = disk.clone().list().unwrap();
    names.sort_unstable();
    let of_kind = |ending: &str| -> Vec<&String> {
        names.iter().filter(|name| name.ends_with(ending)).collect()
    };
    let first = of_kind(".journal")[0];
    assert_ne!(*first, segment::name(1));
    for snapshot in of_kind(".snapshot") {
        for at in segment::HEADER..disk.bytes(first).unwrap().len() {
            let rotten = copy(&disk);
            rotten.rot(snapshot, 30, 1);
            rotten.rot(first, at, 4);
            let lost = check_repair(&rotten, 500, &before, &format!("{snapshot}, {first}:{at}"));
            assert!(lost <= 1, "{snapshot}, {first}:{at}: {lost} are lost");
        }
    }
}

#[test]
fn a_journal_in_order_is_left_as_it_is() {
    let (disk, ..) = whole(300);
    let used = disk.used();
    let repaired = repair(&mut disk.clone(), 5).unwrap();
    assert_eq!((repaired.generation, repaired.found.bad), (None, vec![]));
    assert_eq!(disk.used(), used);
    let empty = repair(&mut SimDisk::new(), 5).unwrap();
    assert_eq!(empty.found, Report::default());
}

#[test]
fn a_journal_from_a_backup_gets_a_new_generation_and_keeps_everything() {
    let (disk, before, state) = whole(300);
    let renewed = renew(&mut disk.clone(), 5).unwrap();
    assert_eq!((renewed.generation, renewed.found.bad), (Some(2), vec![]));
    assert_eq!(verify(&mut disk.clone()).unwrap().bad, []);
    let mut journal = open(&disk, 300).unwrap();
    assert_eq!((journal.store(), journal.state()), ((77, 2), &state));
    assert_eq!(entries(&mut journal), before);
    assert_eq!(renew(&mut SimDisk::new(), 5).unwrap().generation, None);
}

#[test]
fn a_backup_that_is_put_back_twice_gets_a_generation_of_its_own_each_time() {
    let (disk, ..) = whole(300);
    let generations = [0x1234_5678_9abc_def0, 0xfedc_ba98_7654_3210].map(|random| {
        let renewed = renew(&mut copy(&disk), random).unwrap();
        renewed.generation.unwrap()
    });
    assert_ne!(generations[0], generations[1]);
    assert!(generations.iter().all(|&generation| generation > 1));
}

/// The generation of a journal, and those that it had before.
fn lineage(disk: &SimDisk) -> (u32, Vec<u32>) {
    let journal = open(disk, 300).unwrap();
    (journal.store().1, journal.lineage().to_vec())
}

#[test]
fn a_journal_knows_the_generations_that_it_had_over_every_repair() {
    let (disk, ..) = whole(300);
    assert_eq!(lineage(&disk), (1, vec![]));
    let mut generations = vec![1];
    for n in 0..5 {
        if n % 2 == 0 {
            disk.rot(&segment::name(1), segment::HEADER + 60, 1);
            repair(&mut disk.clone(), n << 40).unwrap();
        } else {
            renew(&mut disk.clone(), n << 40).unwrap();
        }
        let (newest, before) = lineage(&disk);
        assert_eq!(before, generations);
        generations.insert(0, newest);
    }
    assert_eq!(verify(&mut disk.clone()).unwrap().bad, []);
    // The backup of an older branch goes on from there.
    let (backup, ..) = whole(300);
    put(
        &mut backup.clone(),
        lineage::NAME,
        &disk.bytes(lineage::NAME).unwrap(),
    );
    assert_eq!(lineage(&backup), (1, vec![]));
    renew(&mut backup.clone(), 9 << 40).unwrap();
    assert_eq!(lineage(&backup).1, [1]);
}

#[test]
fn a_journal_without_its_lineage_is_whole_and_only_forgets_that() {
    let (mut disk, before, state) = whole(300);
    let first = renew(&mut disk, 5).unwrap().generation.unwrap();
    disk.remove(lineage::NAME).unwrap();
    assert_eq!(verify(&mut disk).unwrap().bad, []);
    assert_eq!(lineage(&disk), (first, vec![]));
    let second = renew(&mut disk, 5).unwrap().generation.unwrap();
    assert_eq!(lineage(&disk), (second, vec![first]));
    let mut journal = open(&disk, 300).unwrap();
    assert_eq!((entries(&mut journal), journal.state()), (before, &state));
}

#[test]
fn a_lineage_that_is_bad_anywhere_is_named_and_given_up() {
    let (whole, ..) = whole(300);
    renew(&mut whole.clone(), 5).unwrap();
    let bytes = whole.bytes(lineage::NAME).unwrap();
    let rotten = (0..bytes.len()).map(|at| {
        let mut rotten = bytes.clone();
        rotten[at] ^= 0x41;
        rotten
    });
    let cut = (0..bytes.len()).map(|len| bytes[..len].to_vec());
    for bad in rotten.chain(cut) {
        let mut disk = copy(&whole);
        put(&mut disk, lineage::NAME, &bad);
        let report = verify(&mut disk).unwrap();
        let files: Vec<_> = report.bad.iter().map(|bad| &*bad.file).collect();
        assert_eq!(files, [lineage::NAME], "{bad:?}");
        assert_eq!(lineage(&disk), (2, vec![]), "{bad:?}");
        let repaired = repair(&mut disk, 5).unwrap();
        assert_eq!(repaired.generation, None, "no post is lost");
        assert_eq!(verify(&mut disk).unwrap().bad, []);
    }
    let mut newer = bytes[..bytes.len() - 4].to_vec();
    newer[9] += 1;
    newer.extend(crc32c::crc32c(&newer).to_be_bytes());
    put(&mut whole.clone(), lineage::NAME, &newer);
    assert!(matches!(open(&whole, 300), Err(JournalError::Newer { .. })));
}

#[test]
fn a_newest_segment_without_a_header_is_damage_where_none_is_before_it() {
    let (mut disk, ..) = whole(300);
    let names = disk.list().unwrap();
    let segments: Vec<_> = names.iter().filter(|n| n.ends_with(".journal")).collect();
    let (last, full) = segments.split_last().unwrap();
    for name in full {
        disk.remove(name).unwrap();
    }
    put(&mut disk, last, b"HALLOO");
    assert!(open(&copy(&disk), 300).is_err());
    assert_eq!(verify(&mut disk).unwrap().bad.len(), 1);
    assert!(repair(&mut disk, 5).unwrap().generation.is_some());
    assert!(open(&disk, 300).is_ok());
}

#[test]
fn a_dump_shows_every_record_in_order_and_ends_when_it_is_told_to() {
    let (disk, before, _) = whole(300);
    let (mut seen, mut heads) = (0, BTreeMap::new());
    let mut last = (String::new(), 0);
    let visit = |name: &str, at, record: &Record<'_>| {
        let place = (name.to_owned(), at);
        assert!(last < place, "{last:?} {place:?}");
        last = place;
        if let Record::Entry { room, offset, .. } = *record {
            let head = heads.entry(room).or_insert(0);
            assert_eq!(*head + 1, offset);
            *head = offset;
            seen += 1;
        }
        std::ops::ControlFlow::Continue(())
    };
    dump(&mut disk.clone(), visit).unwrap();
    assert_eq!(seen, before.len());
    let mut shown = 0;
    let visit = |_: &str, _, _: &Record<'_>| {
        shown += 1;
        std::ops::ControlFlow::Break(())
    };
    dump(&mut disk.clone(), visit).unwrap();
    assert_eq!(shown, 1);
}
