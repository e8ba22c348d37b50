//! A byte pipe in memory with two ends, and the faults that a real one has.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

/// What a pipe fails with when it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// The call that [`End::fail_at`] named.
    #[error("the call was told to fail")]
    Told,
    /// The other end is gone and this one writes.
    #[error("the other end of the pipe is gone")]
    Broken,
    /// A call that would block for ever, since both ends are on one thread: ask for readiness first.
    #[error("the call would block: ask read_ready or write_ready first")]
    WouldBlock,
}

impl embedded_io::Error for PipeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Told => ErrorKind::Other,
            Self::Broken => ErrorKind::BrokenPipe,
            Self::WouldBlock => ErrorKind::TimedOut,
        }
    }
}

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    is_closed: bool,
}

/// One end of a pipe.
///
/// Dropping an end closes both ways: the other end reads what is left and then the end of the
/// stream.
#[derive(Debug)]
pub struct End {
    inward: Rc<RefCell<Way>>,
    outward: Rc<RefCell<Way>>,
    capacity: usize,
    most: Cell<usize>,
    calls: Cell<u64>,
    fail_at: Cell<Option<u64>>,
}

/// A pipe that holds `capacity` bytes each way.
#[must_use]
pub fn pipe(capacity: usize) -> (End, End) {
    let (left, right) = (Rc::default(), Rc::default());
    let end = |inward: &Rc<_>, outward: &Rc<_>| End {
        inward: Rc::clone(inward),
        outward: Rc::clone(outward),
        capacity,
        most: Cell::new(usize::MAX),
        calls: Cell::new(0),
        fail_at: Cell::new(None),
    };
    (end(&left, &right), end(&right, &left))
}

impl End {
    /// Reads and writes take at most `bytes` at a time.
    pub fn set_most(&self, bytes: usize) {
        self.most.set(bytes.max(1));
    }

    /// The `n`th call from here on fails, counted from 0, whichever it is.
    pub fn fail_at(&self, n: u64) {
        self.fail_at.set(Some(self.calls.get() + n));
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Loses what is on its way to the other end, from the byte `keep` on.
    pub fn lose_after(&self, keep: usize) {
        self.outward.borrow_mut().bytes.truncate(keep);
    }

    fn call(&self) -> Result<(), PipeError> {
        let call = self.calls.get();
        self.calls.set(call + 1);
        if self.fail_at.get() == Some(call) {
            return Err(PipeError::Told);
        }
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.inward.borrow_mut().is_closed = true;
        self.outward.borrow_mut().is_closed = true;
    }
}

impl ErrorType for End {
    type Error = PipeError;
}

impl Read for End {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, PipeError> {
        self.call()?;
        let mut way = self.inward.borrow_mut();
        let n = way.bytes.len().min(buf.len()).min(self.most.get());
        if n == 0 && !buf.is_empty() && !way.is_closed {
            return Err(PipeError::WouldBlock);
        }
        for (to, from) in buf.iter_mut().zip(way.bytes.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }
}

impl Write for End {
    fn write(&mut self, buf: &[u8]) -> Result<usize, PipeError> {
        self.call()?;
        let mut way = self.outward.borrow_mut();
        if way.is_closed {
            return Err(PipeError::Broken);
        }
        let room = self.capacity.saturating_sub(way.bytes.len());
        let n = room.min(buf.len()).min(self.most.get());
        if n == 0 && !buf.is_empty() {
            return Err(PipeError::WouldBlock);
        }
        way.bytes.extend(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> Result<(), PipeError> {
        self.call()
    }
}

impl ReadReady for End {
    fn read_ready(&mut self) -> Result<bool, PipeError> {
        self.call()?;
        let way = self.inward.borrow();
        Ok(way.is_closed || !way.bytes.is_empty())
    }
}

impl WriteReady for End {
    fn write_ready(&mut self) -> Result<bool, PipeError> {
        self.call()?;
        let way = self.outward.borrow();
        // A closed way is ready: the write tells why.
        Ok(way.is_closed || way.bytes.len() < self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_carries_bytes_up_to_its_capacity_and_ends() {
        let (mut a, mut b) = pipe(4);
        assert_eq!(a.write(b"hello"), Ok(4));
        assert_eq!(a.write_ready(), Ok(false));
        assert_eq!(a.write(b"o"), Err(PipeError::WouldBlock));
        let mut buf = [0; 3];
        assert_eq!(b.read(&mut buf), Ok(3));
        assert_eq!(&buf, b"hel");
        drop(a);
        assert_eq!(b.read_ready(), Ok(true));
        assert_eq!(b.read(&mut buf), Ok(1));
        assert_eq!(b.read(&mut buf), Ok(0));
        assert_eq!(b.write(b"x"), Err(PipeError::Broken));
    }

    #[test]
    fn the_named_call_fails_and_no_other() {
        let (mut a, _b) = pipe(4);
        a.fail_at(1);
        assert_eq!(a.write_ready(), Ok(true));
        assert_eq!(a.write(b"x"), Err(PipeError::Told));
        assert_eq!(a.write(b"x"), Ok(1));
    }
}
