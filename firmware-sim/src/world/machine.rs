//! The device's machine in one of two sizes, so that a seed can draw an outbox that is always full.

use super::limits::{FLEET_BODY, Limits};
use halloo_core::chat::client::{
    Client, Config, Delivery, Event, From, JoinError, PostError, SlotId, Store, outbox_bytes,
};
use halloo_core::time::{Duration, Instant};
use halloo_core::wire::Message;

/// The rooms of a device.
const ROOMS: usize = 3;
const USUAL: usize = outbox_bytes(8, 64);
const TINY: usize = outbox_bytes(1, 40);
const LEAN: usize = outbox_bytes(4, FLEET_BODY);

/// A client with the usual outbox, or with one that holds a single post.
#[derive(Debug)]
pub enum Machine {
    /// For 8 posts or more.
    Usual(Box<Client<ROOMS, USUAL>>),
    /// For one post, unless they are very short.
    Tiny(Box<Client<ROOMS, TINY>>),
    /// As a sensor has it: one room, four posts.
    Lean(Box<Client<1, LEAN>>),
}

/// The same call for either size.
macro_rules! of {
    ($machine:expr, $client:ident => $call:expr) => {
        match $machine {
            Machine::Usual($client) => $call,
            Machine::Tiny($client) => $call,
            Machine::Lean($client) => $call,
        }
    };
}

impl Machine {
    /// A device that is offline and in no room.
    pub fn new(config: Config, limits: &Limits) -> Self {
        match (limits.is_fleet, limits.is_outbox_tiny) {
            (true, _) => Self::Lean(Box::new(Client::new(config))),
            (false, true) => Self::Tiny(Box::new(Client::new(config))),
            (false, false) => Self::Usual(Box::new(Client::new(config))),
        }
    }

    /// See [`Client::is_serving`].
    pub fn is_serving(&self) -> bool {
        of!(self, client => client.is_serving())
    }

    /// See [`Client::cursor`].
    pub fn cursor(&self, slot: SlotId) -> Option<u64> {
        of!(self, client => client.cursor(slot))
    }

    /// See [`Client::store`].
    pub fn store(&self, slot: SlotId) -> Option<Store> {
        of!(self, client => client.store(slot))
    }

    /// See [`Client::unacknowledged`].
    pub fn unacknowledged(&self) -> usize {
        of!(self, client => client.unacknowledged())
    }

    /// See [`Client::retry_after`].
    pub fn retry_after(&self) -> Duration {
        of!(self, client => client.retry_after())
    }

    /// See [`Client::join_with`].
    pub fn join_with(&mut self, room: &str, from: From, flags: u8) -> Result<SlotId, JoinError> {
        of!(self, client => client.join_with(room, from, flags))
    }

    /// See [`Client::leave`].
    pub fn leave(&mut self, slot: SlotId) {
        of!(self, client => client.leave(slot));
    }

    /// See [`Client::post`].
    pub fn post(&mut self, slot: SlotId, body: &[u8]) -> Result<u32, PostError> {
        of!(self, client => client.post(slot, body))
    }

    /// See [`Client::who`].
    pub fn who(&mut self, slot: SlotId, skip: u16) {
        of!(self, client => client.who(slot, skip));
    }

    /// See [`Client::echo`].
    pub fn echo(&mut self, token: u32, bytes: &[u8]) {
        of!(self, client => client.echo(token, bytes));
    }

    /// See [`Client::bye`].
    pub fn bye(&mut self) {
        of!(self, client => client.bye());
    }

    /// See [`Client::handle_connected`].
    pub fn handle_connected(&mut self, now: Instant, nonce: u64) {
        of!(self, client => client.handle_connected(now, nonce));
    }

    /// See [`Client::set_datagrams`].
    pub const fn set_datagrams(&mut self, is_datagram: bool) {
        of!(self, client => client.set_datagrams(is_datagram));
    }

    /// See [`Client::handle_datagram`].
    pub fn handle_datagram<'m>(
        &mut self,
        now: Instant,
        datagram: &'m [u8],
    ) -> Option<Delivery<'m>> {
        of!(self, client => client.handle_datagram(now, datagram))
    }

    /// See [`Client::handle_disconnected`].
    pub fn handle_disconnected(&mut self, now: Instant) {
        of!(self, client => client.handle_disconnected(now));
    }

    /// See [`Client::handle_message`].
    pub fn handle_message<'m>(
        &mut self,
        now: Instant,
        message: &Message<'m>,
    ) -> Option<Delivery<'m>> {
        of!(self, client => client.handle_message(now, message))
    }

    /// See [`Client::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        of!(self, client => client.handle_timeout(now));
    }

    /// See [`Client::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        of!(self, client => client.poll_timeout())
    }

    /// See [`Client::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        of!(self, client => client.poll_transmit(now, out))
    }

    /// See [`Client::poll_event`].
    pub fn poll_event(&mut self) -> Option<Event> {
        of!(self, client => client.poll_event())
    }
}
