//! The faults: each has a switch and a counter that proves that it fired.

use super::rng::Rng;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// One way to be unlucky.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name,)+ }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
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
}

/// The switches and counters of one run.
#[derive(Debug, Clone)]
pub struct Faults {
    on: Vec<bool>,
    fired: Vec<u64>,
}

impl Faults {
    /// No fault.
    pub fn none() -> Self {
        Self {
            on: vec![false; Fault::ALL.len()],
            fired: vec![0; Fault::ALL.len()],
        }
    }

    /// A random subset.
    pub fn random(rng: &mut Rng) -> Self {
        let share = rng.pick(&[100, 300, 600]);
        let mut faults = Self::none();
        for on in &mut faults.on {
            *on = rng.chance(share);
        }
        faults
    }

    /// Whether the fault is switched on.
    pub fn has(&self, fault: Fault) -> bool {
        self.on[fault as usize]
    }

    /// Switches one on.
    pub fn switch_on(&mut self, fault: Fault) {
        self.on[fault as usize] = true;
    }

    /// The fault fired.
    pub fn count(&mut self, fault: Fault) {
        self.fired[fault as usize] += 1;
    }

    /// Switches all off.
    pub fn heal(&mut self) {
        self.on.fill(false);
    }

    /// How often each fired.
    pub fn fired(&self) -> &[u64] {
        &self.fired
    }
}
