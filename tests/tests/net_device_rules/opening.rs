//! How a session is opened.

use super::*;

#[test]
fn a_device_says_hello_and_nothing_else_before_it_is_welcome() {
    // [S-OPEN-1] [W-HELLO-2]
    let mut device = LoneDevice::default();
    device.client.join("lab", From::Latest).unwrap();
    device.client.echo(1, b"too early");
    let said = device.connect();
    assert_eq!(said.len(), 1);
    let Message::Hello(hello) = said[0].message() else {
        panic!("{said:?}");
    };
    assert_eq!(
        (hello.version_min, hello.version_max, hello.suite),
        (1, 1, 0)
    );
    let mut bytes = [0; 160];
    binary::encode(&Message::Hello(hello), &mut bytes).unwrap();
    assert_eq!(bytes[..7], *b"\x81HALO\x01\x01");
    assert_eq!(device.wait(5).len(), 0);
    let welcome = device.welcome();
    let said = device.open_with(&welcome);
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn only_the_welcome_to_its_newest_hello_opens_a_session() {
    // [S-OPEN-3]
    let mut device = LoneDevice::default();
    device.connect();
    let old = device.welcome();
    for is_reset in [false, true] {
        if is_reset {
            // All its RAM is gone, and what was on the way to it is not.
            device.client = LoneDevice::default().client;
        }
        device.lose();
        device.connect();
        let skipped = device.client.skipped();
        device.hears(&Message::Welcome(old));
        assert!(!device.client.is_serving());
        assert_eq!(
            (device.events().len(), device.client.skipped()),
            (0, skipped + 1)
        );
    }
    let new = device.welcome();
    device.open_with(&new);
    assert!(device.client.is_serving());
}

#[test]
fn what_is_left_of_an_older_session_is_passed_over_before_welcome() {
    // [S-OPEN-6]
    let mut device = LoneDevice::member();
    device.lose();
    device.connect();
    let rest = [
        entry(5, 1),
        ack(1, 0),
        gap(0, 1, 3),
        notice(0),
        roster(0),
        Message::Joined(joined(0)),
        Message::Ping { token: 1 },
        Message::Retry { cookie: [0; 16] },
        Message::Unknown { kind: 0x55 },
    ];
    for message in &rest {
        assert_eq!(device.hears(message), None);
    }
    assert_eq!(device.client.skipped() as usize, rest.len());
    assert!(device.says().is_empty() && device.events().is_empty());
    assert_eq!(device.client.cursor(0), Some(0));
}

#[test]
fn a_welcome_that_it_cannot_speak_is_refused() {
    // [S-OPEN-4]
    for (version, suite) in [(0, 0), (2, 0), (1, 1)] {
        let mut device = LoneDevice::default();
        device.connect();
        let welcome = Welcome {
            version,
            suite,
            ..device.welcome()
        };
        device.hears(&Message::Welcome(welcome));
        assert_eq!(device.says(), [error(Code::Version)]);
        let cause = Cause::Violation(Code::Version);
        assert_eq!(device.events(), [closed(cause)]);
    }
}

#[test]
fn a_hub_that_does_not_answer_is_given_up_in_ten_seconds() {
    // [T-HAND-1]
    let mut device = LoneDevice::default();
    device.connect();
    device.wait(9);
    assert_eq!(device.events(), []);
    assert_eq!(device.wait(1), [error(Code::Timeout)]);
    assert_eq!(device.events(), [closed(Cause::Timeout)]);
    assert_eq!(device.client.poll_timeout(), None);
}

#[test]
fn a_device_without_a_connection_is_in_no_session_and_says_nothing() {
    let mut device = LoneDevice::member();
    device.client.post(0, b"a body").unwrap();
    device.lose();
    assert!(!device.client.is_serving());
    assert_eq!(device.client.poll_timeout(), None);
    assert_eq!(device.hears(&entry(5, 1)), None);
    assert!(device.says().is_empty());
    assert_eq!(device.client.cursor(0), Some(0));
}
