//! Framings against models that see the whole input at once, on random streams in random pieces.

use halloo_core::frame::{
    Datagram, Decoder, FrameError, Framing, JsonObjects, Length16, Length32, Lines, Scan,
};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

/// The buffer of every decoder here; small, so that frames cross its end in many ways.
const N: usize = 48;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Frame(Vec<u8>),
    Error(FrameError),
}

/// Feeds `stream` in pieces of the given sizes, over and over, and takes frames as they are there.
fn decode<F: Framing>(framing: F, stream: &[u8], sizes: &[usize]) -> Vec<Seen> {
    let mut decoder: Decoder<F, N> = Decoder::new(framing);
    let mut seen = Vec::new();
    let mut rest = stream;
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let room = decoder.room();
        assert!(!room.is_empty(), "no room although all frames were taken");
        let n = room.len().min(rest.len()).min(size);
        room[..n].copy_from_slice(&rest[..n]);
        decoder.commit(n);
        rest = &rest[n..];
        take(&mut decoder, &mut seen);
    }
    seen.extend(decoder.end().err().map(Seen::Error));
    seen
}

fn take<F: Framing>(decoder: &mut Decoder<F, N>, seen: &mut Vec<Seen>) {
    for _ in 0..=2 * N {
        match decoder.poll_frame() {
            Ok(Some(token)) => seen.push(Seen::Frame(decoder.bytes(token).to_vec())),
            Err(error) => seen.push(Seen::Error(error)),
            Ok(None) => return,
        }
    }
    panic!("the decoder makes no progress");
}

/// The frame that holds `payload`.
fn seal<F: Framing>(framing: &F, payload: &[u8]) -> Vec<u8> {
    let mut buf = vec![0; payload.len() + F::OVERHEAD];
    buf[F::HEADER..][..payload.len()].copy_from_slice(payload);
    let n = framing.seal(&mut buf, payload.len()).unwrap();
    buf.truncate(n);
    buf
}

/// What the payloads come out as, behind a framing of `limit`.
fn judged(payloads: &[Vec<u8>], limit: usize) -> Vec<Seen> {
    payloads
        .iter()
        .map(|payload| match payload.len() {
            len if len > limit => Seen::Error(FrameError::Oversize { limit }),
            _ => Seen::Frame(payload.clone()),
        })
        .collect()
}

fn lengths_model(stream: &[u8], header: usize, limit: usize) -> Vec<Seen> {
    let (mut seen, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let Some(digits) = stream.get(at..at + header) else {
            seen.push(Seen::Error(FrameError::Truncated));
            break;
        };
        let len = digits
            .iter()
            .fold(0, |len, &digit| len * 256 + usize::from(digit));
        let payload = stream.get(at + header..at + header + len);
        if len > limit {
            seen.push(Seen::Error(FrameError::Oversize { limit }));
        }
        match payload {
            None => seen.push(Seen::Error(FrameError::Truncated)),
            Some(payload) if len <= limit => seen.push(Seen::Frame(payload.to_vec())),
            Some(_) => {}
        }
        at += header + len;
    }
    seen
}

fn lines_model(stream: &[u8], limit: usize) -> Vec<Seen> {
    let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
    let unfinished = lines.pop().unwrap_or_default();
    let payloads: Vec<Vec<u8>> = lines
        .iter()
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        .collect();
    let mut seen = judged(&payloads, limit);
    // Of a line without an end, a CR in the last place may have been half of it.
    let at_least = unfinished.len() - usize::from(unfinished.ends_with(b"\r"));
    if at_least > limit || unfinished.len() > limit + 1 {
        seen.push(Seen::Error(FrameError::Oversize { limit }));
    }
    if !unfinished.is_empty() {
        seen.push(Seen::Error(FrameError::Truncated));
    }
    seen
}

/// Where the object that `text` begins with ends: at its brace, or broken behind an LF in a string.
fn object_end(text: &[u8]) -> Option<(usize, bool)> {
    let (mut depth, mut in_string, mut at) = (0, false, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'\n' if in_string => return Some((at, false)),
            // The escaped byte is passed over, unless it is what ends the line.
            b'\\' if in_string => at += usize::from(text.get(at) != Some(&b'\n')),
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((at, true));
        }
    }
    None
}

fn objects_model(stream: &[u8], limit: usize) -> Vec<Seen> {
    let (mut seen, mut rest) = (Vec::new(), stream);
    loop {
        while let [b' ' | b'\t' | b'\r' | b'\n', after @ ..] = rest {
            rest = after;
        }
        match rest.first() {
            None => return seen,
            Some(b'{') => match object_end(rest) {
                Some((end, whole)) => {
                    seen.push(match whole {
                        _ if end > limit => Seen::Error(FrameError::Oversize { limit }),
                        true => Seen::Frame(rest[..end].to_vec()),
                        false => Seen::Error(FrameError::Malformed),
                    });
                    rest = &rest[end..];
                    // What is left of a broken object is told with it.
                    let stop = rest.iter().position(|byte| b"\n{".contains(byte));
                    rest = match whole {
                        true => rest,
                        false => stop.map_or(&[], |at| &rest[at..]),
                    };
                }
                None => {
                    if rest.len() >= limit {
                        seen.push(Seen::Error(FrameError::Oversize { limit }));
                    }
                    seen.push(Seen::Error(FrameError::Truncated));
                    return seen;
                }
            },
            Some(_) => {
                seen.push(Seen::Error(FrameError::Malformed));
                let Some(behind) = behind_values(rest) else {
                    seen.push(Seen::Error(FrameError::Truncated));
                    return seen;
                };
                let stop = behind.iter().position(|byte| b"\n{".contains(byte));
                rest = stop.map_or(&[], |at| &behind[at..]);
            }
        }
    }
}

/// What is left behind the arrays and strings that a text begins with, or from the line end in them
/// on; nothing if one of them is cut off.
fn behind_values(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        while let [b' ' | b'\t' | b'\r', after @ ..] = rest {
            rest = after;
        }
        if !matches!(rest, [b'[' | b'"', ..]) {
            return Some(rest);
        }
        let (mut depth, mut is_text, mut is_escaped) = (0, false, false);
        let end = rest.iter().position(|&byte| {
            match byte {
                b'\n' => return true,
                _ if is_escaped => is_escaped = false,
                b'\\' if is_text => is_escaped = true,
                b'"' => is_text = !is_text,
                b'[' if !is_text => depth += 1,
                b']' if !is_text => depth -= 1,
                _ => {}
            }
            depth == 0 && !is_text
        })?;
        if rest[end] == b'\n' {
            return Some(&rest[end..]);
        }
        rest = &rest[end + 1..];
    }
}

/// Sizes of pieces: mostly small ones.
fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..4_usize, 1..100_usize], 1..8)
}

/// Payloads around the limit of `N`, and some that are far above it.
fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let payload = prop_oneof![
        4 => vec(any::<u8>(), 0..N + 4),
        1 => vec(any::<u8>(), N..6 * N),
    ];
    vec(payload, 0..12)
}

/// Text without the ends of lines.
fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    payloads().prop_map(|mut payloads| {
        for byte in payloads.iter_mut().flatten() {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b'.';
            }
        }
        payloads
    })
}

/// Objects, nested and with strings that look like structure.
fn object() -> impl Strategy<Value = String> {
    let text = prop::sample::select(&["a", "{", "}}", "\\\"", "\\\\", "\\\"}", "\\n", "é"][..]);
    let string = vec(text, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()));
    let leaf = prop_oneof![Just("1".to_owned()), Just("[]".to_owned()), string.clone()];
    let value = leaf.prop_recursive(4, 12, 3, move |inner| {
        vec((string.clone(), inner), 0..3).prop_map(braced)
    });
    vec((Just("\"k\"".to_owned()), value), 0..3).prop_map(braced)
}

fn braced(members: Vec<(String, String)>) -> String {
    let members: Vec<String> = members
        .into_iter()
        .map(|(k, v)| format!("{k}:{v}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Bytes in which every special one is frequent.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => prop::sample::select(&b"\0\x01\x05{}[]\"\\\n\r ,ax"[..]),
        1 => any::<u8>(),
    ];
    vec(byte, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_with_lengths_comes_out(payloads in payloads(), sizes in pieces()) {
        let wide = Length32::new(usize::MAX);
        let stream: Vec<u8> = payloads.iter().flat_map(|p| seal(&wide, p)).collect();
        assert_eq!(decode(Length32::new(40), &stream, &sizes), judged(&payloads, 40));
        assert_eq!(decode(wide, &stream, &sizes), judged(&payloads, N - 4));

        let narrow = Length16::new(usize::MAX);
        let stream: Vec<u8> = payloads.iter().flat_map(|p| seal(&narrow, p)).collect();
        assert_eq!(decode(Length16::new(40), &stream, &sizes), judged(&payloads, 40));
        assert_eq!(decode(narrow, &stream, &sizes), judged(&payloads, N - 2));
    }

    #[test]
    fn what_is_sealed_as_lines_comes_out(texts in texts(), sizes in pieces()) {
        let framing = Lines::new(usize::MAX);
        let stream: Vec<u8> = texts.iter().flat_map(|t| seal(&framing, t)).collect();
        assert_eq!(decode(Lines::new(40), &stream, &sizes), judged(&texts, 40));
        assert_eq!(decode(framing, &stream, &sizes), judged(&texts, N - 2));
    }

    #[test]
    fn what_is_sealed_as_json_comes_out(objects in vec(object(), 0..12), sizes in pieces()) {
        let objects: Vec<Vec<u8>> = objects.into_iter().map(String::into_bytes).collect();
        let framing = JsonObjects::new(usize::MAX);
        let stream: Vec<u8> = objects.iter().flat_map(|o| seal(&framing, o)).collect();
        assert_eq!(decode(JsonObjects::new(20), &stream, &sizes), judged(&objects, 20));
        assert_eq!(decode(framing.clone(), &stream, &sizes), judged(&objects, N - 1));
        assert_eq!(decode(framing, &objects.concat(), &sizes), judged(&objects, N - 1));
    }

    #[test]
    fn datagrams_come_out_one_by_one(datagrams in payloads()) {
        let mut decoder: Decoder<_, N> = Decoder::new(Datagram::new(N - 1));
        let mut seen = Vec::new();
        for datagram in &datagrams {
            // As a socket does it: what is longer than the buffer is cut.
            let n = datagram.len().min(N);
            decoder.room()[..n].copy_from_slice(&datagram[..n]);
            decoder.commit(n);
            take(&mut decoder, &mut seen);
        }
        assert_eq!(seen, judged(&datagrams, N - 1));
    }

    #[test]
    fn garbage_between_objects_costs_no_object(
        parts in vec((object(), "[a-z\\]:, ]{0,60}"), 0..8),
        sizes in pieces(),
    ) {
        let stream: String = parts.iter().map(|(object, junk)| format!("{object}{junk}")).collect();
        let seen = decode(JsonObjects::new(usize::MAX), stream.as_bytes(), &sizes);
        let frames: Vec<Seen> = seen
            .into_iter()
            .filter(|seen| *seen != Seen::Error(FrameError::Malformed))
            .collect();
        let objects: Vec<Vec<u8>> = parts.into_iter().map(|(o, _)| o.into_bytes()).collect();
        assert_eq!(frames, judged(&objects, N - 1));
    }

    #[test]
    fn any_bytes_decode_as_the_models_say(stream in soup(), sizes in pieces(), limit in 0..N + 8) {
        let lowered = |overhead| limit.min(N - overhead);
        assert_eq!(
            decode(Length32::new(limit), &stream, &sizes),
            lengths_model(&stream, 4, lowered(4))
        );
        assert_eq!(
            decode(Length16::new(limit), &stream, &sizes),
            lengths_model(&stream, 2, lowered(2))
        );
        assert_eq!(
            decode(Lines::new(limit), &stream, &sizes),
            lines_model(&stream, lowered(2))
        );
        assert_eq!(
            decode(JsonObjects::new(limit), &stream, &sizes),
            objects_model(&stream, lowered(1))
        );
    }
}

#[test]
fn each_error_says_what_is_wrong_and_whether_the_next_frame_is_found() {
    let errors = [
        (
            FrameError::Oversize { limit: 9 },
            true,
            "above the limit of 9",
        ),
        (FrameError::Malformed, true, "no frame"),
        (FrameError::Unframeable, true, "cannot be framed"),
        (FrameError::Truncated, false, "ended inside a frame"),
    ];
    for (error, is_survivable, text) in errors {
        assert_eq!(error.is_survivable(), is_survivable, "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// Shows `input` until there is no news, so that an error is followed by what is skipped for it;
/// then nothing.
#[track_caller]
fn check_empty<F: Framing>(mut framing: F, input: &[u8]) {
    assert_eq!(framing.scan(b""), Ok(Scan::More), "before {input:?}");
    if framing.scan(input).is_err() {
        assert_eq!(framing.scan(b""), Ok(Scan::More), "in {input:?}");
        assert!(matches!(framing.scan(input), Ok(Scan::Skip { .. })));
    }
    assert_eq!(framing.scan(b""), Ok(Scan::More), "behind {input:?}");
}

#[test]
fn an_empty_input_is_no_news_whatever_came_before_it() {
    for line in [&b"a line"[..], b"above the limit", b"above\nthe limit"] {
        check_empty(Lines::new(8), line);
    }
    check_empty(Length16::new(8), &[0, 9, 1]);
    check_empty(Length32::new(8), &[0, 0, 0, 9, 1]);
    for text in ["junk", "{\"a\":\"above the limit", "{\"a\n", "{}"] {
        check_empty(JsonObjects::new(8), text.as_bytes());
    }
}

#[test]
fn an_empty_datagram_is_a_frame_behind_one_that_was_too_large_too() {
    let mut framing = Datagram::new(4);
    assert_eq!(
        framing.scan(b"large"),
        Err(FrameError::Oversize { limit: 4 })
    );
    let empty = Scan::Frame {
        start: 0,
        end: 0,
        consumed: 0,
    };
    assert_eq!(framing.scan(b""), Ok(empty));
}

#[test]
fn white_space_that_fills_the_buffer_hides_no_object() {
    let stream = [&[b' '; 3 * N][..], b"{}"].concat();
    for size in [1, N - 1, N] {
        let seen = decode(JsonObjects::new(N), &stream, &[size]);
        assert_eq!(seen, [Seen::Frame(b"{}".to_vec())], "in pieces of {size}");
    }
}

#[test]
fn an_object_that_was_not_asked_for_counts_as_one_that_is_not_whole() {
    let framing = JsonObjects::new(8);
    assert_eq!(framing.end(b"{}"), Err(FrameError::Truncated));
    assert_eq!(framing.end(b" \r\n\t"), Ok(()));
}
