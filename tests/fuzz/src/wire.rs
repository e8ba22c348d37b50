//! The two encodings: what is decoded encodes to the same, and the other way round (S12).

use arbitrary::Unstructured;
use halloo_core::wire::{self, Message, WireError};

use crate::message;

/// More than any message takes that fits into an input.
const ROOM: usize = 1 << 14;

/// What is put into a text to make it another one.
const TOKENS: [&str; 12] = [
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\n",
    "1e5",
    "-0",
    "null",
    "\"a\":",
    "{\"a\":[{}]}",
    ",",
    " ",
    "é",
];

/// Runs the binary layout: over the bytes, over a message made from them, and over one with edits.
pub fn binary(data: &[u8]) {
    binary_bytes(data);
    let mut u = Unstructured::new(data);
    let mut out = [0; ROOM];
    let Ok(message) = message::any(&mut u) else {
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
            binary_bytes(&edited(&mut u, &out[..len]).unwrap_or_default());
        }
        Err(error) => assert!(
            matches!(message, Message::Unknown { .. }),
            "{error}: {message:?}"
        ),
    }
}

fn binary_bytes(data: &[u8]) {
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
}

/// Runs the JSON encoding: over the bytes, over a message made from them, and over one with edits.
pub fn json(data: &[u8]) {
    json_bytes(data);
    let mut u = Unstructured::new(data);
    let Ok(message) = message::any(&mut u) else {
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
        let text = canonical(&message);
        json_bytes(&edited(&mut u, &text).unwrap_or_default());
    }
}

fn json_bytes(data: &[u8]) {
    let mut frame = data.to_vec();
    let syntax = serde_json::from_slice::<serde_json::Value>(data);
    if let Ok(decoded) = wire::json::decode(&mut frame) {
        let message = decoded.message;
        assert!(syntax.is_ok(), "{syntax:?}: {message:?}");
        if !matches!(message, Message::Unknown { .. }) {
            canonical(&message);
        }
    }
}

/// The one form of a message decodes to it, whole, and into the same binary one.
fn canonical(message: &Message<'_>) -> Vec<u8> {
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
    text
}

/// The bytes with some of them changed, taken out or put in.
fn edited(u: &mut Unstructured<'_>, bytes: &[u8]) -> arbitrary::Result<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    for _ in 0..u.int_in_range(0..=4)? {
        let at = u.int_in_range(0..=bytes.len())?;
        match u.int_in_range(0..=3)? {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u.arbitrary()?;
                }
            }
            1 => bytes.insert(at, u.arbitrary()?),
            2 => drop(bytes.drain(at..(at + 1).min(bytes.len()))),
            _ => drop(bytes.splice(at..at, u.choose(&TOKENS)?.bytes())),
        }
    }
    Ok(bytes)
}
