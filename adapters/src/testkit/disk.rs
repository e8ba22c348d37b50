//! A disk in memory that crashes: what was synced stays, and of the rest what chance leaves.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pages::Pages;
use crate::journal::Disk;

/// One file: its bytes as a reader sees them, and what a crash may take back of them.
#[derive(Debug, Clone, Default)]
struct Content {
    seen: Pages,
    /// How many bytes it had when it was last synced.
    synced_len: usize,
    /// What was written since, in order.
    writes: Vec<Written>,
    /// What a crash leaves before those, where a cut came upon bytes that were not synced.
    cut: Option<Pages>,
}

/// One write that is not synced.
#[derive(Debug, Clone)]
struct Written {
    at: usize,
    bytes: Vec<u8>,
    /// The bytes that were there before, as far as there were any.
    before: Vec<u8>,
}

impl Content {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.writes.push(Written {
            at,
            bytes: bytes.to_vec(),
            before: self.seen.part(at, bytes.len()),
        });
        self.seen.write(at, bytes);
    }

    fn sync(&mut self) {
        self.writes.clear();
        self.cut = None;
        self.synced_len = self.seen.len();
    }

    /// Back to the bytes as they were when it was last synced; gives what was written since.
    fn take_back(&mut self) -> Vec<Written> {
        let writes = std::mem::take(&mut self.writes);
        for written in writes.iter().rev() {
            self.seen.write(written.at, &written.before);
        }
        match self.cut.take() {
            Some(bytes) => self.seen = bytes,
            None => self.seen.set_len(self.synced_len),
        }
        writes
    }

    /// Taken as done at once: a journal syncs it before it relies on it.
    fn set_len(&mut self, len: usize) {
        let mut seen = self.seen.clone();
        seen.set_len(len);
        self.take_back();
        if self.seen.len() > len {
            self.seen.set_len(len);
        }
        self.cut = Some(std::mem::replace(&mut self.seen, seen));
    }
}

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// How many bytes may still be written, and calls of write, cut, sync and rename be made, before
    /// the power goes.
    power: Option<u64>,
    /// The power goes with the next rename.
    off_at_rename: bool,
    is_off: bool,
    full: bool,
    failing_writes: bool,
    failing_syncs: bool,
    calls: u64,
}

/// A disk in memory; clones share it.
///
/// ```
/// use halloo_std::journal::Disk;
/// use halloo_std::testkit::SimDisk;
/// let mut disk = SimDisk::new();
/// let mut file = disk.create("a").unwrap();
/// disk.write(&mut file, 0, b"never synced").unwrap();
/// disk.crash(|_, _| 0); // of no write anything is left
/// assert!(disk.list().unwrap().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        f.debug_struct("SimDisk")
            .field("files", &inner.names.len())
            .field("is_off", &inner.is_off)
            .finish_non_exhaustive()
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    at: usize,
}

fn off() -> io::Error {
    io::Error::other("the power is off")
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes after so much more: each byte written counts, and each call that changes or
    /// syncs something. The write that it goes in is done in part.
    pub fn power_off_after(&self, power: u64) {
        self.inner().power = Some(power);
    }

    /// The power goes right after the next rename (or not any more).
    pub fn power_off_at_rename(&self, off: bool) {
        self.inner().off_at_rename = off;
    }

    /// How much the calls up to here have counted.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.inner().calls
    }

    /// From here on there is no room (or there is again).
    pub fn set_full(&self, full: bool) {
        self.inner().full = full;
    }

    /// From here on writes fail (or succeed again).
    pub fn fail_writes(&self, fail: bool) {
        self.inner().failing_writes = fail;
    }

    /// From here on syncs fail (or succeed again).
    pub fn fail_syncs(&self, fail: bool) {
        self.inner().failing_syncs = fail;
    }

    /// Another disk with the same files, as a backup is; that one works.
    #[must_use]
    pub fn fork(&self) -> Self {
        let inner = self.inner();
        let inner = Inner {
            files: inner.files.clone(),
            names: inner.names.clone(),
            synced_names: inner.synced_names.clone(),
            ..Inner::default()
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.inner().is_off
    }

    /// How many bytes all files have.
    #[must_use]
    pub fn size(&self) -> u64 {
        let inner = self.inner();
        let files = inner.names.values().map(|&file| &inner.files[file]);
        files.map(|file| file.seen.len() as u64).sum()
    }

    /// Flips the bits `mask` of one byte, as old disks do.
    pub fn rot(&self, name: &str, at: usize, mask: u8) {
        let mut inner = self.inner();
        let Some(&file) = inner.names.get(name) else {
            return;
        };
        let file = &mut inner.files[file];
        if let Some(byte) = file.seen.byte_mut(at) {
            *byte ^= mask;
        }
        if let Some(byte) = file.cut.as_mut().and_then(|bytes| bytes.byte_mut(at)) {
            *byte ^= mask;
        }
        for written in &mut file.writes {
            let byte = at.checked_sub(written.at);
            if let Some(byte) = byte.and_then(|at| written.before.get_mut(at)) {
                *byte ^= mask;
            }
        }
    }

    /// The bytes of a file, if it is there.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let inner = self.inner();
        let &file = inner.names.get(name)?;
        let seen = &inner.files[file].seen;
        Some(seen.part(0, seen.len()))
    }

    /// Loses what was not synced, and turns the power on again.
    ///
    /// `keep(file, write)` says how many bytes of the write number `write` of a file stay though
    /// they were not synced: from 0 to all.
    pub fn crash(&self, mut keep: impl FnMut(usize, usize) -> usize) {
        let mut inner = self.inner();
        for (number, file) in inner.files.iter_mut().enumerate() {
            for (nth, written) in file.take_back().iter().enumerate() {
                let kept = keep(number, nth).min(written.bytes.len());
                file.seen.write(written.at, &written.bytes[..kept]);
            }
            file.sync();
        }
        inner.names = inner.synced_names.clone();
        inner.power = None;
        inner.off_at_rename = false;
        inner.is_off = false;
    }
}

impl Inner {
    /// Takes `amount` of the power; how much of it there was.
    fn spend(&mut self, amount: u64) -> io::Result<u64> {
        if self.is_off {
            return Err(off());
        }
        self.calls += amount;
        if let Some(power) = &mut self.power {
            let had = amount.min(*power);
            *power -= had;
            if had < amount {
                self.is_off = true;
            }
            return Ok(had);
        }
        Ok(amount)
    }

    fn call(&mut self) -> io::Result<()> {
        match self.spend(1)? {
            1 => Ok(()),
            _ => Err(off()),
        }
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

impl Disk for SimDisk {
    type File = SimFile;

    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.inner().names.keys().cloned().collect())
    }

    fn open(&mut self, name: &str) -> io::Result<SimFile> {
        let at = self.inner().names.get(name).copied();
        at.map(|at| SimFile { at })
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, name: &str) -> io::Result<SimFile> {
        let mut inner = self.inner();
        inner.call()?;
        inner.files.push(Content::default());
        let at = inner.files.len() - 1;
        inner.names.insert(name.to_owned(), at);
        Ok(SimFile { at })
    }

    fn len(&self, file: &SimFile) -> io::Result<u64> {
        Ok(self.inner().files[file.at].seen.len() as u64)
    }

    fn read(&self, file: &SimFile, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let inner = self.inner();
        if inner.is_off {
            return Err(off());
        }
        Ok(inner.files[file.at].seen.read(place(at), out))
    }

    fn write(&mut self, file: &mut SimFile, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if inner.failing_writes {
            return Err(io::Error::other("the disk does not take it"));
        }
        let had = place(inner.spend(bytes.len() as u64)?);
        inner.files[file.at].write(place(at), &bytes[..had]);
        if had < bytes.len() {
            return Err(off());
        }
        Ok(())
    }

    fn set_len(&mut self, file: &mut SimFile, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        inner.files[file.at].set_len(place(len));
        Ok(())
    }

    fn sync(&mut self, file: &mut SimFile) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        if inner.failing_syncs {
            return Err(io::Error::other("the disk does not answer"));
        }
        inner.files[file.at].sync();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        let at = inner.names.remove(from);
        let at = at.ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), at);
        if inner.off_at_rename {
            inner.is_off = true;
            return Err(off());
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        let gone = inner.names.remove(name);
        gone.map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        if inner.failing_syncs {
            return Err(io::Error::other("the disk does not answer"));
        }
        inner.synced_names = inner.names.clone();
        // What has no name any more can be opened by nobody.
        let named: std::collections::BTreeSet<usize> = inner.names.values().copied().collect();
        for (number, file) in inner.files.iter_mut().enumerate() {
            if !named.contains(&number) {
                *file = Content::default();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that keeps two copies of its bytes, which cannot be wrong.
    #[derive(Default)]
    struct Model {
        seen: Vec<u8>,
        synced: Vec<u8>,
        writes: Vec<(usize, Vec<u8>)>,
    }

    fn write_at(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
        if !written.is_empty() {
            bytes.resize(bytes.len().max(at + written.len()), 0);
            bytes[at..at + written.len()].copy_from_slice(written);
        }
    }

    fn number(state: &mut u64, below: u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (*state >> 33) % below
    }

    #[test]
    fn a_crash_takes_back_what_was_not_synced_whatever_was_done_before() {
        for seed in 0..300 {
            let mut state = seed;
            let mut disk = SimDisk::new();
            let mut file = disk.create("a").unwrap();
            disk.sync_names().unwrap();
            let mut model = Model::default();
            for step in 0..60_u8 {
                let at = number(&mut state, 30) as usize;
                match number(&mut state, 10) {
                    0..6 => {
                        let bytes = vec![step; number(&mut state, 12) as usize];
                        disk.write(&mut file, at as u64, &bytes).unwrap();
                        write_at(&mut model.seen, at, &bytes);
                        model.writes.push((at, bytes));
                    }
                    6 => {
                        disk.set_len(&mut file, at as u64).unwrap();
                        model.seen.resize(at, 0);
                        model.synced.truncate(at);
                        model.writes.clear();
                    }
                    7 => {
                        disk.sync(&mut file).unwrap();
                        model.synced = model.seen.clone();
                        model.writes.clear();
                    }
                    8 => {
                        disk.rot("a", at, 0x80);
                        for bytes in [&mut model.seen, &mut model.synced] {
                            if let Some(byte) = bytes.get_mut(at) {
                                *byte ^= 0x80;
                            }
                        }
                    }
                    _ => {
                        let keep = |nth: usize| (seed as usize + nth * 7) % 13;
                        disk.crash(|_, nth| keep(nth));
                        let writes = model.writes.drain(..).enumerate();
                        for (nth, (at, bytes)) in writes {
                            let kept = keep(nth).min(bytes.len());
                            write_at(&mut model.synced, at, &bytes[..kept]);
                        }
                        model.seen = model.synced.clone();
                    }
                }
                assert_eq!(
                    disk.bytes("a").unwrap(),
                    model.seen,
                    "seed {seed} step {step}"
                );
            }
        }
    }
}
