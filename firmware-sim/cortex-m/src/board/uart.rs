//! A PL011 UART, driven by its interrupt, with a ring each way.
//!
//! Knows bytes. No byte is dropped here: a full receive ring leaves what comes in the chip's FIFO, which
//! overruns if the program stays away, and then the line has lost a byte like any other.
//!
//! The rings are heapless's queues, used whole and with interrupts off for as long as bytes are copied.
//! Their split halves would need no such section, but do not know their capacity when they compile, and
//! what they compute by it leaves a panic in the image.

use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;

use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use heapless::spsc::Queue;

use super::{Irq, Register, SYSTEM_HZ, sleep_while};

/// One of the chip's UARTs: 115,200 baud, 8 bits, no parity.
pub trait Instance: 'static {
    /// Where its registers are.
    const BASE: usize;
    /// Its interrupt.
    const IRQ: u16;
    /// Its bit in the clock gates.
    const GATE: u32;
    /// Its pins: the registers of their port, that port's bit in the clock gates, the two pins.
    const PINS: (usize, u32, u32);
}

/// On PA0 and PA1.
#[derive(Debug)]
pub struct Uart0;
/// On PD2 and PD3.
#[derive(Debug)]
pub struct Uart1;
/// On PG0 and PG1.
#[derive(Debug)]
pub struct Uart2;

impl Instance for Uart0 {
    const BASE: usize = 0x4000_c000;
    const IRQ: u16 = 5;
    const GATE: u32 = 1;
    const PINS: (usize, u32, u32) = (0x4000_4000, 1, 0b11);
}

impl Instance for Uart1 {
    const BASE: usize = 0x4000_d000;
    const IRQ: u16 = 6;
    const GATE: u32 = 1 << 1;
    const PINS: (usize, u32, u32) = (0x4000_7000, 1 << 3, 0b1100);
}

impl Instance for Uart2 {
    const BASE: usize = 0x4000_e000;
    const IRQ: u16 = 33;
    const GATE: u32 = 1 << 2;
    const PINS: (usize, u32, u32) = (0x4002_6000, 1 << 6, 0b11);
}

const BAUD: u32 = 115_200;
/// The divisor in 64ths, rounded.
const DIVISOR: u32 = (SYSTEM_HZ * 4 + BAUD / 2) / BAUD;

const UART_GATES: Register = Register::new(0x400f_e000, 0x104);
const PIN_GATES: Register = Register::new(0x400f_e000, 0x108);
const PIN_IS_FUNCTION: usize = 0x420;
const PIN_IS_DIGITAL: usize = 0x51c;

const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const DIVISOR_WHOLE: usize = 0x24;
const DIVISOR_64THS: usize = 0x28;
const LINE: usize = 0x2c;
const CONTROL: usize = 0x30;
const MASK: usize = 0x38;
const CLEAR: usize = 0x44;

const RX_EMPTY: u32 = 1 << 4;
const TX_FULL: u32 = 1 << 5;
const FIFOS_AND_8_BITS: u32 = (1 << 4) | (3 << 5);
const ENABLED: u32 = 1 | (1 << 8) | (1 << 9);
const RX_AND_TIMEOUT: u32 = (1 << 4) | (1 << 6);
const SENDING: u32 = 1 << 5;

const fn register<U: Instance>(offset: usize) -> Register {
    Register::new(U::BASE, offset)
}

struct Rings<const RX: usize, const TX: usize> {
    received: Queue<u8, RX>,
    to_send: Queue<u8, TX>,
}

/// A UART and its rings; [`port!`](crate::port) makes one.
///
/// A ring of `N` bytes holds `N - 1`. The receive ring takes what comes while the program does something
/// else, such as waiting for its own bytes to be sent: make it no smaller than the send ring.
pub struct Port<U, const RX: usize, const TX: usize> {
    rings: UnsafeCell<Rings<RX, TX>>,
    /// Woken by every interrupt: the one task that reads and writes.
    #[cfg(feature = "async")]
    task: embassy_sync::waitqueue::AtomicWaker,
    uart: PhantomData<U>,
}

// SAFETY: `with` is the only way to the rings, and lets in one at a time.
unsafe impl<U, const RX: usize, const TX: usize> Sync for Port<U, RX, TX> {}

impl<U, const RX: usize, const TX: usize> fmt::Debug for Port<U, RX, TX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").finish_non_exhaustive()
    }
}

impl<U: Instance, const RX: usize, const TX: usize> Port<U, RX, TX> {
    /// A port that is closed.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a static, made by `port!`")]
    pub const fn new() -> Self {
        Self {
            rings: UnsafeCell::new(Rings {
                received: Queue::new(),
                to_send: Queue::new(),
            }),
            #[cfg(feature = "async")]
            task: embassy_sync::waitqueue::AtomicWaker::new(),
            uart: PhantomData,
        }
    }

    /// Starts the UART.
    pub fn open(&'static self) -> Uart<U, RX, TX> {
        power_up::<U>();
        // SAFETY: the handler may run from here on, and no critical section of this program is based on
        // this interrupt being masked.
        unsafe { NVIC::unmask(Irq(U::IRQ)) };
        Uart {
            rx: Rx(self),
            tx: Tx(self),
        }
    }

    /// What the interrupt does.
    pub fn on_interrupt(&self) {
        register::<U>(CLEAR).write(RX_AND_TIMEOUT | SENDING);
        let flags = || register::<U>(FLAGS).read();
        let mut wanted = RX_AND_TIMEOUT;
        self.with(|rings| {
            while flags() & RX_EMPTY == 0 {
                if rings.received.is_full() {
                    // The reader raises the interrupt again when it has made room.
                    wanted = 0;
                    break;
                }
                let [byte, ..] = register::<U>(DATA).read().to_le_bytes();
                let _ = rings.received.enqueue(byte);
            }
            while flags() & TX_FULL == 0 {
                let Some(byte) = rings.to_send.dequeue() else {
                    break;
                };
                register::<U>(DATA).write(byte.into());
            }
            if !rings.to_send.is_empty() {
                wanted |= SENDING;
            }
        });
        register::<U>(MASK).write(wanted);
        #[cfg(feature = "async")]
        self.task.wake();
    }

    fn with<R>(&self, work: impl FnOnce(&mut Rings<RX, TX>) -> R) -> R {
        cortex_m::interrupt::free(|_| {
            // SAFETY: interrupts are off on the only core, and no `work` of this file calls `with`: so
            // nobody else has a reference to the rings while this one lives.
            work(unsafe { &mut *self.rings.get() })
        })
    }
}

fn power_up<U: Instance>() {
    let (pins, gate, bits) = U::PINS;
    UART_GATES.set(U::GATE);
    PIN_GATES.set(gate);
    // A gate takes three cycles to open; reading back takes longer.
    let _ = PIN_GATES.read();
    Register::new(pins, PIN_IS_FUNCTION).set(bits);
    Register::new(pins, PIN_IS_DIGITAL).set(bits);
    register::<U>(CONTROL).write(0);
    register::<U>(DIVISOR_WHOLE).write(DIVISOR / 64);
    register::<U>(DIVISOR_64THS).write(DIVISOR % 64);
    register::<U>(LINE).write(FIFOS_AND_8_BITS);
    register::<U>(MASK).write(RX_AND_TIMEOUT);
    register::<U>(CONTROL).write(ENABLED);
}

/// An open UART.
#[derive(Debug)]
pub struct Uart<U: 'static, const RX: usize, const TX: usize> {
    /// The receiving half.
    pub rx: Rx<U, RX, TX>,
    /// The sending half.
    pub tx: Tx<U, RX, TX>,
}

/// The receiving half of a UART.
#[derive(Debug)]
pub struct Rx<U: 'static, const RX: usize, const TX: usize>(&'static Port<U, RX, TX>);

/// The sending half of a UART.
#[derive(Debug)]
pub struct Tx<U: 'static, const RX: usize, const TX: usize>(&'static Port<U, RX, TX>);

impl<U: Instance, const RX: usize, const TX: usize> Rx<U, RX, TX> {
    /// Whether a byte is there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.with(|rings| !rings.received.is_empty())
    }

    /// The bytes that are there, as many as fit into `buf`.
    fn take(&mut self, buf: &mut [u8]) -> usize {
        let mut taken = 0_usize;
        self.0.with(|rings| {
            for place in buf {
                let Some(byte) = rings.received.dequeue() else {
                    break;
                };
                *place = byte;
                taken = taken.saturating_add(1);
            }
        });
        if register::<U>(MASK).read() & RX_AND_TIMEOUT == 0 {
            NVIC::pend(Irq(U::IRQ));
        }
        taken
    }
}

impl<U: Instance, const RX: usize, const TX: usize> Tx<U, RX, TX> {
    /// Whether a byte can be taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.with(|rings| !rings.to_send.is_full())
    }

    /// Takes as many bytes of `buf` as the ring has room for.
    fn put(&mut self, buf: &[u8]) -> usize {
        let mut put = 0_usize;
        self.0.with(|rings| {
            for &byte in buf {
                if rings.to_send.enqueue(byte).is_err() {
                    break;
                }
                put = put.saturating_add(1);
            }
        });
        NVIC::pend(Irq(U::IRQ));
        put
    }
}

impl<U: Instance, const RX: usize, const TX: usize> Uart<U, RX, TX> {
    /// Sleeps until the next interrupt, but not if a byte has come: the clock's is 1 ms away at most.
    pub fn sleep(&self) {
        sleep_while(|| !self.rx.is_ready());
    }
}

impl<U, const RX: usize, const TX: usize> ErrorType for Uart<U, RX, TX> {
    type Error = Infallible;
}

impl<U: Instance, const RX: usize, const TX: usize> Read for Uart<U, RX, TX> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        if buf.is_empty() {
            return Ok(0);
        }
        while !self.rx.is_ready() {
            self.sleep();
        }
        Ok(self.rx.take(buf))
    }
}

impl<U: Instance, const RX: usize, const TX: usize> ReadReady for Uart<U, RX, TX> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.rx.is_ready())
    }
}

impl<U: Instance, const RX: usize, const TX: usize> Write for Uart<U, RX, TX> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        if buf.is_empty() {
            return Ok(0);
        }
        while !self.tx.is_ready() {
            sleep_while(|| !self.tx.is_ready());
        }
        Ok(self.tx.put(buf))
    }

    /// Does nothing: the interrupt sends what is in the ring, whatever the program does meanwhile.
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<U: Instance, const RX: usize, const TX: usize> WriteReady for Uart<U, RX, TX> {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.tx.is_ready())
    }
}

#[cfg(feature = "async")]
mod asynchronous {
    use core::future::poll_fn;
    use core::task::Poll;

    use super::{Infallible, Instance, Rx, Tx};

    impl<U, const RX: usize, const TX: usize> embedded_io_async::ErrorType for Rx<U, RX, TX> {
        type Error = Infallible;
    }

    impl<U, const RX: usize, const TX: usize> embedded_io_async::ErrorType for Tx<U, RX, TX> {
        type Error = Infallible;
    }

    impl<U: Instance, const RX: usize, const TX: usize> embedded_io_async::Read for Rx<U, RX, TX> {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
            poll_fn(|context| {
                self.0.task.register(context.waker());
                match self.is_ready() || buf.is_empty() {
                    true => Poll::Ready(Ok(self.take(buf))),
                    false => Poll::Pending,
                }
            })
            .await
        }
    }

    impl<U: Instance, const RX: usize, const TX: usize> embedded_io_async::Write for Tx<U, RX, TX> {
        async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
            poll_fn(|context| {
                self.0.task.register(context.waker());
                match self.is_ready() || buf.is_empty() {
                    true => Poll::Ready(Ok(self.put(buf))),
                    false => Poll::Pending,
                }
            })
            .await
        }

        /// Does nothing, as without `async`.
        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }
}
