//! The generations that a store had, in a file of its own that only a repair writes.
//!
//! ```text
//! "HALLOOL1" │ version u16 │ store u64 │ generations u32 each, the newest first │ crc u32
//! ```
//!
//! Knows nothing of what is in the log. A folder has no such file before its first repair; and one
//! that is lost or bad costs no post, only what [`Hub::set_lineage`](halloo_core::chat::Hub::set_lineage)
//! says.

use super::disk::Disk;
use super::error::JournalError;
use super::record::Fields;
use super::segment::{Store, VERSION};
use super::snapshot;

/// The file's name.
pub(super) const NAME: &str = "lineage";

const MAGIC: [u8; 8] = *b"HALLOOL1";

/// More than devices are told, since a repair that was cut short leaves one that no device knows.
const MOST: usize = 64;

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Bad,
    Of { id: u64, generations: Vec<u32> },
}

pub(super) fn load<D: Disk>(disk: &mut D) -> Result<Found, JournalError> {
    let names = disk.list();
    let names = names.map_err(JournalError::disk("list", "the data folder"))?;
    if !names.iter().any(|name| name == NAME) {
        return Ok(Found::Nothing);
    }
    let bytes = snapshot::read_file(disk, NAME).map_err(JournalError::disk("read", NAME))?;
    let Some((covered, crc)) = bytes.split_last_chunk::<4>() else {
        return Ok(Found::Bad);
    };
    let mut fields = Fields(covered);
    if fields.take() != Some(MAGIC) || crc32c::crc32c(covered).to_be_bytes() != *crc {
        return Ok(Found::Bad);
    }
    let version = u16::from_be_bytes(fields.take().unwrap_or_default());
    if version > VERSION {
        return Err(JournalError::Newer {
            name: NAME.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    let Some(id) = fields.u64() else {
        return Ok(Found::Bad);
    };
    let (generations, []) = fields.rest().as_chunks() else {
        return Ok(Found::Bad);
    };
    Ok(Found::Of {
        id,
        generations: generations
            .iter()
            .copied()
            .map(u32::from_be_bytes)
            .collect(),
    })
}

impl Found {
    /// The generations that a store had before its own, the newest first.
    pub(super) fn before(&self, store: Store) -> Vec<u32> {
        let Self::Of { id, generations } = self else {
            return Vec::new();
        };
        let mut older = generations.iter().copied();
        // A repair that was cut short wrote this and not all segments: then its own is not the first.
        match *id == store.id && older.any(|generation| generation == store.generation) {
            true => older.collect(),
            false => Vec::new(),
        }
    }

    /// Notes that `store` goes on from its generation `old`.
    pub(super) fn write<D: Disk>(
        &self,
        disk: &mut D,
        store: Store,
        old: u32,
    ) -> Result<(), JournalError> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&store.id.to_be_bytes());
        let id = store.id;
        let before = self.before(Store {
            id,
            generation: old,
        });
        let all = [store.generation, old].into_iter().chain(before);
        out.extend(all.take(MOST).flat_map(u32::to_be_bytes));
        out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
        snapshot::write_file(disk, NAME, &out)
    }
}
