//! What the MQTT images have in common: the board's line and clock as MQTT crates want them, and the
//! device of `sensor` without its client.
//!
//! The futures run in a loop that polls and sleeps until the next interrupt, of which SysTick gives one
//! each millisecond: an executor would only add to what is measured.
#![no_std]
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cortex_m::interrupt::{Mutex, free};
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use halloo_core::time::{Instant, after, millis};
use halloo_cortex_m as board;
use halloo_cortex_m::{Clock, Uart, Uart0};

board::port!(LINE: Uart0 as UART0, rx 128, tx 64);

static CLOCK: Mutex<Cell<Option<Clock>>> = Mutex::new(Cell::new(None));

/// Starts the board.
pub fn start() -> Pipe {
    let clock = Clock::start();
    free(|cs| CLOCK.borrow(cs).set(clock));
    Pipe(LINE.open())
}

/// The time; only the program asks, no interrupt.
pub fn now() -> Instant {
    // Taken out, since the clock is not to be asked where interrupts are off.
    let Some(mut clock) = free(|cs| CLOCK.borrow(cs).take()) else {
        return Instant::from_ticks(0);
    };
    let now = clock.now();
    free(|cs| CLOCK.borrow(cs).set(Some(clock)));
    now
}

/// Runs a program that does not end.
pub fn block_on(program: impl Future<Output = ()>) -> ! {
    let mut program = pin!(program);
    let mut context = Context::from_waker(Waker::noop());
    while program.as_mut().poll(&mut context).is_pending() {
        board::sleep_while(|| true);
    }
    board::halt()
}

/// What `work` comes to, if it does before then.
pub async fn by<F: Future>(at: Instant, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if now() < at => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Waits so many milliseconds.
pub async fn pause(span: u64) {
    by(in_millis(span), core::future::pending::<()>()).await;
}

/// So many milliseconds from now.
pub fn in_millis(span: u64) -> Instant {
    after(now(), millis(span))
}

/// The board's UART, as a stream.
pub struct Pipe(Uart<Uart0, 128, 64>);

impl Pipe {
    /// Throws away what has come.
    pub fn drain(&mut self) {
        while self.0.rx.is_ready() {
            let _ = self.0.read(&mut [0; 16]);
        }
    }
}

impl ErrorType for Pipe {
    type Error = Infallible;
}

impl embedded_io_async::Read for Pipe {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| match self.0.read_ready() {
            Ok(false) => Poll::Pending,
            _ => Poll::Ready(self.0.read(buf)),
        })
        .await
    }
}

impl embedded_io_async::Write for Pipe {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|_| match self.0.write_ready() {
            Ok(false) => Poll::Pending,
            _ => Poll::Ready(self.0.write(buf)),
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The body of a post.
pub type Text = heapless::Vec<u8, 32, u8>;

/// Takes a reading each 100 ms, or as it is told.
pub struct Device {
    interval: u32,
    count: u32,
    obeyed: u32,
    due: Instant,
}

impl Device {
    #[expect(clippy::new_without_default, reason = "there is one")]
    pub fn new() -> Self {
        Self {
            interval: 100,
            count: 0,
            obeyed: 0,
            due: Instant::from_ticks(0),
        }
    }

    /// When it wants its turn: for a reading, unless one waits already.
    pub fn due(&self) -> Instant {
        match self.is_due() {
            true => in_millis(100),
            false => self.due,
        }
    }

    pub fn is_due(&self) -> bool {
        self.due <= now()
    }

    /// The reading: its number, and how many commands it comes after.
    pub fn reading(&self) -> Text {
        let mut text = Text::new();
        push(&mut text, self.count);
        push(&mut text, self.obeyed);
        text
    }

    /// The reading is on its way.
    pub fn is_posted(&mut self) {
        self.count = self.count.wrapping_add(1);
        self.due = in_millis(self.interval.into());
    }

    pub fn obey(&mut self, command: &[u8]) {
        let interval = command
            .strip_prefix(b"interval=")
            .and_then(|digits| core::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse::<u16>().ok());
        if let Some(interval) = interval {
            self.interval = u32::from(interval).max(1);
            self.obeyed = self.obeyed.wrapping_add(1);
        }
    }
}

/// A number in decimal, as `sensor` writes it: without `core::fmt`.
fn push(text: &mut Text, mut number: u32) {
    let mut digits = [0; 10];
    let mut first = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0'.wrapping_add((number % 10) as u8);
        number /= 10;
        first = first.saturating_sub(1);
        if number == 0 {
            break;
        }
    }
    if !text.is_empty() {
        let _ = text.push(b' ');
    }
    for &digit in digits.iter().skip(first) {
        let _ = text.push(digit);
    }
}
