//! What the tests of all framings share: every cut, every truncation, every damaged byte.

use std::vec::Vec;

use super::{Decoder, FrameError, Framing, Scan};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Frame(Vec<u8>),
    Error(FrameError),
}

pub(super) fn frame(payload: &[u8]) -> Seen {
    Seen::Frame(payload.to_vec())
}

pub(super) fn oversize(limit: usize) -> Seen {
    Seen::Error(FrameError::Oversize { limit })
}

pub(super) const MALFORMED: Seen = Seen::Error(FrameError::Malformed);
pub(super) const TRUNCATED: Seen = Seen::Error(FrameError::Truncated);

/// What a decoder makes of a stream that comes in these pieces and then ends.
pub(super) fn decode<'a, F: Framing, const N: usize>(
    framing: F,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Seen> {
    let mut decoder: Decoder<F, N> = Decoder::new(framing);
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

fn drain<F: Framing, const N: usize>(decoder: &mut Decoder<F, N>, seen: &mut Vec<Seen>) {
    for _ in 0..=2 * N {
        match decoder.poll_frame() {
            Ok(None) => return,
            Ok(Some(token)) => {
                assert_eq!(decoder.bytes(token).len(), token.len());
                seen.push(frame(decoder.bytes(token)));
            }
            Err(error) => {
                assert!(error.is_survivable(), "{error} from poll_frame");
                seen.push(Seen::Error(error));
            }
        }
    }
    panic!("the decoder makes no progress");
}

/// Whole, in chunks of every size, and split in two everywhere: always `expected`.
#[track_caller]
pub(super) fn check_every_cut<F: Framing + Clone, const N: usize>(
    framing: &F,
    input: &[u8],
    expected: &[Seen],
) {
    for size in 1..=input.len().max(1) {
        let seen = decode::<F, N>(framing.clone(), input.chunks(size));
        assert_eq!(seen, expected, "chunks of {size}");
    }
    for at in 0..=input.len() {
        let (front, back) = input.split_at(at);
        let seen = decode::<F, N>(framing.clone(), [front, back]);
        assert_eq!(seen, expected, "split at {at}");
    }
}

/// A stream cut off anywhere gives what the whole one gives, as far as it goes.
#[track_caller]
pub(super) fn check_every_truncation<F: Framing + Clone, const N: usize>(
    framing: &F,
    input: &[u8],
) {
    let whole = decode::<F, N>(framing.clone(), [input]);
    for len in 0..input.len() {
        let mut seen = decode::<F, N>(framing.clone(), [&input[..len]]);
        if seen.last() == Some(&TRUNCATED) {
            seen.pop();
        }
        assert!(whole.starts_with(&seen), "cut off at {len}: {seen:?}");
    }
}

/// Any single byte changed to anything: no panic, progress, and the same in every cut.
#[track_caller]
pub(super) fn check_every_byte_change<F: Framing + Clone, const N: usize>(
    framing: &F,
    input: &[u8],
) {
    let mut damaged = input.to_vec();
    for at in 0..input.len() {
        for value in 0..=u8::MAX {
            damaged[at] = value;
            let whole = decode::<F, N>(framing.clone(), [&damaged[..]]);
            for size in [1, 2, 3, 7] {
                let seen = decode::<F, N>(framing.clone(), damaged.chunks(size));
                assert_eq!(seen, whole, "byte {at} is {value}, chunks of {size}");
            }
        }
        damaged[at] = input[at];
    }
}

/// All of the above.
#[track_caller]
pub(super) fn check<F: Framing + Clone, const N: usize>(
    framing: &F,
    input: &[u8],
    expected: &[Seen],
) {
    check_every_cut::<F, N>(framing, input, expected);
    check_every_truncation::<F, N>(framing, input);
    check_every_byte_change::<F, N>(framing, input);
}

/// A good frame is found behind a bad one that is far longer than the buffer.
#[track_caller]
pub(super) fn check_survival<F: Framing + Clone, const N: usize>(
    framing: &F,
    good: &[u8],
    bad: &[u8],
    payload: &[u8],
) {
    let limit = Decoder::<F, N>::new(framing.clone()).limit();
    let input = [good, bad, good].concat();
    let expected = [frame(payload), oversize(limit), frame(payload)];
    for size in [1, 2, 3, N - 1, N, N + 1, 4096, input.len()] {
        let seen = decode::<F, N>(framing.clone(), input.chunks(size));
        assert_eq!(seen, expected, "chunks of {size}");
    }
}

/// What is sealed scans as itself, in a buffer that is just large enough and in no smaller one.
#[track_caller]
pub(super) fn check_seal<F: Framing + Clone>(framing: &F, payload: &[u8], sealed: &[u8]) {
    let mut buf = [0xee; 128];
    buf[F::HEADER..][..payload.len()].copy_from_slice(payload);
    let mut small = buf;
    assert_eq!(
        framing.seal(&mut small[..sealed.len() - 1], payload.len()),
        Err(FrameError::Unframeable)
    );
    let n = framing.seal(&mut buf[..sealed.len()], payload.len());
    assert_eq!(n, Ok(sealed.len()));
    assert_eq!(&buf[..sealed.len()], sealed);
    assert!(sealed.len() <= payload.len() + F::OVERHEAD);
    let (mut framing, mut rest) = (framing.clone(), sealed.to_vec());
    loop {
        match framing.scan(&rest) {
            Ok(Scan::Skip { consumed }) => drop(rest.drain(..consumed)),
            Ok(Scan::Frame { start, end, .. }) => {
                framing.unseal(&mut rest);
                return assert_eq!(&rest[start..end], payload);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
pub(super) fn check_unframeable<F: Framing>(framing: &F, payload: &[u8]) {
    let mut buf = [0; 128];
    buf[F::HEADER..][..payload.len()].copy_from_slice(payload);
    assert_eq!(
        framing.seal(&mut buf, payload.len()),
        Err(FrameError::Unframeable)
    );
}
