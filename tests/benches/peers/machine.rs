//! Cores, and what a process has used of the machine.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
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
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    /// In its own code.
    pub(crate) user: Duration,
    /// In the kernel.
    pub(crate) system: Duration,
}

pub(crate) fn cpu_of(pid: u32) -> Cpu {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server runs");
    // The second field is the name in brackets, with any bytes in it.
    let fields = stat.rsplit_once(')').expect("a line of proc(5)").1;
    let mut ticks = fields.split_whitespace().skip(11).map(|ticks| {
        // USER_HZ is 100 wherever Linux runs.
        Duration::from_millis(ticks.parse::<u64>().expect("a number of ticks") * 10)
    });
    let mut next = || ticks.next().expect("a line of proc(5)");
    Cpu {
        user: next(),
        system: next(),
    }
}

/// The time that the calling thread has had.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

pub(crate) fn memory_of(pid: u32) -> Memory {
    let bytes = |name| number(&format!("/proc/{pid}/status"), name).unwrap_or(0) * 1024;
    Memory {
        now: bytes("VmRSS:"),
        peak: bytes("VmHWM:"),
    }
}

/// The number behind a name in a file of proc(5).
fn number(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Lets this program, and what it starts, open as many files as it may; how many that is.
pub(crate) fn raise_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
