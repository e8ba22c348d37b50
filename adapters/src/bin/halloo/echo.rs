//! `halloo echo`: probes an echo server and says how long its answers took.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use embedded_io::{Read, Write};
use halloo_core::echo::{self, Probe, ProbeConfig, ProbeEvent, Report};
use halloo_core::time;
use halloo_std::socket::{Carrier, Interest, Options, Socket, TcpStream, UdpSocket, UnixStream};
use halloo_std::url::{Endpoint, Protocol, Transport};
use hdrhistogram::Histogram;
use signal_hook::consts::SIGINT;

use super::failure::Failure;
use super::{EXIT_CODES, output};

/// Probes in flight at the same time.
const WINDOW: usize = 16;

/// How long a signal may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(100);

/// The largest datagram, and one more.
const MAX_DATAGRAM: usize = 1 << 16;

/// Send bytes to an echo server, check what comes back, and time it.
///
/// Example: halloo echo echo+udp://127.0.0.1:7 --count 100 --size 200 --interval 10
///
/// A server that answers behind a prefix is echo+tcp://HOST:PORT?prefix=TEXT.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Where to: echo+tcp://HOST:PORT, echo+udp://HOST:PORT or echo+unix:PATH; `echo+` may be left
    /// out.
    url: String,
    /// How many probes to send.
    #[arg(long, short, value_name = "N", default_value_t = 10)]
    count: u32,
    /// The bytes of each probe.
    #[arg(long, short, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// The time from one probe to the next, in milliseconds; 0 sends as fast as answers come.
    #[arg(long, short, value_name = "MS", default_value_t = 100)]
    interval: u64,
    /// How long to wait for an answer, and for the connection, in milliseconds.
    #[arg(long, short, value_name = "MS", default_value_t = 1000)]
    timeout: u64,
    /// Print the summary only.
    #[arg(long, short)]
    quiet: bool,
}

type EchoProbe<'t> = Probe<'t, WINDOW>;

/// A run of a probe, apart from the socket under it.
struct Run<'t> {
    probe: EchoProbe<'t>,
    epoch: Instant,
    size: usize,
    is_quiet: bool,
    times: Histogram<u64>,
    interrupted: Arc<AtomicBool>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let endpoint = Endpoint::parse(&args.url, Protocol::Echo)?;
    if endpoint.protocol != Protocol::Echo {
        let text = format!("{endpoint} is not echo: a good URL is `echo+tcp://127.0.0.1:7`");
        return Err(Failure::Start(text));
    }
    let options = endpoint.socket_options(&Options {
        connect_timeout: Some(Duration::from_millis(args.timeout.max(1))),
        ..Options::default()
    });
    let prefix = endpoint.options.prefix.clone().unwrap_or_default();
    let mut run = Run::new(args, &endpoint.transport, prefix.as_bytes())?;
    let outcome = match &endpoint.transport {
        Transport::Tcp { host, port } => {
            run.over(|| Ok(TcpStream::connect((&**host, *port), &options)?))
        }
        Transport::Udp { host, port } => {
            run.over(|| Ok(UdpSocket::connect((&**host, *port), &options)?))
        }
        Transport::Unix(path) => run.over(|| Ok(UnixStream::connect(path, &options)?)),
    };
    if !matches!(outcome, Err(Failure::NoReader)) && run.probe.report().sent > 0 {
        run.sum_up()?;
    }
    outcome?;
    verdict(run.probe.report())
}

impl<'t> Run<'t> {
    fn new(args: &Args, transport: &Transport, prefix: &'t [u8]) -> Result<Self, Failure> {
        let failed = |e: &dyn fmt::Display| Failure::Start(e.to_string());
        let interrupted = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGINT, Arc::clone(&interrupted)).map_err(|e| failed(&e))?;
        let config = ProbeConfig {
            transport: match transport {
                Transport::Udp { .. } => echo::Transport::Datagram,
                Transport::Tcp { .. } | Transport::Unix(_) => echo::Transport::Stream,
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
            times: Histogram::new(3).map_err(|e| failed(&e))?,
            interrupted,
        })
    }

    /// Probes until all is answered or lost, over a new connection whenever one is down.
    fn over<S: Carrier>(
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
        let mut bytes = vec![0; MAX_DATAGRAM];
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
                .map_err(|e| Failure::Connection(e.to_string()))?;
            if ready.readable {
                let n = Read::read(&mut socket, &mut bytes)?;
                if n == 0 {
                    let text = "the server closed the connection: check that it speaks echo";
                    return Err(Failure::Connection(text.into()));
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
