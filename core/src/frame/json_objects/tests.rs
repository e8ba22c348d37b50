use super::super::testkit::*;
use super::*;
use std::vec::Vec;

const FRAMING: JsonObjects = JsonObjects::new(100);

#[test]
fn objects_come_out_however_they_are_cut() {
    let input = br#"{}{"a":1} {"b":{"c":[{}]}}
	{"d":2}"#;
    let expected =
        [r#"{}"#, r#"{"a":1}"#, r#"{"b":{"c":[{}]}}"#, r#"{"d":2}"#].map(|o| frame(o.as_bytes()));
    check::<_, 17>(&FRAMING, input, &expected);
    check::<_, 64>(&JsonObjects::new(16), input, &expected);
}

#[test]
fn braces_quotes_and_escapes_in_strings_are_no_structure() {
    for object in [
        r#"{"a":"}{"}"#,
        r#"{"a":"\"}"}"#,
        r#"{"a":"\\"}"#,
        r#"{"a":"\\\"}{"}"#,
        r#"{"}":"\u007d"}"#,
        r#"{"é":"ö}"}"#,
    ] {
        let input = [object, object].concat();
        let expected = [frame(object.as_bytes()), frame(object.as_bytes())];
        check::<_, 64>(&FRAMING, input.as_bytes(), &expected);
    }
}

#[test]
fn junk_between_objects_is_malformed_once_and_skipped() {
    let object = || frame(b"{}");
    #[track_caller]
    fn case(input: &str, expected: &[Seen]) {
        check::<_, 16>(&FRAMING, input.as_bytes(), expected);
    }
    case("hello\n{}", &[MALFORMED, object()]);
    case("hello world{}", &[MALFORMED, object()]);
    case("hello\nworld\n{}", &[MALFORMED, MALFORMED, object()]);
    case("{}}}{}", &[object(), MALFORMED, object()]);
    case("\0\n\r\n{}\u{7f}", &[MALFORMED, object(), MALFORMED]);
    case("{\"a\nb\"}\n{}", &[MALFORMED, object()]);
    case("junk longer than the buffer is{}", &[MALFORMED, object()]);
}

#[test]
fn objects_in_arrays_and_strings_between_objects_are_none() {
    let object = || frame(b"{}");
    #[track_caller]
    fn case(input: &str, expected: &[Seen]) {
        check::<_, 16>(&FRAMING, input.as_bytes(), expected);
    }
    case("[{},{}]{}", &[MALFORMED, object()]);
    case(r#"[[{"a":"]"}]]{}"#, &[MALFORMED, object()]);
    case(r#""{\"a\":1}"{}"#, &[MALFORMED, object()]);
    // What is behind them on the line is more of the same.
    case(r#"[1] "{}" ["{}"] {}"#, &[MALFORMED, object()]);
    case("[ann] says{}", &[MALFORMED, object()]);
    case("[]]{}", &[MALFORMED, object()]);
    case("says [{}", &[MALFORMED, object()]);
    // A line end ends them, closed or not.
    case("[{}\n{}", &[MALFORMED, object()]);
    case("\"{}\n{}", &[MALFORMED, object()]);
    case("[1]\n[2]\n{}", &[MALFORMED, MALFORMED, object()]);
    // One that is cut off has not ended.
    case("[{}", &[MALFORMED, TRUNCATED]);
    case("[{}]", &[MALFORMED]);
}

#[test]
fn a_string_that_is_never_closed_costs_its_line() {
    let input = b"{\"a\":\"oh\n{\"b\":2}{\"c\":\"\\\n{}";
    let expected = [MALFORMED, frame(b"{\"b\":2}"), MALFORMED, frame(b"{}")];
    check::<_, 16>(&FRAMING, input, &expected);
}

#[test]
fn an_object_above_the_limit_is_told_once_and_skipped_to_its_end() {
    let input = br#"{"a":1}{"a":"}}{",{"b":{}}}{"b":2}"#;
    let expected = [frame(br#"{"a":1}"#), oversize(7), frame(br#"{"b":2}"#)];
    check::<_, 8>(&FRAMING, input, &expected);
    check::<_, 64>(&JsonObjects::new(7), input, &expected);
}

#[test]
fn an_object_longer_than_any_buffer_is_survived() {
    let nested = [[b'{'; 1 << 20], [b'}'; 1 << 20]].concat();
    check_survival::<_, 16>(&FRAMING, b"{}", &nested, b"{}");
    let string = [b"{\"a\":\"", &[b'}'; 1 << 20][..], b"\"}"].concat();
    check_survival::<_, 16>(&FRAMING, b"{}", &string, b"{}");
    let unclosed = [b"{\"a\":\"", &[b'}'; 1 << 20][..], b"\n"].concat();
    check_survival::<_, 16>(&FRAMING, b"{}", &unclosed, b"{}");
}

#[test]
fn deep_nesting_is_only_a_count() {
    let deep = [[b'{'; 400], [b'}'; 400]].concat();
    let framing = JsonObjects::new(800);
    let seen = decode::<_, 1024>(framing, deep.chunks(7));
    assert_eq!(seen, [frame(&deep)]);
}

#[test]
fn what_was_scanned_once_is_not_scanned_again() {
    let mut framing = FRAMING;
    assert_eq!(framing.scan(b"{\"a\""), Ok(Scan::More));
    let changed = framing.scan(b"{}}}}");
    assert!(
        matches!(changed, Ok(Scan::Frame { end: 5, .. })),
        "{changed:?}"
    );
}

#[test]
fn a_stream_that_ends_inside_an_object_is_truncated() {
    let over = || oversize(15);
    let cases: [(&[u8], Vec<Seen>); 7] = [
        (b"", Vec::from([])),
        (b" \n ", Vec::from([])),
        (b"{} ", Vec::from([frame(b"{}")])),
        (b"{}{", Vec::from([frame(b"{}"), TRUNCATED])),
        (b"{\"a\":\"}", Vec::from([TRUNCATED])),
        (b"junk", Vec::from([MALFORMED])),
        (b"{      large       ", Vec::from([over(), TRUNCATED])),
    ];
    for (input, expected) in cases {
        check_every_cut::<_, 16>(&FRAMING, input, &expected);
    }
}

#[test]
fn sealing_appends_lf_and_refuses_what_is_not_one_object() {
    let framing = JsonObjects::new(9);
    check_seal(&framing, b"{}", b"{}\n");
    check_seal(&framing, b"{\"a\":\"}\"}", b"{\"a\":\"}\"}\n");
    for payload in [
        "", "{", "}", "{}{}", " {}", "{} ", "[]", "\"{}\"", "x{}", "{\"\n\"}",
    ] {
        check_unframeable(&framing, payload.as_bytes());
    }
    check_unframeable(&framing, b"{\"abcd\":1}");
}
