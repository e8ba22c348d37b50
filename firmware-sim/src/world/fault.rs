//! The faults: each has a name, a switch, and a counter that proves that it fired.

use super::presets::presets;
use super::rng::Rng;
use std::fmt;
use std::str::FromStr;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// One way to be unlucky.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name,)+ }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            const IDENTIFIERS: &'static [&'static str] = &[$(stringify!($name)),+];
        }
    };
}

faults! {
    /// Reads take any number of bytes.
    Cut,
    /// Bytes are long on their way.
    Delay,
    /// A byte takes its time.
    Slow,
    /// A reader stops reading for a while.
    NotReading,
    /// A write takes fewer bytes than it could, or none.
    ShortWrite,
    /// The connection breaks in the middle of what is on its way; both learn of it.
    Reset,
    /// The connection breaks and only one learns of it, or none.
    HalfOpen,
    /// Both directions stand still for long, and then go on.
    Silence,
    /// The hub refuses the connection.
    Refused,
    /// Every connection breaks at once.
    Storm,
    /// A device loses all RAM.
    DeviceReset,
    /// A device's clock jumps by 10 s.
    ClockJump,
    /// A device's clock goes back.
    ClockBack,
    /// A device's main loop stands still for 10 s.
    Stall,
    /// A device connects again while the hub believes in the old connection.
    TakeOver,
    /// The bytes of a connection that a device gave up arrive much later.
    LateBytes,
    /// The commit of posts takes its time, and comes in any portions.
    SlowCommit,
    /// The hub loses its RAM and comes back with another store.
    NewStore,
    /// The hub comes back with the same store, restored from before the first post.
    Restored,
    /// A device sends bytes that are no message.
    BadBytes,
    /// The hub stands still for a while.
    HubPause,
    /// The hub is killed and starts again over its disk; what was written may be there or not.
    Crash,
    /// The power goes in the middle of a write or a sync.
    TornWrite,
    /// The disk does not take a write.
    WriteError,
    /// The disk takes a write and does not sync it.
    SyncError,
    /// The disk is full.
    DiskFull,
    /// A connection begins with the welcome to an older hello of its device.
    OldWelcome,
    /// Bytes of an old segment, of an index or of a snapshot go bad.
    BitRot,
    /// A sync takes a second, and the hub stands still meanwhile.
    SlowSync,
    /// The power goes after a file got its name and before that name was synced.
    LostRename,
    /// A datagram is lost; up to half of them are.
    Loss,
    /// All datagrams are lost for a while.
    LossBurst,
    /// A datagram comes twice.
    Duplicate,
    /// A datagram is overtaken by those behind it.
    Reorder,
    /// A bit of a datagram is flipped: the checksum of UDP finds it, and it is discarded.
    BitFlip,
    /// A datagram is cut off, and handed in as it is.
    Truncate,
    /// Datagrams above some size vanish.
    Mtu,
    /// A datagram comes once more, up to ten minutes later.
    LateReplay,
    /// A datagram comes from another address, before it comes from its own.
    SpoofedSource,
    /// An address translator gives a device another port in the middle of a session.
    ChangedPort,
    /// Nothing comes through to a device, or nothing from it.
    OneWayCut,
    /// A device's clock is up to 5 % fast or slow.
    ClockDrift,
    /// A device's counter of ticks has 32 bits, and wraps.
    TickWrap,
    /// A device is reset, and its client lies in memory that is spared.
    ResetKept,
    /// A device is reset again and again.
    ResetLoop,
    /// A newer hub wrote the data folder, an older one is started over it, and then the newer again.
    NewerVersion,
    /// The data folder is put back from a backup.
    OldBackup,
    /// The hub's clocks jump: the one on the wall either way, the other ahead.
    HubClockJump,
    /// A stranger sends bytes that are no message.
    RandomBytes,
    /// A stranger says valid messages in any order.
    AnyOrder,
    /// A stranger sends a byte each five seconds.
    Dripping,
    /// A stranger asks for much and never reads.
    NeverReads,
    /// A stranger sends as much as it can.
    Flood,
    /// A stranger says what only a hub says.
    WrongWay,
    /// A stranger sends what is larger than the hub takes.
    Oversize,
    /// A stranger sends again what was said in a session that is over.
    StaleSession,
}

impl Fault {
    /// Its name on the command line, such as `torn-write`.
    #[must_use]
    pub fn name(self) -> String {
        let identifier = Self::IDENTIFIERS[self as usize];
        let mut name = String::new();
        for letter in identifier.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// Whether it strikes the hub or its disk, and with them everybody.
    pub(super) const fn is_for_all(self) -> bool {
        matches!(
            self,
            Self::Storm
                | Self::NewStore
                | Self::Restored
                | Self::HubPause
                | Self::Crash
                | Self::TornWrite
                | Self::WriteError
                | Self::SyncError
                | Self::DiskFull
                | Self::BitRot
                | Self::SlowSync
                | Self::LostRename
                | Self::LossBurst
                | Self::NewerVersion
                | Self::OldBackup
                | Self::HubClockJump
        )
    }
}

/// Some of the faults.
///
/// It is read from names of faults and of presets, with commas or white space between; `#` begins a
/// comment that ends with its line.
///
/// ```
/// use firmware_sim::world::{Fault, FaultSet};
/// let faults: FaultSet = "crash, torn-write # and no other".parse()?;
/// assert!(faults.has(Fault::Crash) && !faults.has(Fault::Delay));
/// assert_eq!(faults.to_string(), "crash,torn-write");
/// # Ok::<(), firmware_sim::world::UnknownFault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct FaultSet(u128);

/// No fault and no preset has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no fault and no preset has the name {0:?}")]
pub struct UnknownFault(pub String);

impl FaultSet {
    /// No fault.
    pub const NONE: Self = Self(0);

    /// A random subset.
    pub fn random(rng: &mut Rng) -> Self {
        let share = rng.pick(&[100, 300, 600]);
        let all = Fault::ALL.iter().copied();
        all.filter(|_| rng.chance(share)).collect()
    }

    /// Whether a fault is among them.
    #[must_use]
    pub const fn has(self, fault: Fault) -> bool {
        self.0 >> fault as u32 & 1 == 1
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u32)
    }

    /// Without those of another set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        let all = Fault::ALL.iter().copied();
        all.filter(move |&fault| self.has(fault))
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        faults.into_iter().fold(Self::NONE, Self::with)
    }
}

impl FromStr for FaultSet {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let presets = presets();
        let mut set = Self::NONE;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let words = line.split(|c: char| c == ',' || c.is_whitespace());
            for word in words.filter(|word| !word.is_empty()) {
                let preset = presets.iter().find(|(name, _)| *name == word);
                let fault = Fault::ALL.iter().find(|fault| fault.name() == word);
                set.0 |= match (preset, fault) {
                    (Some((_, preset)), _) => preset.0,
                    (None, Some(&fault)) => 1 << fault as u32,
                    (None, None) => return Err(UnknownFault(word.to_owned())),
                };
            }
        }
        Ok(set)
    }
}

impl fmt::Display for FaultSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        let names: Vec<_> = self.iter().map(Fault::name).collect();
        f.write_str(&names.join(","))
    }
}

/// The switches and counters of one run.
#[derive(Debug, Clone)]
pub struct Faults {
    on: FaultSet,
    fired: Vec<u64>,
}

impl Faults {
    /// No fault.
    pub fn none() -> Self {
        Self::of(FaultSet::NONE)
    }

    /// These faults.
    pub fn of(on: FaultSet) -> Self {
        let fired = vec![0; Fault::ALL.len()];
        Self { on, fired }
    }

    /// Whether the fault is switched on.
    pub const fn has(&self, fault: Fault) -> bool {
        self.on.has(fault)
    }

    /// Switches one on.
    pub const fn switch_on(&mut self, fault: Fault) {
        self.on = self.on.with(fault);
    }

    /// The fault fired.
    pub fn count(&mut self, fault: Fault) {
        self.fired[fault as usize] += 1;
    }

    /// Switches all off.
    pub const fn heal(&mut self) {
        self.on = FaultSet::NONE;
    }

    /// How often each fired.
    pub fn fired(&self) -> &[u64] {
        &self.fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_and_every_preset_is_read_by_its_name() {
        for &fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(FaultSet::NONE.with(fault)));
        }
        for (name, set) in presets() {
            assert_eq!(name.parse(), Ok(set));
            assert_eq!(set.to_string().parse(), Ok(set), "{name}");
        }
    }

    #[test]
    fn a_file_of_faults_has_a_name_in_each_line_and_comments() {
        let file = "# the disk\ntorn-write\n\ncrash # the power\n";
        let set: FaultSet = file.parse().unwrap();
        assert_eq!(set.to_string(), "crash,torn-write");
        let unknown = "crash\nfire\n".parse::<FaultSet>();
        assert_eq!(unknown, Err(UnknownFault("fire".to_owned())));
    }
}
