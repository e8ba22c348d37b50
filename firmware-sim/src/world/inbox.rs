//! A receive buffer in one of two sizes, so that ten thousand devices fit.

use halloo_core::frame::{Decoder, FrameError, FrameToken, Length32};

/// The bytes of a usual receive buffer; above every frame that is sent.
const USUAL: usize = 1024;
/// The bytes of a small one.
const SMALL: usize = 256;

/// What was read and is no whole frame yet.
#[derive(Debug)]
pub(super) enum Inbox {
    Usual(Box<Decoder<Length32, USUAL>>),
    Small(Box<Decoder<Length32, SMALL>>),
}

/// The same call for either size.
macro_rules! of {
    ($inbox:expr, $decoder:ident => $call:expr) => {
        match $inbox {
            Inbox::Usual($decoder) => $call,
            Inbox::Small($decoder) => $call,
        }
    };
}

impl Inbox {
    /// An empty one for frames of up to `limit` bytes, or for as many as fit.
    pub(super) fn new(limit: usize, is_small: bool) -> Self {
        match is_small {
            true => Self::Small(Box::new(Decoder::new(Length32::new(limit.min(SMALL))))),
            false => Self::Usual(Box::new(Decoder::new(Length32::new(limit.min(USUAL))))),
        }
    }

    pub(super) fn room(&mut self) -> &mut [u8] {
        of!(self, decoder => decoder.room())
    }

    pub(super) fn commit(&mut self, bytes: usize) {
        of!(self, decoder => decoder.commit(bytes));
    }

    pub(super) fn poll_frame(&mut self) -> Result<Option<FrameToken>, FrameError> {
        of!(self, decoder => decoder.poll_frame())
    }

    pub(super) fn bytes(&self, frame: FrameToken) -> &[u8] {
        of!(self, decoder => decoder.bytes(frame))
    }
}
