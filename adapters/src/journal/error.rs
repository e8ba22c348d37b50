//! What can go wrong with a journal, each told apart and with what to do.

use std::io;

/// Why a journal could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has the folder.
    #[error("the data folder is in use by another hub: stop that one, or name another folder")]
    InUse,
    /// The disk refused.
    #[error("{doing} {name}: {source}{}", hint(source))]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// The file.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// A file of a version that this program does not know.
    #[error("{name} has version {found} and this hub knows up to {known}: use a newer hub")]
    Newer {
        /// The file.
        name: String,
        /// Its version.
        found: u16,
        /// The latest known one.
        known: u16,
    },
    /// Bytes that were good once are bad.
    #[error(
        "{name} is damaged at byte {at}: {what}; look with `halloo log verify`, and give up what is lost with `halloo log repair`"
    )]
    Damaged {
        /// The file.
        name: String,
        /// Where.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// What is lost cannot be made up for.
    #[error("{name}: {what}: only a backup of the folder helps")]
    Beyond {
        /// The file.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A write or a sync failed before: nothing is written any more.
    #[error("the journal failed before and takes nothing more: start the hub again")]
    Failed,
}

impl JournalError {
    pub(crate) fn disk(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk {
            doing,
            name: name.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(name: &str, at: u64, what: &'static str) -> Self {
        Self::Damaged {
            name: name.to_owned(),
            at,
            what,
        }
    }

    pub(super) fn beyond(name: &str, what: &'static str) -> Self {
        Self::Beyond {
            name: name.to_owned(),
            what,
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": make room on the disk or keep less, then start the hub again"
        }
        io::ErrorKind::PermissionDenied => ": give the hub's user the right to it",
        io::ErrorKind::ReadOnlyFilesystem => ": mount it for writing",
        _ => "",
    }
}
