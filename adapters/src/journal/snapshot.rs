//! Snapshots: the state at the end of a segment, so that a start reads one file and one segment.
//!
//! ```text
//! "HALLOOS1" │ version u16 │ segment u64 │ state │ crc u32
//! ```

use super::disk::Disk;
use super::error::JournalError;
use super::record::Fields;
use super::segment::VERSION;
use super::state::State;

const MAGIC: [u8; 8] = *b"HALLOOS1";

/// The name's ending of a file that is being written.
pub(super) const UNFINISHED: &str = ".new";

/// The name of the snapshot at the end of a segment.
pub(super) fn name(segment: u64) -> String {
    format!("{segment:020}.snapshot")
}

pub(super) fn to_file(segment: u64, state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&segment.to_be_bytes());
    state.write(&mut out);
    out.extend_from_slice(&crc32c::crc32c(&out).to_be_bytes());
    out
}

/// The state in a snapshot; `Ok(None)` if it is not good.
pub(super) fn load<D: Disk>(disk: &mut D, segment: u64) -> Result<Option<State>, JournalError> {
    let name = name(segment);
    let bytes = read_file(disk, &name).map_err(JournalError::disk("read", &name))?;
    let Some((covered, crc)) = bytes.split_last_chunk::<4>() else {
        return Ok(None);
    };
    let mut fields = Fields(covered);
    if fields.take() != Some(MAGIC) {
        return Ok(None);
    }
    // The sum comes first: else rot would pass for a newer version.
    if crc32c::crc32c(covered).to_be_bytes() != *crc {
        return Ok(None);
    }
    let version = u16::from_be_bytes(fields.take().unwrap_or_default());
    if version > VERSION {
        return Err(JournalError::Newer {
            name,
            found: version,
            known: VERSION,
        });
    }
    if fields.u64() != Some(segment) {
        return Ok(None);
    }
    Ok(State::read(fields.0))
}

/// Writes a file whole: under that name it is there with all its bytes, or not at all.
pub(super) fn write_file<D: Disk>(
    disk: &mut D,
    name: &str,
    bytes: &[u8],
) -> Result<(), JournalError> {
    let unfinished = format!("{name}{UNFINISHED}");
    let failed = || JournalError::disk("write", name);
    let mut file = disk.create(&unfinished).map_err(failed())?;
    disk.write(&mut file, 0, bytes).map_err(failed())?;
    disk.sync(&mut file).map_err(failed())?;
    disk.rename(&unfinished, name).map_err(failed())?;
    disk.sync_names().map_err(failed())
}

pub(super) fn read_file<D: Disk>(disk: &mut D, name: &str) -> std::io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let len = usize::try_from(disk.len(&file)?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    let read = disk.read(&file, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
