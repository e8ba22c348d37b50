//! What befalls the hub's data folder while no hub runs: rot, a newer hub, an old backup.
//!
//! What an operator does about it is what docs/operations.md says, by the product's own functions.

use super::Net;
use super::fault::Fault;
use super::history::StoreModel;
use super::model::{Broken, Check, must};
use halloo_std::journal::{self, Disk, Journal, JournalError, Settings};
use halloo_std::testkit::SimDisk;
use std::collections::BTreeMap;

/// How many backups are kept, the newest ones.
const BACKUPS: usize = 3;

/// The bytes of a record of an entry that stand before its frame.
const BEFORE_FRAME: usize = 53;

/// The bytes before a segment's first record; the last four are a sum of the others.
const HEADER: usize = 36;

/// A copy of the data folder, and what the model knew when it was made.
#[derive(Debug)]
pub(super) struct Backup {
    disk: SimDisk,
    life: StoreModel,
}

/// All files, to see that nothing was changed.
fn image(disk: &SimDisk) -> BTreeMap<String, Option<Vec<u8>>> {
    let names = disk.clone().list().unwrap_or_default();
    let with_bytes = names.into_iter().map(|name| {
        let bytes = disk.bytes(&name);
        (name, bytes)
    });
    with_bytes.collect()
}

/// Whether a file ends with the sum of all before that.
fn is_whole(disk: &SimDisk, name: &str) -> bool {
    let bytes = disk.bytes(name).unwrap_or_default();
    let parts = bytes.split_last_chunk::<4>();
    parts.is_some_and(|(covered, sum)| crc32c::crc32c(covered).to_be_bytes() == *sum)
}

fn names(disk: &SimDisk, ending: &str) -> Vec<String> {
    let names = disk.clone().list().unwrap_or_default();
    let mut names: Vec<_> = names.into_iter().filter(|n| n.ends_with(ending)).collect();
    names.sort_unstable();
    names
}

fn on_disk<T, E: std::fmt::Display>(outcome: Result<T, E>) -> Check<T> {
    outcome.map_err(|error| Broken(format!("a good disk refuses: {error}")))
}

impl Net {
    /// The hub has stopped for this fault: it befalls the disk. Now and then a backup is made.
    pub(super) fn befall_disk(&mut self, fault: Fault) -> Check {
        if !self.limits.is_on_disk {
            return Ok(());
        }
        match fault {
            Fault::NewerVersion => self.start_older_hub()?,
            Fault::OldBackup => self.put_back_backup()?,
            Fault::BitRot => self.rot(),
            _ => {}
        }
        if self.faults.has(Fault::OldBackup)
            && self.rng.chance(400)
            && let Some(life) = self.lives.last()
        {
            let backups = &mut self.keeping.backups;
            if backups.len() == BACKUPS {
                backups.remove(0);
            }
            backups.push(Backup {
                disk: self.keeping.disk.fork(),
                life: life.clone(),
            });
        }
        Ok(())
    }

    /// A newer hub wrote the last segment; one of this version does not start, and touches nothing.
    fn start_older_hub(&mut self) -> Check {
        let mut disk = self.keeping.disk.clone();
        let Some(name) = names(&disk, ".journal").pop() else {
            return Ok(());
        };
        let before = disk.bytes(&name).unwrap_or_default();
        let Some(header) = before.get(..HEADER) else {
            return Ok(());
        };
        self.keeping.heal(self.now);
        let mut newer = header.to_vec();
        newer[8..10].copy_from_slice(&2_u16.to_be_bytes());
        let sum = crc32c::crc32c(&newer[..HEADER - 4]);
        newer[HEADER - 4..].copy_from_slice(&sum.to_be_bytes());
        let mut file = on_disk(disk.open(&name))?;
        on_disk(disk.write(&mut file, 0, &newer))?;
        let unfinished = "00000000000000000099.snapshot.new";
        if self.rng.chance(300) {
            // The newer one was stopped while it wrote this.
            on_disk(disk.create(unfinished))?;
        }
        let whole = image(&disk);
        let opened = Journal::open(disk.clone(), &Settings::default());
        must!(
            matches!(opened, Err(JournalError::Newer { .. })),
            "S16: over the folder of a newer hub: {:?}",
            opened.err()
        );
        must!(
            image(&disk) == whole,
            "S16: a hub that does not start over a newer folder changes it"
        );
        on_disk(disk.write(&mut file, 0, header))?;
        on_disk(disk.sync(&mut file))?;
        self.faults.count(Fault::NewerVersion);
        Ok(())
    }

    /// The folder is put back from a backup, and the journal is told so.
    fn put_back_backup(&mut self) -> Check {
        let count = self.keeping.backups.len() as u64;
        let at = self.rng.below(count) as usize;
        let Some(backup) = self.keeping.backups.get(at) else {
            return Ok(());
        };
        let mut disk = backup.disk.fork();
        let mut life = backup.life.clone();
        let renewed = match journal::renew(&mut disk, self.rng.next()) {
            Ok(renewed) => renewed,
            Err(error) => return Err(Broken(format!("S16: a backup is not taken: {error}"))),
        };
        // A folder without a segment is a new store.
        let Some(generation) = renewed.generation else {
            return Ok(());
        };
        // Devices know the newest life: a backup of an older one is of a log that is back.
        let is_back = self.lives.last().map(|newest| newest.name) != Some(life.name);
        life.rename((life.name.0, generation), is_back);
        self.take_name(&life)?;
        self.keeping.heal(self.now);
        self.keeping.disk = disk;
        self.lives.push(life);
        if self.faults.has(Fault::OldBackup) && self.rng.chance(500) {
            // It was not the right one.
            let soon = self.rng.pick(&[100_000, 3_000_000, 20_000_000]);
            self.chaos.another_backup_at = Some(self.now + soon);
        }
        self.faults.count(Fault::OldBackup);
        self.trace.note(self.now, "backup put back", &[at as u64]);
        Ok(())
    }

    /// No two histories have the same name, else nobody could tell them apart.
    pub(super) fn take_name(&self, life: &StoreModel) -> Check {
        let mut lives = self.lives.iter();
        must!(
            lives.all(|other| other.name != life.name),
            "S7: the store {:x?} was another log before",
            life.name
        );
        Ok(())
    }

    /// Bytes go bad: of an index, of a snapshot, or of entries in a full segment.
    fn rot(&mut self) {
        let disk = self.keeping.disk.clone();
        match self.rng.below(6) {
            0 => self.rot_anywhere(&names(&disk, ".index")),
            // One does where both are good; without any, what was deleted is lost for good.
            1 => {
                let snapshots = names(&disk, ".snapshot");
                if snapshots.len() == 2 && snapshots.iter().all(|name| is_whole(&disk, name)) {
                    self.rot_anywhere(&snapshots);
                }
            }
            _ => {
                for _ in 0..self.rng.within(1, 3) {
                    self.rot_entry();
                }
            }
        }
    }

    fn rot_anywhere(&mut self, names: &[String]) {
        let Some(name) = names.get(self.rng.below(names.len() as u64) as usize) else {
            return;
        };
        let len = self.keeping.disk.bytes(name).unwrap_or_default().len();
        if len > 0 {
            let at = self.rng.below(len as u64) as usize;
            let mask = self.rng.within(1, 255) as u8;
            self.keeping.disk.rot(name, at, mask);
            self.faults.count(Fault::BitRot);
        }
    }

    fn rot_entry(&mut self) {
        let mut full = names(&self.keeping.disk, ".journal");
        full.pop();
        let Some(name) = full.get(self.rng.below(full.len() as u64) as usize) else {
            return;
        };
        let bytes = self.keeping.disk.bytes(name).unwrap_or_default();
        let Some(life) = self.lives.last_mut() else {
            return;
        };
        let found = life.entries_in(&bytes);
        let nth = self.rng.below(found.len() as u64) as usize;
        let Some(&(room, offset, at, len)) = found.get(nth) else {
            return;
        };
        let room = room.to_owned();
        let byte = at - BEFORE_FRAME + self.rng.below((BEFORE_FRAME + len) as u64) as usize;
        let mask = self.rng.within(1, 255) as u8;
        self.keeping.disk.rot(name, byte, mask);
        life.lose(&room, offset);
        self.keeping.is_rotten = true;
        self.faults.count(Fault::BitRot);
        self.trace
            .words(self.now, || format!("{offset} of {room} rots in {name}"));
    }

    /// The journal on a disk that may have gone bad: one that is damaged does not open and is not
    /// touched; then it is repaired. A damage that the start does not see may be repaired as well.
    pub(super) fn open_journal(
        &mut self,
        settings: &Settings,
    ) -> Check<Result<Journal<SimDisk>, JournalError>> {
        let disk = self.keeping.disk.clone();
        let before = self.keeping.is_rotten.then(|| image(&disk));
        let opened = Journal::open(disk.clone(), settings);
        let is_damaged = match &opened {
            Err(JournalError::Damaged { .. }) => true,
            Ok(_) => self.rng.chance(300),
            Err(_) => false,
        };
        if !self.keeping.is_rotten || !is_damaged {
            return Ok(opened);
        }
        if opened.is_err() && self.keeping.failing.is_none() {
            must!(
                before.is_some_and(|before| before == image(&disk)),
                "S16: a hub that does not start over a damaged folder changes it"
            );
        }
        drop(opened);
        self.keeping.heal(self.now);
        let repaired = match journal::repair(&mut disk.clone(), self.rng.next()) {
            Ok(repaired) => repaired,
            Err(error) => return Err(Broken(format!("S16: it cannot be repaired: {error}"))),
        };
        let journal = Journal::open(disk, settings);
        if let (Some(generation), Ok(journal), Some(life)) =
            (repaired.generation, &journal, self.lives.last())
        {
            let name = (life.name.0, generation);
            let life = life.repaired(name, journal.state())?;
            self.take_name(&life)?;
            self.lives.push(life);
        }
        self.keeping.is_rotten = false;
        self.repairs += 1;
        Ok(journal)
    }
}
