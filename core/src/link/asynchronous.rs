//! The link over `embedded-io-async`: the same buffers, waited for instead of asked.

use core::future::{Future, pending, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

use embedded_io_async::{Read, Write};

use super::{BATCH, Found, Link, LinkError, Next, Output, STALL, Wait};
use crate::chat::{Client, HANDSHAKE};
use crate::frame::Framing;
use crate::time::Instant;
use crate::wire::Code;

impl<F: Framing + Clone, const RX: usize, const TX: usize> Link<F, RX, TX> {
    /// Moves bytes both ways until there is something for the application, or until `timer` is done.
    ///
    /// `timer` should end at [`poll_timeout`](Self::poll_timeout), or earlier when the application
    /// wants its turn; `now` is the time at the call. `Ok(None)`: the timer is done, or there is
    /// another deadline than before the call, since a frame has begun or the pipe takes no bytes:
    /// ask for it and call again. Work without a wait: at most 16 frames without news, then other
    /// tasks have their turn.
    ///
    /// Dropping the future loses nothing as long as the pipe's own futures lose nothing, which it
    /// has to be good for: the link itself drops a write that waits when there is something to read,
    /// and the other way round. A UART with DMA wants a buffer between.
    pub async fn next<R, W, T, const ROOMS: usize, const OUTBOX: usize>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        client: &mut Client<ROOMS, OUTBOX>,
        now: Instant,
        timer: T,
    ) -> Result<Option<Output<'_>>, LinkError<R::Error>>
    where
        R: Read,
        W: Write<Error = R::Error>,
        T: Future<Output = ()>,
    {
        if client.poll_timeout().is_some_and(|due| due <= now) {
            client.handle_timeout(now);
        }
        match self.wait(reader, writer, client, now, pin!(timer)).await {
            Ok(Found::Delivery(frame, delivery)) => Ok(Some(self.deliver(frame, delivery))),
            Ok(Found::Event(event)) => Ok(Some(Output::Event(event))),
            Ok(Found::Nothing) => Ok(None),
            Err(error) => {
                client.handle_disconnected(now);
                Err(error)
            }
        }
    }

    async fn wait<R, W, T, const ROOMS: usize, const OUTBOX: usize>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        client: &mut Client<ROOMS, OUTBOX>,
        now: Instant,
        mut timer: Pin<&mut T>,
    ) -> Result<Found, LinkError<R::Error>>
    where
        R: Read,
        W: Write<Error = R::Error>,
        T: Future<Output = ()>,
    {
        self.reading.reckon(now, HANDSHAKE);
        self.writing.reckon(now, STALL);
        let mut absorbed = 0;
        loop {
            let has_bytes = self.fill(client, now);
            if let Some(event) = self.next_event(client) {
                return Ok(Found::Event(event));
            }
            match self.next_frame(client, now) {
                Next::Delivery(frame, delivery) => return Ok(Found::Delivery(frame, delivery)),
                Next::Absorbed if absorbed < BATCH => {
                    absorbed = absorbed.saturating_add(1);
                    continue;
                }
                Next::Absorbed => {
                    absorbed = 0;
                    if first(yield_now(), timer.as_mut()).await.is_none() {
                        return Ok(Found::Nothing);
                    }
                    continue;
                }
                Next::Nothing => {}
            }
            if self.reading == Wait::None && self.has_begun() {
                self.reading = Wait::Begun;
                return Ok(Found::Nothing);
            }
            let has_stalled = has_bytes && (self.writing == Wait::None || self.writing.is_due(now));
            let is_late = self.reading.is_due(now);
            let is_unflushed = self.is_unflushed;
            let bytes = self.tx.get(self.start..self.end).unwrap_or_default();
            let write = async {
                if has_bytes {
                    Moved::Out(writer.write(bytes).await)
                } else if is_unflushed {
                    Moved::Flushed(writer.flush().await)
                } else {
                    pending().await
                }
            };
            let room = self.rx.room();
            let read = async { Moved::In(reader.read(room).await) };
            match race((write, has_stalled), (read, is_late), timer.as_mut()).await {
                Moved::Out(n) => self.written(n.map_err(LinkError::Io)?)?,
                Moved::Flushed(done) => {
                    done.map_err(LinkError::Io)?;
                    self.is_unflushed = false;
                }
                Moved::In(n) => self.received(n.map_err(LinkError::Io)?)?,
                Moved::NotOut if self.writing == Wait::None => {
                    self.writing = Wait::Begun;
                    return Ok(Found::Nothing);
                }
                Moved::NotOut => return Err(LinkError::Stalled),
                Moved::NotIn => {
                    self.reading = Wait::None;
                    client.handle_bad_frame(now, Code::Timeout);
                }
                Moved::Nothing => return Ok(Found::Nothing),
            }
        }
    }
}

/// What a wait came to.
enum Moved<E> {
    Out(Result<usize, E>),
    Flushed(Result<(), E>),
    In(Result<usize, E>),
    /// The pipe takes nothing, or gives nothing, and that is news.
    NotOut,
    NotIn,
    Nothing,
}

/// The first that is done. A side that is `due` and has to wait is done with that.
async fn race<E, W, R, T>(
    (write, is_write_due): (W, bool),
    (read, is_read_due): (R, bool),
    mut timer: Pin<&mut T>,
) -> Moved<E>
where
    W: Future<Output = Moved<E>>,
    R: Future<Output = Moved<E>>,
    T: Future<Output = ()>,
{
    let (mut write, mut read) = (pin!(write), pin!(read));
    poll_fn(|context| {
        if let Poll::Ready(moved) = write.as_mut().poll(context) {
            return Poll::Ready(moved);
        }
        if is_write_due {
            return Poll::Ready(Moved::NotOut);
        }
        if let Poll::Ready(moved) = read.as_mut().poll(context) {
            return Poll::Ready(moved);
        }
        if is_read_due {
            return Poll::Ready(Moved::NotIn);
        }
        timer.as_mut().poll(context).map(|()| Moved::Nothing)
    })
    .await
}

/// Lets other tasks have their turn.
async fn yield_now() {
    let mut is_over = false;
    poll_fn(|context| {
        if core::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What `work` gives, or `None` when `timer` is done first.
async fn first<W: Future, T: Future<Output = ()>>(
    work: W,
    mut timer: Pin<&mut T>,
) -> Option<W::Output> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}
