//! What the machines cost in memory: budgets that a change must not pass unseen.

use halloo_core::chat::Hub;
use halloo_core::chat::client::{Client, outbox_bytes};
use halloo_core::chat::hub::{Conn, Member, Pending, Room, Sizes};
use halloo_core::echo::Probe;
use halloo_core::frame::{Cobs, Datagram, Length16, Length32};
use halloo_core::link::{Link, ram_bytes, rx_bytes, tx_bytes};

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
    check::<Hub<'_>>("hub, beside what it is lent", 456);
    check::<Conn>("hub: a connection", 256);
    check::<Member>("hub: a member", 208);
    check::<Room>("hub: a room, beside its log", 192);
    check::<Pending>("hub: a post on its way", 24);
    check::<Probe<'_, 4>>("probe with 4 on the way", 640);
}

/// What `ram_bytes` says of a device, against its types.
macro_rules! ram {
    ($framing:ty, $rooms:literal, $posts:literal, $body:literal, $frame:literal) => {{
        type Device = Client<$rooms, { outbox_bytes($posts, $body) }>;
        type Line =
            Link<$framing, { rx_bytes::<$framing>($frame) }, { tx_bytes::<$framing>($body) }>;
        let (is, said) = (
            size_of::<Device>() + size_of::<Line>(),
            ram_bytes::<$framing>($rooms, $posts, $body, $frame),
        );
        assert!((is..is + 16).contains(&said), "{is} bytes, and {said} said");
    }};
}

#[test]
fn the_ram_of_a_configuration_is_known_before_its_types_are_written() {
    ram!(Length32, 1, 1, 1, 200);
    ram!(Length32, 2, 4, 64, 256);
    ram!(Length16, 2, 4, 63, 255);
    ram!(Cobs, 2, 4, 32, 256);
    ram!(Cobs, 3, 5, 33, 253);
    ram!(Cobs, 32, 32, 200, 1200);
    ram!(Datagram, 1, 3, 1200, 1400);
}

#[test]
fn the_ram_of_a_hub_is_that_of_all_its_slots() {
    let one = Sizes {
        conns: 1,
        members: 1,
        rooms: 1,
        bytes: 1,
        index: 1,
        pending: 1,
    };
    let slots = [
        size_of::<Conn>(),
        size_of::<Member>(),
        size_of::<Room>(),
        1,
        16,
        size_of::<Pending>(),
    ];
    let all = size_of::<Hub<'_>>() + slots.iter().sum::<usize>();
    assert_eq!(one.ram_bytes(), all);
}
