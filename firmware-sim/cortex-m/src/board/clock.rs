//! Time: SysTick counts milliseconds by its interrupt and microseconds between them.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use halloo_core::time::{Instant, Ticks};

use super::{Register, SYSTEM_HZ};

const TICKS_PER_US: u32 = SYSTEM_HZ / 1_000_000;
const TICKS_PER_MS: u32 = SYSTEM_HZ / 1_000;

const SYSCTL: usize = 0x400f_e000;
const RIS: Register = Register::new(SYSCTL, 0x050);
const RCC: Register = Register::new(SYSCTL, 0x060);
const PLL_LOCKED: u32 = 1 << 6;
/// 8 MHz crystal, main oscillator, 200 MHz PLL divided by 4; first past the PLL, then through it.
const RCC_BYPASSED: u32 = (3 << 23) | (1 << 22) | (1 << 11) | (0xe << 6);
const RCC_RUNNING: u32 = RCC_BYPASSED & !(1 << 11);

static MILLIS: AtomicU32 = AtomicU32::new(0);

/// The one task that waits for a time.
#[cfg(feature = "async")]
static TASK: embassy_sync::waitqueue::AtomicWaker = embassy_sync::waitqueue::AtomicWaker::new();

#[cfg(feature = "defmt")]
defmt::timestamp!("{=u32:ms}", MILLIS.load(Ordering::Relaxed));

#[exception]
fn SysTick() {
    // The only one that writes it.
    MILLIS.store(
        MILLIS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
    #[cfg(feature = "async")]
    TASK.wake();
}

/// Microseconds since the start, from a chip that runs at 50 MHz.
///
/// It wants to be asked at least every three weeks: its counter of milliseconds has 32 bits.
#[derive(Debug)]
pub struct Clock {
    millis: Ticks,
}

impl Clock {
    /// Sets the chip's frequency and starts to count; `None` the second time.
    #[must_use]
    pub fn start() -> Option<Self> {
        let mut chip = Peripherals::take()?;
        RCC.write(RCC_BYPASSED);
        while RIS.read() & PLL_LOCKED == 0 {}
        RCC.write(RCC_RUNNING);
        chip.SYST.set_clock_source(SystClkSource::Core);
        chip.SYST.set_reload(TICKS_PER_MS.wrapping_sub(1));
        chip.SYST.clear_current();
        chip.SYST.enable_interrupt();
        chip.SYST.enable_counter();
        Some(Self {
            millis: Ticks::new(),
        })
    }

    /// The time. Not to be asked where interrupts are off.
    pub fn now(&mut self) -> Instant {
        let (millis, left) = loop {
            let before = MILLIS.load(Ordering::Relaxed);
            let left = SYST::get_current();
            if before == MILLIS.load(Ordering::Relaxed) {
                break (before, left);
            }
        };
        let micros = TICKS_PER_MS.saturating_sub(left) / TICKS_PER_US;
        let millis = self.millis.widen(millis);
        Instant::from_ticks(millis.saturating_mul(1_000).saturating_add(micros.into()))
    }

    /// Waits until then, at most a millisecond longer. One task at a time.
    #[cfg(feature = "async")]
    pub async fn until(&mut self, at: Instant) {
        core::future::poll_fn(|context| {
            TASK.register(context.waker());
            match self.now() < at {
                true => core::task::Poll::Pending,
                false => core::task::Poll::Ready(()),
            }
        })
        .await;
    }
}
