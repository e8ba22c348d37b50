//! What a hub that breaks the rules gets, and how a session ends.

use super::*;

#[test]
fn a_message_that_goes_the_wrong_way_is_told_once() {
    // [E-PLACE-1] [E-CLOSE-1] [W-RETRY-1]
    let messages = [
        Message::Hello(hello(1)),
        Message::Retry { cookie: [0; 16] },
        Message::Join(join("lab")),
        Message::Leave { slot: 0 },
        post(1, b"a body"),
        Message::Credit {
            slot: 0,
            cursor: 0,
            window: 1,
        },
        Message::Who { slot: 0, skip: 0 },
    ];
    for message in messages {
        let mut device = LoneDevice::member();
        device.client.post(0, b"a body").unwrap();
        assert_eq!(device.hears(&message), None);
        // What comes after its fault has no effect, and there is one Error.
        device.hears(&message);
        device.hears(&entry(5, 1));
        device.hears(&Message::Ping { token: 1 });
        assert_eq!(device.says(), [ERROR], "{message:?}");
        let cause = Cause::Violation(Code::Unexpected);
        assert_eq!(device.events(), [closed(cause)]);
        device.hears(&entry(5, 1));
        assert_eq!((device.client.cursor(0), device.says().len()), (Some(0), 0));
    }
}

#[test]
fn bytes_that_are_no_message_end_the_session_with_their_code() {
    // [E-WIRE-1] [F-LEN-3]
    for code in [Code::Malformed, Code::UnknownCritical, Code::Oversize] {
        let mut device = LoneDevice::member();
        let now = firmware_sim::world::at(device.now);
        device.client.handle_bad_frame(now, code);
        device.client.handle_bad_frame(now, Code::Internal);
        assert_eq!(device.says(), [error(code)]);
        assert_eq!(device.events(), [closed(Cause::Violation(code))]);
    }
}

#[test]
fn an_error_or_a_bye_of_the_hub_is_not_answered_and_tells_how_long_to_wait() {
    // [E-CLOSE-2] [S-BYE-1] [S-BYE-3]
    let retry_after = 5000;
    let reason = ByeReason::Shutdown;
    let bye = Message::Bye(Bye {
        reason,
        retry_after,
    });
    let full = Message::Error(PeerError {
        code: Code::Full,
        retry_after,
        text: "later",
    });
    let cases = [
        (bye, Cause::Bye(reason)),
        (full, Cause::Refused(Code::Full)),
    ];
    for (message, cause) in cases {
        for is_open in [false, true] {
            let mut device = LoneDevice::default();
            match is_open {
                true => drop(device.open()),
                false => drop(device.connect()),
            }
            device.hears(&message);
            device.hears(&Message::Ping { token: 1 });
            assert!(device.says().is_empty());
            assert_eq!(device.events(), [closed(cause)]);
            device.lose();
            let asked = device.client.retry_after();
            assert_eq!(asked, secs(5));
            for random in [0, u32::MAX] {
                let wait = Backoff::new().next_wait(random, asked);
                assert!((secs(5)..=millis(5500)).contains(&wait), "{wait}");
            }
            // Nobody asks for a wait any more.
            device.open();
            device.lose();
            assert_eq!(device.client.retry_after(), secs(0));
        }
    }
}

#[test]
fn a_device_that_is_done_says_so_and_nothing_after_it() {
    // [S-BYE-1]
    let mut device = LoneDevice::member();
    device.client.bye();
    device.hears(&Message::Ping { token: 1 });
    device.hears(&entry(5, 1));
    assert_eq!(device.says(), [DONE]);
    assert_eq!(device.events(), [closed(Cause::Done)]);
    assert_eq!(device.client.cursor(0), Some(0));
}
