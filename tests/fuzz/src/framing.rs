//! Framings: any stream in any pieces gives what a naive reading of the whole gives.

use arbitrary::Unstructured;
use halloo_core::frame::{
    Cobs, Datagram, Decoder, FrameError, Framing, JsonObjects, Length16, Length32, Lines,
    buffer_bytes,
};

/// The receive buffer of every decoder here.
const BUFFER: usize = 64;

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Frame(Vec<u8>),
    Error(FrameError),
}

const TRUNCATED: Seen = Seen::Error(FrameError::Truncated);
const MALFORMED: Seen = Seen::Error(FrameError::Malformed);

/// Runs [`Length32`].
pub fn length32(data: &[u8]) {
    stream(data, Length32::new, counted::<4>);
}

/// Runs [`Length16`].
pub fn length16(data: &[u8]) {
    stream(data, Length16::new, counted::<2>);
}

/// Runs [`Lines`].
pub fn lines(data: &[u8]) {
    stream(data, Lines::new, naive_lines);
}

/// Runs [`JsonObjects`].
pub fn json_objects(data: &[u8]) {
    stream(data, JsonObjects::new, naive_objects);
}

/// Runs [`Cobs`]: over the bytes, and over frames of them that are damaged.
pub fn cobs(data: &[u8]) {
    stream(data, Cobs::new, naive_cobs);
    // What is sent, and what noise makes of it, is drawn: whoever could choose both would write a frame.
    let mut u = Unstructured::new(data);
    let mut dice = u.arbitrary::<u32>().unwrap_or(0) | 1;
    let mut roll = || {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        (dice >> 8) as u8
    };
    let (mut line, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let len = u.int_in_range(1..=80_u8).unwrap_or(1).into();
        let mut buf = vec![0; buffer_bytes::<Cobs>(len)];
        let payload = &mut buf[Cobs::HEADER..][..len];
        payload.fill_with(|| roll() * u8::from(roll() > 20));
        sent.push(payload.to_vec());
        let sealed = Cobs::new(80).seal(&mut buf, len).expect("it fits");
        line.extend(&buf[..sealed]);
    }
    for _ in 0..u.int_in_range(0..=8).unwrap_or(0) {
        let at = u.choose_index(line.len()).unwrap_or(0);
        line[at] = roll() * u8::from(roll() > 80);
    }
    // Whatever comes was sent. In 2^32 inputs one that is not could pass the check.
    let mut sent = sent.iter();
    for seen in decode(Cobs::new(80), &mut line.chunks(7)) {
        if let Seen::Frame(frame) = seen {
            assert!(sent.any(|it| *it == frame), "S14: nobody sent {frame:x?}");
        }
    }
}

/// Runs [`Datagram`]: the pieces are datagrams.
pub fn datagram(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(limit) = u.int_in_range(0..=BUFFER - 2) else {
        return;
    };
    let mut decoder: Decoder<Datagram, BUFFER> = Decoder::new(Datagram::new(limit));
    while !u.is_empty() {
        let len = u.int_in_range(0..=BUFFER).unwrap_or(0);
        let datagram = u.bytes(len.min(u.len())).unwrap_or_default();
        decoder.room()[..datagram.len()].copy_from_slice(datagram);
        decoder.commit(datagram.len());
        let mut seen = Vec::new();
        drain(&mut decoder, &mut seen);
        let want = match datagram.len() <= limit {
            true => Seen::Frame(datagram.to_vec()),
            false => Seen::Error(FrameError::Oversize { limit }),
        };
        assert_eq!(seen, [want]);
        assert_eq!(decoder.end(), Ok(()));
    }
}

/// The first bytes say the limit and how the rest, a stream, is cut.
fn stream<F: Framing + Clone>(
    data: &[u8],
    framing: impl FnOnce(usize) -> F,
    naive: impl FnOnce(&[u8], usize) -> Vec<Seen>,
) {
    let mut u = Unstructured::new(data);
    let (Ok(limit), Ok(sizes)) = (u.arbitrary::<u8>(), u.arbitrary::<[u8; 3]>()) else {
        return;
    };
    let framing = framing((limit % 80).into());
    let limit = Decoder::<F, BUFFER>::new(framing.clone()).limit();
    let input = u.take_rest();
    let want = naive(input, limit);
    let whole = decode(framing.clone(), &mut std::iter::once(input));
    assert_eq!(whole, want, "whole");
    let single = decode(framing.clone(), &mut input.chunks(1));
    assert_eq!(single, want, "S13: byte by byte");
    let (mut sizes, mut rest) = (sizes.into_iter().cycle(), input);
    let mut pieces = std::iter::from_fn(|| {
        let size = usize::from(sizes.next()? % 70).clamp(1, rest.len().max(1));
        let (piece, tail) = rest.split_at_checked(size)?;
        rest = tail;
        Some(piece)
    });
    assert_eq!(decode(framing.clone(), &mut pieces), want, "S13: in pieces");
    seal(&framing, input, limit);
}

/// What can be sealed comes back as the one frame that it is.
fn seal<F: Framing + Clone>(framing: &F, payload: &[u8], limit: usize) {
    let mut buf = vec![0; buffer_bytes::<F>(payload.len())];
    buf[F::HEADER..][..payload.len()].copy_from_slice(payload);
    let mut bounded = framing.clone();
    bounded.lower_limit(limit);
    match bounded.seal(&mut buf, payload.len()) {
        Ok(len) => {
            let back = decode(framing.clone(), &mut std::iter::once(&buf[..len]));
            assert_eq!(back, [Seen::Frame(payload.to_vec())], "sealed");
        }
        Err(error) => assert_eq!(error, FrameError::Unframeable),
    }
}

fn decode<F: Framing>(framing: F, pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<Seen> {
    let mut decoder: Decoder<F, BUFFER> = Decoder::new(framing);
    let mut seen = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let room = decoder.room();
            let n = room.len().min(piece.len());
            assert!(n > 0, "no room although all frames were taken");
            room[..n].copy_from_slice(&piece[..n]);
            decoder.commit(n);
            piece = &piece[n..];
            drain(&mut decoder, &mut seen);
        }
    }
    seen.extend(decoder.end().err().map(Seen::Error));
    seen
}

fn drain<F: Framing>(decoder: &mut Decoder<F, BUFFER>, seen: &mut Vec<Seen>) {
    for _ in 0..=2 * BUFFER {
        match decoder.poll_frame() {
            Ok(None) => return,
            Ok(Some(token)) => {
                let frame = decoder.bytes(token);
                assert!(frame.len() == token.len() && frame.len() <= decoder.limit());
                seen.push(Seen::Frame(frame.to_vec()));
            }
            Err(error) => {
                assert!(error.is_survivable(), "{error} from poll_frame");
                seen.push(Seen::Error(error));
            }
        }
    }
    panic!("the decoder makes no progress");
}

fn counted<const H: usize>(mut input: &[u8], limit: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some((header, rest)) = input.split_first_chunk::<H>() {
        let len = header
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte));
        if len > limit {
            seen.push(Seen::Error(FrameError::Oversize { limit }));
        }
        let Some((payload, rest)) = rest.split_at_checked(len) else {
            seen.push(TRUNCATED);
            return seen;
        };
        if len <= limit {
            seen.push(Seen::Frame(payload.to_vec()));
        }
        input = rest;
    }
    if !input.is_empty() {
        seen.push(TRUNCATED);
    }
    seen
}

fn naive_lines(input: &[u8], limit: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        let over = Seen::Error(FrameError::Oversize { limit });
        match line.strip_suffix(b"\n") {
            Some(line) => {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let fits = line.len() <= limit;
                seen.push(if fits { Seen::Frame(line.into()) } else { over });
            }
            None => {
                // A CR at the limit may yet be the first half of the line's end.
                let is_over = match line.get(limit) {
                    None => false,
                    Some(b'\r') => line.len() > limit + 1,
                    Some(_) => true,
                };
                seen.extend(is_over.then_some(over));
                seen.push(TRUNCATED);
            }
        }
    }
    seen
}

fn naive_cobs(input: &[u8], limit: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut pieces: Vec<_> = input.split(|&byte| byte == 0).collect();
    let rest = pieces.pop().unwrap_or_default();
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        seen.push(match unstuff(piece) {
            (data, _) if data.len() > limit + 4 => Seen::Error(FrameError::Oversize { limit }),
            (data, true) => match data.split_last_chunk::<4>() {
                Some((payload, check))
                    if !payload.is_empty() && crc32(payload).to_le_bytes() == *check =>
                {
                    Seen::Frame(payload.into())
                }
                _ => MALFORMED,
            },
            (_, false) => MALFORMED,
        });
    }
    if unstuff(rest).0.len() > limit + 4 {
        seen.push(Seen::Error(FrameError::Oversize { limit }));
    }
    if !rest.is_empty() {
        seen.push(TRUNCATED);
    }
    seen
}

/// What is in the blocks, and whether the last is whole.
fn unstuff(mut stuffed: &[u8]) -> (Vec<u8>, bool) {
    let mut data = Vec::new();
    while let Some((&code, rest)) = stuffed.split_first() {
        let Some((block, rest)) = rest.split_at_checked(usize::from(code) - 1) else {
            data.extend(rest);
            return (data, false);
        };
        data.extend(block);
        if code < 255 && !rest.is_empty() {
            data.push(0);
        }
        stuffed = rest;
    }
    (data, true)
}

/// By division, a bit at a time, the highest first.
fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte.reverse_bits()) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    !crc.reverse_bits()
}

fn naive_objects(input: &[u8], limit: usize) -> Vec<Seen> {
    let (mut seen, mut at) = (Vec::new(), 0);
    while let Some(&byte) = input.get(at) {
        if byte.is_ascii_whitespace() && byte != 0x0c {
            at += 1;
        } else if byte != b'{' {
            seen.push(MALFORMED);
            let Some(len) = values(&input[at..]) else {
                seen.push(TRUNCATED);
                return seen;
            };
            at += len;
            at += junk(&input[at..]);
        } else {
            let (end, is_whole) = object_end(&input[at..]);
            let len = end.unwrap_or(input.len() - at + 1);
            if len > limit && input.len() - at >= limit {
                seen.push(Seen::Error(FrameError::Oversize { limit }));
            } else if end.is_some() && is_whole {
                seen.push(Seen::Frame(input[at..at + len].to_vec()));
            } else if end.is_some() {
                seen.push(MALFORMED);
            }
            if end.is_none() {
                seen.push(TRUNCATED);
                return seen;
            }
            at += len;
            if !is_whole {
                // What is left of the object.
                at += junk(&input[at..]);
            }
        }
    }
    seen
}

/// How many bytes of `input` end at a line end or at an object, or are all.
fn junk(input: &[u8]) -> usize {
    let stop = input.iter().position(|byte| b"\n{".contains(byte));
    stop.unwrap_or(input.len())
}

/// How long the arrays, strings and blanks are that `input` begins with, at most up to a line end in
/// them; nothing if one of them is cut off.
fn values(input: &[u8]) -> Option<usize> {
    let line = input.split(|&byte| byte == b'\n').next()?;
    let (mut open, mut at) = (Vec::new(), 0);
    while let Some(&byte) = line.get(at) {
        match (open.last(), byte) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(b'"'), b'"') | (Some(b'['), b']') => drop(open.pop()),
            (Some(b'"'), _) => {}
            (_, b'"' | b'[') => open.push(byte),
            (Some(_), _) | (None, b' ' | b'\t' | b'\r') => {}
            (None, _) => return Some(at),
        }
        at += 1;
    }
    let is_cut_off = line.len() == input.len() && !open.is_empty();
    (!is_cut_off).then_some(line.len())
}

/// Where the object ends that `input` begins with, and whether that is its brace or an LF in a string.
fn object_end(input: &[u8]) -> (Option<usize>, bool) {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, &byte) in input.iter().enumerate() {
        if in_string {
            match byte {
                b'\n' => return (Some(at + 1), false),
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (Some(at + 1), true);
        }
    }
    (None, false)
}
