//! What the machines cost in memory: budgets that a change must not pass unseen.

use halloo_core::chat::Hub;
use halloo_core::chat::client::{Client, outbox_bytes};
use halloo_core::chat::hub::{Conn, Member, Pending, Room};
use halloo_core::echo::Probe;
use halloo_core::frame::Length32;
use halloo_core::link::{Link, rx_bytes, tx_bytes};

#[track_caller]
fn check<T>(name: &str, budget: usize) {
    let size = size_of::<T>();
    println!("{name}: {size} bytes of at most {budget}");
    assert!(size <= budget, "{name} takes {size} bytes, above {budget}");
}

#[test]
fn the_machines_stay_within_their_budgets() {
    type Device = Client<2, { outbox_bytes(4, 64) }>;
    type DeviceLink = Link<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(64) }>;
    check::<Device>("client: 2 rooms, 4 posts of 64 bytes", 928);
    check::<DeviceLink>("link: frames of 256 bytes, posts of 64", 560);
    check::<Client<2, { outbox_bytes(4, 128) }>>("client: 2 rooms, 4 posts of 128 bytes", 1184);
    check::<Hub<'_>>("hub, beside what it is lent", 448);
    check::<Conn>("hub: a connection", 256);
    check::<Member>("hub: a member", 208);
    check::<Room>("hub: a room, beside its log", 192);
    check::<Pending>("hub: a post on its way", 24);
    check::<Probe<'_, 4>>("probe with 4 on the way", 640);
}
