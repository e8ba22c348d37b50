//! A disk in memory that crashes: what was synced stays, and of the rest what chance leaves.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::Disk;

/// One file: its bytes as a reader sees them, and as they were when it was last synced.
#[derive(Debug, Clone, Default)]
struct Content {
    seen: Vec<u8>,
    synced: Vec<u8>,
    /// Where bytes were written since, in order; a cut is a cut drops them.
    writes: Vec<(usize, Vec<u8>)>,
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
        for bytes in [&mut file.seen, &mut file.synced] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
    }

    /// The bytes of a file, if it is there.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let inner = self.inner();
        let &file = inner.names.get(name)?;
        Some(inner.files[file].seen.clone())
    }

    /// Loses what was not synced, and turns the power on again.
    ///
    /// `keep(file, write)` says how many bytes of the write number `write` of a file stay though
    /// they were not synced: from 0 to all.
    pub fn crash(&self, mut keep: impl FnMut(usize, usize) -> usize) {
        let mut inner = self.inner();
        for (number, file) in inner.files.iter_mut().enumerate() {
            let mut bytes = std::mem::take(&mut file.synced);
            for (nth, (at, written)) in file.writes.drain(..).enumerate() {
                let kept = keep(number, nth).min(written.len());
                write_at(&mut bytes, at, &written[..kept]);
            }
            file.seen = bytes.clone();
            file.synced = bytes;
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

fn write_at(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    if written.is_empty() {
        return;
    }
    let end = at + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(written);
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
        let bytes = inner.files[file.at].seen.get(place(at)..);
        let bytes = bytes.unwrap_or_default();
        let len = bytes.len().min(out.len());
        out[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
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
        let content = &mut inner.files[file.at];
        write_at(&mut content.seen, place(at), &bytes[..had]);
        content.writes.push((place(at), bytes[..had].to_vec()));
        if had < bytes.len() {
            return Err(off());
        }
        Ok(())
    }

    fn set_len(&mut self, file: &mut SimFile, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        let content = &mut inner.files[file.at];
        content.seen.resize(place(len), 0);
        // Taken as done at once: a journal syncs it before it relies on it.
        content.synced.truncate(place(len));
        content.writes.clear();
        Ok(())
    }

    fn sync(&mut self, file: &mut SimFile) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call()?;
        if inner.failing_syncs {
            return Err(io::Error::other("the disk does not answer"));
        }
        let content = &mut inner.files[file.at];
        // In time that grows with what was written, not with the file.
        for (at, written) in content.writes.drain(..) {
            write_at(&mut content.synced, at, &written);
        }
        content.synced.resize(content.seen.len(), 0);
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
