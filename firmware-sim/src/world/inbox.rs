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

    pub(super) fn room(&mut self) -> &mut [u8] {
        let held = self.held.get_or_insert_with(|| match self.is_small {
            true => Held::Small(Box::new(Decoder::new(Length32::new(self.limit.min(SMALL))))),
            false => Held::Usual(Box::new(Decoder::new(Length32::new(self.limit.min(USUAL))))),
        });
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
    pub(super) fn rest(&mut self) {
        let is_empty = |held: &Held| of!(held, decoder => decoder.end().is_ok());
        if self.held.as_ref().is_some_and(is_empty) {
            self.held = None;
        }
    }
}
