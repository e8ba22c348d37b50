//! What a world is to be, and how one is run.

use super::Net;
use super::fault::{FaultSet, Faults};
use super::limits::Limits;
use super::model::Broken;
use super::presets::DATAGRAMS;
use super::report::Report;
use super::rng::Rng;
use super::trace::Trace;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The sizes of a world, and what its applications do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Many devices as firmware has them: each is in one room and posts at its pace.
    #[default]
    Fleet,
    /// A handful of devices that do whatever comes to their mind; sizes are drawn from the seed.
    Drawn,
    /// As `Drawn`, and every size is as small as can be.
    Tiny,
}

/// What a world is to be; what is `None` comes from the seed, or is usual for its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Where all chance comes from.
    pub seed: u64,
    /// Sizes and applications.
    pub kind: Kind,
    /// How many devices. Usual for a fleet: 200.
    pub devices: Option<usize>,
    /// For how many seconds faults strike and applications act. Usual for a fleet: an hour.
    pub seconds: Option<u64>,
    /// Which faults strike. Usual for a fleet: none.
    pub faults: Option<FaultSet>,
    /// Whether the hub keeps its posts in a journal. Usual for a fleet: yes.
    pub is_on_disk: Option<bool>,
    /// Milliseconds between two posts of a device of a fleet. Default: 10 s.
    pub pace: u64,
    /// How many devices of a fleet are in each room. Default: 10.
    pub per_room: usize,
    /// How many devices of a hundred speak over datagrams. Usual for a fleet: 25 if a fault of
    /// datagrams may strike, else none.
    pub datagrams: Option<u64>,
    /// A fault of the world itself, for tests of [`shrink`](super::shrink): it fails once a
    /// connection was taken over and the second device is told something. Default: no.
    pub planted: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Seconds of its own time.
    pub seconds: u64,
    /// Entries that were committed.
    pub entries: u64,
    /// Turns taken.
    pub turns: u64,
}

/// Who is told how far a run is.
pub(super) type Watcher<'w> = &'w mut dyn FnMut(&Progress);

/// A seed that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What does not hold.
    pub what: String,
    /// When, in seconds of its own time.
    pub at: u64,
    /// The end of the trace; empty without words.
    pub tail: String,
}

impl Setup {
    /// A world of one kind, with everything else as the seed draws it or as it is usual.
    #[must_use]
    pub const fn new(kind: Kind, seed: u64) -> Self {
        Self {
            seed,
            kind,
            devices: None,
            seconds: None,
            faults: None,
            is_on_disk: None,
            pace: 10_000,
            per_room: 10,
            datagrams: None,
            planted: false,
        }
    }

    /// Runs it: faults strike and safety is checked after every step; then they stop, and everything
    /// has to end well.
    pub fn run(&self) -> Result<Report, Failure> {
        self.run_watched(&mut |_| {})
    }

    /// As [`run`](Self::run); about once in a minute of its own time it is told how far it is.
    pub fn run_watched(&self, watch: &mut dyn FnMut(&Progress)) -> Result<Report, Failure> {
        self.run_with(Trace::default(), watch)
    }

    /// As [`run`](Self::run), with the end of its trace in words if it fails.
    pub fn replay(&self) -> Result<Report, Failure> {
        self.run_with(Trace::with_text(), &mut |_| {})
    }

    fn run_with(&self, trace: Trace, watch: Watcher<'_>) -> Result<Report, Failure> {
        let mut net = self.net(trace);
        let seconds = self.seconds();
        let life = AssertUnwindSafe(|| net.live(seconds, watch));
        let what = match catch_unwind(life) {
            Ok(Ok(())) => return Ok(Report::of(&net)),
            Ok(Err(Broken(what))) => what,
            Err(cause) => match cause.downcast_ref::<String>() {
                Some(words) => format!("a panic: {words}"),
                None => "a panic".to_owned(),
            },
        };
        Err(Failure {
            what,
            at: net.now / 1_000_000,
            tail: net.tail(),
        })
    }

    /// The same world with everything spelled out that the seed draws, but for how long it takes.
    #[must_use]
    pub fn spelled_out(&self) -> Self {
        let (limits, faults) = self.draw();
        Self {
            devices: Some(limits.devices),
            faults: Some(faults),
            is_on_disk: Some(limits.is_on_disk),
            datagrams: Some(limits.datagram_share / 10),
            ..self.clone()
        }
    }

    fn seconds(&self) -> Option<u64> {
        self.seconds.or(match self.kind {
            Kind::Fleet => Some(3600),
            Kind::Drawn | Kind::Tiny => None,
        })
    }

    fn draw(&self) -> (Limits, FaultSet) {
        let mut rng = Rng::new(!self.seed);
        let mut limits = match self.kind {
            Kind::Fleet => Limits::fleet(self.devices.unwrap_or(200), self.per_room.max(1)),
            Kind::Drawn => Limits::random(&mut rng),
            Kind::Tiny => Limits::tiny(&mut rng),
        };
        let faults = match self.kind {
            Kind::Fleet => {
                limits.pace = self.pace.max(1) * 1000;
                limits.is_on_disk = true;
                FaultSet::NONE
            }
            Kind::Drawn | Kind::Tiny => FaultSet::random(&mut rng),
        };
        limits.devices = self.devices.unwrap_or(limits.devices).max(1);
        // With fewer places than devices, some never get in.
        limits.conns = limits.conns.max(limits.devices);
        limits.is_on_disk = self.is_on_disk.unwrap_or(limits.is_on_disk);
        let faults = self.faults.unwrap_or(faults);
        if self.kind == Kind::Fleet && DATAGRAMS.iter().any(|&fault| faults.has(fault)) {
            limits.datagram_share = 250;
        }
        let share = self.datagrams.map(|share| share.min(100) * 10);
        limits.datagram_share = share.unwrap_or(limits.datagram_share);
        (limits, faults)
    }

    fn net(&self, trace: Trace) -> Net {
        let (limits, faults) = self.draw();
        let mut net = Net::with(self.seed, limits, Faults::of(faults), trace);
        net.planted = self.planted;
        net
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fleet => "fleet",
            Self::Drawn => "drawn",
            Self::Tiny => "tiny",
        })
    }
}

/// The command that runs it.
impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "firmware-sim world --seed {} --kind {}",
            self.seed, self.kind
        )?;
        if let Some(devices) = self.devices {
            write!(f, " --devices {devices}")?;
        }
        if let Some(seconds) = self.seconds {
            write!(f, " --seconds {seconds}")?;
        }
        if let Some(faults) = self.faults {
            write!(f, " --faults {faults}")?;
        }
        if let Some(is_on_disk) = self.is_on_disk {
            let store = if is_on_disk { "disk" } else { "memory" };
            write!(f, " --store {store}")?;
        }
        if let Some(datagrams) = self.datagrams {
            write!(f, " --datagrams {datagrams}")?;
        }
        if self.kind == Kind::Fleet && self.pace != 10_000 {
            write!(f, " --pace {}", self.pace as f64 / 1000.0)?;
        }
        if self.kind == Kind::Fleet && self.per_room != 10 {
            write!(f, " --per-room {}", self.per_room)?;
        }
        if self.planted {
            f.write_str(" --planted")?;
        }
        Ok(())
    }
}
