//! What members cost that only are there.

use crate::client::Client;
use crate::dialect::{Dialect, Part};
use crate::machine;
use crate::server::Server;

/// In each room.
const PER_ROOM: usize = 10;

/// The server's memory before they came, and what each of them added to it, in bytes.
pub(crate) struct Cost {
    pub(crate) before: f64,
    pub(crate) each: f64,
}

/// Has `members` join a server that has just started.
pub(crate) fn run(server: &Server, dialect: &dyn Dialect, members: usize) -> Cost {
    // The first one has the server touch what it needs once.
    let first = Client::attach(server, dialect, members, "first", Part::Member);
    let before = machine::memory_of(server.pid()).now;
    let clients: Vec<Client> = (0..members)
        .map(|nth| {
            let room = format!("r{:04}", nth / PER_ROOM);
            Client::attach(server, dialect, nth, &room, Part::Member)
        })
        .collect();
    let after = machine::memory_of(server.pid()).now;
    drop((first, clients));
    Cost {
        before: before as f64,
        each: after.saturating_sub(before) as f64 / members as f64,
    }
}
