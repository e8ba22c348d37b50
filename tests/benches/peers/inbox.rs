//! What a connection has read: counts deliveries, and looks no closer than it must.
//!
//! All deliveries of a room have one length. So their number follows from the bytes, as long as the
//! first and the last whole one that were read are where they should be and carry the right numbers;
//! where they are not, something else stands between them, and each is looked at.

use std::cell::Cell;
use std::io::{self, ErrorKind};

use crate::dialect::{Confirms, Dialect, Shape};

/// How many bytes are read at a time.
pub(crate) const ROOM: usize = 256 * 1024;

thread_local! {
    static READS: Cell<u64> = const { Cell::new(0) };
}

/// How many reads of this thread so far had deliveries.
pub(crate) fn reads() -> u64 {
    READS.get()
}

/// What a read came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// There may be more.
    More,
    /// That was all for now.
    Done,
    /// The server has closed the connection.
    Closed,
}

#[derive(Default)]
pub(crate) struct Inbox {
    /// The beginning of what is not whole yet.
    kept: Vec<u8>,
    pub(crate) deliveries: u64,
    pub(crate) confirmed: u64,
}

impl Inbox {
    /// Reads until all is read.
    pub(crate) fn drain(
        &mut self,
        stream: &mut impl io::Read,
        room: &mut [u8],
        dialect: &dyn Dialect,
        shape: &Shape,
        mut each: impl FnMut(&[u8]),
    ) {
        loop {
            match self.read(stream, room, dialect, shape, &mut each) {
                Read::More => {}
                Read::Done => return,
                Read::Closed => panic!("the server closed a connection"),
            }
        }
    }

    /// Reads once.
    pub(crate) fn read(
        &mut self,
        stream: &mut impl io::Read,
        room: &mut [u8],
        dialect: &dyn Dialect,
        shape: &Shape,
        mut each: impl FnMut(&[u8]),
    ) -> Read {
        let kept = self.kept.len();
        room[..kept].copy_from_slice(&self.kept);
        let n = match stream.read(&mut room[kept..]) {
            Ok(0) => return Read::Closed,
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Read::Done,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Read::Closed,
            Err(e) => panic!("reading: {e}"),
        };
        let is_full = kept + n == room.len();
        let data = &room[..kept + n];
        let before = self.deliveries;
        let used = if self.is_plain(data, shape) {
            let whole = data.len() / shape.size;
            self.deliveries += whole as u64;
            data.chunks_exact(shape.size).for_each(&mut each);
            whole * shape.size
        } else {
            self.walk(data, dialect, shape, each)
        };
        READS.set(READS.get() + u64::from(self.deliveries > before));
        self.kept.clear();
        self.kept.extend_from_slice(&data[used..]);
        if is_full { Read::More } else { Read::Done }
    }

    /// Whether all that is whole in `data` are deliveries.
    fn is_plain(&self, data: &[u8], shape: &Shape) -> bool {
        let whole = data.len() / shape.size;
        let Some(last) = whole.checked_sub(1) else {
            return false;
        };
        let fits = |nth: usize| {
            let bytes = &data[nth * shape.size..][..shape.size];
            shape.fits(bytes, self.deliveries + nth as u64)
        };
        !shape.mixed && fits(0) && fits(last)
    }

    /// Looks at one thing after the other; how many bytes it used.
    fn walk(
        &mut self,
        data: &[u8],
        dialect: &dyn Dialect,
        shape: &Shape,
        mut each: impl FnMut(&[u8]),
    ) -> usize {
        let mut at = 0;
        loop {
            let rest = &data[at..];
            let known = rest.len().min(shape.head.len());
            if rest[..known] == shape.head[..known] {
                let Some(delivery) = rest.get(..shape.size) else {
                    return at;
                };
                assert!(
                    shape.fits(delivery, self.deliveries),
                    "delivery {} was lost, doubled or changed: {}",
                    self.deliveries,
                    delivery.escape_ascii()
                );
                each(delivery);
                self.deliveries += 1;
                at += shape.size;
                continue;
            }
            let Some(control) = dialect.control(rest) else {
                return at;
            };
            match control.confirms {
                Confirms::Nothing => {}
                Confirms::One => self.confirmed += 1,
                Confirms::UpTo(seq) => self.confirmed = seq,
            }
            at += control.len;
        }
    }
}
