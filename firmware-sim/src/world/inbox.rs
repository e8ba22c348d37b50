//! A receive buffer in one of two sizes, and only while there are bytes in it, so that ten thousand
//! devices fit.

use halloo_core::frame::{Decoder, FrameError, FrameToken, Length32};

/// The bytes of a usual receive buffer; above every frame that is sent.
const USUAL: usize = 1024;
/// The bytes of a small one.
const SMALL: usize = 256;

/// What was read and is no whole frame yet.
#[derive(Debug)]
pub(super) struct Inbox {
    limit: usize,
    is_small: bool,
    held: Option<Held>,
}

/// Empty buffers, for all that have the same limit and size.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<Held>);

#[derive(Debug)]
enum Held {
    Usual(Box<Decoder<Length32, USUAL>>),
    Small(Box<Decoder<Length32, SMALL>>),
}

/// The same call for either size.
macro_rules! of {
    ($held:expr, $decoder:ident => $call:expr) => {
        match $held {
            Held::Usual($decoder) => $call,
            Held::Small($decoder) => $call,
        }
    };
}

impl Inbox {
    /// An empty one for frames of up to `limit` bytes, or for as many as fit.
    pub(super) const fn new(limit: usize, is_small: bool) -> Self {
        Self {
            limit,
            is_small,
            held: None,
        }
    }

    /// Where the next bytes go; in a buffer out of `spare`, if it has none and there is one.
    pub(super) fn room(&mut self, spare: &mut Spare) -> &mut [u8] {
        let new = || match self.is_small {
            true => Held::Small(Box::new(Decoder::new(Length32::new(self.limit.min(SMALL))))),
            false => Held::Usual(Box::new(Decoder::new(Length32::new(self.limit.min(USUAL))))),
        };
        let held = self
            .held
            .get_or_insert_with(|| spare.0.pop().unwrap_or_else(new));
        of!(held, decoder => decoder.room())
    }

    pub(super) fn commit(&mut self, bytes: usize) {
        if let Some(held) = &mut self.held {
            of!(held, decoder => decoder.commit(bytes));
        }
    }

    pub(super) fn poll_frame(&mut self) -> Result<Option<FrameToken>, FrameError> {
        match &mut self.held {
            Some(held) => of!(held, decoder => decoder.poll_frame()),
            None => Ok(None),
        }
    }

    pub(super) fn bytes(&self, frame: FrameToken) -> &[u8] {
        match &self.held {
            Some(held) => of!(held, decoder => decoder.bytes(frame)),
            None => &[],
        }
    }

    /// Nothing is read for a while: the buffer goes, unless a part of a frame is in it.
    pub(super) fn rest(&mut self, spare: &mut Spare) {
        let is_empty = |held: &mut Held| of!(held, decoder => decoder.end().is_ok());
        spare.0.extend(self.held.take_if(is_empty));
    }
}
