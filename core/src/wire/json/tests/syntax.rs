//! What is JSON and what is not.

use std::format;
use std::string::String;

use super::{PING, check, refuse};
use crate::wire::json::MAX_MEMBERS;
use crate::wire::json::members::Members;
use crate::wire::{Entry, Message, Names, Roster, WireError};

/// `value` is or is not the value of a member that is skipped.
#[track_caller]
fn check_value(value: &str, expected: Result<(), WireError>) {
    let object = format!(r#"{{"x":{value},"type":"ping","token":1}}"#);
    match expected {
        Ok(()) => check(object, PING, 1),
        Err(error) => refuse(object, error),
    }
}

/// `quoted` is the string literal for `text`, or none.
#[track_caller]
fn check_string(quoted: &str, text: Option<&str>) {
    let object = format!(r#"{{"type":"post","slot":1,"seq":1,"body":"{quoted}"}}"#);
    match text {
        Some(text) => {
            let body = text.as_bytes();
            let (slot, seq) = (1, 1);
            check(object, Message::Post { slot, seq, body }, 0);
        }
        None => refuse(object, WireError::Malformed),
    }
    // What is skipped inside of a value is as strict.
    check_value(
        &format!(r#"["{quoted}"]"#),
        text.map(|_| ()).ok_or(WireError::Malformed),
    );
}

#[test]
fn what_python_writes_is_understood() {
    check(
        r#"{"type": "entry", "room": 1, "offset": 2, "from": "Zo\u00eb", "body": "\ud83d\ude00 gr\u00fc\u00dfe\n\u20ac"}"#,
        Message::Entry(Entry {
            room: 1,
            offset: 2,
            flags: 0,
            from: "Zoë",
            body: "😀 grüße\n€".as_bytes(),
        }),
        0,
    );
    check(
        "\r\n{\n\t\"names\" : [ \"Zo\\u00eb\" , \"b\" ] ,\n\t\"members\" : 2 , \"slot\" : 1 , \"type\" : \"roster\"\n}\r\n ",
        Message::Roster(Roster {
            slot: 1,
            skip: 0,
            members: 2,
            names: Names::new(b"\x04Zo\xc3\xab\x01b").unwrap(),
        }),
        0,
    );
}

#[test]
fn skipped_values_are_checked_like_any() {
    use WireError::{Malformed, TooLong};
    for good in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "10.05",
        "1e5",
        "1E-5",
        "-1.0e+0",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "{ }",
        "[1, 2]",
        "[[],[]]",
        r#"{"a":1,"a":{"b":[true]}}"#,
        r#"{ "a" : [ ] }"#,
        "[[[[1]]]]",
        r#"[{"a":[{}]}]"#,
        "123456789012345678901234567890",
    ] {
        check_value(good, Ok(()));
    }
    for bad in [
        "",
        "nul",
        "nulll",
        "True",
        "+1",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "'a'",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "[}",
        "{]",
        "[1}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{1:1}",
        "{,}",
        "{\"a\" 1}",
        "/**/1",
        "1 2",
        "\u{a0}1",
    ] {
        check_value(bad, Err(Malformed));
    }
    check_value("[[[[[]]]]]", Err(TooLong));
    check_value(r#"{"a":{"a":{"a":{"a":{}}}}}"#, Err(TooLong));
    check_value(&"[".repeat(100_000), Err(TooLong));
    check_value("[[[[]]],[[[]]],[[[]]]]", Ok(()));
}

#[test]
fn escapes_stand_for_characters() {
    check_string(r#"\"\\\/\b\f\n\r\t"#, Some("\"\\/\u{8}\u{c}\n\r\t"));
    check_string(
        r"\u0000\u001F\u007f\u0080\u07ff\u0800",
        Some("\0\u{1f}\u{7f}\u{80}\u{7ff}\u{800}"),
    );
    check_string(r"\ud7ff\ue000\uffff", Some("\u{d7ff}\u{e000}\u{ffff}"));
    check_string(r"\ud800\udc00\uDBFF\uDFFF", Some("\u{10000}\u{10ffff}"));
    check_string(r"x\ud83d\ude00y", Some("x😀y"));
    for bad in [
        r"\ud800",
        r"\ud800x",
        r"\ud800\n",
        r"\ud800\u0041",
        r"\ud800\ud800\udc00",
        r"\udc00",
        r"\udfff\ud800",
        r"\ud83d \ude00",
        r"\u12",
        r"\u12g4",
        r"\u+123",
        r"\U0041",
        r"\x41",
        r"\a",
        r"\ ",
        "\n",
        "\0",
        "\u{1f}",
        "\t",
    ] {
        check_string(bad, None);
    }
}

#[test]
fn text_around_the_object_is_refused() {
    use WireError::{Malformed, Truncated};
    check(" \t\r\n{\"type\":\"ping\",\"token\":1} \t\r\n", PING, 0);
    refuse("", Truncated);
    refuse("  ", Truncated);
    refuse(r#"{"type":"ping"} x"#, Malformed);
    refuse(r#"{"type":"ping"}{}"#, Malformed);
    refuse(r#"{"type":"ping",}"#, Malformed);
    refuse(r#"{,"type":"ping"}"#, Malformed);
    refuse(r#"{"type":"ping" "token":1}"#, Malformed);
    refuse("\u{feff}{\"type\":\"ping\"}", Malformed);
    refuse("{\"type\":\"ping\"}\0", Malformed);
    refuse(r#"["type","ping"]"#, Malformed);
    refuse(r#"{type:"ping"}"#, Malformed);
    refuse(r#"{"type":7}"#, Malformed);
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    for bad in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xe2\x82",
        b"\xf5\x80\x80\x80",
    ] {
        refuse(
            [b"{\"type\":\"x", bad, b"\"}"].concat(),
            WireError::Malformed,
        );
        refuse(
            [b"{\"type\":\"x\",\"", bad, b"\":1}"].concat(),
            WireError::Malformed,
        );
    }
    refuse(b"{\"type\":\"\xe2\x82", WireError::Truncated);
}

#[test]
fn a_member_that_comes_twice_is_refused() {
    refuse(
        r#"{"type":"ping","token":1,"token":1}"#,
        WireError::Malformed,
    );
    refuse(r#"{"type":"ping","type":"pong"}"#, WireError::Malformed);
    refuse(r#"{"type":"ping","x":1,"y":2,"x":3}"#, WireError::Malformed);
    refuse(
        r#"{"type":"ping","token":1,"t\u006fken":2}"#,
        WireError::Malformed,
    );
}

#[test]
fn an_object_has_a_bounded_number_of_members() {
    let object = |extra: usize| {
        let extra: String = (0..extra).map(|n| format!(r#","x{n}":{n}"#)).collect();
        format!(r#"{{"type":"ping","token":1{extra}}}"#)
    };
    check(object(30), PING, 30);
    refuse(object(31), WireError::TooLong);
}

#[test]
fn a_member_takes_five_words() {
    let words = size_of::<Members<'_>>() / size_of::<usize>();
    assert!(words <= 5 * MAX_MEMBERS + 1, "{words} words");
}
