//! Where the hub of a world keeps its posts: a journal on a disk that fails in every way.
//!
//! The journal and the way to it are the product's own. What the disk has after a crash is judged by
//! the model: every record that was committed, and of the rest a whole commit or nothing.

use super::Net;
use super::disk_faults::Backup;
use super::fault::Fault;
use super::history::{Handed, StoreModel};
use super::limits::HubMemory;
use super::model::{Broken, Check};
use halloo_core::chat::Hub;
use halloo_core::chat::hub::Append;
use halloo_core::wire::ByeReason;
use halloo_std::journal::hub as kept;
use halloo_std::journal::{Journal, Retention, Settings};
use halloo_std::testkit::SimDisk;
use std::time::Duration;

/// The hub's disk, and what is open on it.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    pub(super) disk: SimDisk,
    pub(super) journal: Option<Journal<SimDisk>>,
    /// Verdicts in the journal that wait for its commit, and when that returns.
    waiting: Option<(u64, usize)>,
    /// The journal failed: the hub has said so to all, and ends at that time.
    pub(super) ends_at: Option<u64>,
    /// In which way the disk is to fail, or does.
    pub(super) failing: Option<Fault>,
    /// Syncs take a second before that.
    pub(super) slow_until: u64,
    /// Copies of the disk, and what they are copies of.
    pub(super) backups: Vec<Backup>,
    /// Entries on the disk have gone bad.
    pub(super) is_rotten: bool,
}

impl Keeping {
    /// When the disk has done what it was told.
    pub(super) fn next_time(&self) -> Option<u64> {
        let ends = self.ends_at.unwrap_or(u64::MAX);
        let waits = self.waiting.map_or(u64::MAX, |(due, _)| due);
        Some(ends.min(waits)).filter(|&time| time != u64::MAX)
    }

    /// The disk works from here on, and at once.
    pub(super) fn heal(&mut self, now: u64) {
        self.failing = None;
        self.slow_until = 0;
        self.disk.set_full(false);
        self.disk.fail_writes(false);
        self.disk.fail_syncs(false);
        self.disk.power_off_after(u64::MAX);
        self.disk.power_off_at_rename(false);
        if let Some((due, _)) = &mut self.waiting {
            *due = now;
        }
    }

    /// The disk fails from here on, in the way of a fault.
    pub(super) fn fail(&mut self, fault: Fault, power: u64) {
        self.failing = Some(fault);
        match fault {
            Fault::TornWrite => self.disk.power_off_after(power),
            Fault::LostRename => self.disk.power_off_at_rename(true),
            Fault::DiskFull => self.disk.set_full(true),
            Fault::WriteError => self.disk.fail_writes(true),
            Fault::SyncError => self.disk.fail_syncs(true),
            _ => {}
        }
    }
}

impl Net {
    /// A hub starts over what its disk has; `None` when the disk does not let it.
    ///
    /// `store` is the number of the store if there is none yet.
    pub fn start_kept_hub<'m>(
        &mut self,
        memory: &'m mut HubMemory,
        store: u64,
    ) -> Check<Option<Hub<'m>>> {
        let settings = Settings {
            segment_bytes: self.limits.segment_bytes,
            store,
            retention: Retention {
                entries: self.limits.retention,
                age: self.limits.retention_age.map(Duration::from_secs),
                ..Retention::default()
            },
        };
        let mut journal = match self.open_journal(&settings)? {
            Ok(journal) => journal,
            Err(_) if self.keeping.failing.is_some() => return Ok(None),
            Err(error) => return Err(Broken(format!("S16: the journal does not open: {error}"))),
        };
        let name = journal.store();
        match self.lives.last_mut() {
            Some(life) if life.name == name => {
                let survived = life.recover(&mut journal)?;
                self.survived += u64::from(survived);
            }
            _ => {
                let life = StoreModel::new(name, &self.limits);
                self.take_name(&life)?;
                self.lives.push(life);
            }
        }
        let skew = self.hub_skew;
        if let Some(life) = self.lives.last_mut() {
            life.may_forget |= self.now + skew >= 600_000_000;
        }
        let mut config = self.limits.config(self.rng.next(), name.0, name.1);
        config.has_store = true;
        let (storage, lineage) = memory.storage_of(journal.lineage());
        let mut hub = Hub::new(config, storage);
        hub.set_lineage(lineage);
        if let Err(error) = kept::restore(&mut hub, &journal) {
            return Err(Broken(format!("S16: the journal is not restored: {error}")));
        }
        self.keeping.journal = Some(journal);
        self.begin_life(name);
        Ok(Some(hub))
    }

    /// The disk of a hub that ended: it forgets what was not synced, if the power went too.
    pub(super) fn end_disk(&mut self, is_power_lost: bool) {
        let keeping = &mut self.keeping;
        if let Some((_, count)) = keeping.waiting.take()
            && count > 0
            && let Some(journal) = &mut keeping.journal
            && !keeping.disk.is_off()
            && is_power_lost
        {
            // The disk was at it when the power went.
            keeping.disk.power_off_after(self.rng.below(600));
            let _ = journal.commit();
        }
        keeping.journal = None;
        keeping.ends_at = None;
        if is_power_lost {
            let rng = &mut self.rng;
            let keep = |_, _| rng.pick(&[0, 1, 13, 200, usize::MAX]);
            keeping.disk.crash(keep);
        } else {
            // Power came back in time, or was never lost: what was written is there.
            keeping.disk.crash(|_, _| usize::MAX);
        }
    }

    /// The disk works again, or not yet.
    pub(super) fn mend_disk(&mut self, is_sure: bool) {
        if is_sure || self.rng.chance(700) {
            self.keeping.heal(self.now);
        }
    }

    /// A fresh disk in place of the old one.
    pub(super) fn replace_disk(&mut self) {
        self.keeping = Keeping::default();
    }

    /// What the hub hands out goes to the journal; what the disk has done is shown.
    pub(super) fn commit_on_disk(&mut self, hub: &mut Hub<'_>) -> Check {
        loop {
            let (now, wall) = (self.now, self.hub_wall_now());
            let Some(store) = self.lives.last_mut() else {
                return Ok(());
            };
            let keeping = &mut self.keeping;
            let Some(journal) = &mut keeping.journal else {
                return Ok(());
            };
            if keeping.ends_at.is_some() {
                return Ok(());
            }
            if keeping.waiting.is_none() {
                // The model sees what the journal is handed.
                let seen = |append: &Append<'_>| store.handed.push_back(Handed::of(append));
                let count = kept::append(hub, journal, wall, seen);
                if count == 0 {
                    return Ok(());
                }
                let mut due = now;
                if self.commit_delay > 0 {
                    due += self.rng.below(self.commit_delay + 1);
                    self.faults.count(Fault::SlowCommit);
                }
                if keeping.slow_until > now {
                    // The hub waits for its disk.
                    due = due.max(now + 1_000_000);
                    self.hub_paused_until = self.hub_paused_until.max(due);
                    self.faults.count(Fault::SlowSync);
                }
                keeping.waiting = Some((due, count));
            }
            let Some((_, count)) = keeping.waiting.filter(|(due, _)| *due <= now) else {
                return Ok(());
            };
            keeping.waiting = None;
            self.moved = true;
            if journal.commit().is_err() {
                return self.storage_failed(hub);
            }
            store.commit(count)?;
            hub.handle_appended(count);
            kept::retain(hub, journal);
        }
    }

    /// Nothing is acknowledged any more. With the power on, everybody is told, and the hub ends.
    fn storage_failed(&mut self, hub: &mut Hub<'_>) -> Check {
        let Some(fault) = self.keeping.failing else {
            return Err(Broken("the journal failed on a good disk".to_owned()));
        };
        self.faults.count(fault);
        if self.keeping.disk.is_off() {
            self.chaos.stop_hub(fault);
            return Ok(());
        }
        self.trace.note(self.now, "storage fails", &[]);
        hub.shut_down(self.hub_now(), ByeReason::Storage);
        self.keeping.ends_at = Some(self.now + self.rng.below(2_000_000));
        Ok(())
    }
}
