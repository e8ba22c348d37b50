//! What the write-only limit is told: one byte for each run of posts that it may write.

use std::io::Write;
use std::net::TcpStream;

use super::{BODY, Control, Dialect, FILL, Part, RUN, Shape, Template, read_until};

/// As many bytes as an `Entry` of halloo/1 takes with its header and a name of one letter.
const SIZE: usize = 22 + BODY;

/// The first byte of a connection.
pub(crate) const MEMBER: u8 = b'm';
const POSTER: u8 = b'p';

pub(crate) struct Bare;

impl Bare {
    /// What is written to each member for one byte.
    pub(crate) fn run() -> Vec<u8> {
        let mut frame = [b'e'; SIZE];
        frame[SIZE - FILL.len()..].copy_from_slice(&FILL);
        frame.repeat(RUN)
    }
}

impl Dialect for Bare {
    fn attach(&self, stream: &mut TcpStream, _nth: usize, _room: &str, part: Part) -> Shape {
        let part = if part.reads() { MEMBER } else { POSTER };
        stream.write_all(&[part]).expect("it reads");
        read_until(stream, |held| held == [part]);
        let head = SIZE - BODY;
        Shape {
            mixed: false,
            head: vec![b'e'; head],
            size: SIZE,
            body_at: head,
            count: None,
        }
    }

    fn template(&self, _nth: usize, _room: &str) -> Template {
        Template::default()
    }

    fn add_posts(
        &self,
        _template: &Template,
        out: &mut Vec<u8>,
        posts: usize,
        _mark: u64,
        _seq: u64,
    ) {
        assert_eq!(posts, RUN, "a byte is a run");
        out.push(b'.');
    }

    fn control(&self, data: &[u8]) -> Option<Control> {
        panic!("it says {}", data.escape_ascii());
    }
}
