//! One run: the core's probe over ICMP, and what it says at the end.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use halloo_core::echo::{self, Probe, ProbeConfig, ProbeEvent, Report};
use halloo_core::time;
use halloo_std::socket::SocketError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Args;
use super::icmp::{HEADER, Icmp};
use super::times::{Millis, Times};
use crate::failure::Failure;
use crate::output;

/// Requests that wait for their replies at the same time.
const WINDOW: usize = 64;

/// The largest packet.
const MAX_PACKET: usize = 1 << 16;

/// How long a signal may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(100);

/// A run against one host.
pub(super) struct Run<'a> {
    args: &'a Args,
    icmp: Icmp,
    probe: Probe<'static, WINDOW>,
    epoch: Instant,
    times: Times,
    /// What the network said in place of answers.
    errors: u64,
    sequence: u16,
    interrupted: Arc<AtomicBool>,
}

impl<'a> Run<'a> {
    pub(super) fn new(args: &'a Args, icmp: Icmp) -> Result<Self, Failure> {
        let failed = |e: &dyn fmt::Display| Failure::Start(e.to_string());
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .map_err(|e| failed(&e))?;
        }
        let config = ProbeConfig {
            transport: echo::Transport::Datagram,
            size: usize::from(args.size),
            count: args.count.unwrap_or(u32::MAX),
            interval: span(args.interval),
            timeout: span(args.timeout),
            prefix: b"",
            seed: getrandom::u32().map_err(|e| failed(&e))?,
        };
        let run = Self {
            args,
            icmp,
            probe: Probe::new(config).map_err(|e| failed(&e))?,
            epoch: Instant::now(),
            times: Times::default(),
            errors: 0,
            sequence: 0,
            interrupted,
        };
        output::say(&format!(
            "PING {} ({}): {} data bytes",
            output::harmless(args.host.as_bytes()),
            run.icmp.to(),
            args.size
        ))?;
        Ok(run)
    }

    /// Sends and takes until all is answered or lost, or Ctrl-C.
    pub(super) fn exchange(&mut self) -> Result<(), Failure> {
        let mut buffer = vec![0; MAX_PACKET];
        let mut data = vec![0; usize::from(self.args.size)];
        while !self.probe.is_finished() && !self.interrupted.load(Ordering::Relaxed) {
            while let Some(len) = self.probe.poll_transmit(self.now(), &mut data) {
                // As ping counts them.
                self.sequence = self.sequence.wrapping_add(1);
                let sent = self.icmp.send(self.sequence, &data[..len]);
                self.survive(sent)?;
            }
            self.tell()?;
            if self.wait()? {
                match self.icmp.receive(&mut buffer) {
                    Ok(Some(data)) => {
                        let now = self.now();
                        self.probe.handle_bytes(now, data);
                    }
                    Ok(None) => {}
                    Err(e) => self.survive(Err(e))?,
                }
            }
            self.probe.handle_timeout(self.now());
            self.tell()?;
        }
        Ok(())
    }

    /// What the network says about one packet does not end the run; what the system says does.
    fn survive(&mut self, outcome: io::Result<()>) -> Result<(), Failure> {
        let Err(source) = outcome else {
            return Ok(());
        };
        if matches!(
            source.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        ) {
            return Ok(());
        }
        let to = self.icmp.to().to_string();
        if passes(&source) {
            self.errors += 1;
            return self.say(&format!("{to}: {source}"));
        }
        match SocketError::from_io(&to, source) {
            error @ (SocketError::Unreachable { .. } | SocketError::Refused { .. }) => {
                self.errors += 1;
                self.say(&error.to_string())
            }
            other => Err(other.into()),
        }
    }

    /// Blocks until something comes or is due; whether something came.
    fn wait(&self) -> Result<bool, Failure> {
        let due = self.probe.poll_timeout().map_or(ATTENTION, |at| {
            Duration::from_micros(time::since(at, self.now()).as_ticks())
        });
        let timeout = Timespec::try_from(due.min(ATTENTION)).ok();
        let mut fds = [PollFd::from_borrowed_fd(self.icmp.fd(), PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(Failure::from_stdio(&error.into())),
        }
    }

    fn now(&self) -> time::Instant {
        let micros = self.epoch.elapsed().as_micros();
        time::Instant::from_ticks(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn tell(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.probe.poll_event() {
            match event {
                ProbeEvent::RoundTrip { sequence, time } => {
                    self.times.add(time.as_ticks());
                    self.say(&format!(
                        "{} bytes from {}: icmp_seq={} time={} ms",
                        usize::from(self.args.size) + HEADER,
                        self.icmp.to(),
                        number(sequence),
                        Millis(time.as_ticks().into()),
                    ))?;
                }
                ProbeEvent::Lost { sequence } => {
                    self.say(&format!("no answer: icmp_seq={}", number(sequence)))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn say(&self, line: &str) -> Result<(), Failure> {
        if self.args.quiet {
            return Ok(());
        }
        output::say(line)
    }

    /// Prints the statistics of a run that `outcome` ended, and says how it went.
    pub(super) fn end(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        if !matches!(outcome, Err(Failure::NoReader)) {
            self.tell()?;
            self.sum_up()?;
        }
        outcome?;
        verdict(&self.args.host, self.probe.report(), self.errors)
    }

    fn sum_up(&self) -> Result<(), Failure> {
        let host = output::harmless(self.args.host.as_bytes());
        output::say(&format!("\n--- {host} ping statistics ---"))?;
        output::say(&format!(
            "{}, time {}ms",
            counts(self.probe.report(), self.errors),
            self.epoch.elapsed().as_millis()
        ))?;
        if self.times.is_empty() {
            return Ok(());
        }
        output::say(&self.times.to_string())
    }
}

/// How a run went that ended by itself or on Ctrl-C.
fn verdict(host: &str, report: Report, errors: u64) -> Result<(), Failure> {
    if report.received > 0 || report.sent == 0 {
        return Ok(());
    }
    Err(if report.late > 0 {
        Failure::TimedOut(format!(
            "{host} answers, and too late each time: allow more with --timeout"
        ))
    } else if report.corrupt > 0 {
        Failure::Lost(format!("{host} answers, and with other data each time"))
    } else if errors > 0 {
        Failure::Unreachable(format!(
            "{host} cannot be reached: check the network and the route to it"
        ))
    } else {
        Failure::TimedOut(format!(
            "{host} did not answer: check that it is up and answers ICMP"
        ))
    })
}

/// Whether the next packet may go though this one did not: a queue was full, or a firewall forbids it.
fn passes(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOBUFS | Errno::PERM)
    )
}

/// What was sent and what became of it.
fn counts(report: Report, errors: u64) -> String {
    // What was on its way when Ctrl-C came is lost, as ping counts it.
    let missing = report.sent.saturating_sub(report.received);
    let loss = missing.saturating_mul(100) / report.sent.max(1);
    let unusual = [
        (report.duplicated, "duplicates"),
        (report.corrupt, "corrupted"),
        (report.reordered, "reordered"),
        (report.late, "late"),
        (errors, "errors"),
    ];
    let unusual = unusual.iter().filter(|(count, _)| *count > 0);
    let unusual: String = unusual
        .map(|(count, what)| format!(", +{count} {what}"))
        .collect();
    format!(
        "{} packets transmitted, {} received{unusual}, {loss}% packet loss",
        report.sent, report.received
    )
}

/// As ping counts: from 1, in 16 bits.
const fn number(sequence: u32) -> u16 {
    (sequence.wrapping_add(1) & 0xffff) as u16
}

fn span(from: Duration) -> time::Duration {
    time::Duration::from_ticks(u64::try_from(from.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_and_a_firewall_do_not_end_the_run() {
        for (errno, expected) in [
            (Errno::NOBUFS, true),
            (Errno::PERM, true),
            (Errno::ACCESS, false),
            (Errno::NETDOWN, false),
            (Errno::BADF, false),
        ] {
            assert_eq!(passes(&errno.into()), expected, "{errno:?}");
        }
    }

    #[test]
    fn who_answers_late_or_wrong_is_not_told_as_silent() {
        let sent = Report {
            sent: 2,
            lost: 2,
            ..Report::default()
        };
        let late = Report { late: 1, ..sent };
        let corrupt = Report { corrupt: 2, ..sent };
        let received = Report {
            received: 1,
            ..late
        };
        for (report, errors, expected) in [
            (sent, 0, "TimedOut(\"h did not answer"),
            (sent, 1, "Unreachable(\"h cannot be reached"),
            (late, 0, "TimedOut(\"h answers, and too late"),
            (corrupt, 0, "Lost(\"h answers, and with other data"),
            (received, 0, "NoFailure"),
            (Report::default(), 0, "NoFailure"),
        ] {
            let told = verdict("h", report, errors)
                .map_or_else(|f| format!("{f:?}"), |()| "NoFailure".into());
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn what_was_lost_and_what_was_unusual_is_counted_as_ping_does() {
        let report = Report {
            sent: 3,
            received: 2,
            ..Report::default()
        };
        let usual = "3 packets transmitted, 2 received, 33% packet loss";
        assert_eq!(counts(report, 0), usual);
        let report = Report {
            duplicated: 1,
            reordered: 2,
            received: 3,
            ..report
        };
        let unusual = "3 packets transmitted, 3 received, +1 duplicates, +2 reordered, +4 errors, \
                       0% packet loss";
        assert_eq!(counts(report, 4), unusual);
        let nothing = "0 packets transmitted, 0 received, 0% packet loss";
        assert_eq!(counts(Report::default(), 0), nothing);
    }
}
