//! RESP 3 of redis-server: its PUBLISH and SUBSCRIBE.

use std::io::Write;
use std::net::TcpStream;

use super::{BODY, Confirms, Control, Dialect, Part, Shape, Template, line, read_until};

pub(crate) struct Redis;

impl Dialect for Redis {
    fn attach(&self, stream: &mut TcpStream, _nth: usize, room: &str, part: Part) -> Shape {
        let (hello, answer) = if part.reads() {
            let answer = format!("{}\r\n{room}\r\n:1\r\n", bulk(room.len()));
            (format!("HELLO 3\r\nSUBSCRIBE {room}\r\n"), answer)
        } else {
            (
                String::from("HELLO 3\r\nPING\r\n"),
                String::from("+PONG\r\n"),
            )
        };
        stream
            .write_all(hello.as_bytes())
            .expect("redis-server reads");
        read_until(stream, |held| held.ends_with(answer.as_bytes()));
        let (name, body) = (bulk(room.len()), bulk(BODY));
        let head = format!(">3\r\n$7\r\nmessage\r\n{name}\r\n{room}\r\n{body}\r\n").into_bytes();
        Shape {
            mixed: false,
            size: head.len() + BODY + 2,
            body_at: head.len(),
            count: Some((head.len(), 0)),
            head,
        }
    }

    fn template(&self, _nth: usize, room: &str) -> Template {
        let (name, body) = (bulk(room.len()), bulk(BODY));
        let before = format!("*3\r\n$7\r\nPUBLISH\r\n{name}\r\n{room}\r\n{body}\r\n");
        Template::new(before.as_bytes(), b"\r\n")
    }

    /// The answer to a `PUBLISH`: how many got it.
    fn control(&self, data: &[u8]) -> Option<Control> {
        let len = line(data)?;
        assert_eq!(
            data[0],
            b':',
            "redis-server says {}",
            data[..len].escape_ascii()
        );
        Some(Control {
            len,
            confirms: Confirms::One,
        })
    }
}

/// Adds to a stream of its, which is written to a file.
pub(crate) struct RedisStream;

impl Dialect for RedisStream {
    fn attach(&self, stream: &mut TcpStream, nth: usize, room: &str, _part: Part) -> Shape {
        Redis.attach(stream, nth, room, Part::Poster)
    }

    fn template(&self, _nth: usize, room: &str) -> Template {
        let (name, body) = (bulk(room.len()), bulk(BODY));
        let before =
            format!("*5\r\n$4\r\nXADD\r\n{name}\r\n{room}\r\n$1\r\n*\r\n$1\r\nb\r\n{body}\r\n");
        Template::new(before.as_bytes(), b"\r\n")
    }

    /// The answer to an `XADD`: where it stands.
    fn control(&self, data: &[u8]) -> Option<Control> {
        let head = line(data)?;
        assert_eq!(
            data[0],
            b'$',
            "redis-server says {}",
            data[..head].escape_ascii()
        );
        let len = head + line(&data[head..])?;
        Some(Control {
            len,
            confirms: Confirms::One,
        })
    }
}

fn bulk(len: usize) -> String {
    format!("${len}")
}
