use halloo_core::chat::Hub;
use halloo_core::chat::hub::{ConnId, Transmit};
use halloo_core::time::Instant;
use halloo_core::wire::MAX_CONTROL;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::gateway::Gateway;
use super::super::object::limit;
use crate::hub::HubConfig;
use crate::hub::chat::State;
use crate::hub::memory::Slots;

const MAX_BODY: u16 = 32;

/// What one client hears and another one sees of it, when its bytes come in these pieces.
fn told<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (String, String, bool) {
    let config = HubConfig {
        max_connections: 2,
        rooms: 2,
        members: 8,
        max_body: MAX_BODY,
        ..HubConfig::default()
    };
    let now = Instant::from_ticks(0);
    let mut slots = Slots::new(&config);
    let mut hub = Hub::new(config.machine().unwrap(), slots.lend());
    let open = |hub: &mut Hub<'_>| {
        let id = hub.connect(now).unwrap();
        (id, Gateway::open(hub, now, id, limit(MAX_BODY)).unwrap())
    };
    let (other_id, mut other) = open(&mut hub);
    let mut seen = Vec::new();
    let join = br#"{"type":"join","room":"lab","username":"other"}"#;
    feed(
        &mut other,
        &mut hub,
        other_id,
        &mut join.to_vec(),
        &mut seen,
    );
    seen.clear();
    let (id, mut gateway) = open(&mut hub);
    let (mut inbox, mut heard) = (Vec::new(), Vec::new());
    let mut is_between = true;
    for piece in pieces.chain([&[][..]]) {
        inbox.extend_from_slice(piece);
        is_between = feed(&mut gateway, &mut hub, id, &mut inbox, &mut heard);
        feed(&mut other, &mut hub, other_id, &mut Vec::new(), &mut seen);
    }
    let [heard, seen] = [heard, seen].map(|text| String::from_utf8(text).unwrap());
    // Whether presence or posts come first hangs on when the other one is served.
    let posts = seen
        .lines()
        .filter(|line| line.contains(r#""type":"chat""#));
    (heard, posts.collect(), is_between)
}

/// Hands bytes in until nothing is left to do; whether no object has begun.
fn feed(
    gateway: &mut Gateway,
    hub: &mut Hub<'_>,
    id: ConnId,
    inbox: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> bool {
    let now = Instant::from_ticks(0);
    loop {
        let mut text = Vec::new();
        gateway.handle_flushed();
        let parsed = gateway.parse(hub, now, id, inbox, &mut text);
        inbox.drain(..parsed.used);
        hub.commit_in_memory();
        listen(gateway, hub, id, &mut text);
        out.extend_from_slice(&text);
        if parsed.state != State::Busy {
            return parsed.is_between;
        }
    }
}

fn listen(gateway: &mut Gateway, hub: &mut Hub<'_>, id: ConnId, text: &mut Vec<u8>) {
    let now = Instant::from_ticks(0);
    let mut message = [0; MAX_CONTROL];
    loop {
        match hub.poll_transmit(now, id, &mut message) {
            Transmit::Message(len) => gateway.hear(&message[..len], text, &mut Vec::new()),
            Transmit::Entries(run) => {
                let sent = run.sent;
                let used = gateway.hear_entries([run.head, run.tail], text);
                let _ = hub.handle_sent(now, id, sent, used);
            }
            Transmit::Idle | Transmit::Close | Transmit::Stored(_) => return,
        }
        gateway.grant(hub, now, id);
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        r#"{"type":"join","room":"lab","username":"ann"}"#,
        r#"{"type":"join","room":"den","username":"ann"}"#,
        r#"{"type":"join","room":"n o","username":"ann"}"#,
        r#"{"type":"chat","message":"}\"{ \ud83d\ude00"}"#,
        r#"{"type":"chat","message":"this one is longer than it may be"}"#,
        r#"{"type":"leave"}"#,
        "{bad}",
        "nonsense\n",
        "{\"type\":\"chat\n",
        " \r\n",
    ];
    let known = prop::sample::select(known.map(|text| text.as_bytes().to_vec()).to_vec());
    let nested = (0_usize..3000).prop_map(|depth| {
        let mut text = br#"{"a":"#.repeat(depth);
        text.extend(b"1");
        text.extend(b"}".repeat(depth));
        text
    });
    let noise = vec(prop::sample::select(br#"{}[]":,\a0 "#.to_vec()), 0..20);
    let any = vec(any::<u8>(), 0..20);
    let pieces = prop_oneof![20 => known, 1 => nested, 2 => noise, 1 => any];
    vec(pieces, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Each answer is a line of its own, whatever comes, and the same however it comes.
    #[test]
    fn any_bytes_mean_the_same_in_whatever_pieces(bytes in bytes(), sizes in vec(1_usize..200, 1..8)) {
        let whole = told([&bytes[..]].into_iter());
        prop_assert!(whole.0.is_ascii());
        for line in whole.0.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert!(object["type"].is_string() && object["message"].is_string());
        }
        prop_assert!(whole.0.lines().count() <= bytes.len() + 1);
        let mut rest = &bytes[..];
        let pieces = sizes.iter().cycle().map_while(|&size| {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(&told(pieces), &whole);
        if bytes.len() < 1000 {
            prop_assert_eq!(&told(bytes.chunks(1)), &whole);
        }
    }
}
