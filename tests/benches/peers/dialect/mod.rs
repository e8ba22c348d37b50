//! What each server speaks, as far as the bench has to: to join, to post, and to count.

mod bare;
mod halloo;
mod mqtt;
mod nats;
mod redis;

use std::io::Read;
use std::net::TcpStream;

pub(crate) use bare::{Bare, MEMBER};
pub(crate) use halloo::Halloo;
pub(crate) use mqtt::Mqtt;
pub(crate) use nats::{JetStream, Nats};
pub(crate) use redis::{Redis, RedisStream};

use crate::server::Server;

/// How many posts go out together.
pub(crate) const RUN: usize = 32;

/// The bytes of every body.
pub(crate) const BODY: usize = 64;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Member,
    Poster,
    /// Reads what it posts, too.
    Both,
}

impl Part {
    pub(crate) fn reads(self) -> bool {
        self != Self::Poster
    }
}

/// The deliveries in one room: all have the same length, and begin alike.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) head: Vec<u8>,
    pub(crate) size: usize,
    pub(crate) body_at: usize,
    /// Where a delivery says which one it is: a number of 8 bytes that grows by one each time, and
    /// what it begins with.
    pub(crate) count: Option<(usize, u64)>,
    /// Other things of the same length may stand between them.
    pub(crate) mixed: bool,
}

impl Shape {
    /// Whether `bytes` are the delivery of that number.
    pub(crate) fn fits(&self, bytes: &[u8], number: u64) -> bool {
        let counted = self.count.is_none_or(|(at, first)| {
            bytes[at..at + 8] == first.wrapping_add(number).to_be_bytes()
        });
        bytes.starts_with(&self.head) && counted && self.has_body(bytes)
    }

    /// The same where several connections post at once: whose numbers are in the bodies are in no
    /// order then, and answers to posts stand between deliveries.
    pub(crate) fn crowded(mut self) -> Self {
        self.mixed = true;
        self.count = self.count.filter(|(at, _)| *at != self.body_at);
        self
    }

    /// The 8 bytes that the body of a delivery begins with.
    pub(crate) fn mark(&self, bytes: &[u8]) -> u64 {
        let mark = bytes[self.body_at..][..8].try_into();
        u64::from_be_bytes(mark.expect("8 bytes"))
    }

    /// The same for who counts what comes and minds no holes.
    pub(crate) fn uncounted(mut self) -> Self {
        self.mixed = true;
        self.count = None;
        self
    }

    /// Whether the end of the body is as it was posted.
    fn has_body(&self, bytes: &[u8]) -> bool {
        bytes[self.body_at + 8..self.body_at + BODY] == FILL
    }
}

/// A body behind its first 8 bytes.
pub(crate) const FILL: [u8; BODY - 8] = [b'.'; BODY - 8];

/// A post, to be copied and numbered.
#[derive(Clone, Default)]
pub(crate) struct Template {
    pub(crate) frame: Vec<u8>,
    /// Where 4 bytes number the posts of the connection, from 1.
    pub(crate) seq_at: Option<usize>,
    pub(crate) body_at: usize,
}

impl Template {
    fn new(before: &[u8], after: &[u8]) -> Self {
        let mut frame = before.to_vec();
        frame.extend_from_slice(&[0; 8]);
        frame.extend_from_slice(&FILL);
        frame.extend_from_slice(after);
        Self {
            frame,
            seq_at: None,
            body_at: before.len(),
        }
    }

    /// Adds the post whose body begins with `mark`, the connection's post number `seq`.
    pub(crate) fn add(&self, out: &mut Vec<u8>, mark: u64, seq: u64) {
        let at = out.len();
        out.extend_from_slice(&self.frame);
        let body = at + self.body_at;
        out[body..body + 8].copy_from_slice(&mark.to_be_bytes());
        if let Some(seq_at) = self.seq_at {
            out[at + seq_at..at + seq_at + 4].copy_from_slice(&(seq as u32).to_be_bytes());
        }
    }
}

/// What stands between deliveries.
pub(crate) struct Control {
    pub(crate) len: usize,
    pub(crate) confirms: Confirms,
}

/// Which posts of a connection it confirms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirms {
    Nothing,
    One,
    UpTo(u64),
}

/// A protocol.
pub(crate) trait Dialect {
    /// Has the server keep what is posted, before anybody posts.
    fn prepare(&self, _server: &Server) {}

    /// Opens the connection and joins `room`, and comes back once that stands.
    fn attach(&self, stream: &mut TcpStream, nth: usize, room: &str, part: Part) -> Shape;

    /// A post for `room`, of the connection of that number.
    fn template(&self, nth: usize, room: &str) -> Template;

    /// Adds posts, the first with that mark and that number of the connection's.
    fn add_posts(&self, template: &Template, out: &mut Vec<u8>, posts: usize, mark: u64, seq: u64) {
        for nth in 0..posts as u64 {
            template.add(out, mark + nth, seq + nth);
        }
    }

    /// What `data` begins with that is not a delivery; `None` if it is not whole yet.
    fn control(&self, data: &[u8]) -> Option<Control>;

    /// How many posts of one connection may wait for their confirmation.
    fn window(&self) -> Option<usize> {
        None
    }

    /// What a member says after so many deliveries, and every how many it has to.
    fn credit(&self, _deliveries: u64) -> Vec<u8> {
        Vec::new()
    }

    fn credit_every(&self) -> u64 {
        u64::MAX
    }
}

/// The length of a line at the start of `data`, with its end, if that is there.
fn line(data: &[u8]) -> Option<usize> {
    let end = data.windows(2).position(|two| two == b"\r\n")?;
    Some(end + 2)
}

/// Reads until `done` says that `held` is all.
fn read_until(stream: &mut TcpStream, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut held, mut room) = (Vec::new(), [0; 4096]);
    while !done(&held) {
        let n = stream.read(&mut room).expect("the server answers");
        assert!(
            n > 0,
            "the server closed the connection: {}",
            held.escape_ascii()
        );
        held.extend_from_slice(&room[..n]);
    }
    held
}
