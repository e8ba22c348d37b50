//! What is handed on.

use super::*;

#[test]
fn only_the_entry_after_the_cursor_is_handed_on() {
    // [D-ENTRY-3] [D-ENTRY-5]
    let mut device = LoneDevice::member();
    let (slot, from, body) = (0, "ann", &b"a body"[..]);
    for offset in 1..=3 {
        let expected = Delivery::Entry {
            slot,
            offset,
            from,
            body,
        };
        assert_eq!(device.hears(&entry(5, offset)), Some(expected));
    }
    for (room, offset) in [(5, 3), (5, 1), (5, 0), (6, 4), (0, 4), (u32::MAX, 9)] {
        assert_eq!(device.hears(&entry(room, offset)), None);
    }
    assert_eq!(
        (device.client.skipped(), device.client.cursor(0)),
        (6, Some(3))
    );
    let own = Message::Entry(Entry {
        room: 5,
        offset: 4,
        flags: Entry::OWN,
        from: "",
        body: b"",
    });
    let offset = 4;
    assert_eq!(device.hears(&own), Some(Delivery::Own { slot, offset }));
    device.says();
    assert_eq!(device.hears(&entry(5, 6)), None);
    assert_eq!(device.client.cursor(0), Some(4));
    assert_eq!(
        device.says(),
        [ERROR],
        "on a stream it is a fault of the hub"
    );
}

#[test]
fn a_gap_moves_the_cursor_and_never_back() {
    // [D-GAP-1] [D-GAP-3]
    let mut device = LoneDevice::member();
    let told = |from, to| {
        Some(Delivery::Gap {
            slot: 0,
            from,
            to,
            reason: GapReason::Retention,
        })
    };
    assert_eq!(device.hears(&gap(0, 1, 3)), told(1, 3));
    assert_eq!(device.hears(&gap(0, 1, 3)), None);
    assert_eq!(device.hears(&gap(0, 2, 2)), None);
    assert_eq!(device.hears(&gap(0, 9, 0)), None);
    assert_eq!(device.hears(&gap(1, 1, 9)), None, "no such room");
    assert_eq!(
        device.hears(&gap(0, 2, 5)),
        told(4, 5),
        "what of it is news"
    );
    assert_eq!(device.client.cursor(0), Some(5));
    device.says();
    assert_eq!(device.hears(&gap(0, 7, 8)), None);
    assert_eq!(device.client.cursor(0), Some(5));
    assert_eq!(device.says(), [ERROR]);
}

#[test]
fn credit_is_granted_when_half_of_it_is_used_up() {
    // [D-CREDIT-3]
    let mut device = LoneDevice::member();
    for offset in 1..=20 {
        device.hears(&entry(5, offset));
        let (slot, window) = (0, 4);
        let grant = Message::Credit {
            slot,
            cursor: offset,
            window,
        };
        match offset % 2 {
            0 => assert_eq!(device.says(), [grant]),
            _ => assert!(device.says().is_empty()),
        }
    }
}
