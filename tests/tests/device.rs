//! The device's machine, message by message.

use halloo_core::chat::client::{Client, Config, Event, From, outbox_bytes};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Code, Entry, Joined, Message, Notice, NoticeKind, Welcome};

fn at(seconds: u64) -> Instant {
    Instant::from_ticks(seconds * 1_000_000)
}

type Device = Client<2, { outbox_bytes(4, 200) }>;

fn device() -> Device {
    Device::new(Config::new([1; 16], "ann").unwrap())
}

/// Everything that a device says now, by its debug text.
fn said(client: &mut Device, now: Instant) -> Vec<String> {
    let mut out = [0; 512];
    let mut all = Vec::new();
    while let Some(len) = client.poll_transmit(now, &mut out) {
        let message = wire::binary::decode(&out[..len]).unwrap().message;
        all.push(format!("{message:?}"));
    }
    all
}

fn events(client: &mut Device) -> Vec<Event> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

fn welcome(nonce: u64, store: u64) -> Welcome<'static> {
    Welcome {
        version: 1,
        suite: 0,
        flags: 0,
        nonce,
        session: 5,
        store,
        generation: 1,
        keepalive: 60,
        max_body: 1000,
        window: 32,
        proof: &[],
    }
}

fn joined(slot: u8, up_seq: u32) -> Joined {
    Joined {
        slot,
        room: u32::from(slot) + 7,
        up_seq,
        rejects: 0,
        start: 0,
        head: 0,
        members: 1,
        presence: 1,
    }
}

fn hear(client: &mut Device, now: Instant, message: Message<'_>) {
    let _ = client.handle_message(now, &message);
}

/// A device in rooms `a` and `b`, with no events left.
fn serving(store: u64, now: Instant) -> Device {
    let mut client = device();
    client.join("a", From::Earliest).unwrap();
    client.join("b", From::Earliest).unwrap();
    reconnect(&mut client, store, now);
    hear(&mut client, now, Message::Joined(joined(0, 0)));
    hear(&mut client, now, Message::Joined(joined(1, 0)));
    events(&mut client);
    client
}

/// A new session up to the joins, which are sent.
fn reconnect(client: &mut Device, store: u64, now: Instant) {
    client.handle_connected(now, 3);
    said(client, now);
    hear(client, now, Message::Welcome(welcome(3, store)));
    said(client, now);
}

#[test]
fn a_device_that_slept_says_bye_before_it_goes() {
    let mut client = serving(1, at(0));
    client.bye();
    client.handle_timeout(at(30));
    let said = said(&mut client, at(30));
    assert!(said.iter().any(|m| m.starts_with("Bye")), "{said:?}");
}

#[test]
fn a_client_that_is_kept_over_a_reset_keeps_time_by_the_new_clock() {
    let mut client = serving(1, at(10 * 24 * 3600));
    // The board is reset; its memory is kept, its clock starts over.
    client.handle_connected(at(0), 4);
    let due = client.poll_timeout().unwrap();
    assert!(due <= at(10), "the handshake ends at {due:?}");
}

#[test]
fn a_device_whose_hello_is_not_answered_says_why_it_closes() {
    let mut client = device();
    client.handle_connected(at(0), 3);
    said(&mut client, at(0));
    client.handle_timeout(at(10));
    let said = said(&mut client, at(10));
    assert!(said.iter().any(|m| m.contains("Timeout")), "{said:?}");
}
