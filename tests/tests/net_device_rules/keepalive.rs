//! Pings, deadlines and echo.

use super::*;

#[test]
fn a_device_that_has_nothing_to_say_pings_and_gives_a_silent_hub_up() {
    // [T-KEEP-2] [T-KEEP-4]
    let mut device = LoneDevice::new(20);
    device.connect();
    let welcome = Welcome {
        keepalive: 20,
        ..device.welcome()
    };
    device.open_with(&welcome);
    let ping = [Message::Ping { token: 0 }];
    for message in [
        Message::Pong { token: 0 },
        Message::Unknown { kind: 0x55 },
        entry(5, 1),
    ] {
        assert!(device.wait(19).is_empty());
        assert_eq!(device.wait(1), ping);
        device.wait(9);
        device.hears(&message);
        // What it says itself is as good as a ping.
        device.client.echo(1, b"");
        device.says();
    }
    assert!(device.wait(19).is_empty());
    assert_eq!(device.wait(1), ping);
    device.wait(9);
    assert_eq!(device.events(), []);
    device.wait(1);
    assert_eq!(device.events(), [closed(Cause::Timeout)]);
}

#[test]
fn a_hub_without_keepalive_may_be_silent_for_a_day() {
    // [T-KEEP-1]
    let mut device = LoneDevice::new(20);
    device.open();
    assert!(device.wait(24 * 3600).is_empty());
    assert!(device.client.is_serving());
}

#[test]
fn pings_and_echoes_are_answered_and_answers_are_not() {
    // [T-KEEP-3] [T-ECHO-1]
    let mut device = LoneDevice::member();
    for token in [0, 9, u32::MAX] {
        device.hears(&Message::Ping { token });
        assert_eq!(device.says(), [Message::Pong { token }]);
        for bytes in [&b""[..], b"\x00\xff", &[9; MAX_ECHO]] {
            device.hears(&Message::EchoRequest { token, bytes });
            assert_eq!(device.says(), [Message::EchoReply { token, bytes }]);
            let reply = device.hears(&Message::EchoReply { token, bytes });
            assert_eq!(reply, Some(Delivery::Echo { token, bytes }));
        }
        device.hears(&Message::Pong { token });
        assert!(device.says().is_empty());
    }
}

#[test]
fn what_it_need_not_know_is_passed_over_and_counted() {
    // [W-KIND-4] [E-CODE-1]
    let mut device = LoneDevice::member();
    assert_eq!(device.hears(&Message::Unknown { kind: 0x55 }), None);
    assert_eq!(device.client.skipped(), 1);
    // Numbers of a later version mean "something else".
    let later = Message::Bye(Bye {
        reason: ByeReason::Other(99),
        retry_after: 0,
    });
    let gap = Message::Gap(Gap {
        slot: 0,
        from: 1,
        to: 1,
        reason: GapReason::Other(99),
    });
    assert!(matches!(
        device.hears(&gap),
        Some(Delivery::Gap { to: 1, .. })
    ));
    device.says();
    device.hears(&later);
    let cause = Cause::Bye(ByeReason::Other(99));
    assert_eq!(device.events(), [closed(cause)]);
}

#[test]
fn a_hello_names_the_limits_of_the_device() {
    let mut device = LoneDevice::new(60);
    let said = device.connect();
    let Message::Hello(said) = said[0].message() else {
        panic!("{said:?}");
    };
    let expected = Hello {
        nonce: device.welcome().nonce,
        device: *b"a device alone..",
        credit: 4,
        keepalive: 60,
        ..hello(0)
    };
    assert_eq!(said, expected);
}
