//! Where each field stands, and what is told of bytes that are no message.

use super::*;

#[test]
fn a_decoder_of_one_way_reads_that_way_as_the_whole_one_does_and_tells_the_other_by_its_kind() {
    for message in messages() {
        let mut out = [0; 512];
        let len = encode(&message, &mut out).unwrap();
        let (to_hub, to_device) = ways(&message);
        for cut in 1..=len {
            let frame = &out[..cut];
            let whole = decode(frame);
            let misplaced = Ok(Decoded {
                message: Message::Unknown {
                    kind: message.kind(),
                },
                skipped: 0,
            });
            let at_hub = if to_hub { whole } else { misplaced };
            let at_device = if to_device { whole } else { misplaced };
            assert_eq!(decode_from_device(frame), at_hub, "{message:?} to {cut}");
            assert_eq!(decode_from_hub(frame), at_device, "{message:?} to {cut}");
        }
        let mut again = [0; 512];
        let to_hub = encode_to_hub(&message, &mut again);
        assert_eq!(to_hub, ways(&message).0.then_some(len), "{message:?}");
        let to_device = encode_to_device(&message, &mut again);
        assert_eq!(to_device, ways(&message).1.then_some(len), "{message:?}");
    }
    let strange = [CRITICAL | 0x7f];
    assert_eq!(decode_from_hub(&strange), Err(WireError::UnknownKind(0xff)));
    assert_eq!(
        decode_from_device(&strange),
        Err(WireError::UnknownKind(0xff))
    );
}

#[test]
fn every_message_comes_back_as_it_went() {
    // [W-CANON-1]
    let all = messages();
    assert_eq!(all.len(), kind::ALL.len());
    for (message, (_, number)) in all.iter().zip(kind::ALL) {
        let frame = bytes(message);
        assert_eq!(message.kind(), *number);
        assert_eq!(frame[0], *number, "[W-KIND-1]");
        assert!(frame.len() > fixed_width(*number));
        let decoded = decode(&frame).expect("decodes");
        assert_eq!(decoded.message, *message);
        assert_eq!(decoded.skipped, 0);
    }
}

#[test]
fn numbers_are_big_endian_and_fields_stand_in_their_order() {
    // [W-NUM-1] [W-ORDER-1]
    let frame = bytes(&messages()[5]);
    assert_eq!(
        frame,
        [
            0x86, 3, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 41, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
            1, 0, 0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0, 99
        ]
    );
}

#[test]
fn kinds_differ_in_their_lower_seven_bits() {
    // [W-KIND-2]
    for (at, (name, number)) in kind::ALL.iter().enumerate() {
        assert_ne!(number & !CRITICAL, 0, "{name}");
        for (other, less) in &kind::ALL[..at] {
            assert_ne!(number & !CRITICAL, less & !CRITICAL, "{name} and {other}");
        }
    }
}

#[test]
fn every_truncation_is_told() {
    // [W-END-1]
    for message in messages() {
        let frame = bytes(&message);
        for len in 0..frame.len() {
            let cut = decode(&frame[..len]);
            // Without its extensions a Welcome is whole.
            let bare = 1 + fixed_width(kind::WELCOME);
            let ends = [bare, bare + 2 + MAX_PROOF];
            if matches!(message, Message::Welcome(_)) && ends.contains(&len) {
                assert!(cut.is_ok());
                continue;
            }
            assert_eq!(cut, Err(WireError::Truncated), "{message:?} at {len}");
        }
    }
}

#[test]
fn every_changed_byte_gives_a_message_or_an_error() {
    for message in messages() {
        let mut frame = bytes(&message);
        for at in 0..frame.len() {
            let was = frame[at];
            for byte in 0..=u8::MAX {
                frame[at] = byte;
                check_any(&frame);
            }
            frame[at] = was;
        }
    }
}

#[test]
fn every_kind_is_known_skipped_or_refused() {
    // [W-KIND-3] [W-KIND-4]
    for number in 0..=u8::MAX {
        let frame = [number, 1, 2, 3];
        let got = decode(&frame);
        if kind::ALL.iter().any(|(_, known)| *known == number) {
            assert!(!matches!(
                got,
                Err(WireError::UnknownKind(_))
                    | Ok(Decoded {
                        message: Message::Unknown { .. },
                        ..
                    })
            ));
        } else if number & CRITICAL != 0 {
            assert_eq!(got, Err(WireError::UnknownKind(number)));
        } else {
            let message = Message::Unknown { kind: number };
            assert_eq!(
                got,
                Ok(Decoded {
                    message,
                    skipped: 0
                })
            );
            assert_eq!(
                encode(&message, &mut [0; 8]),
                Err(WireError::UnknownKind(number))
            );
        }
    }
}
