//! Descriptors of the kinds of socket that the standard library has no type for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The descriptor of a Unix seqpacket socket.
#[derive(Debug)]
pub struct SeqpacketFd(OwnedFd);

/// The descriptor of a Bluetooth RFCOMM socket.
#[derive(Debug)]
pub struct RfcommFd(OwnedFd);

impl AsFd for SeqpacketFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for RfcommFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for SeqpacketFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<OwnedFd> for RfcommFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<SeqpacketFd> for OwnedFd {
    fn from(socket: SeqpacketFd) -> Self {
        socket.0
    }
}

impl From<RfcommFd> for OwnedFd {
    fn from(socket: RfcommFd) -> Self {
        socket.0
    }
}
