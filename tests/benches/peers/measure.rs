//! What a span of work took, of the server and of the generator.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::server::Server;
use crate::table::median;
use crate::{inbox, machine};

/// For times in nanoseconds, up to a minute.
pub(crate) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that can be")
}

/// A span that has begun.
pub(crate) struct Span {
    pid: u32,
    begun: Instant,
    cpu: machine::Cpu,
    own: Duration,
    reads: u64,
}

/// A span that is over.
pub(crate) struct Sample {
    /// What was counted.
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    pub(crate) server_cpu: f64,
    /// What of it was spent in the server's own code.
    pub(crate) server_user: f64,
    pub(crate) generator_cpu: f64,
    /// Reads of the generator that had deliveries.
    pub(crate) reads: u64,
    pub(crate) peak: u64,
}

impl Span {
    pub(crate) fn begin(server: &Server) -> Self {
        let pid = server.pid();
        Self {
            pid,
            cpu: machine::cpu_of(pid),
            own: machine::own_cpu(),
            reads: inbox::reads(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn end(self, count: u64) -> Sample {
        let seconds = self.begun.elapsed().as_secs_f64();
        let cpu = machine::cpu_of(self.pid);
        let server_user = (cpu.user - self.cpu.user).as_secs_f64();
        let server_system = (cpu.system - self.cpu.system).as_secs_f64();
        Sample {
            count,
            seconds,
            server_cpu: server_user + server_system,
            server_user,
            generator_cpu: (machine::own_cpu() - self.own).as_secs_f64(),
            reads: inbox::reads() - self.reads,
            peak: machine::memory_of(self.pid).peak,
        }
    }
}

/// Medians over the repeats of one server.
pub(crate) struct Figures {
    pub(crate) rate: f64,
    /// The share of a core.
    pub(crate) server: f64,
    /// Seconds of the server's core for a million.
    pub(crate) per_million: f64,
    /// What of them its own code took.
    pub(crate) user_per_million: f64,
    pub(crate) generator: f64,
    pub(crate) per_read: Option<f64>,
    pub(crate) peak: f64,
}

impl Figures {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let of = |number: fn(&Sample) -> f64| median(samples.iter().map(number));
        let counted = samples.iter().all(|sample| sample.reads > 0);
        Self {
            rate: of(|s| s.count as f64 / s.seconds),
            server: of(|s| s.server_cpu / s.seconds),
            per_million: of(|s| s.server_cpu / s.count as f64 * 1e6),
            user_per_million: of(|s| s.server_user / s.count as f64 * 1e6),
            generator: of(|s| s.generator_cpu / s.seconds),
            per_read: counted.then(|| of(|s| s.count as f64 / s.reads as f64)),
            peak: of(|s| s.peak as f64),
        }
    }
}
