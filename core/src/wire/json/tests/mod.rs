//! Every message in its written form, and what damage does to it.

mod fields;
mod messages;
mod syntax;

use std::string::String;
use std::vec;

use self::messages::messages;
use super::*;
use crate::wire::{
    Code, Decoded, Hello, Join, Lineage, MAX_BODY, MAX_ECHO, MAX_LINEAGE, MAX_TEXT, Message,
    PeerError, Welcome, WireError,
};

fn written(message: &Message<'_>) -> String {
    let mut out = vec![0; 500_000];
    let len = encode(message, &mut out).unwrap();
    out.truncate(len);
    String::from_utf8(out).unwrap()
}

/// `object` is `message`, with `skipped` members that nobody knows.
#[track_caller]
fn check(object: impl AsRef<[u8]>, message: Message<'_>, skipped: u8) {
    let mut frame = object.as_ref().to_vec();
    assert_eq!(
        decode(&mut frame),
        Ok(Decoded { message, skipped }),
        "{}",
        String::from_utf8_lossy(object.as_ref())
    );
}

/// `object` is refused with `error`.
#[track_caller]
fn refuse(object: impl AsRef<[u8]>, error: WireError) {
    let mut frame = object.as_ref().to_vec();
    assert_eq!(
        decode(&mut frame),
        Err(error),
        "{}",
        String::from_utf8_lossy(object.as_ref())
    );
}

const PING: Message<'static> = Message::Ping { token: 1 };

#[test]
fn every_message_has_one_written_form_and_comes_back_from_it() {
    for (message, form) in messages() {
        assert_eq!(written(&message), form);
        check(form, message, 0);
    }
}

#[test]
fn a_message_fits_exactly_or_there_is_no_room() {
    for (message, form) in messages() {
        for len in 0..form.len() {
            assert_eq!(
                encode(&message, &mut vec![0; len]),
                Err(WireError::NoRoom),
                "{form} in {len} bytes"
            );
        }
        assert_eq!(encode(&message, &mut vec![0; form.len()]), Ok(form.len()));
    }
}

#[test]
fn every_truncation_is_told_as_such() {
    for (_, form) in messages() {
        for len in 0..form.len() {
            refuse(&form.as_bytes()[..len], WireError::Truncated);
        }
    }
}

#[test]
fn every_change_of_a_byte_gives_a_message_that_can_be_written_or_an_error() {
    let mut out = vec![0; 4096];
    for (_, form) in messages() {
        for at in 0..form.len() {
            for byte in 0..=255 {
                let mut frame = form.as_bytes().to_vec();
                frame[at] = byte;
                let Ok(decoded) = decode(&mut frame) else {
                    continue;
                };
                if let Message::Unknown { .. } = decoded.message {
                    continue;
                }
                let len = encode(&decoded.message, &mut out).unwrap();
                let again = decode(&mut out[..len]).unwrap().message;
                assert_eq!(again, decoded.message, "{form} with {byte} at {at}");
            }
        }
    }
}

#[test]
fn control_messages_fit_into_the_constant() {
    let longest = [
        Message::Hello(Hello {
            version_min: 255,
            version_max: 255,
            suite: 255,
            key_id: u32::MAX,
            flags: u16::MAX,
            nonce: u64::MAX,
            device: [255; 16],
            max_frame: u32::MAX,
            credit: u16::MAX,
            keepalive: u16::MAX,
            proof: &[255; 32],
            cookie: None,
        }),
        Message::Welcome(Welcome {
            version: 255,
            suite: 255,
            flags: u16::MAX,
            nonce: u64::MAX,
            session: u64::MAX,
            store: u64::MAX,
            generation: u32::MAX,
            keepalive: u16::MAX,
            max_body: u16::MAX,
            window: u16::MAX,
            proof: &[255; 32],
            lineage: Lineage::new(&[255; 4 * MAX_LINEAGE]).unwrap(),
        }),
        Message::Join(Join {
            slot: 255,
            flags: 255,
            cursor: u64::MAX - 1,
            history: u32::MAX,
            room: &[b'a'; 32],
            name: &[b'"'; 32],
        }),
        Message::Error(PeerError {
            code: Code::Other(255),
            retry_after: u32::MAX,
            text: core::str::from_utf8(&[1; MAX_TEXT]).unwrap(),
        }),
        Message::EchoRequest {
            token: u32::MAX,
            bytes: &[1; MAX_ECHO],
        },
    ];
    for message in longest {
        let form = written(&message);
        assert!(form.len() <= MAX_CONTROL, "{} bytes: {form}", form.len());
        check(form, message, 0);
    }
}

#[test]
fn a_body_of_the_largest_size_comes_back_however_it_is_escaped() {
    for byte in [b'a', b'"', 1, 0xff] {
        let body = vec![byte; MAX_BODY];
        let message = Message::Post {
            slot: 255,
            seq: u32::MAX,
            body: &body,
        };
        let form = written(&message);
        assert!(form.len() <= MAX_CONTROL + 6 * MAX_BODY);
        check(form, message, 0);
    }
}
