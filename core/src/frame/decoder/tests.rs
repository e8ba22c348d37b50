use super::super::testkit::*;
use super::super::{Datagram, JsonObjects, Length16, Length32, Lines};
use super::*;
use std::vec::Vec;

/// Puts as much of `bytes` as fits into the room; returns how much that was.
fn feed<F: Framing, const N: usize>(decoder: &mut Decoder<F, N>, bytes: &[u8]) -> usize {
    let room = decoder.room();
    let n = room.len().min(bytes.len());
    room[..n].copy_from_slice(&bytes[..n]);
    decoder.commit(n);
    n
}

fn poll<F: Framing, const N: usize>(decoder: &mut Decoder<F, N>) -> Option<Seen> {
    match decoder.poll_frame() {
        Ok(None) => None,
        Ok(Some(token)) => Some(frame(decoder.bytes(token))),
        Err(error) => Some(Seen::Error(error)),
    }
}

#[test]
fn the_limit_is_lowered_to_what_the_buffer_holds() {
    assert_eq!(Decoder::<_, 64>::new(Length32::new(1000)).limit(), 60);
    assert_eq!(Decoder::<_, 64>::new(Length16::new(1000)).limit(), 62);
    assert_eq!(Decoder::<_, 64>::new(Lines::new(1000)).limit(), 62);
    assert_eq!(Decoder::<_, 64>::new(Datagram::new(1000)).limit(), 64);
    assert_eq!(Decoder::<_, 64>::new(Lines::new(7)).limit(), 7);
}

#[test]
fn there_is_no_room_only_while_frames_wait_in_a_full_buffer() {
    let mut decoder: Decoder<_, 4> = Decoder::new(Lines::new(2));
    assert_eq!(feed(&mut decoder, b"a\nb\nc\n"), 4);
    assert!(decoder.room().is_empty());
    assert_eq!(poll(&mut decoder), Some(frame(b"a")));
    assert_eq!(decoder.room().len(), 2);
    assert_eq!(feed(&mut decoder, b"c\n"), 2);
    assert_eq!(poll(&mut decoder), Some(frame(b"b")));
    assert_eq!(poll(&mut decoder), Some(frame(b"c")));
    assert_eq!(poll(&mut decoder), None);
    assert_eq!(decoder.room().len(), 4);
}

#[test]
fn there_is_room_right_after_an_error() {
    let mut decoder: Decoder<_, 4> = Decoder::new(Lines::new(2));
    assert_eq!(feed(&mut decoder, b"long"), 4);
    assert_eq!(poll(&mut decoder), Some(oversize(2)));
    assert_eq!(decoder.room().len(), 4);
}

#[test]
fn a_commit_above_the_room_is_the_room() {
    let mut decoder: Decoder<_, 8> = Decoder::new(Lines::new(6));
    decoder.room().fill(b'\n');
    decoder.commit(usize::MAX);
    decoder.commit(usize::MAX);
    for _ in 0..8 {
        assert_eq!(poll(&mut decoder), Some(frame(b"")));
    }
    assert_eq!(poll(&mut decoder), None);
}

#[test]
fn a_frame_can_be_changed_in_place() {
    let mut decoder: Decoder<_, 16> = Decoder::new(Lines::new(10));
    feed(&mut decoder, b"one\ntwo\n");
    let token = decoder.poll_frame().unwrap().unwrap();
    decoder.bytes_mut(token).make_ascii_uppercase();
    assert_eq!(decoder.bytes(token), b"ONE");
    assert_eq!(poll(&mut decoder), Some(frame(b"two")));
}

#[test]
fn a_stale_token_never_panics() {
    let mut large: Decoder<_, 64> = Decoder::new(Lines::new(62));
    feed(&mut large, &[&[b'x'; 60][..], b"\n"].concat());
    let token = large.poll_frame().unwrap().unwrap();
    large.room().fill(b'y');
    assert_eq!(large.bytes(token).len(), 60);
    let mut small: Decoder<_, 8> = Decoder::new(Lines::new(6));
    assert_eq!(small.bytes(token), b"");
    assert_eq!(small.bytes_mut(token), b"");
}

#[test]
fn any_order_of_calls_is_safe() {
    fn mess<F: Framing + Clone>(framing: &F) {
        for seed in 0..2_000_u32 {
            let mut decoder: Decoder<F, 12> = Decoder::new(framing.clone());
            let mut dice = seed.wrapping_mul(0x9e37_79b9) | 1;
            for _ in 0..40 {
                dice ^= dice << 13;
                dice ^= dice >> 17;
                dice ^= dice << 5;
                match dice % 5 {
                    0 => decoder
                        .room()
                        .fill(b"\0\x02\n{}\"\\a"[dice as usize / 8 % 8]),
                    1 => decoder.commit(dice as usize / 8 % 16),
                    2 => drop(decoder.end()),
                    _ => drop(poll(&mut decoder)),
                }
                assert!(decoder.start <= decoder.end && decoder.end <= 12);
            }
        }
    }
    mess(&Length16::new(9));
    mess(&Length32::new(9));
    mess(&Lines::new(9));
    mess(&JsonObjects::new(9));
    mess(&Datagram::new(9));
    #[cfg(feature = "cobs")]
    mess(&crate::frame::Cobs::new(9));
}

#[test]
fn a_buffer_of_several_frames_gives_them_without_moving_them() {
    let mut decoder: Decoder<_, 64> = Decoder::new(Length16::new(62));
    feed(&mut decoder, b"\0\x01a\0\x01b\0\x02c");
    let a = decoder.poll_frame().unwrap().unwrap();
    let b = decoder.poll_frame().unwrap().unwrap();
    assert_eq!(decoder.poll_frame(), Ok(None));
    assert_eq!((decoder.bytes(a), decoder.bytes(b)), (&b"a"[..], &b"b"[..]));
}

#[test]
fn datagrams_never_join_and_an_empty_one_is_a_frame() {
    let mut decoder: Decoder<_, 8> = Decoder::new(Datagram::new(7));
    assert_eq!(poll(&mut decoder), None);
    for datagram in [&b"one"[..], b"", b"", b"seven b", b"two"] {
        assert_eq!(feed(&mut decoder, datagram), datagram.len());
        assert!(decoder.room().is_empty());
        decoder.commit(3);
        assert_eq!(poll(&mut decoder), Some(frame(datagram)));
        assert_eq!(poll(&mut decoder), None);
        assert_eq!(decoder.end(), Ok(()));
    }
}

#[test]
fn a_datagram_above_the_limit_is_told_once_and_skipped() {
    let mut decoder: Decoder<_, 8> = Decoder::new(Datagram::new(7));
    feed(&mut decoder, b"good");
    assert_eq!(poll(&mut decoder), Some(frame(b"good")));
    feed(&mut decoder, b"too large");
    assert_eq!(poll(&mut decoder), Some(oversize(7)));
    feed(&mut decoder, b"fine");
    assert_eq!(poll(&mut decoder), Some(frame(b"fine")));
    assert_eq!(poll(&mut decoder), None);
}

/// A framing that always asks for more: what a faulty one does at worst.
#[derive(Clone)]
struct Insatiable;

impl Framing for Insatiable {
    const HEADER: usize = 0;
    const OVERHEAD: usize = 0;
    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        match input.first() {
            Some(b's') => Ok(Scan::Skip { consumed: 0 }),
            Some(b'f') => Ok(Scan::Frame {
                start: 0,
                end: 99,
                consumed: 0,
            }),
            _ => Ok(Scan::More),
        }
    }
    fn end(&self, _rest: &[u8]) -> Result<(), FrameError> {
        Ok(())
    }
    fn seal(&self, _buf: &mut [u8], _len: usize) -> Result<usize, FrameError> {
        Err(FrameError::Unframeable)
    }
    fn limit(&self) -> usize {
        9
    }
    fn lower_limit(&mut self, _most: usize) {}
}

#[test]
fn a_faulty_framing_can_not_stop_its_decoder() {
    let seen = decode::<_, 4>(Insatiable, [&b"mmmmsf"[..]]);
    assert_eq!(seen, [oversize(9), frame(b"f")]);
}

#[test]
fn a_decoder_is_its_buffer_and_little_more() {
    assert!(size_of::<Decoder<Length32, 256>>() <= 256 + 6 * size_of::<usize>() + 16);
    assert!(size_of::<Decoder<JsonObjects, 256>>() <= 256 + 10 * size_of::<usize>());
}

#[test]
fn frames_of_every_size_pass_a_buffer_that_just_holds_the_largest() {
    let payload = [b'p'; 14];
    let mut input = Vec::new();
    for len in (0..=14).chain((0..=14).rev()) {
        input.extend_from_slice(&[0, len as u8]);
        input.extend_from_slice(&payload[..len]);
    }
    let expected: Vec<Seen> = (0..=14)
        .chain((0..=14).rev())
        .map(|len| frame(&payload[..len]))
        .collect();
    check_every_cut::<_, 16>(&Length16::new(14), &input, &expected);
}

#[test]
fn a_token_tells_how_much_payload_its_frame_has() {
    let mut decoder: Decoder<_, 16> = Decoder::new(Lines::new(10));
    feed(&mut decoder, b"\none\n");
    let empty = decoder.poll_frame().unwrap().unwrap();
    assert_eq!((empty.len(), empty.is_empty()), (0, true));
    let three = decoder.poll_frame().unwrap().unwrap();
    assert_eq!((three.len(), three.is_empty()), (3, false));
}

/// Skips marks in front of what is left of the input; `step` bytes at a time, which may be none.
struct Marked<const WHOLE: bool> {
    step: usize,
}

impl<const WHOLE: bool> Framing for Marked<WHOLE> {
    const HEADER: usize = 0;
    const OVERHEAD: usize = 0;
    const WHOLE: bool = WHOLE;

    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        let consumed = self.step;
        match input {
            [b'#', ..] | [] => Ok(Scan::Skip { consumed }),
            _ => Ok(Scan::Frame {
                start: 0,
                end: input.len(),
                consumed: input.len(),
            }),
        }
    }

    fn end(&self, _: &[u8]) -> Result<(), FrameError> {
        Ok(())
    }

    fn seal(&self, _: &mut [u8], len: usize) -> Result<usize, FrameError> {
        Ok(len)
    }

    fn limit(&self) -> usize {
        8
    }

    fn lower_limit(&mut self, _: usize) {}
}

fn check_marked<const WHOLE: bool>(step: usize) {
    let mut decoder: Decoder<_, 8> = Decoder::new(Marked::<WHOLE> { step });
    feed(&mut decoder, b"##two");
    assert_eq!(poll(&mut decoder), Some(frame(b"two")));
    assert_eq!(poll(&mut decoder), None);
    feed(&mut decoder, b"");
    assert_eq!(poll(&mut decoder), None, "there is nothing to skip");
}

#[test]
fn a_framing_may_skip_the_front_of_a_datagram_and_may_not_stand_still() {
    for step in [0, 1] {
        check_marked::<false>(step);
        check_marked::<true>(step);
    }
}
