//! How many files this process may open.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::SimError;

/// Files beside the devices': standard streams, queues, listeners, the log.
const OTHERS: u64 = 64;

/// Checks that `devices` with `each` files fit, and raises this process's limit as far as it goes.
pub(crate) fn raise(devices: u32, each: u64) -> Result<(), SimError> {
    let mut limit = getrlimit(Resource::Nofile);
    // A system without a hard limit may still refuse one that is out of reason.
    let most = limit.maximum.unwrap_or(2 * needed(devices, each));
    check(devices, each, most)?;
    if limit.current.is_none_or(|current| current >= most) {
        return Ok(());
    }
    limit.current = Some(most);
    setrlimit(Resource::Nofile, limit)
        .map_err(|errno| SimError::system("raise the limit of open files")(errno.into()))
}

fn check(devices: u32, each: u64, limit: u64) -> Result<(), SimError> {
    let needed = needed(devices, each);
    if needed <= limit {
        return Ok(());
    }
    Err(SimError::TooManyFiles {
        devices,
        needed,
        limit,
        most: limit.saturating_sub(OTHERS) / each.max(1),
    })
}

fn needed(devices: u32, each: u64) -> u64 {
    u64::from(devices) * each + OTHERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_needs_more_files_than_there_are_is_refused_with_the_number_that_fits() {
        assert!(check(100, 2, 264).is_ok());
        let error = check(101, 2, 264).unwrap_err().to_string();
        let expected = "101 devices need 266 open files, and the limit is 264: take at most 100 devices, or raise the limit (ulimit -Hn)";
        assert_eq!(error, expected);
    }
}
