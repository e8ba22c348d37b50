//! Tests of firmware on the host: pipes in memory that fail on demand, and a hub to talk to.
//!
//! Nothing here reads a clock or a socket: time is an argument, as in the core, and the same calls
//! give the same run.
//!
//! ```
//! use halloo_core::chat::client::{outbox_bytes, Client, Config, Event, From};
//! use halloo_core::frame::Length32;
//! use halloo_core::link::{rx_bytes, tx_bytes, Link, Output};
//! use halloo_core::time::Instant;
//! use halloo_std::testkit::{pipe, HubMemory};
//!
//! let mut memory = HubMemory::small();
//! let mut hub = memory.hub();
//! let (mut board, end) = pipe(64);
//! hub.attach(Instant::from_ticks(0), end);
//!
//! let config = Config::new([7; 16], "sensor").unwrap();
//! let mut client = Client::<1, { outbox_bytes(2, 16) }>::new(config);
//! let mut link = Link::<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(16) }>
//!     ::new(Length32::new(256));
//! let lab = client.join("lab", From::Latest).unwrap();
//! link.connect(&mut client, Instant::from_ticks(0), 1);
//! let mut acked = 0;
//! for ms in 0..100 {
//!     let now = Instant::from_ticks(ms * 1000);
//!     hub.turn(now);
//!     match link.poll(&mut board, &mut client, now) {
//!         Ok(Output::Event(Event::Joined { .. })) => drop(client.post(lab, b"21.5").unwrap()),
//!         Ok(Output::Event(Event::Acked { .. })) => acked += 1,
//!         Ok(_) | Err(nb::Error::WouldBlock) => {}
//!         Err(error) => panic!("{error:?}"),
//!     }
//! }
//! assert_eq!((acked, hub.head("lab")), (1, Some(1)));
//! ```

mod disk;
mod hub;
mod line;
mod noise;
mod pages;
mod pipe;

pub use disk::{SimDisk, SimFile};
pub use hub::{HubMemory, LocalHub};
pub use noise::{Noise, NoiseCounts, NoiseRates};
pub use pipe::{End, PipeError, pipe};
