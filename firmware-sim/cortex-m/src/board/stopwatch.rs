//! Counts what a piece of work takes.

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// The most that the counter holds.
const MOST: u32 = 0x00ff_ffff;

/// SysTick as a counter of the system clock's ticks; not beside a [`Clock`](crate::Clock).
///
/// Under QEMU with `-icount shift=0` an instruction takes 1 ns, and a tick 80 ns: the clock is the one
/// of the reset.
#[derive(Debug)]
pub struct Stopwatch(());

impl Stopwatch {
    /// Starts to count; `None` the second time.
    #[must_use]
    pub fn start() -> Option<Self> {
        let mut chip = Peripherals::take()?;
        chip.SYST.set_clock_source(SystClkSource::Core);
        chip.SYST.set_reload(MOST);
        chip.SYST.clear_current();
        chip.SYST.enable_counter();
        Some(Self(()))
    }

    /// How many ticks `work` takes: less than 2^24.
    pub fn ticks<R>(&self, work: impl FnOnce() -> R) -> (u32, R) {
        let before = SYST::get_current();
        let result = work();
        let after = SYST::get_current();
        (before.wrapping_sub(after) & MOST, result)
    }
}
