//! What is sent, and what becomes of it.

use super::*;

#[test]
fn posts_are_numbered_from_one_and_sent_within_the_window() {
    // [D-POST-1] [D-POST-2] [L-WINDOW-1]
    for (window, at_once) in [(0, 1), (1, 1), (4, 4), (32, 32), (33, 32), (u16::MAX, 32)] {
        let mut device = LoneDevice::default();
        device.client.join("lab", From::Latest).unwrap();
        device.connect();
        let welcome = Welcome {
            window,
            ..device.welcome()
        };
        device.open_with(&welcome);
        device.hears_joined(&joined(0));
        let mut posted = 0;
        while device.client.post(0, b"a body").is_ok() {
            posted += 1;
        }
        assert_eq!(posted, 32, "whatever the hub lets pass");
        assert_eq!(seqs(&device.says()), (1..=at_once).collect::<Vec<_>>());
        device.hears(&ack(1, 0));
        let next: Vec<_> = (at_once + 1..=32).take(1).collect();
        assert_eq!(seqs(&device.says()), next, "window {window}");
        assert_eq!(device.client.unacknowledged(), 31);
    }
}

#[test]
fn a_full_outbox_is_an_error_at_once_and_a_verdict_makes_room() {
    // [D-POST-2]
    let mut device = LoneDevice::member();
    assert_eq!(device.client.post(1, b""), Err(PostError::NotJoined));
    assert_eq!(device.client.post(0, &[0; 257]), Err(PostError::TooLarge));
    assert_eq!(device.client.post(0, &[0; 256]), Ok(1));
    while device.client.post(0, &[0; 200]).is_ok() {}
    let full = Err(PostError::OutboxFull);
    assert_eq!(device.client.post(0, &[0; 200]), full);
    device.says();
    device.hears(&ack(1, 0));
    assert_eq!(
        device.client.post(0, &[0; 200]),
        full,
        "the verdict is untold"
    );
    assert_eq!(device.events(), [Event::Acked { slot: 0, seq: 1 }]);
    assert!(device.client.post(0, &[0; 200]).is_ok());
}

#[test]
fn an_ack_settles_all_up_to_it_and_tells_which_were_rejected() {
    // [D-ACK-2]
    let mut device = LoneDevice::member();
    (0..5).for_each(|_| assert!(device.client.post(0, b"a body").is_ok()));
    device.says();
    let code = Code::TooLarge;
    let rejected = Message::Reject {
        slot: 0,
        seq: 2,
        code,
    };
    device.hears(&rejected);
    assert_eq!(device.events(), [], "the ack makes it final");
    device.hears(&ack(4, 0b0101));
    let told = device.events();
    let slot = 0;
    let untold = Code::Other(0);
    let expected = [
        Event::Acked { slot, seq: 1 },
        Event::Rejected { slot, seq: 2, code },
        Event::Acked { slot, seq: 3 },
        Event::Rejected {
            slot,
            seq: 4,
            code: untold,
        },
    ];
    assert_eq!(told, expected);
    device.hears(&ack(4, 0b0101));
    device.hears(&ack(2, 0b01));
    assert_eq!(device.events(), [], "each verdict once");
    assert_eq!(device.client.unacknowledged(), 1);
}

#[test]
fn a_verdict_on_a_post_that_was_never_sent_is_a_fault_of_the_hub() {
    // [E-PLACE-1]
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    device.hears(&ack(1, 0));
    assert_eq!(device.says(), [ERROR]);
    assert_eq!(device.client.unacknowledged(), 1);
}

#[test]
fn after_a_reconnect_the_rest_is_sent_again_in_order_with_its_numbers() {
    // [D-ACK-4]
    let mut device = LoneDevice::member();
    (0..4).for_each(|_| assert!(device.client.post(0, b"a body").is_ok()));
    assert_eq!(seqs(&device.says()), [1, 2, 3, 4]);
    device.lose();
    // Posted in between, it goes out last.
    assert_eq!(device.client.post(0, b"a body"), Ok(5));
    device.open();
    let stand = Joined {
        up_seq: 2,
        rejects: 0b10,
        ..joined(0)
    };
    device.hears(&Message::Joined(stand));
    assert_eq!(seqs(&device.says()), [3, 4, 5]);
    let told: Vec<_> = device.events();
    let (slot, code) = (0, Code::Other(0));
    let rejected = Event::Rejected { slot, seq: 1, code };
    assert_eq!(told[..2], [rejected, Event::Acked { slot, seq: 2 }]);
    device.hears(&ack(5, 0));
    assert_eq!(device.events().len(), 3);
    assert_eq!(device.client.post(0, b"a body"), Ok(6));
}

#[test]
fn a_device_that_lost_its_ram_counts_on_where_the_hub_stands() {
    // [D-ACK-4]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    device.open();
    let stand = Joined {
        up_seq: 41,
        ..joined(0)
    };
    device.hears_joined(&stand);
    assert_eq!(device.client.post(0, b"a body"), Ok(42));
    assert_eq!(seqs(&device.says()), [42]);
}

#[test]
fn no_post_goes_out_twice_on_one_connection_and_an_overdue_ack_ends_it() {
    // [D-ACK-5] [T-ACK-1]
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    assert_eq!(seqs(&device.says()), [1]);
    assert_eq!(device.wait(29).len(), 0);
    assert_eq!(device.events(), []);
    // An ack for another post is a sign of progress; the wait starts anew.
    device.client.post(0, b"a body").unwrap();
    assert_eq!(seqs(&device.says()), [2]);
    device.hears(&ack(1, 0));
    assert_eq!(device.wait(29).len(), 0);
    assert_eq!(device.events().len(), 1);
    assert_eq!(device.wait(1).len(), 0);
    assert_eq!(device.events(), [closed(Cause::Timeout)]);
    device.lose();
    device.open();
    device.hears_joined(&Joined {
        up_seq: 1,
        ..joined(0)
    });
    assert_eq!(device.client.unacknowledged(), 1);
}

#[test]
fn numbers_go_on_behind_the_largest_one() {
    // [L-SEQ-1]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    device.open();
    let stand = Joined {
        up_seq: u32::MAX - 1,
        ..joined(0)
    };
    device.hears_joined(&stand);
    for _ in 0..3 {
        device.client.post(0, b"a body").unwrap();
    }
    assert_eq!(seqs(&device.says()), [u32::MAX, 0, 1]);
    device.hears(&ack(0, 0));
    assert_eq!(device.events().len(), 2);
}

#[test]
fn an_ack_is_awaited_from_the_first_post_on_its_way() {
    // [D-ACK-5]
    let mut device = LoneDevice::member();
    assert_eq!(device.wait(100), []);
    for seconds in [0, 10, 10] {
        assert_eq!(device.wait(seconds), []);
        device.client.post(0, b"a body").unwrap();
        assert_eq!(device.says().len(), 1);
    }
    let due = device.client.poll_timeout().unwrap();
    assert_eq!(due.as_ticks(), device.now + 10_000_000, "of 30 s");
}
