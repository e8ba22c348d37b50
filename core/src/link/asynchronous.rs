//! The link over `embedded-io-async`: the same buffers, waited for instead of asked.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

use embedded_io_async::{Read, Write};

use super::{Found, Link, LinkError, Next, Output};
use crate::chat::Client;
use crate::frame::Framing;
use crate::time::Instant;

impl<F: Framing + Clone, const RX: usize, const TX: usize> Link<F, RX, TX> {
    /// Moves bytes both ways until there is something for the application, or until `timer` is done.
    ///
    /// `Ok(None)`: the timer is done. `timer` should end at [`Client::poll_timeout`], or earlier
    /// when the application wants its turn; `now` is the time at the call. Dropping the future
    /// loses nothing as long as the pipe's own futures lose nothing.
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
        loop {
            let mut wrote = false;
            while self.fill(client, now) {
                let Some(n) = first(writer.write(self.unwritten()), timer.as_mut()).await else {
                    return Ok(Found::Nothing);
                };
                self.written(n.map_err(LinkError::Io)?)?;
                wrote = true;
            }
            if wrote {
                let Some(flushed) = first(writer.flush(), timer.as_mut()).await else {
                    return Ok(Found::Nothing);
                };
                flushed.map_err(LinkError::Io)?;
            }
            if let Some(event) = client.poll_event() {
                return Ok(Found::Event(event));
            }
            match self.next_frame(client, now) {
                Next::Delivery(frame, delivery) => return Ok(Found::Delivery(frame, delivery)),
                Next::Absorbed => continue,
                Next::Nothing => {}
            }
            let Some(n) = first(reader.read(self.rx.room()), timer.as_mut()).await else {
                return Ok(Found::Nothing);
            };
            self.received(n.map_err(LinkError::Io)?)?;
        }
    }
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
