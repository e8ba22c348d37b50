//! Probes an echo server and says how long its answers took, as ping does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use embedded_io::{Read, Write};
use halloo_core::echo::{self, Probe, ProbeConfig, ProbeEvent, Report};
use halloo_core::time;
use halloo_std::socket::{Carrier, Interest, Socket};
use hdrhistogram::Histogram;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{Args, MAX_MESSAGE};
use crate::failure::Failure;
use crate::output;

/// Probes in flight at the same time.
const WINDOW: usize = 16;

/// The longest round trip that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// How long a signal may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(100);

type EchoProbe<'t> = Probe<'t, WINDOW>;

/// A run of a probe, apart from the socket under it.
pub(super) struct Run<'t> {
    probe: EchoProbe<'t>,
    epoch: Instant,
    size: usize,
    is_quiet: bool,
    times: Histogram<u64>,
    interrupted: Arc<AtomicBool>,
}

impl<'t> Run<'t> {
    pub(super) fn new(args: &Args, is_message: bool, prefix: &'t [u8]) -> Result<Self, Failure> {
        let failed = |e: &dyn fmt::Display| Failure::Start(e.to_string());
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .map_err(|e| failed(&e))?;
        }
        let config = ProbeConfig {
            transport: if is_message {
                echo::Transport::Datagram
            } else {
                echo::Transport::Stream
            },
            size: args.size,
            count: args.count,
            interval: time::millis(args.interval),
            timeout: time::millis(args.timeout),
            prefix,
            seed: getrandom::u32().map_err(|e| failed(&e))?,
        };
        Ok(Self {
            probe: Probe::new(config).map_err(|e| failed(&e))?,
            epoch: Instant::now(),
            size: args.size,
            is_quiet: args.quiet,
            times: Histogram::new_with_bounds(1, LONGEST, 3).map_err(|e| failed(&e))?,
            interrupted,
        })
    }

    /// Probes until all is answered or lost, over a new connection whenever one is down.
    pub(super) fn over<S: Carrier>(
        &mut self,
        connect: impl Fn() -> Result<Socket<S>, Failure>,
    ) -> Result<(), Failure> {
        while !self.is_over() {
            let socket = connect()?;
            self.probe.handle_connected();
            let outcome = self.exchange(socket);
            if outcome.is_err() {
                self.probe.handle_disconnected();
            }
            self.tell()?;
            outcome?;
        }
        Ok(())
    }

    fn exchange<S: Carrier>(&mut self, mut socket: Socket<S>) -> Result<(), Failure> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let mut out = vec![0; self.size];
        // What of `out` is not written yet.
        let mut unsent = 0..0;
        while !self.is_over() && !self.probe.is_down() {
            if unsent.is_empty()
                && let Some(len) = self.probe.poll_transmit(self.now(), &mut out)
            {
                unsent = 0..len;
            }
            let interest = if unsent.is_empty() {
                Interest::Read
            } else {
                Interest::Both
            };
            let ready = socket
                .wait(interest, Some(self.patience()))
                .map_err(|e| Failure::Lost(e.to_string()))?;
            if ready.readable {
                let n = Read::read(&mut socket, &mut bytes)?;
                if n == 0 {
                    return Err(super::closed());
                }
                self.probe.handle_bytes(self.now(), &bytes[..n]);
            }
            if ready.writable {
                unsent.start += Write::write(&mut socket, &out[unsent.clone()])?;
            }
            self.probe.handle_timeout(self.now());
            self.tell()?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.probe.is_finished() || self.interrupted.load(Ordering::Relaxed)
    }

    fn now(&self) -> time::Instant {
        let micros = self.epoch.elapsed().as_micros();
        time::Instant::from_ticks(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// How long nothing is due.
    fn patience(&self) -> Duration {
        let due = self.probe.poll_timeout();
        let left = due.map_or(ATTENTION, |at| {
            Duration::from_micros(time::since(at, self.now()).as_ticks())
        });
        left.min(ATTENTION)
    }

    /// Prints and counts what became of probes.
    fn tell(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.probe.poll_event() {
            let line = match event {
                ProbeEvent::RoundTrip { sequence, time } => {
                    self.times.saturating_record(time.as_ticks());
                    let time = Millis(time.as_ticks());
                    format!("{sequence}: {} bytes back in {time}", self.size)
                }
                ProbeEvent::Lost { sequence } => format!("{sequence}: lost"),
                _ => continue,
            };
            if !self.is_quiet {
                output::say(&line)?;
            }
        }
        Ok(())
    }

    /// Prints the summary of a run that `outcome` ended, and says how it went.
    pub(super) fn end(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        if !matches!(outcome, Err(Failure::NoReader)) && self.probe.report().sent > 0 {
            self.sum_up()?;
        }
        outcome?;
        verdict(self.probe.report())
    }

    fn sum_up(&mut self) -> Result<(), Failure> {
        self.tell()?;
        let Report {
            sent,
            received,
            lost,
            late,
            reordered,
            duplicated,
            corrupt,
            surplus,
        } = self.probe.report();
        output::say(&format!(
            "{sent} sent, {received} received, {lost} lost, {late} late, {reordered} reordered, \
             {duplicated} duplicated, {corrupt} corrupt, {surplus} surplus bytes"
        ))?;
        if self.times.is_empty() {
            return Ok(());
        }
        output::say(&format!(
            "round trip: min {}, median {}, p99 {}, max {}",
            Millis(self.times.min()),
            Millis(self.times.value_at_quantile(0.5)),
            Millis(self.times.value_at_quantile(0.99)),
            Millis(self.times.max()),
        ))
    }
}

fn verdict(report: Report) -> Result<(), Failure> {
    if report.lost == 0 && report.corrupt == 0 {
        return Ok(());
    }
    Err(Failure::Job(format!(
        "{} of {} probes were lost, {} answers were wrong: check the network and the server",
        report.lost, report.sent, report.corrupt
    )))
}

/// Microseconds, shown in milliseconds.
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} ms", self.0 / 1000, self.0 % 1000)
    }
}
