//! The journal: any bytes as its files, and what it keeps over crashes, failures and rot (S16).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arbitrary::{Result, Unstructured};
use halloo_core::wire::{Code, DeviceId};
use halloo_std::journal::{Disk, Journal, Record, Settings, State, Stored, dump, repair, verify};
use halloo_std::testkit::SimDisk;

use crate::message;

type Room = (u32, u64);

/// Runs any bytes as files: nothing panics, and what a repair leaves is good.
pub fn bytes(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut disk = SimDisk::new();
    while !u.is_empty() {
        if forge(&mut u, &mut disk).is_err() {
            break;
        }
    }
    disk.sync_names().expect("the disk is good");
    let settings = Settings::default();
    let _ = verify(&mut disk.clone());
    let _ = dump(&mut disk.clone(), |_, _, record| {
        let _ = format!("{record:?}");
        ControlFlow::Continue(())
    });
    if let Ok(mut journal) = Journal::open(copy(&disk), &settings) {
        look(&mut journal);
        let name = "late";
        let number = journal.state().rooms.len() as u32;
        journal.append(&Record::Room { number, name });
        let _ = journal.commit();
    }
    if repair(&mut disk, 1).is_ok() {
        let report = verify(&mut disk).expect("the disk is good");
        assert!(report.bad.is_empty(), "repaired, and {report:?}");
        look(&mut Journal::open(disk, &settings).expect("repaired"));
    }
}

/// Reads at the ends of every room.
fn look(journal: &mut Journal<SimDisk>) {
    let rooms: Vec<_> = (0..).zip(journal.state().rooms.clone()).take(8).collect();
    for (number, room) in rooms {
        for offset in [1, room.oldest, room.head, room.head.saturating_add(1)] {
            let _ = journal.read(number, offset);
        }
    }
}

/// The disk with a life of its own.
fn copy(disk: &SimDisk) -> SimDisk {
    let mut all = SimDisk::new();
    for name in disk.clone().list().expect("the disk is good") {
        let mut file = all.create(&name).expect("the disk is good");
        let bytes = disk.bytes(&name).unwrap_or_default();
        all.write(&mut file, 0, &bytes).expect("the disk is good");
    }
    all
}

/// Makes one file of parts that have their sums, or not.
fn forge(u: &mut Unstructured<'_>, disk: &mut SimDisk) -> Result<()> {
    let number: u64 = u.int_in_range(1..=3)?;
    let ending = [
        "journal",
        "snapshot",
        "index",
        "journal.new",
        "lock",
        "lineage",
    ];
    let ending = *u.choose(&ending)?;
    let mut out = Vec::new();
    if u.ratio(3, 4)? {
        begin(u, ending, number, &mut out)?;
    }
    let mut batch = 1;
    for _ in 0..u.int_in_range(0..=6)? {
        if ending == "journal" && u.ratio(3, 4)? {
            record(u, number, &mut batch, &mut out)?;
        } else {
            out.extend_from_slice(message::bytes(u, 64)?);
        }
    }
    if matches!(ending, "snapshot" | "index" | "lineage") && u.ratio(3, 4)? {
        out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
    }
    let name = match ending {
        "lineage" => ending.to_owned(),
        _ => format!("{number:020}.{ending}"),
    };
    let mut file = disk.create(&name).expect("the disk is good");
    disk.write(&mut file, 0, &out).expect("the disk is good");
    Ok(())
}

fn begin(u: &mut Unstructured<'_>, ending: &str, number: u64, out: &mut Vec<u8>) -> Result<()> {
    let version: u16 = if u.ratio(7, 8)? { 1 } else { u.arbitrary()? };
    match ending {
        "snapshot" => {
            out.extend_from_slice(b"HALLOOS1");
            out.extend_from_slice(&version.to_be_bytes());
            out.extend_from_slice(&number.to_be_bytes());
        }
        "lineage" => {
            out.extend_from_slice(b"HALLOOL1");
            out.extend_from_slice(&version.to_be_bytes());
            out.extend_from_slice(&1_u64.to_be_bytes());
            out.extend_from_slice(&u.int_in_range(1..=2_u32)?.to_be_bytes());
        }
        "index" => {
            out.extend_from_slice(b"HALLOOX1");
            out.extend_from_slice(&number.to_be_bytes());
        }
        _ => {
            out.extend_from_slice(b"HALLOOJ1");
            out.extend_from_slice(&version.to_be_bytes());
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&u.int_in_range(1..=2_u32)?.to_be_bytes());
            out.extend_from_slice(&1_u64.to_be_bytes());
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&crc32c::crc32c(out).to_be_bytes());
        }
    }
    Ok(())
}

/// A record with a good sum and a batch in its turn, whatever else it says.
fn record(
    u: &mut Unstructured<'_>,
    segment: u64,
    batch: &mut u32,
    out: &mut Vec<u8>,
) -> Result<()> {
    let at = out.len();
    let kind = u.int_in_range(1..=6_u8)?;
    let room = message::word(u)? & 0xff;
    let mut fields = batch.to_be_bytes().to_vec();
    // A batch of its own: a journal that leaves one open goes no further.
    fields.push(kind | 0x80);
    *batch += 1;
    if kind != 1 && kind != 5 {
        if kind != 4 {
            fields.extend_from_slice(&message::long(u)?.to_be_bytes());
        }
        fields.extend_from_slice(&[u.int_in_range(0..=3)?; 16]);
        if kind != 4 {
            fields.extend_from_slice(&message::word(u)?.to_be_bytes());
        }
    }
    fields.extend_from_slice(&room.to_be_bytes());
    if kind == 2 || kind == 5 {
        let from = message::long(u)?;
        fields.extend_from_slice(&from.to_be_bytes());
        if kind == 5 {
            // More would be as many entries in memory.
            let to = from.saturating_add(u.int_in_range(0..=40)?);
            fields.extend_from_slice(&to.to_be_bytes());
        }
    }
    fields.extend_from_slice(message::bytes(u, 40)?);
    let seed = [segment.to_be_bytes(), (at as u64).to_be_bytes()].concat();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&seed), &fields);
    out.extend_from_slice(&(fields.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(&fields);
    Ok(())
}

/// Runs a journal on a disk that loses power, fails and fills up; at the end, that rots.
pub fn recovery(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(segment_bytes) = u.int_in_range(40..=400) else {
        return;
    };
    let settings = Settings {
        segment_bytes,
        ..Settings::default()
    };
    let disk = SimDisk::new();
    let journal = Journal::open(disk.clone(), &settings).expect("an empty disk");
    let mut story = Story {
        acked: journal.state().clone(),
        journal,
        disk,
        settings,
        frames: BTreeMap::new(),
    };
    while !u.is_empty() {
        if story.step(&mut u).is_err() {
            break;
        }
    }
    story.rot(&mut u);
}

struct Story {
    journal: Journal<SimDisk>,
    disk: SimDisk,
    settings: Settings,
    /// What the last commit said to be kept.
    acked: State,
    /// Every frame that was ever appended and may be there, by place.
    frames: BTreeMap<Room, (DeviceId, Vec<u8>)>,
}

impl Story {
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=11)? {
            0 => {
                let number = self.journal.state().rooms.len() as u32;
                if number < 3 {
                    let name = ["lab", "yard", "roof"][number as usize];
                    self.journal.append(&Record::Room { number, name });
                }
            }
            1..=4 => self.entry(u)?,
            5 => {
                if let Some((room, device, seq)) = self.somebody(u)? {
                    let code = Code::TooLarge;
                    let time = u.arbitrary::<u8>()?.into();
                    self.journal.append(&Record::Reject {
                        time,
                        device,
                        seq,
                        room,
                        code,
                    });
                }
            }
            6 => {
                if let Some((room, device, _)) = self.somebody(u)? {
                    self.journal.append(&Record::Forget { device, room });
                }
            }
            7 | 8 => {
                self.journal.commit().expect("the disk is good");
                self.acked = self.journal.state().clone();
            }
            9 => {
                let power: u8 = u.arbitrary()?;
                self.disk.power_off_after(power.into());
                self.crash(u)?;
            }
            10 => {
                let fail = u.int_in_range(0..=2)?;
                let set = |disk: &SimDisk, on| match fail {
                    0 => disk.set_full(on),
                    1 => disk.fail_writes(on),
                    _ => disk.fail_syncs(on),
                };
                set(&self.disk, true);
                let had = self.journal.has_uncommitted();
                assert_eq!(self.journal.commit().is_err(), had);
                assert!(!had || self.journal.commit().is_err(), "it goes on");
                set(&self.disk, false);
                self.crash(u)?;
            }
            _ => self.read_back(),
        }
        Ok(())
    }

    fn somebody(&self, u: &mut Unstructured<'_>) -> Result<Option<(u32, DeviceId, u32)>> {
        let state = self.journal.state();
        let room = u.int_in_range(0..=2)?;
        let device = [u.int_in_range(1..=3)?; 16];
        if state.rooms.len() <= room as usize {
            return Ok(None);
        }
        let member = state.members.get(&(room, device));
        Ok(Some((
            room,
            device,
            member.map_or(1, |member| member.up_seq.wrapping_add(1)),
        )))
    }

    fn entry(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((room, device, seq)) = self.somebody(u)? else {
            return Ok(());
        };
        let offset = self.journal.state().rooms[room as usize].head + 1;
        let frame = message::bytes(u, 40)?;
        self.journal.append(&Record::Entry {
            time: u.arbitrary::<u8>()?.into(),
            device,
            seq,
            room,
            offset,
            frame,
        });
        self.frames.insert((room, offset), (device, frame.to_vec()));
        Ok(())
    }

    /// The power goes in the middle of a commit, or before it.
    fn crash(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let in_flight = self.journal.state().clone();
        if u.arbitrary()? {
            // It is not known what came of it, also where it says so.
            if self.journal.commit().is_ok() && !self.disk.is_off() {
                self.acked = in_flight.clone();
            }
        }
        let kept: [u8; 4] = u.arbitrary()?;
        self.disk
            .crash(|file, write| usize::from(kept[(file + write) % 4]));
        let journal = Journal::open(self.disk.clone(), &self.settings);
        self.journal = journal.expect("S16: a crash is no damage");
        let state = self.journal.state();
        assert!(
            *state == self.acked || *state == in_flight,
            "S16: {state:?} after {:?}, with {in_flight:?} on its way",
            self.acked
        );
        self.acked = state.clone();
        let head = |room: u32| state.rooms.get(room as usize).map_or(0, |room| room.head);
        self.frames
            .retain(|(room, offset), _| *offset <= head(*room));
        self.read_back();
        Ok(())
    }

    /// Everything that is committed is there, to the byte.
    fn read_back(&mut self) {
        for (number, room) in (0..).zip(self.acked.rooms.clone()) {
            for offset in room.oldest..=room.head {
                let (device, frame) = &self.frames[&(number, offset)];
                let want = Stored::Entry {
                    device: *device,
                    frame,
                };
                let found = self.journal.read(number, offset);
                let found = found.expect("the disk is good");
                assert_eq!(found, want, "S1: entry {offset} of room {number}");
            }
        }
    }

    /// Some bytes go bad: that is told, and a repair invents nothing.
    fn rot(self, u: &mut Unstructured<'_>) {
        let Self {
            mut disk,
            settings,
            frames,
            acked,
            ..
        } = self;
        disk.crash(|_, _| 0);
        let names = disk.list().expect("the disk is good");
        let mut times: u8 = 0;
        for name in names {
            let len = disk.bytes(&name).unwrap_or_default().len();
            let at = u.int_in_range(0..=len.max(1) - 1).unwrap_or(0);
            let mask: u8 = u.arbitrary().unwrap_or(0);
            // An index or a snapshot can be made anew.
            times += u8::from(mask != 0 && len > 0 && name.ends_with(".journal"));
            disk.rot(&name, at, mask);
        }
        let report = verify(&mut disk).expect("the disk is good");
        let opened = Journal::open(copy(&disk), &settings);
        if times == 0 {
            assert_eq!(report.lost, 0, "{report:?}");
            let opened = opened.expect("S16: only what can be made anew is bad");
            assert_eq!(*opened.state(), acked, "S16");
        }
        if repair(&mut disk, 1).is_err() {
            return;
        }
        let report = verify(&mut disk).expect("the disk is good");
        assert!(report.bad.is_empty(), "repaired, and {report:?}");
        let mut journal = Journal::open(disk, &settings).expect("repaired");
        for (number, room) in (0..).zip(journal.state().rooms.clone()) {
            for offset in room.oldest..=room.head {
                match journal.read(number, offset).expect("repaired") {
                    Stored::Entry { device, frame } => {
                        let kept = frames.get(&(number, offset));
                        let is_same = kept.is_some_and(|kept| *kept == (device, frame.to_vec()));
                        assert!(is_same, "an entry was invented: {offset} of {number}");
                    }
                    Stored::Lost { to } => assert!(to >= offset && to <= room.head),
                    Stored::Gone => panic!("entry {offset} of room {number} is gone"),
                }
            }
        }
    }
}
