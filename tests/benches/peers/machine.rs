//! Cores, and what a process has used of the machine.

use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Where servers run.
pub(crate) const SERVER_CORE: usize = 0;

/// Where the generator runs.
pub(crate) const GENERATOR_CORE: usize = 1;

/// One core for the calling thread, and for what it starts. Stays where it is if the machine has no
/// such core.
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

/// The time that all threads of a process have had, in steps of 10 ms.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server runs");
    // The second field is the name in brackets, with any bytes in it.
    let fields = stat.rsplit_once(')').expect("a line of proc(5)").1;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number of ticks"))
        .sum();
    // USER_HZ is 100 wherever Linux runs.
    Duration::from_millis(ticks * 10)
}

/// The time that the calling thread has had.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// What a process has in memory.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) peak: u64,
}

pub(crate) fn memory_of(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let bytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        kilobytes.map_or(0, |text| text.parse::<u64>().unwrap_or(0) * 1024)
    };
    Memory {
        peak: bytes("VmHWM:"),
    }
}
