//! `firmware-sim world` and `firmware-sim soak`: reports on standard output, progress on standard
//! error.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use firmware_sim::world::{self, Failure, Fault, FaultSet, Progress, Report, Setup, shrink};

/// How many runs finding the least that fails may take.
const SHRINK: u32 = 200;

/// How long a soak takes that is not told.
const SOAK_SPAN: Duration = Duration::from_secs(600);

/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);

/// Sizes, and what applications do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Devices as firmware has them: each in one room, posts at a pace
    Fleet,
    /// A few devices that do anything; sizes and faults come from the seed
    Drawn,
    /// As drawn, with the smallest sizes
    Tiny,
}

/// Where the hub keeps posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    /// In its memory
    Memory,
    /// In a journal on a simulated disk
    Disk,
}

#[derive(Debug, Args)]
#[command(after_help = WORLD)]
pub(crate) struct WorldArgs {
    /// How many devices [default: 200, or drawn]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: Option<u32>,
    /// For how many hours of virtual time faults strike and devices post [default: 1, or drawn]
    #[arg(long, value_name = "H", conflicts_with = "seconds")]
    hours: Option<f64>,
    /// The same in seconds
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Where all chance comes from [default: random, and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Faults and presets by name, with commas between, or a file of them [default: none, or drawn]
    #[arg(long, value_name = "NAMES|FILE")]
    faults: Option<String>,
    /// Sizes, and what applications do
    #[arg(long, value_enum, default_value_t = Kind::Fleet)]
    kind: Kind,
    /// Where the hub keeps posts [default: disk, or drawn]
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// How many devices of a hundred speak over datagrams [default: 25 if a fault of datagrams is on,
    /// else 0, or drawn]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(..=100))]
    datagrams: Option<u64>,
    /// Seconds between two posts of a device of a fleet
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    pace: f64,
    /// How many devices of a fleet are in each room
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    per_room: u32,
    /// For tests of what is said of a seed that fails
    #[arg(long, hide = true)]
    planted: bool,
}

const WORLD: &str = "\
Presets: none, field, streams, datagrams, links (both), devices, hub, disk, peers, all. A file has
one name in each line, and comments after #. The same arguments give the same report, to the byte.

Exit codes: 0 every rule held, 1 one did not, 2 bad arguments.";

const SOAK: &str = "\
Each seed draws its own faults, sizes and store out of all that there are; a tenth of them run twice
and have to give the same report.

Exit codes: 0 no seed failed, 1 one did, 2 bad arguments.";

#[derive(Debug, Args)]
#[command(after_help = SOAK)]
pub(crate) struct SoakArgs {
    /// For how long, such as 30s, 10m or 8h [default: 10m, or as long as --seeds takes]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    span: Option<Duration>,
    /// No more seeds than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed [default: random, and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl WorldArgs {
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let setup = self.setup()?;
        // What was drawn at random has to be known before it is needed.
        let _ = writeln!(io::stderr(), "{setup}");
        let start = Instant::now();
        let mut told = start;
        let outcome = setup.run_watched(&mut |progress| {
            if told.elapsed() >= TELL {
                told = Instant::now();
                tell(progress, start);
            }
        });
        match outcome {
            Ok(report) => {
                let took = start.elapsed().as_secs_f64();
                let _ = writeln!(io::stderr(), "took {took:.1} s");
                write!(io::stdout(), "{setup}\n{report}")?;
                Ok(ExitCode::SUCCESS)
            }
            Err(failure) => fail(&setup, &failure),
        }
    }

    fn setup(&self) -> Result<Setup, Box<dyn Error>> {
        let kind = match self.kind {
            Kind::Fleet => world::Kind::Fleet,
            Kind::Drawn => world::Kind::Drawn,
            Kind::Tiny => world::Kind::Tiny,
        };
        let mut setup = Setup::new(kind, self.seed.unwrap_or_else(random_seed));
        setup.devices = self.devices.map(|devices| devices as usize);
        setup.seconds = self.seconds;
        if let Some(hours) = self.hours {
            setup.seconds = Some(within("--hours", hours * 3600.0, 1.0, 1e8)? as u64);
        }
        setup.pace = within("--pace", self.pace * 1000.0, 1.0, 1e9)? as u64;
        setup.per_room = self.per_room as usize;
        setup.datagrams = self.datagrams;
        setup.planted = self.planted;
        setup.faults = self.faults.as_deref().map(read_faults).transpose()?;
        setup.is_on_disk = self.store.map(|store| store == Store::Disk);
        Ok(setup)
    }
}

impl SoakArgs {
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let start = Instant::now();
        let first = self.seed.unwrap_or_else(random_seed);
        let _ = writeln!(io::stderr(), "seeds from {first} on");
        let mut told = start;
        let mut sum = Sum::default();
        loop {
            let is_over = match (self.seeds, self.span) {
                (Some(seeds), _) if sum.seeds >= seeds => true,
                (_, Some(span)) => start.elapsed() >= span,
                (Some(_), None) => false,
                (None, None) => start.elapsed() >= SOAK_SPAN,
            };
            if is_over {
                break;
            }
            let kinds = [world::Kind::Drawn, world::Kind::Tiny];
            let kind = kinds[usize::from(sum.seeds % 4 == 3)];
            let setup = Setup::new(kind, first.wrapping_add(sum.seeds));
            match setup.run() {
                Ok(report) => {
                    // A tenth run twice: chance has no other source than the seed.
                    let again = (sum.seeds % 10 == 0).then(|| setup.run());
                    if again.is_some_and(|again| again.as_ref() != Ok(&report)) {
                        writeln!(io::stdout(), "runs otherwise again: {setup}")?;
                        return Ok(ExitCode::from(1));
                    }
                    sum.add(&report);
                }
                Err(failure) => return fail(&setup, &failure),
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                let _ = writeln!(io::stderr(), "{} seeds", sum.seeds);
            }
        }
        let took = start.elapsed().as_secs_f64();
        let mut out = io::stdout();
        writeln!(out, "{} seeds from {first} on: every rule held", sum.seeds)?;
        sum.write(&mut out, took)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What all seeds of a soak came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    virtual_seconds: u64,
    turns: u64,
    entries: u64,
    handed_on: u64,
    /// In the order of [`Fault::ALL`].
    fired: Vec<u64>,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.virtual_seconds += report.seconds;
        self.turns += report.turns;
        self.entries += report.entries;
        self.handed_on += report.handed_on;
        self.fired.resize(report.fired.len(), 0);
        for (sum, fired) in self.fired.iter_mut().zip(&report.fired) {
            *sum += fired;
        }
    }

    fn write(&self, out: &mut impl Write, took: f64) -> io::Result<()> {
        let hours = self.virtual_seconds / 3600;
        let pace = self.turns as f64 / took;
        writeln!(
            out,
            "{took:.1} s, {hours} virtual hours, {} turns, {pace:.0} turns per second",
            self.turns
        )?;
        writeln!(
            out,
            "{} entries committed, {} handed on",
            self.entries, self.handed_on
        )?;
        for (fault, fired) in Fault::ALL.iter().zip(&self.fired) {
            writeln!(out, "fault {:<22} {fired:>12}", fault.name())?;
        }
        Ok(())
    }
}

fn tell(progress: &Progress, start: Instant) {
    let Progress {
        seconds, entries, ..
    } = progress;
    let speed = *seconds as f64 / start.elapsed().as_secs_f64();
    let minutes = seconds / 60;
    let _ = writeln!(
        io::stderr(),
        "{minutes} min, {entries} entries, {speed:.0} times as fast as time"
    );
}

/// A seed that fails, the least that still does, and the command for it.
fn fail(setup: &Setup, failure: &Failure) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout();
    writeln!(
        out,
        "seed {} fails after {} s: {}",
        setup.seed, failure.at, failure.what
    )?;
    let _ = writeln!(io::stderr(), "looking for the least that fails");
    let least = shrink(setup, failure, SHRINK);
    write!(out, "{}", least.failure.tail)?;
    writeln!(out, "{}", least.failure.what)?;
    writeln!(out, "replay: {}", least.setup)?;
    Ok(ExitCode::from(1))
}

fn random_seed() -> u64 {
    // 32 bits are easier to type again.
    u64::from(getrandom::u32().unwrap_or(1))
}

/// Names of faults and presets, or a file of them.
fn read_faults(text: &str) -> Result<FaultSet, String> {
    match text.parse::<FaultSet>() {
        Ok(set) => Ok(set),
        Err(unknown) if !Path::new(text).exists() => Err(format!(
            "--faults {text}: {unknown}, and there is no such file"
        )),
        Err(_) => {
            let file = std::fs::read_to_string(text);
            let file = file.map_err(|error| format!("cannot read {text}: {error}"))?;
            let set = file.parse::<FaultSet>();
            set.map_err(|unknown| format!("{text}: {unknown}"))
        }
    }
}

fn within(name: &str, value: f64, least: f64, most: f64) -> Result<f64, String> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(format!("{name} is out of range")),
    }
}

/// A number with its unit: s, m or h.
fn time(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no time: try 30s, 10m or 8h");
    let unit = text.chars().next_back().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(bad()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}
