//! The two encodings: what is decoded encodes to the same, and the other way round (S12).

use arbitrary::Unstructured;
use halloo_core::wire::{self, Message, WireError};

use crate::message;

/// More than any message takes that fits into an input.
const ROOM: usize = 1 << 14;

/// Runs the binary layout: over the bytes, and over a message made from them.
pub fn binary(data: &[u8]) {
    let mut out = [0; ROOM];
    if let Ok(decoded) = wire::binary::decode(data)
        && !matches!(decoded.message, Message::Unknown { .. })
    {
        let len = wire::binary::encode(&decoded.message, &mut out).expect("decoded, so it fits");
        if decoded.skipped == 0 {
            assert_eq!(&out[..len], data, "S12: {decoded:?}");
        }
        let again = wire::binary::decode(&out[..len]).expect("S12: it was good");
        assert_eq!((again.message, again.skipped), (decoded.message, 0), "S12");
    }
    let Ok(message) = message::any(&mut Unstructured::new(data)) else {
        return;
    };
    match wire::binary::encode(&message, &mut out) {
        Ok(len) => {
            let decoded = wire::binary::decode(&out[..len]).map(|decoded| decoded.message);
            assert_eq!(decoded, Ok(message), "S12");
            let mut exact = vec![0; len];
            assert_eq!(wire::binary::encode(&message, &mut exact), Ok(len));
            assert_eq!(exact, out[..len]);
            let cut = &mut exact[..len - 1];
            assert_eq!(wire::binary::encode(&message, cut), Err(WireError::NoRoom));
        }
        Err(error) => assert!(
            matches!(message, Message::Unknown { .. }),
            "{error}: {message:?}"
        ),
    }
}

/// Runs the JSON encoding: over the bytes, and over a message made from them.
pub fn json(data: &[u8]) {
    let mut frame = data.to_vec();
    let syntax = serde_json::from_slice::<serde_json::Value>(data);
    if let Ok(decoded) = wire::json::decode(&mut frame) {
        let message = decoded.message;
        assert!(syntax.is_ok(), "{syntax:?}: {message:?}");
        if !matches!(message, Message::Unknown { .. }) {
            canonical(&message);
        }
    }
    let Ok(message) = message::any(&mut Unstructured::new(data)) else {
        return;
    };
    let has_no_form = match message {
        Message::Unknown { .. } => true,
        Message::Join(join) => [join.room, join.name]
            .iter()
            .any(|name| std::str::from_utf8(name).is_err()),
        _ => false,
    };
    if !has_no_form {
        let message = match message {
            // JSON is for streams.
            Message::Hello(hello) => Message::Hello(wire::Hello {
                cookie: None,
                ..hello
            }),
            other => other,
        };
        canonical(&message);
    }
}

/// The one form of a message decodes to it, whole, and into the same binary one.
fn canonical(message: &Message<'_>) {
    let mut out = [0; ROOM];
    let len = match wire::json::encode(message, &mut out) {
        Ok(len) => len,
        Err(error) => panic!("{error}: {message:?}"),
    };
    let text = out[..len].to_vec();
    let value: Result<serde_json::Value, _> = serde_json::from_slice(&text);
    assert!(value.is_ok(), "{value:?} in {text:?}");
    let decoded = wire::json::decode(&mut out[..len]).expect("S12: it was encoded");
    assert_eq!((decoded.message, decoded.skipped), (*message, 0), "S12");
    let mut again = [0; ROOM];
    let len = wire::json::encode(&decoded.message, &mut again);
    assert_eq!(len.map(|len| &again[..len]), Ok(&text[..]), "S12");
    if let Ok(len) = wire::binary::encode(message, &mut again) {
        let binary = wire::binary::decode(&again[..len]).map(|decoded| decoded.message);
        assert_eq!(binary, Ok(*message), "S15");
    }
}
