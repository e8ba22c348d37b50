//! The sets of faults that have a name.

use super::fault::{Fault, FaultSet};
use Fault as F;

const FIELD: &[F] = &[
    F::Delay,
    F::Reset,
    F::HalfOpen,
    F::Silence,
    F::DeviceReset,
    F::SlowCommit,
    F::Crash,
];

const STREAMS: &[F] = &[
    F::Cut,
    F::Delay,
    F::Slow,
    F::NotReading,
    F::ShortWrite,
    F::Reset,
    F::HalfOpen,
    F::Silence,
    F::Refused,
    F::Storm,
    F::TakeOver,
    F::LateBytes,
    F::BadBytes,
    F::OldWelcome,
];

/// Those of datagrams alone.
pub(super) const DATAGRAMS: &[F] = &[
    F::Loss,
    F::LossBurst,
    F::Duplicate,
    F::Reorder,
    F::BitFlip,
    F::Truncate,
    F::Mtu,
    F::LateReplay,
    F::SpoofedSource,
    F::ChangedPort,
    F::OneWayCut,
];

const DEVICES: &[F] = &[
    F::DeviceReset,
    F::ResetKept,
    F::ResetLoop,
    F::ClockDrift,
    F::TickWrap,
    F::ClockJump,
    F::ClockBack,
    F::Stall,
];

const HUB: &[F] = &[
    F::NewStore,
    F::Restored,
    F::HubPause,
    F::Crash,
    F::NewerVersion,
    F::OldBackup,
    F::HubClockJump,
];

const DISK: &[F] = &[
    F::SlowCommit,
    F::Crash,
    F::TornWrite,
    F::WriteError,
    F::SyncError,
    F::DiskFull,
    F::BitRot,
    F::SlowSync,
    F::LostRename,
];

const PEERS: &[F] = &[
    F::RandomBytes,
    F::AnyOrder,
    F::Dripping,
    F::NeverReads,
    F::Flood,
    F::WrongWay,
    F::Oversize,
    F::StaleSession,
];

/// The sets that have a name.
pub(super) fn presets() -> [(&'static str, FaultSet); 10] {
    let of = |faults: &[F]| faults.iter().copied().collect();
    [
        ("none", FaultSet::NONE),
        ("field", of(FIELD)),
        ("streams", of(STREAMS)),
        ("datagrams", of(DATAGRAMS)),
        ("links", of(&[STREAMS, DATAGRAMS].concat())),
        ("devices", of(DEVICES)),
        ("hub", of(HUB)),
        ("disk", of(DISK)),
        ("peers", of(PEERS)),
        ("all", of(Fault::ALL)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_a_preset_beside_all() {
        let presets = presets();
        for &fault in Fault::ALL {
            let mut named = presets.iter().filter(|(name, _)| *name != "all");
            assert!(named.any(|(_, set)| set.has(fault)), "{}", fault.name());
        }
    }
}
