//! Framing, echo and chat with rooms for small devices: nothing acknowledged is lost or doubled.
//!
//! bytes → [`frame`] → frame → [`wire`] → message → machine ([`chat`], [`echo`]) → message →
//! [`wire`] → frame → [`frame`] → bytes. Every part is a machine without I/O, allocation, clock or
//! randomness: it is told what happened and asked what to do. [`link`] drives a device over any
//! `embedded-io` byte pipe. The wire is specified in [`wire::protocol`].
//!
//! # A device
//!
//! ```
//! use halloo_core::chat::client::{outbox_bytes, Client, Config, Delivery, Event, From};
//! use halloo_core::chat::Backoff;
//! use halloo_core::frame::Length32;
//! use halloo_core::link::{rx_bytes, tx_bytes, Link, Output};
//! use halloo_core::time::{after, Instant};
//!
//! /// What the board has: a byte pipe that can be opened, a clock, randomness, a sensor, a lamp.
//! trait Board {
//!     type Pipe: embedded_io::Read + embedded_io::Write + embedded_io::ReadReady + embedded_io::WriteReady;
//!     fn open(&mut self) -> Option<Self::Pipe>;
//!     fn now(&self) -> Instant;
//!     fn random(&mut self) -> u64;
//!     fn read_sensor(&mut self) -> Option<[u8; 4]>;
//!     fn obey(&mut self, command: &[u8]);
//!     fn sleep_until(&mut self, deadline: Option<Instant>);
//! }
//!
//! fn run(board: &mut impl Board) -> ! {
//!     let config = Config::new(*b"serial no 000042", "sensor-42").unwrap();
//!     let mut client = Client::<2, { outbox_bytes(4, 64) }>::new(config);
//!     let mut link = Link::<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(64) }>
//!         ::new(Length32::new(256));
//!     let readings = client.join("readings", From::Latest).unwrap();
//!     let commands = client.join("commands", From::Latest).unwrap();
//!     let mut backoff = Backoff::new();
//!     let mut reading = None;
//!     loop {
//!         if let Some(mut pipe) = board.open() {
//!             link.connect(&mut client, board.now(), board.random());
//!             loop {
//!                 match link.poll(&mut pipe, &mut client, board.now()) {
//!                     Ok(Output::Delivery(Delivery::Entry { slot, body, .. })) if slot == commands => {
//!                         board.obey(body);
//!                     }
//!                     Ok(Output::Event(Event::Welcomed)) => backoff.handle_service(board.now()),
//!                     Ok(Output::Event(Event::Closed { .. })) => break,
//!                     Ok(_) => {} // acknowledgements, presence, gaps: as the application likes
//!                     Err(nb::Error::WouldBlock) => {
//!                         reading = reading.or_else(|| board.read_sensor());
//!                         match &reading {
//!                             Some(value) if client.post(readings, value).is_ok() => reading = None,
//!                             // A reading is kept until the outbox takes it. The sleep ends
//!                             // when the pipe is ready, too.
//!                             _ => board.sleep_until(link.poll_timeout(&client)),
//!                         }
//!                     }
//!                     Err(nb::Error::Other(_)) => break,
//!                 }
//!             }
//!         }
//!         client.handle_disconnected(board.now());
//!         backoff.handle_disconnected(board.now());
//!         let wait = backoff.next_wait(board.random() as u32, client.retry_after());
//!         board.sleep_until(Some(after(board.now(), wait)));
//!     }
//! }
//! ```
//!
//! # Memory
//!
//! All of it is in the types; nothing is allocated. On a 64-bit host (a Cortex-M3 needs less), with the feature `datagram`:
//!
//! | what | bytes |
//! | --- | --- |
//! | `Client`: 2 rooms, 4 posts of 64 bytes | 928 |
//! | `Client`: 2 rooms, 4 posts of 128 bytes | 1,184 |
//! | `Link`: frames of 256 bytes, posts of 64 | 544 |
//! | `Hub`, beside what it is lent | 440 |
//! | each connection, each member, each room lent to a `Hub` | 248, 208, 168 |
//!
//! # Features
//!
//! `defmt` and `log` (logs of the machines; `defmt` also formats every public type), `async` (the
//! link over `embedded-io-async`), `json` (the flat JSON encoding), `datagram` (chat over datagrams), `cobs`
//! (frames for serial lines). None is on by default; all add.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(any(test, halloo_mutants))]
extern crate std;

mod bytes;
pub mod chat;
pub mod echo;
pub mod frame;
pub mod link;
mod mutant;
pub mod name;
pub mod time;
mod trace;
pub mod wire;
