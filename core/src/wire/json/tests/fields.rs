//! What a field takes, and what it is when it is absent.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::messages::{ID, messages};
use super::{PING, check, decode, encode, refuse, written};
use crate::name::NameError;
use crate::wire::json::MAX_CONTROL;
use crate::wire::{
    Bye, ByeReason, Code, Hello, Join, MAX_BODY, MAX_ECHO, MAX_TEXT, Message, PeerError, WireError,
};

#[test]
fn a_peer_may_leave_out_what_has_a_default() {
    check(
        r#"{"device":"00112233445566778899AABBCCDDEEFF","nonce":5,"type":"hello"}"#,
        Message::Hello(Hello {
            version_min: 1,
            version_max: 1,
            suite: 0,
            key_id: 0,
            flags: 0,
            nonce: 5,
            device: ID,
            max_frame: u32::MAX,
            credit: u16::MAX,
            keepalive: 0,
            proof: b"",
            cookie: None,
        }),
        0,
    );
    check(
        r#"{"type":"join","slot":1,"room":"lab","name":"bo"}"#,
        Message::Join(Join {
            slot: 1,
            flags: 0,
            cursor: Join::LATEST,
            history: u32::MAX,
            room: b"lab",
            name: b"bo",
        }),
        0,
    );
    let (reason, retry_after) = (ByeReason::Done, 0);
    let bye = Bye {
        reason,
        retry_after,
    };
    check(r#"{"type":"bye"}"#, Message::Bye(bye), 0);
    check(r#"{"type":"ping"}"#, Message::Ping { token: 0 }, 0);
    refuse(
        r#"{"type":"post","slot":1,"body":""}"#,
        WireError::Malformed,
    );
    refuse(r#"{"type":"hello","nonce":1}"#, WireError::Malformed);
    refuse(r#"{"token":1}"#, WireError::Malformed);
    refuse("{}", WireError::Malformed);
}

#[test]
fn the_table_in_the_docs_has_every_member_and_its_default() {
    let docs = include_str!("../mod.rs");
    for (_, form) in messages() {
        let kind = format!("`{}`", form.split('"').nth(3).unwrap());
        let rows = docs.lines().filter(|line| line.starts_with("//! | "));
        let row = rows
            .map(|line| line.split('|').collect::<Vec<_>>())
            .find(|cells| cells[1].contains(&kind))
            .unwrap()[2];
        let mut least = String::from(form);
        let mut defaults = Vec::new();
        for member in form.split(",\"").skip(1) {
            let Some((key, value)) = member.trim_end_matches('}').split_once("\":") else {
                continue;
            };
            let quoted = format!("`{key}` ");
            let spec = row
                .trim_end()
                .split(", ")
                .find(|it| format!("{} ", it.replace(" or ", " ")).contains(&quoted));
            let spec = spec.unwrap_or_else(|| panic!("{key} is not in {row}"));
            if let Some((_, default)) = spec.split_once(" = ") {
                least = least.replace(&format!(",\"{key}\":{value}"), "");
                defaults.push(format!("\"{key}\":{default}"));
            }
        }
        let mut frame = least.clone().into_bytes();
        let full = written(&decode(&mut frame).unwrap().message);
        for default in defaults {
            assert!(full.contains(&default), "{default} in {full} from {least}");
        }
    }
}

#[test]
fn members_that_nobody_knows_are_skipped_and_counted() {
    check(
        r#"{"a":null,"type":"ping","b":[1,{"c":[]}],"token":1,"body":"x","d":-0.5e+3}"#,
        PING,
        4,
    );
    check(
        r#"{"type":"dance","with":"me"}"#,
        Message::Unknown { kind: 0 },
        1,
    );
    check(r#"{"type":"","":0}"#, Message::Unknown { kind: 0 }, 1);
}

#[test]
fn numbers_are_integers_within_their_type() {
    #[track_caller]
    fn check_number(key: &str, value: &str, good: bool) {
        let known = [("slot", "1"), ("cursor", "1"), ("window", "1")];
        let mut object = String::from(r#"{"type":"credit""#);
        for (name, default) in known {
            let value = if name == key { value } else { default };
            object += &format!(r#","{name}":{value}"#);
        }
        object.push('}');
        let mut frame = object.clone().into_bytes();
        assert_eq!(decode(&mut frame).is_ok(), good, "{object}");
    }
    for (key, most, above) in [
        ("slot", "255", "256"),
        ("window", "65535", "65536"),
        ("cursor", "18446744073709551615", "18446744073709551616"),
        (
            "cursor",
            "\"18446744073709551615\"",
            "\"18446744073709551616\"",
        ),
        ("cursor", "9007199254740993", "99999999999999999999999999"),
    ] {
        check_number(key, "0", true);
        check_number(key, most, true);
        check_number(key, above, false);
        for bad in [
            "-0", "-1", "1.0", "1e0", "01", "true", "null", "[1]", "\"\"", "\"01\"", "\"-1\"",
            "\" 1\"", "\"1.0\"", "\"x\"",
        ] {
            check_number(key, bad, false);
        }
    }
    check_number("cursor", "\"7\"", true);
    check_number("cursor", r#""\u0037""#, true);
    check_number("slot", "\"7\"", false);
    // Only a join can begin at the latest.
    check_number("cursor", "\"latest\"", false);
}

#[test]
fn a_body_stands_as_text_or_as_digits_but_not_as_both() {
    let (slot, seq) = (1, 1);
    let post = |rest: &str| format!(r#"{{"type":"post","slot":1,"seq":1{rest}}}"#);
    let good = |rest: &str, body: &[u8]| check(post(rest), Message::Post { slot, seq, body }, 0);
    good(r#","hex":"""#, b"");
    good(r#","hex":"00fF61""#, b"\x00\xffa");
    good(r#","hex":"\u0036\u0031""#, b"a");
    for bad in [
        "",
        r#","body":"","hex":"""#,
        r#","hex":"0""#,
        r#","hex":"0g""#,
        r#","hex":"+1""#,
        r#","hex":1"#,
        r#","body":1"#,
        r#","body":null"#,
        r#","bytes":"""#,
    ] {
        refuse(post(bad), WireError::Malformed);
    }
}

#[test]
fn an_id_has_32_digits() {
    for digits in [
        "",
        "00",
        "00112233445566778899aabbccddee",
        "00112233445566778899aabbccddeeff00",
        "00112233-4455-6677-8899-aabbccddeeff",
    ] {
        refuse(
            format!(r#"{{"type":"retry","cookie":"{digits}"}}"#),
            WireError::Malformed,
        );
    }
}

#[test]
fn limits_hold_both_ways() {
    let over = vec![b'a'; MAX_BODY + 1];
    let text = |len: usize| core::str::from_utf8(&over[..len]).unwrap();
    let post = |body| Message::Post {
        slot: 1,
        seq: 1,
        body,
    };
    let echo = |bytes| Message::EchoReply { token: 1, bytes };
    let error = |text| {
        Message::Error(PeerError {
            code: Code::Full,
            retry_after: 0,
            text,
        })
    };
    let join = |room, name| {
        Message::Join(Join {
            slot: 1,
            flags: 0,
            cursor: 0,
            history: 0,
            room,
            name,
        })
    };
    for (fits, too_long, key) in [
        (post(&over[..MAX_BODY]), post(&over), "body"),
        (
            echo(&over[..MAX_ECHO]),
            echo(&over[..MAX_ECHO + 1]),
            "bytes",
        ),
        (error(text(MAX_TEXT)), error(text(MAX_TEXT + 1)), "text"),
        (join(&over[..255], b"n"), join(&over[..256], b"n"), "room"),
        (join(b"r", &over[..255]), join(b"r", &over[..256]), "name"),
    ] {
        let form = written(&fits);
        check(&form, fits, 0);
        let longer = form.replace(&format!(r#""{key}":""#), &format!(r#""{key}":"a"#));
        refuse(longer, WireError::TooLong);
        assert_eq!(
            encode(&too_long, &mut vec![0; 70_000]),
            Err(WireError::TooLong)
        );
    }
    let proof = "00".repeat(33);
    refuse(
        format!(
            r#"{{"type":"hello","nonce":1,"device":"00112233445566778899aabbccddeeff","proof":"{proof}"}}"#
        ),
        WireError::TooLong,
    );
}

#[test]
fn names_are_checked_where_they_have_to_be_valid() {
    let from =
        |from: &str| format!(r#"{{"type":"entry","room":1,"offset":1,"from":"{from}","body":""}}"#);
    refuse(from(r"a\nb"), WireError::Name(NameError::Forbidden));
    refuse(from(&"a".repeat(33)), WireError::Name(NameError::TooLong));
    refuse(
        r#"{"type":"notice","slot":1,"version":1,"kind":1,"members":1,"who":"\u202e"}"#,
        WireError::Name(NameError::Forbidden),
    );
    let names =
        |names: &str| format!(r#"{{"type":"roster","slot":1,"members":1,"names":{names}}}"#);
    for bad in [
        r#"[""]"#,
        r#"["a",1]"#,
        r#"["a",["b"]]"#,
        r#"[null]"#,
        r#"["\n"]"#,
        r#"{"a":1}"#,
        r#""a""#,
    ] {
        refuse(names(bad), WireError::Malformed);
    }
    refuse(
        names(&format!(r#"["a","{}"]"#, "a".repeat(33))),
        WireError::Malformed,
    );
    refuse(
        names(&format!(r#"["{}"]"#, "a".repeat(256))),
        WireError::TooLong,
    );
}

#[test]
fn what_json_cannot_carry_is_not_written() {
    let mut out = [0; MAX_CONTROL];
    let join = Message::Join(Join {
        slot: 1,
        flags: 0,
        cursor: 0,
        history: 0,
        room: b"\xff",
        name: b"a",
    });
    assert_eq!(
        encode(&join, &mut out),
        Err(WireError::Name(NameError::NotUtf8))
    );
    let unknown = Message::Unknown { kind: 0 };
    assert_eq!(encode(&unknown, &mut out), Err(WireError::UnknownKind(0)));
}
