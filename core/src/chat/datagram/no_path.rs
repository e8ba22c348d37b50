//! Without the feature `datagram` there is no such session: what would serve one is not compiled.

use super::Header;
use crate::time::{Due, Instant};

/// There is none.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(in crate::chat) enum Path {}

impl Path {
    pub(in crate::chat) const fn open(_seen: u32) -> Option<Self> {
        None
    }

    pub(in crate::chat) const fn echoed(&self) -> u32 {
        match *self {}
    }

    pub(in crate::chat) const fn due(&self) -> Due {
        match *self {}
    }

    pub(in crate::chat) const fn next(&self) -> Option<u32> {
        match *self {}
    }

    pub(in crate::chat) fn seal(&mut self, _session: u64) -> Header {
        match *self {}
    }

    pub(in crate::chat) fn expect(&mut self, _now: Instant, _salt: u64) {
        match *self {}
    }

    pub(in crate::chat) fn answered(&mut self, _now: Instant, _waits: Option<u32>, _salt: u64) {
        match *self {}
    }

    pub(in crate::chat) fn expire(&mut self, _now: Instant, _salt: u64) -> u8 {
        match *self {}
    }

    pub(in crate::chat) const fn stop(&mut self) {
        match *self {}
    }
}
