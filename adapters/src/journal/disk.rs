//! What the journal needs of a disk, and a folder of a real one.
//!
//! All I/O of the journal goes through [`Disk`], so that a test owns every byte, every sync and every
//! failure. A disk is trusted with this much: what was synced stays, a name that was synced stays,
//! and everything else may be there in part, in any order, or not at all after a crash.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Files in one folder.
pub trait Disk {
    /// An open file.
    type File: std::fmt::Debug;

    /// The names of all files, in any order.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// Opens a file that is there, to read and to write.
    fn open(&mut self, name: &str) -> io::Result<Self::File>;

    /// Makes an empty file, in place of one of that name if there is one.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// How many bytes a file has.
    fn len(&self, file: &Self::File) -> io::Result<u64>;

    /// Reads from `at` on until `out` is full or the file ends; how many bytes that is.
    fn read(&self, file: &Self::File, at: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `at`.
    fn write(&mut self, file: &mut Self::File, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file.
    fn set_len(&mut self, file: &mut Self::File, len: u64) -> io::Result<()>;

    /// What was written to this file stays.
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;

    /// Gives a file another name, in place of one that has it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Which names there are stays.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// The file whose lock says that a folder is in use.
const LOCK: &str = "lock";

/// A folder of the real file system, used by this process alone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    folder: File,
    /// The system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Takes a folder, which is made if it is not there.
    ///
    /// Errors: [`io::ErrorKind::WouldBlock`] if another process has it.
    pub fn take(path: &Path) -> io::Result<Self> {
        make_to_stay(path)?;
        Self::take_existing(path)
    }

    /// Takes a folder that is there.
    ///
    /// Errors: [`io::ErrorKind::WouldBlock`] if another process has it.
    pub fn take_existing(path: &Path) -> io::Result<Self> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self {
            folder: File::open(path)?,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder, and those that it is in, so that a power cut does not take them away again.
fn make_to_stay(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if parent != path {
        make_to_stay(parent)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| File::open(parent)?.sync_all()),
    }
}

impl Disk for Folder {
    type File = File;

    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no text is none of ours.
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&mut self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path.join(name))
    }

    fn create(&mut self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path.join(name))
    }

    fn len(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn read(&self, file: &File, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < out.len() {
            match file.read_at(&mut out[done..], at + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write(&mut self, file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    fn set_len(&mut self, file: &mut File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.folder.sync_all()
    }
}
