//! What the chip has: registers, interrupts, sleep and reset.

pub(crate) mod clock;
pub(crate) mod retained;
pub(crate) mod slots;
pub(crate) mod stopwatch;
pub(crate) mod uart;

use cortex_m::interrupt::InterruptNumber;

/// The frequency that [`clock::Clock::start`] sets, in Hz.
pub(crate) const SYSTEM_HZ: u32 = 50_000_000;

/// A register of a peripheral.
#[derive(Clone, Copy)]
pub(crate) struct Register(usize);

impl Register {
    /// The register `offset` bytes into the peripheral at `base`, both from the data sheet.
    const fn new(base: usize, offset: usize) -> Self {
        Self(base.wrapping_add(offset))
    }

    fn read(self) -> u32 {
        // SAFETY: every address that this crate makes a register of is one of the chip's, is aligned,
        // and is never memory that Rust knows of; to read it at any time is sound.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: as for `read`. None of these registers starts a transfer to memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }

    fn set(self, bits: u32) {
        self.write(self.read() | bits);
    }
}

/// The chip's number of an interrupt.
#[derive(Clone, Copy)]
pub(crate) struct Irq(u16);

// SAFETY: the numbers are those of the data sheet and do not change.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

/// What an interrupt runs.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Vector {
    handler: unsafe extern "C" fn(),
}

unsafe extern "C" {
    fn DefaultHandler();
    fn UART0();
    fn UART1();
    fn UART2();
}

/// The vectors up to the last one that has a driver here.
#[used]
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Vector; 34] = {
    const NONE: Vector = Vector {
        handler: DefaultHandler,
    };
    const FIRST: [Vector; 7] = [
        NONE,
        NONE,
        NONE,
        NONE,
        NONE,
        Vector { handler: UART0 },
        Vector { handler: UART1 },
    ];
    let mut vectors = [NONE; 34];
    let (first, rest) = vectors.split_at_mut(FIRST.len());
    first.copy_from_slice(&FIRST);
    if let Some(last) = rest.last_mut() {
        *last = Vector { handler: UART2 };
    }
    vectors
};

/// Does nothing more.
pub fn halt() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

/// Sleeps while `is_idle`: an interrupt between the question and the sleep ends the sleep, too.
pub fn sleep_while(is_idle: impl Fn() -> bool) {
    cortex_m::interrupt::free(|_| {
        if is_idle() {
            cortex_m::asm::dsb();
            cortex_m::asm::wfi();
        }
    });
}
