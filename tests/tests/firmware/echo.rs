//! The image `echo`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Board, images, report};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_comes_over_the_line_goes_back_byte_for_byte() {
    let Some(images) = images() else { return };
    let (mut board, mut lines) = Board::start(images, "echo", 1);
    let mut line = lines.pop().unwrap();
    wake(&mut line);
    // More than both rings and every FIFO between hold, of every byte there is.
    let sent: Vec<u8> = (0..40_000_u32)
        .map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    let mut to_send = line.try_clone().unwrap();
    let (all, mut back) = (sent.clone(), vec![0; sent.len()]);
    let sender = std::thread::spawn(move || to_send.write_all(&all));
    line.read_exact(&mut back).unwrap();
    sender.join().unwrap().unwrap();
    assert!(back == sent);
    // One at a time, too.
    for byte in 0..=u8::MAX {
        line.write_all(&[byte]).unwrap();
        let mut back = [0];
        line.read_exact(&mut back).unwrap();
        assert_eq!(back, [byte]);
    }
    board.reset();
    wake(&mut line);
    report("stack", "echo", board.stack());
}

/// Waits until the board answers: what comes before it listens is lost.
#[track_caller]
fn wake(line: &mut TcpStream) {
    let end = Instant::now() + PATIENCE;
    let mut byte = [0];
    line.set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    while line.read_exact(&mut byte).is_err() {
        assert!(Instant::now() < end, "no answer");
        line.write_all(b"?").unwrap();
    }
    // The answers to all of these are out of the way before this one.
    line.set_read_timeout(Some(PATIENCE)).unwrap();
    line.write_all(b"#").unwrap();
    while byte != *b"#" {
        line.read_exact(&mut byte).unwrap();
    }
}
