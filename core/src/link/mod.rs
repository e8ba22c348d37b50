//! Drives a device over a byte pipe: the only part of the core that names `embedded-io` and `nb`.
//!
//! Knows bytes, frames and the order in which to ask. Does not know what a message means. It owns
//! the two buffers of a connection; the machine and the pipe are the caller's.

#[cfg(feature = "async")]
mod asynchronous;

use core::fmt;

use embedded_io::{Read, ReadReady, Write, WriteReady};

use crate::bytes::Buffer;
use crate::chat::client::{self, Delivery, Event, outbox_bytes};
use crate::chat::{Client, HANDSHAKE, datagram};
use crate::frame::{Decoder, FrameError, FrameToken, Framing, buffer_bytes, payload_bytes};
use crate::time::{Duration, Instant, after, earliest, secs};
use crate::wire::{self, Code, Message};

/// How many reads, and messages without news, one call of `poll` works off.
const BATCH: usize = 16;

/// How long a pipe may take no byte of what is to be written.
const STALL: Duration = secs(30);

/// The bytes of a `Post` beside its body: kind, slot, sequence number, length.
const POST: usize = 1 + 1 + 4 + 2;

/// The receive buffer that takes frames with payloads of `max_frame` bytes.
#[must_use]
pub const fn rx_bytes<F: Framing>(max_frame: usize) -> usize {
    buffer_bytes::<F>(max_frame.saturating_add(in_front::<F>()))
}

/// The send buffer that takes posts of `body` bytes and every message without a body.
#[must_use]
pub const fn tx_bytes<F: Framing>(body: usize) -> usize {
    let post = body.saturating_add(POST);
    let most = if post > wire::MAX_CONTROL {
        post
    } else {
        wire::MAX_CONTROL
    };
    buffer_bytes::<F>(most.saturating_add(in_front::<F>()))
}

/// The RAM of a device, before any type of it is written down: its [`Client`] with `rooms` rooms and
/// an outbox for `posts` posts of `body` bytes, and its [`Link`] with frames of up to `frame` bytes.
///
/// It is of the target that it is compiled for, and up to 15 bytes more than the two take. The buffers
/// of the pipe below, and the stack, come on top.
///
/// ```
/// use halloo_core::frame::Length32;
/// use halloo_core::link::ram_bytes;
/// const { assert!(ram_bytes::<Length32>(2, 4, 64, 256) <= 1536, "it does not fit beside the rest") };
/// ```
#[must_use]
pub const fn ram_bytes<F: Framing>(rooms: usize, posts: usize, body: usize, frame: usize) -> usize {
    client::bytes(rooms, outbox_bytes(posts, body))
        .saturating_add(size_of::<Link<F, 0, 0>>())
        .saturating_add(rx_bytes::<F>(frame))
        .saturating_add(tx_bytes::<F>(body))
        .next_multiple_of(align_of::<Instant>())
}

/// The bytes in front of each message: where frames may be lost, what makes a session of them.
const fn in_front<F: Framing>() -> usize {
    if F::LOSSY { datagram::HEADER } else { 0 }
}

/// What a link has for the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Output<'l> {
    /// Something that a message brought, in the link's receive buffer.
    Delivery(Delivery<'l>),
    /// Something that happened.
    Event(Event),
}

/// Why a link has no connection any more.
///
/// The client was told: `Event::Closed` is the next that it has. Connect again with
/// [`Link::connect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LinkError<E> {
    /// Transport: the pipe failed.
    Io(E),
    /// Peer: the stream ended between two frames.
    Closed,
    /// Peer: the stream ended inside a frame.
    Truncated,
    /// Transport: the pipe takes no more bytes.
    WriteZero,
    /// Transport: the pipe took nothing for 30 s.
    Stalled,
}

impl<E: fmt::Debug> fmt::Display for LinkError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(cause) => write!(f, "the connection failed: {cause:?}"),
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Truncated => f.write_str("the connection ended inside a frame"),
            Self::WriteZero => f.write_str("the connection takes no more bytes"),
            Self::Stalled => f.write_str("the connection took no bytes for 30 s"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for LinkError<E> {}

/// A connection of a device: framing and the two buffers.
///
/// Over a framing that [may lose frames](Framing::LOSSY) the session is one over datagrams, and what is
/// no frame changes nothing. With `Cobs`, for serial lines, each datagram is a frame; with
/// [`Datagram`](crate::frame::Datagram) one read is one, and so is one write.
///
/// `RX` is sized by [`rx_bytes`], `TX` by [`tx_bytes`]; the client asks for no larger frame and
/// takes no larger post than fits, whatever its own `Config` says. One frame at a time is read and written; a
/// slow application or a slow pipe holds the hub back and loses nothing.
///
/// ```
/// use halloo_core::chat::client::{outbox_bytes, Client, Config, From};
/// use halloo_core::frame::Length32;
/// use halloo_core::link::{rx_bytes, tx_bytes, Link, Output};
/// use halloo_core::time::Instant;
///
/// fn run<IO>(uart: &mut IO, now: fn() -> Instant, nonce: u64)
/// where
///     IO: embedded_io::Read + embedded_io::Write + embedded_io::ReadReady + embedded_io::WriteReady,
/// {
///     let config = Config::new(*b"serial no 000042", "sensor-42").unwrap();
///     let mut client = Client::<1, { outbox_bytes(4, 32) }>::new(config);
///     let mut link = Link::<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(32) }>
///         ::new(Length32::new(256));
///     let lab = client.join("lab", From::Latest).unwrap();
///     link.connect(&mut client, now(), nonce);
///     loop {
///         match link.poll(uart, &mut client, now()) {
///             Ok(Output::Delivery(_entry)) => { /* obey it */ }
///             Ok(Output::Event(_event)) => { client.post(lab, b"21.5").ok(); }
///             Err(nb::Error::WouldBlock) => { /* read the sensor, or sleep until link.poll_timeout */ }
///             Err(nb::Error::Other(_)) => break, // reconnect
///         }
///     }
/// }
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Link<F, const RX: usize, const TX: usize> {
    rx: Decoder<F, RX>,
    tx: Buffer<TX>,
    /// The framed bytes of `tx` that are not written yet.
    start: usize,
    end: usize,
    /// Written bytes may wait in the pipe to be flushed.
    is_unflushed: bool,
    /// What waits to be written is the last word: the session is over once it is out.
    is_last_word: bool,
    /// The last poll stopped at its bound, not for want of work.
    is_cut_short: bool,
    /// For the rest of a frame, and for the pipe to take bytes.
    reading: Wait,
    writing: Wait,
    framing: F,
}

impl<F: Framing + Clone, const RX: usize, const TX: usize> Link<F, RX, TX> {
    /// A link without a connection.
    #[must_use]
    pub fn new(framing: F) -> Self {
        const {
            assert!(
                !F::LOSSY || cfg!(feature = "datagram"),
                "where frames may be lost, the feature `datagram` is needed"
            );
        };
        const {
            assert!(
                RX >= rx_bytes::<F>(wire::MAX_CONTROL),
                "size RX by rx_bytes"
            )
        };
        const { assert!(TX >= tx_bytes::<F>(0), "size TX by tx_bytes") };
        Self {
            rx: Decoder::new(framing.clone()),
            tx: Buffer::ZEROS,
            start: 0,
            end: 0,
            is_unflushed: false,
            is_last_word: false,
            is_cut_short: false,
            reading: Wait::None,
            writing: Wait::None,
            framing,
        }
    }

    /// The largest payload that this link takes.
    #[must_use]
    pub fn max_frame(&self) -> usize {
        self.rx.limit().saturating_sub(in_front::<F>())
    }

    /// The largest body of a post that this link carries.
    #[must_use]
    pub fn max_body(&self) -> usize {
        let room = const { payload_bytes::<F>(TX) };
        room.min(self.framing.limit())
            .saturating_sub(in_front::<F>())
            .saturating_sub(POST)
    }

    /// A connection stands: forgets what was left of the last one, tells the client what this link
    /// carries, and has it say `Hello`.
    ///
    /// `nonce` is random and new for every attempt.
    pub fn connect<const R: usize, const O: usize>(
        &mut self,
        client: &mut Client<R, O>,
        now: Instant,
        nonce: u64,
    ) {
        self.rx = Decoder::new(self.framing.clone());
        (self.start, self.end) = (0, 0);
        (self.is_unflushed, self.is_last_word) = (false, false);
        self.is_cut_short = false;
        (self.reading, self.writing) = (Wait::None, Wait::None);
        client.set_link_limits(self.max_frame(), self.max_body());
        #[cfg(feature = "datagram")]
        client.set_datagrams(F::LOSSY);
        client.handle_connected(now, nonce);
    }

    /// When the next call is due, whatever the pipe does: [`Client::poll_timeout`], 10 s after a
    /// frame has begun, 30 s after the pipe took the last byte of what waits, or at once if
    /// [`is_cut_short`](Self::is_cut_short).
    #[must_use]
    pub fn poll_timeout<const R: usize, const O: usize>(
        &self,
        client: &Client<R, O>,
    ) -> Option<Instant> {
        if client.is_offline() {
            return client.poll_timeout();
        }
        let more = self.is_cut_short.then_some(Instant::from_ticks(0));
        let own = earliest(self.reading.due(), self.writing.due());
        earliest(client.poll_timeout(), earliest(own, more))
    }

    /// Whether bytes wait for the pipe to take them.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        self.start < self.end
    }

    /// Whether the last `poll` said `WouldBlock` only since it had done its share of work: poll again
    /// before waiting for the pipe, since whole frames may be in the buffer already.
    #[must_use]
    pub const fn is_cut_short(&self) -> bool {
        self.is_cut_short
    }

    /// Moves bytes both ways as far as the pipe goes without blocking, until there is something for
    /// the application.
    ///
    /// `WouldBlock`: nothing now; call again when the pipe is ready, and at
    /// [`poll_timeout`](Self::poll_timeout), which may be at once.
    /// Work: at most 16 reads and as many frames without news, and all that the client has to send,
    /// which is then flushed: that may block, as `embedded_io` has it, until the pipe has sent it.
    pub fn poll<IO, const R: usize, const O: usize>(
        &mut self,
        io: &mut IO,
        client: &mut Client<R, O>,
        now: Instant,
    ) -> nb::Result<Output<'_>, LinkError<IO::Error>>
    where
        IO: Read + Write + ReadReady + WriteReady,
    {
        if client.poll_timeout().is_some_and(|due| due <= now) {
            client.handle_timeout(now);
        }
        match self.step(io, client, now) {
            Ok(Found::Delivery(frame, delivery)) => Ok(self.deliver(frame, delivery)),
            Ok(Found::Event(event)) => Ok(Output::Event(event)),
            Ok(Found::Nothing) => Err(nb::Error::WouldBlock),
            Err(error) => {
                client.handle_disconnected(now);
                Err(nb::Error::Other(error))
            }
        }
    }

    fn step<IO, const R: usize, const O: usize>(
        &mut self,
        io: &mut IO,
        client: &mut Client<R, O>,
        now: Instant,
    ) -> Result<Found, LinkError<IO::Error>>
    where
        IO: Read + Write + ReadReady + WriteReady,
    {
        self.is_cut_short = false;
        for _ in 0..BATCH {
            self.send(io, client, now)?;
            if let Some(event) = self.next_event(client) {
                return Ok(Found::Event(event));
            }
            match self.next_frame(client, now) {
                Next::Delivery(frame, delivery) => return Ok(Found::Delivery(frame, delivery)),
                Next::Absorbed => continue,
                Next::Nothing => {}
            }
            if !io.read_ready().map_err(LinkError::Io)? {
                if self.is_late_frame(now) {
                    self.reading = Wait::None;
                    client.handle_bad_frame(now, Code::Timeout);
                    continue;
                }
                return Ok(Found::Nothing);
            }
            let n = io.read(self.rx.room()).map_err(LinkError::Io)?;
            self.received(n)?;
        }
        self.is_cut_short = true;
        Ok(Found::Nothing)
    }

    fn send<IO, const R: usize, const O: usize>(
        &mut self,
        io: &mut IO,
        client: &mut Client<R, O>,
        now: Instant,
    ) -> Result<(), LinkError<IO::Error>>
    where
        IO: Write + WriteReady,
    {
        while self.fill(client, now) {
            if !io.write_ready().map_err(LinkError::Io)? {
                return match self.writing.is_over(now, STALL) {
                    true => Err(LinkError::Stalled),
                    false => Ok(()),
                };
            }
            let n = io.write(self.unwritten()).map_err(LinkError::Io)?;
            self.written(n)?;
        }
        if core::mem::take(&mut self.is_unflushed) {
            io.flush().map_err(LinkError::Io)?;
        }
        Ok(())
    }

    /// Whether a frame has begun and its rest is overdue, though all that came was looked at.
    fn is_late_frame(&mut self, now: Instant) -> bool {
        self.has_begun() && self.reading.is_over(now, HANDSHAKE)
    }

    /// Whether the rest of a frame is waited for. Not where frames may be lost: what began may have
    /// been noise.
    fn has_begun(&self) -> bool {
        !F::LOSSY && self.rx.end().is_err()
    }

    /// Frames the next message of the client if the last one is written; whether there are bytes.
    fn fill<const R: usize, const O: usize>(
        &mut self,
        client: &mut Client<R, O>,
        now: Instant,
    ) -> bool {
        if self.start < self.end {
            return true;
        }
        (self.start, self.end) = (0, 0);
        let room = const { payload_bytes::<F>(TX) };
        let end = F::HEADER.saturating_add(room);
        let Some(out) = self.tx.get_mut(F::HEADER..end) else {
            return false;
        };
        let Some(len) = client.poll_transmit(now, out) else {
            return false;
        };
        self.is_last_word = client.is_closed();
        match self.framing.seal(&mut self.tx, len) {
            Ok(end) => self.end = end,
            // Above the framing's limit: nothing that this link could ever send.
            Err(_) => client.handle_bad_frame(now, Code::Oversize),
        }
        self.start < self.end
    }

    /// What happened; but who is told of the end closes, so the last word goes first.
    fn next_event<const R: usize, const O: usize>(
        &mut self,
        client: &mut Client<R, O>,
    ) -> Option<Event> {
        if self.is_last_word && self.is_writing() {
            return None;
        }
        client.poll_event()
    }

    fn unwritten(&self) -> &[u8] {
        self.tx.get(self.start..self.end).unwrap_or_default()
    }

    fn written<E>(&mut self, n: usize) -> Result<(), LinkError<E>> {
        if n == 0 {
            return Err(LinkError::WriteZero);
        }
        self.start = self.start.saturating_add(n);
        self.is_unflushed = true;
        self.writing = Wait::None;
        Ok(())
    }

    fn received<E>(&mut self, n: usize) -> Result<(), LinkError<E>> {
        if n == 0 && !F::WHOLE {
            return Err(match self.rx.end() {
                Ok(()) => LinkError::Closed,
                Err(_) => LinkError::Truncated,
            });
        }
        self.rx.commit(n);
        Ok(())
    }

    fn next_frame<const R: usize, const O: usize>(
        &mut self,
        client: &mut Client<R, O>,
        now: Instant,
    ) -> Next {
        let found = self.rx.poll_frame();
        if found != Ok(None) {
            self.reading = Wait::None;
        }
        let frame = match found {
            Ok(Some(frame)) => frame,
            Ok(None) => return Next::Nothing,
            // As good as lost.
            Err(_) if F::LOSSY => return Next::Absorbed,
            Err(error) => {
                let code = match error {
                    FrameError::Oversize { .. } => Code::Oversize,
                    _ => Code::Malformed,
                };
                client.handle_bad_frame(now, code);
                return Next::Absorbed;
            }
        };
        #[cfg(feature = "datagram")]
        if F::LOSSY {
            return match client.handle_datagram(now, self.rx.bytes(frame)) {
                Some(delivery) => Next::Delivery(frame, strip(&delivery)),
                None => Next::Absorbed,
            };
        }
        match wire::binary::decode_from_hub(self.rx.bytes(frame)) {
            Ok(decoded) => match client.handle_message(now, &decoded.message) {
                Some(delivery) => Next::Delivery(frame, strip(&delivery)),
                None => Next::Absorbed,
            },
            Err(error) => {
                client.handle_bad_frame(now, error.code());
                Next::Absorbed
            }
        }
    }

    /// The delivery again, now borrowed from the buffer: a borrow could not leave the loop.
    fn deliver(&self, frame: FrameToken, delivery: Delivery<'static>) -> Output<'_> {
        let message = self.rx.bytes(frame).get(in_front::<F>()..);
        let whole = match wire::binary::decode_from_hub(message.unwrap_or_default()) {
            Ok(decoded) => restore(delivery, &decoded.message),
            Err(_) => delivery,
        };
        Output::Delivery(whole)
    }
}

/// A wait for the pipe that must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Wait {
    None,
    /// It began during a wait, at a time that nobody told.
    #[cfg(feature = "async")]
    Begun,
    Until(Instant),
}

impl Wait {
    /// Reckons from `now` if nobody did before; whether the time is up.
    fn is_over(&mut self, now: Instant, patience: Duration) -> bool {
        let due = match *self {
            Self::Until(due) => due,
            _ => after(now, patience),
        };
        *self = Self::Until(due);
        due <= now
    }

    /// Reckons from `now` what has only begun.
    #[cfg(feature = "async")]
    fn reckon(&mut self, now: Instant, patience: Duration) {
        if *self == Self::Begun {
            *self = Self::Until(after(now, patience));
        }
    }

    #[cfg(feature = "async")]
    fn is_due(self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// One that only began is due at once, to be reckoned.
    const fn due(self) -> Option<Instant> {
        match self {
            Self::None => None,
            #[cfg(feature = "async")]
            Self::Begun => Some(Instant::from_ticks(0)),
            Self::Until(due) => Some(due),
        }
    }
}

/// What a step found, without a borrow.
enum Found {
    Delivery(FrameToken, Delivery<'static>),
    Event(Event),
    Nothing,
}

enum Next {
    Delivery(FrameToken, Delivery<'static>),
    Absorbed,
    Nothing,
}

/// A delivery without what it borrows.
fn strip(delivery: &Delivery<'_>) -> Delivery<'static> {
    match *delivery {
        Delivery::Entry { slot, offset, .. } => Delivery::Entry {
            slot,
            offset,
            from: "",
            body: &[],
        },
        Delivery::Own { slot, offset } => Delivery::Own { slot, offset },
        Delivery::Gap {
            slot,
            from,
            to,
            reason,
        } => Delivery::Gap {
            slot,
            from,
            to,
            reason,
        },
        Delivery::Notice(notice) => Delivery::Notice(wire::Notice { who: "", ..notice }),
        Delivery::Roster(roster) => Delivery::Roster(wire::Roster {
            names: wire::Names::default(),
            ..roster
        }),
        Delivery::Echo { token, .. } => Delivery::Echo { token, bytes: &[] },
        Delivery::Error(error) => Delivery::Error(wire::PeerError { text: "", ..error }),
    }
}

/// A stripped delivery with what it borrows, out of the message that it came in.
fn restore<'m>(stripped: Delivery<'static>, message: &Message<'m>) -> Delivery<'m> {
    match (stripped, *message) {
        (Delivery::Entry { slot, offset, .. }, Message::Entry(entry)) => Delivery::Entry {
            slot,
            offset,
            from: entry.from,
            body: entry.body,
        },
        (Delivery::Notice(_), Message::Notice(notice)) => Delivery::Notice(notice),
        (Delivery::Roster(_), Message::Roster(roster)) => Delivery::Roster(roster),
        (Delivery::Echo { .. }, Message::EchoReply { token, bytes }) => {
            Delivery::Echo { token, bytes }
        }
        (Delivery::Error(_), Message::Error(error)) => Delivery::Error(error),
        (stripped, _) => stripped,
    }
}
